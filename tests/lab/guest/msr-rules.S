/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What may be written to the CET MSRs and CR4.CET (SDM Vol. 4 and Vol. 1 "CET"): a table of values, each taken
 * and read back, or refused with #GP and the old value kept.
 */
#define QUIET
#include "guest.h"

.macro row msr, value, taken
	.long \msr, \taken
	.quad \value
.endm

	.text
main:
	need_cet
	lea table(%rip), %rbp
	xor %r13d, %r13d		/* refusals so far */
next_row:
	mov (%rbp), %ecx
	xor %eax, %eax
	xor %edx, %edx
	wrmsr				/* always valid: start from 0 */
	lea refused(%rip), %r14
	mov 8(%rbp), %eax
	mov 12(%rbp), %edx
	wrmsr
	cmpl $0, 4(%rbp)
	EXPECT(jne)
	rdmsr
	shl $32, %rdx
	or %rdx, %rax
	cmp 8(%rbp), %rax
	EXPECT(je)
	jmp row_done
refused:
	cmpl $0, 4(%rbp)
	EXPECT(je)
	inc %r13
	rdmsr
	or %edx, %eax
	EXPECT(jz)
row_done:
	cmp PARAM_FAULTS(%r15), %r13
	EXPECT(je)
	xor %eax, %eax
	xor %edx, %edx
	wrmsr
	add $16, %rbp
	lea table_end(%rip), %rax
	cmp %rax, %rbp
	jb next_row

	/* CR0.WP may not be cleared under CR4.CET, CR4.CET may not be set without CR0.WP. */
	lea 1f(%rip), %r14
	mov %cr0, %rax
	btr $16, %rax
	mov %rax, %cr0
	FAIL
1:	inc %r13
	cmp PARAM_FAULTS(%r15), %r13
	EXPECT(je)
	mov %cr4, %rax
	btr $CR4_CET_BIT, %rax
	mov %rax, %cr4
	mov %cr0, %rax
	btr $16, %rax
	mov %rax, %cr0
	lea 1f(%rip), %r14
	set_cr4 (1 << CR4_CET_BIT)
	FAIL
1:	inc %r13
	cmp PARAM_FAULTS(%r15), %r13
	EXPECT(je)
	mov %cr0, %rax
	bts $16, %rax
	mov %rax, %cr0

	/* With CR4.CET clear the MSRs can be written, the instructions are not there. */
	write_msr MSR_S_CET, (CET_SH_STK_EN | CET_ENDBR_EN)
	lea 1f(%rip), %r14
	setssbsy
	FAIL
1:	inc %r13
	cmp PARAM_FAULTS(%r15), %r13
	EXPECT(je)
	lea unchecked(%rip), %rax
	call *%rax
	write_msr MSR_S_CET, 0
	SUCCEED

unchecked:
	ret

on_fault:
	cmpl $VEC_GP, FRAME_VECTOR(%rbx)
	je 1f
	cmpl $VEC_UD, FRAME_VECTOR(%rbx)
	jne fault_unexpected
1:	mov %r14, FRAME_RIP(%rbx)
	jmp fault_return

	.balign 8
table:
	.irp msr, MSR_S_CET, MSR_U_CET
	.irp good, 0x1, 0x2, 0x3, 0x4, 0x8, 0x10, 0x20, 0x400, 0x800, 0x7ffffffff004, 0xffff800000000004
	row \msr, \good, 1
	.endr
	.irp bad, 0x40, 0x80, 0x100, 0x200, 0xc00, 0xc04, 0x800000000004, 0x8000000000000004
	row \msr, \bad, 0
	.endr
	.endr
	.irp msr, MSR_PL0_SSP, MSR_PL1_SSP, MSR_PL2_SSP, MSR_PL3_SSP
	.irp good, 0x4, 0x8, 0x7ffffffffff8, 0xffff800000000000
	row \msr, \good, 1
	.endr
	.irp bad, 0x1, 0x2, 0x3, 0x800000000000, 0x8000000000000000
	row \msr, \bad, 0
	.endr
	.endr
	.irp good, 0x8, 0x1000, 0x7ffffffffff8, 0xffff800000000000
	row MSR_INT_SSP_TAB, \good, 1
	.endr
	.irp bad, 0x800000000000, 0x8000000000000000
	row MSR_INT_SSP_TAB, \bad, 0
	.endr
table_end:
