/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SETSSBSY on a token that is busy already: #CP(setssbsy). The handler frees the token (WRSS), the
 * instruction is tried again and starts the shadow stack anew.
 */
#include "guest.h"

	.text
main:
	need_cet
	supervisor_cet (CET_SH_STK_EN | CET_WR_SHSTK_EN)
	rdsspq %rbp
	testb $1, (%rbp)		/* busy */
	EXPECT(jnz)
	setssbsy
	EXPECT_FAULTS(1)
	rdsspq %rax
	cmp %rbp, %rax
	EXPECT(je)
	call 1f
	SUCCEED
1:	ret

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_SETSSBSY, FRAME_ERROR(%rbx)
	jne fault_unexpected
	wrssq %rbp, (%rbp)
	jmp fault_return
