/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Try to use CET the way a guest kernel does, again and again: CR4.CET, then in each round a WRMSR to
 * IA32_S_CET, and every 64 rounds all CET MSRs and IA32_XSS. Without CET every one of these ends in #GP,
 * with CET none does. A round in between has no exit to user space: this is also the load of the benchmarks.
 * Uses nothing but plain instructions at CPL 0, so that software KVMs can run it too.
 */
#define QUIET
#define NO_CET_CODE
#include "guest.h"

	.text
main:
	mov %esi, %ebp
	xor %r13d, %r13d		/* accesses tried */
	mov %rsp, %r12
	set_vector VEC_GP, fast_fault
	lea 1f(%rip), %r14
	inc %r13
	set_cr4 (1 << CR4_CET_BIT)
1:	xor %ebx, %ebx			/* rounds */
round:
	lea 1f(%rip), %r14
	inc %r13
	write_msr MSR_S_CET, 0
1:	test $63, %bl
	jnz next
	.irp index, MSR_U_CET, MSR_PL0_SSP, MSR_PL1_SSP, MSR_PL2_SSP, MSR_PL3_SSP, MSR_INT_SSP_TAB
	lea 2f(%rip), %r14
	inc %r13
	write_msr \index, 0
2:	lea 3f(%rip), %r14
	inc %r13
	read_msr \index
3:
	.endr
	lea 4f(%rip), %r14
	inc %r13
	write_msr MSR_XSS, (XSS_CET_U | XSS_CET_S)
4:
next:
	inc %rbx
	mov %rbx, PARAM_PROGRESS(%r15)
	cmpq $0, PARAM_STOP(%r15)
	jne verdict
	cmp PARAM_COUNT(%r15), %rbx
	jb round
verdict:
	mov PARAM_FAULTS(%r15), %rax
	sub $1, %rax
	jb 1f
	mov %eax, PARAM_PENDING(%r15)
	report PORT_FAULT, $(VEC_GP << 24)
1:
	test $(FEATURE_SHSTK | FEATURE_IBT), %ebp
	jz 1f
	EXPECT_FAULTS(0)
	SUCCEED
1:	cmp PARAM_FAULTS(%r15), %r13
	EXPECT(je)
	SUCCEED

/* Leave the frame behind and go on: no IRET, which software KVMs cannot do at CPL 0. */
fast_fault:
	incq PARAM_FAULTS(%r15)
	mov %r12, %rsp
	jmp *%r14

on_fault:
	jmp fault_unexpected
