/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shadow stacks against a smashed return address, at CPL 0 and at CPL 3: RET takes #CP(near-ret); with
 * the address mended the same RET goes through. Balanced calls go through, SSP comes back.
 */
#include "guest.h"

	.text
main:
	need_cet
	supervisor_cet CET_SH_STK_EN
	rdsspq %rbp
	check_ssp
	call balanced
	EXPECT_FAULTS(0)
	call smashed
back:	EXPECT_FAULTS(1)
	rdsspq %rax
	cmp %rbp, %rax
	EXPECT(je)
	write_msr MSR_S_CET, 0
	user_cet CET_SH_STK_EN
	xor %ebp, %ebp
	run_user user_main
	EXPECT_FAULTS(2)
	cmp $3, %ebp
	EXPECT(je)
	read_msr MSR_PL3_SSP
	cmp %rsi, %rax
	EXPECT(je)
	SUCCEED

/* Fine: a call whose return address is dropped on both stacks, and the call to the next instruction that
 * only asks for its own address: the shadow stack takes no note of it.
 */
balanced:
	call 1f
	FAIL
1:	add $8, %rsp
	mov $1, %eax
	incsspq %rax
	call 1f
1:	add $8, %rsp
	ret

smashed:
	lea back(%rip), %r13
	lea 1f(%rip), %rax
	mov %rax, (%rsp)
	ret
1:	FAIL

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_NEAR_RET, FRAME_ERROR(%rbx)
	jne fault_unexpected
	jmp mend_return

	.section .user, "ax"
user_main:
	rdsspq %rsi
	call user_smashed
user_back:
	or $1, %ebp
	call 1f
	or $2, %ebp
	int $0x80
1:	ret
user_smashed:
	lea user_back(%rip), %r13
	lea 1f(%rip), %rax
	mov %rax, (%rsp)
	ret
1:	or $16, %ebp
	int $0x80
