/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shadow stacks against far returns that do not match: an IRET whose frame was changed, and a far RET
 * whose address was changed, at CPL 0; a far RET at CPL 3. Each takes #CP(far-ret/iret), and goes through
 * once mended.
 */
#include "guest.h"

	.text
main:
	need_cet
	supervisor_cet CET_SH_STK_EN
	rdsspq %rbp
	int $0x81			/* its handler changes RIP: IRET must fault */
after_int:
	EXPECT_FAULTS(2)		/* the INT itself counts as one exception */
	rex64 lcall *far_target(%rip)
after_far:
	EXPECT_FAULTS(3)
	rdsspq %rax
	cmp %rbp, %rax
	EXPECT(je)
	write_msr MSR_S_CET, 0
	user_cet CET_SH_STK_EN
	xor %ebp, %ebp
	run_user user_main
	EXPECT_FAULTS(4)
	cmp $1, %ebp
	EXPECT(je)
	SUCCEED

far_function:
	lea after_far(%rip), %r13
	lea wrong(%rip), %rax
	mov %rax, (%rsp)
	lretq
wrong:	FAIL

	.balign 8
far_target:
	.quad far_function
	.word SEL_CODE

on_fault:
	cmpl $0x81, FRAME_VECTOR(%rbx)
	je change_iret
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_FAR_RET, FRAME_ERROR(%rbx)
	jne fault_unexpected
	jmp mend_return
change_iret:
	lea after_int(%rip), %r13
	lea wrong(%rip), %rax
	mov %rax, FRAME_RIP(%rbx)
	jmp fault_return

	.section .user, "ax"
user_main:
	rex64 lcall *user_far_target(%rip)
user_after_far:
	or $1, %ebp
	int $0x80
user_far_function:
	lea user_after_far(%rip), %r13
	lea 1f(%rip), %rax
	mov %rax, (%rsp)
	lretq
1:	or $16, %ebp
	int $0x80
	.balign 8
user_far_target:
	.quad user_far_function
	.word SEL_USER_CODE
