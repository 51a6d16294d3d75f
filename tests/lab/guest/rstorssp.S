/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RSTORSSP to a shadow stack without a restore token: #CP(rstorssp) at CPL 0 and CPL 3. The handler puts
 * a token there (WRSS, WRUSS), the instruction is tried again, and SAVEPREVSSP leaves the way back.
 */
#include "guest.h"

/* Well below what the calls here use of the same page. */
#define TOKEN_OFFSET 0x800

	.text
main:
	need_cet
	supervisor_cet (CET_SH_STK_EN | CET_WR_SHSTK_EN)
	rdsspq %rbp
	mov %ebp, %r13d
	and $~0xfff, %r13d
	add $TOKEN_OFFSET, %r13d
	rstorssp (%r13)
	EXPECT_FAULTS(1)
	saveprevssp
	call nothing
	rstorssp -8(%rbp)		/* the token that SAVEPREVSSP left on the first stack */
	saveprevssp
	rdsspq %rax
	cmp %rbp, %rax
	EXPECT(je)
	EXPECT_FAULTS(1)
	write_msr MSR_S_CET, 0
	user_cet CET_SH_STK_EN
	xor %ebp, %ebp
	run_user user_main
	EXPECT_FAULTS(2)
	cmp $1, %ebp
	EXPECT(je)
	SUCCEED

nothing:
	ret

/* A restore token holds the address just above itself and, for 64-bit mode, bit 0. */
on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_RSTORSSP, FRAME_ERROR(%rbx)
	jne fault_unexpected
	lea 8 + 1(%r13), %rax
	testl $3, FRAME_CS(%rbx)
	jnz 1f
	wrssq %rax, (%r13)
	jmp fault_return
1:	wrussq %rax, (%r13)
	jmp fault_return

	.section .user, "ax"
user_main:
	rdsspq %r13
	sub $0x800, %r13
	rstorssp (%r13)
	saveprevssp
	call 1f
	or $1, %ebp
	int $0x80
1:	ret
