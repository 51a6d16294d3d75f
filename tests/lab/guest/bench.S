/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What things cost, in TSC ticks: the least of PARAM_COUNT tries each, less the cost of reading the TSC.
 * The numbers are those of BENCH_... in abi.h. #CP is measured from before the branch to the handler's first
 * instruction after ENDBR64.
 */
#define QUIET
#include "guest.h"

/* Begin and end one measurement; the least so far is kept in r13. Clobber rax, rcx, rdx, r11. */
.macro clock_start
	lfence
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	mov %rax, %r12
.endm
.macro clock_stop
	rdtsc
	shl $32, %rdx
	or %rdx, %rax
	sub %r12, %rax
	cmp %r13, %rax
	cmovb %rax, %r13
.endm

/* Repeat what follows up to bench_end. */
.macro bench_begin
	mov $-1, %r13
	mov PARAM_COUNT(%r15), %rbp
775:
.endm
.macro bench_end number
	dec %rbp
	jnz 775b
	mov $\number, %r8d
	call report_ticks
.endm

	.text
main:
	mov %esi, %r10d
	bench_begin
	clock_start
	clock_stop
	bench_end BENCH_EMPTY
	mov %r13, empty(%rip)

	/* Leaf 0, which KVM finds at once: one that it does not have costs a search of all leaves. */
	bench_begin
	clock_start
	xor %eax, %eax
	xor %ecx, %ecx
	cpuid
	clock_stop
	bench_end BENCH_CPUID

	bench_begin
	clock_start
	mov $PORT_NOTE, %edx
	out %eax, %dx
	clock_stop
	bench_end BENCH_OUT

	test $FEATURE_IBT, %r10d
	jz done
	set_cr4 (1 << CR4_CET_BIT)
	bench_begin
	mov $MSR_S_CET, %ecx
	clock_start
	rdmsr
	clock_stop
	bench_end BENCH_RDMSR

	bench_begin
	mov $MSR_U_CET, %ecx
	clock_start
	xor %eax, %eax
	xor %edx, %edx
	wrmsr
	clock_stop
	bench_end BENCH_WRMSR

	bench_begin
	mov $MSR_INT_SSP_TAB, %ecx
	clock_start
	rdmsr
	clock_stop
	bench_end BENCH_RDMSR_TRAPPED

	set_vector VEC_CP, cp_handler
	write_msr MSR_S_CET, CET_ENDBR_EN
	mov %rsp, %r14
	bench_begin
	lea target(%rip), %r11
	clock_start
	jmp *%r11
cp_back:
	clock_stop
	bench_end BENCH_CP
	write_msr MSR_S_CET, 0
done:	SUCCEED

target:	nop
	FAIL

cp_handler:
	endbr64
	mov %r14, %rsp
	jmp cp_back

report_ticks:
	mov %r13, %rax
	cmp $BENCH_EMPTY, %r8d
	je 1f
	sub empty(%rip), %rax
1:	mov %eax, %r9d
	report PORT_BENCH, %r8d
	report PORT_TICKS, %r9d
	ret

	.balign 8
empty:	.quad 0

on_fault:
	jmp fault_unexpected
