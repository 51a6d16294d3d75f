/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest with a driver that lacks an ENDBR64: it calls it over and over, and puts up with the #CP each time, or
 * with none where IBT is off by policy. Rounds go on either way; the faults say which it was.
 */
#define QUIET
#include "guest.h"

	.text
main:
	need_cet
	supervisor_cet CET_ENDBR_EN
	lea back(%rip), %r14
	xor %ebp, %ebp
round:
	lea driver(%rip), %rax
	call *%rax
back:	endbr64
	inc %rbp
	mov %rbp, PARAM_PROGRESS(%r15)
	mov $10, %edx		/* work: some thousand rounds a second in the lab, which is quick at string stores */
1:	mov $MEM_NESTED, %edi
	mov $MEM_PAGE, %ecx
	rep stosb
	dec %edx
	jnz 1b
	cmpq $0, PARAM_STOP(%r15)
	jne 1f
	cmp PARAM_COUNT(%r15), %rbp
	jb round
1:	SUCCEED

driver:	nop
	ret

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_ENDBRANCH, FRAME_ERROR(%rbx)
	jne fault_unexpected
	jmp skip_branch
