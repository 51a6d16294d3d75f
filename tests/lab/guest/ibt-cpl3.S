/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User IBT: CPL 3 calls a target without ENDBR64 and takes #CP(endbranch); the processor keeps
 * WAIT_FOR_ENDBRANCH in IA32_U_CET, so that the place where it goes on needs an ENDBR64 itself.
 */
#include "guest.h"

	.text
main:
	need_cet
	user_cet CET_ENDBR_EN
	lea user_after(%rip), %r14
	run_user user_main
	EXPECT_FAULTS(1)
	cmp $7, %ebp
	EXPECT(je)
	read_msr MSR_U_CET
	cmp $CET_ENDBR_EN, %eax		/* tracker idle again */
	EXPECT(je)
	SUCCEED

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_ENDBRANCH, FRAME_ERROR(%rbx)
	jne fault_unexpected
	testl $3, FRAME_CS(%rbx)
	jz fault_unexpected
	read_msr MSR_U_CET
	test $CET_TRACKER, %eax
	jz fault_unexpected
	jmp skip_branch

	.section .user, "ax"
user_main:
	xor %ebp, %ebp
	lea user_good(%rip), %rax
	call *%rax
	lea user_bad(%rip), %rax
	call *%rax
	or $8, %ebp
user_after:
	endbr64
	or $4, %ebp
	int $0x80
user_good:
	endbr64
	or $3, %ebp
	ret
user_bad:
	or $16, %ebp
	ret
