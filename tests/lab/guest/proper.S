/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that uses all of CET as it is meant: IBT and shadow stacks at CPL 0 and CPL 3, calls, indirect
 * calls, system calls and exceptions in between, in rounds. It never faults.
 */
#include "guest.h"

	.text
main:
	need_cet
	supervisor_cet (CET_SH_STK_EN | CET_ENDBR_EN)
	user_cet (CET_SH_STK_EN | CET_ENDBR_EN)
	rdsspq %rbp
	xor %r13d, %r13d
	xor %r14d, %r14d
round:
	lea function(%rip), %rax
	call *%rax
	run_user user_main
	rdsspq %rax
	cmp %rbp, %rax
	EXPECT(je)
	inc %r13
	mov %r13, PARAM_PROGRESS(%r15)
	cmpq $0, PARAM_STOP(%r15)
	jne 1f
	cmp PARAM_COUNT(%r15), %r13
	jb round
1:	cmp %r13, %r14
	EXPECT(je)
	EXPECT_FAULTS(0)
	check_ssp
	read_msr MSR_S_CET
	check_msr MSR_S_CET
	SUCCEED

function:
	endbr64
	call 1f
	ret
1:	ret

on_fault:
	jmp fault_unexpected

	.section .user, "ax"
user_main:
	endbr64
	lea user_function(%rip), %rax
	call *%rax
	int $0x80
user_function:
	endbr64
	call 1f
	ret
1:	inc %r14
	ret
