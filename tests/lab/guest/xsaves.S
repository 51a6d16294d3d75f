/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two "tasks" of a guest kernel take turns on one vCPU: IA32_U_CET and PL3_SSP are switched by XSAVES and
 * XRSTORS. One has IBT and faults at CPL 3, the other runs the same code without. In between
 * IA32_S_CET is toggled, and the same call at CPL 0 faults or does not. PARAM_COUNT rounds.
 */
#define QUIET
#include "guest.h"

#define AREA_A MEM_NESTED
#define AREA_B (MEM_NESTED + 0x1000)
#define SSP_A (MEM_USER_SHSTK + 0xff0)
#define SSP_B (MEM_USER_SHSTK + 0x800)

/* Write the CET state that is live to AREA, or load it from there. */
.macro switch_state instruction, area
	mov $(XSS_CET_U | XSS_CET_S), %eax
	xor %edx, %edx
	\instruction \area
.endm

.macro expect_msr index, value
	read_msr \index
	cmp $\value, %eax
	EXPECT(je)
.endm

	.text
main:
	need_cet
	set_cr4 (1 << 18)		/* OSXSAVE */
	xor %ecx, %ecx
	mov $3, %eax
	xor %edx, %edx
	xsetbv
	write_msr MSR_XSS, (XSS_CET_U | XSS_CET_S)
	write_msr MSR_PL0_SSP, 0x1230
	write_msr MSR_U_CET, CET_ENDBR_EN
	write_msr MSR_PL3_SSP, SSP_A
	switch_state xsaves64, AREA_A
	write_msr MSR_U_CET, 0
	write_msr MSR_PL3_SSP, SSP_B
	switch_state xsaves64, AREA_B
	xor %r13d, %r13d
round:
	switch_state xrstors64, AREA_A
	expect_msr MSR_U_CET, CET_ENDBR_EN
	expect_msr MSR_PL3_SSP, SSP_A
	lea user_after(%rip), %r14
	xor %ebp, %ebp
	run_user user_main
	cmp $1, %ebp
	EXPECT(je)
	switch_state xsaves64, AREA_A
	switch_state xrstors64, AREA_B
	expect_msr MSR_U_CET, 0
	expect_msr MSR_PL3_SSP, SSP_B
	expect_msr MSR_PL0_SSP, 0x1230
	xor %ebp, %ebp
	run_user user_main
	cmp $3, %ebp
	EXPECT(je)
	switch_state xsaves64, AREA_B

	write_msr MSR_S_CET, CET_ENDBR_EN
	lea after_bad(%rip), %r14
	lea bad(%rip), %rax
	call *%rax
	FAIL
after_bad:
	endbr64
	write_msr MSR_S_CET, 0
	lea bad(%rip), %rax
	call *%rax

	inc %r13
	lea (%r13, %r13), %rax
	cmp PARAM_FAULTS(%r15), %rax
	EXPECT(je)
	mov %r13, PARAM_PROGRESS(%r15)
	cmpq $0, PARAM_STOP(%r15)
	jne 1f
	cmp PARAM_COUNT(%r15), %r13
	jb round
1:	read_msr MSR_PL3_SSP
	check_msr MSR_PL3_SSP
	SUCCEED

bad:	ret

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_ENDBRANCH, FRAME_ERROR(%rbx)
	jne fault_unexpected
	jmp skip_branch

	.section .user, "ax"
user_main:
	endbr64
	lea user_bad(%rip), %rax
	call *%rax
user_after:
	endbr64
	or $1, %ebp
	int $0x80
user_bad:
	or $2, %ebp
	ret
