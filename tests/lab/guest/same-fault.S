/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest stuck on one #CP: its handler returns to the branch target at CPL 3 without mending anything, the
 * tracker still waits, the same fault comes again; PARAM_COUNT times, then it lets go.
 */
#define QUIET
#include "guest.h"

	.text
main:
	need_cet
	user_cet CET_ENDBR_EN
	xor %ebp, %ebp
	lea user_after(%rip), %r14
	run_user user_main
	cmp $1, %ebp
	EXPECT(je)
	mov PARAM_FAULTS(%r15), %rax
	mov %rax, PARAM_PROGRESS(%r15)
	cmpq $0, PARAM_STOP(%r15)
	jne 1f
	cmp PARAM_COUNT(%r15), %rax
	EXPECT(je)
1:	SUCCEED

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_ENDBRANCH, FRAME_ERROR(%rbx)
	jne fault_unexpected
	cmpq $0, PARAM_STOP(%r15)
	jne skip_branch
	mov PARAM_FAULTS(%r15), %rax
	cmp PARAM_COUNT(%r15), %rax
	jae skip_branch
	jmp fault_return

	.section .user, "ax"
user_main:
	endbr64
	lea user_bad(%rip), %rax
	call *%rax
user_bad:
	or $16, %ebp
user_after:
	endbr64
	or $1, %ebp
	int $0x80
