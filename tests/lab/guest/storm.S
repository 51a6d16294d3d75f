/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As many #CP as a vCPU can take, from all vCPUs at once, PARAM_COUNT each: a missing ENDBR64 at CPL 0.
 * Registers and counts are checked in every round.
 */
#define QUIET
#include "guest.h"

	.text
main:
	need_cet
	supervisor_cet CET_ENDBR_EN
	lea after_bad(%rip), %r14
	xor %ebp, %ebp
	mov $0x5eed, %r13d
round:
	mov $0xc0ffee, %r8d
	mov $0x1111, %r9d
	mov $0x2222, %r10d
	lea bad(%rip), %rax
	mov %rax, %r11
	call *%r11
	FAIL
after_bad:
	endbr64
	inc %rbp
	cmp PARAM_FAULTS(%r15), %rbp
	EXPECT(je)
	cmp $0xc0ffee, %r8d
	EXPECT(je)
	cmp $0x1111, %r9d
	EXPECT(je)
	cmp $0x2222, %r10d
	EXPECT(je)
	cmp $0x5eed, %r13d
	EXPECT(je)
	mov %rbp, PARAM_PROGRESS(%r15)
	cmpq $0, PARAM_STOP(%r15)
	jne 1f
	cmp PARAM_COUNT(%r15), %rbp
	jb round
1:	SUCCEED

bad:	nop
	FAIL

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_ENDBRANCH, FRAME_ERROR(%rbx)
	jne fault_unexpected
	jmp skip_branch
