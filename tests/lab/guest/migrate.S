/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A migration in miniature: in the middle of calls, with all CET state in use, the VMM moves the vCPU's
 * state into a new VM and goes on there; every register still says what it said, balanced returns
 * go through, and what faulted before faults after.
 */
#include "guest.h"

.macro expect_state
	.irp index, MSR_S_CET, MSR_U_CET, MSR_PL0_SSP, MSR_PL1_SSP, MSR_PL2_SSP, MSR_PL3_SSP, MSR_INT_SSP_TAB
	read_msr \index
	check_msr \index
	.endr
	.irp index, MSR_PL1_SSP, MSR_PL2_SSP, MSR_INT_SSP_TAB
	read_msr \index
	cmp $(\index << 4), %eax
	EXPECT(je)
	.endr
	read_msr MSR_S_CET
	cmp $(CET_SH_STK_EN | CET_ENDBR_EN), %eax
	EXPECT(je)
	read_msr MSR_U_CET
	cmp $(CET_SH_STK_EN | CET_ENDBR_EN), %eax
	EXPECT(je)
	check_ssp
.endm

	.text
main:
	need_cet
	write_msr MSR_PL1_SSP, (MSR_PL1_SSP << 4)
	write_msr MSR_PL2_SSP, (MSR_PL2_SSP << 4)
	write_msr MSR_INT_SSP_TAB, (MSR_INT_SSP_TAB << 4)
	user_cet (CET_SH_STK_EN | CET_ENDBR_EN)
	supervisor_cet (CET_SH_STK_EN | CET_ENDBR_EN)
	rdsspq %rbp
	call deep
after_deep:
	EXPECT_FAULTS(1)
	rdsspq %rax
	cmp %rbp, %rax
	EXPECT(je)
	run_user user_main
	EXPECT_FAULTS(2)
	report PORT_MIGRATE, $0
	expect_state
	run_user user_main
	EXPECT_FAULTS(3)
	SUCCEED

deep:	call deeper
	lea after_deep(%rip), %r13
	lea 1f(%rip), %rax
	mov %rax, (%rsp)
	ret				/* smashed after the move: #CP(near-ret) */
1:	FAIL
deeper:
	expect_state
	rdsspq %r12
	report PORT_MIGRATE, $0
	rdsspq %rax
	cmp %rax, %r12
	EXPECT(je)
	expect_state
	ret

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_NEAR_RET, FRAME_ERROR(%rbx)
	jne fault_unexpected
	jmp mend_return

	.section .user, "ax"
user_main:
	endbr64
	call user_smashed
user_back:
	int $0x80
user_smashed:
	lea user_back(%rip), %r13
	lea 1f(%rip), %rax
	mov %rax, (%rsp)
	ret
1:	or $16, %ebp
	int $0x80
