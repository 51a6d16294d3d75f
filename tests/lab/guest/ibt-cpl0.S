/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Supervisor IBT: an indirect call to an ENDBR64 goes through, one to anything else takes #CP(endbranch)
 * with RIP at the target; a direct call and a `notrack` jump (where allowed) are not checked.
 */
#include "guest.h"

	.text
main:
	need_cet
	supervisor_cet CET_ENDBR_EN
	read_msr MSR_S_CET
	cmp $CET_ENDBR_EN, %eax
	EXPECT(je)
	xor %ebp, %ebp
	lea good(%rip), %rax
	call *%rax
	EXPECT_FAULTS(0)
	call bad
	EXPECT_FAULTS(0)
	cmp $2, %ebp
	EXPECT(je)
	lea after_call(%rip), %r14
	lea bad(%rip), %rax
	call *%rax
	FAIL
after_call:
	endbr64
	EXPECT_FAULTS(1)
	lea bad(%rip), %rax
	cmp %rax, fault_rip(%rip)
	EXPECT(je)
	lea after_jump(%rip), %r14
	push $0				/* skip_branch drops a return address */
	lea bad(%rip), %rax
	jmp *%rax
after_jump:
	endbr64
	EXPECT_FAULTS(2)
	cmp $2, %ebp			/* bad never ran by an indirect branch */
	EXPECT(je)
	write_msr MSR_S_CET, 0
	lea bad(%rip), %rax
	call *%rax
	EXPECT_FAULTS(2)
	cmp $3, %ebp
	EXPECT(je)
	SUCCEED

good:	endbr64
	inc %ebp
	ret
bad:	inc %ebp
	ret

fault_rip:
	.quad 0
on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_ENDBRANCH, FRAME_ERROR(%rbx)
	jne fault_unexpected
	mov FRAME_RIP(%rbx), %rax
	mov %rax, fault_rip(%rip)
	jmp skip_branch
