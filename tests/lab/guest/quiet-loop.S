/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that keeps KVM busy and leaves CET alone: CPUID and RDMSR of IA32_APIC_BASE, an exit each. What cetd
 * costs while it runs is what it costs a host without CET activity.
 */
#define QUIET
#define NO_CET_CODE
#include "guest.h"

#define MSR_APIC_BASE 0x1b

	.text
main:
	xor %r13d, %r13d		/* rounds */
round:
	xor %eax, %eax
	cpuid
	read_msr MSR_APIC_BASE
	inc %r13
	mov %r13, PARAM_PROGRESS(%r15)
	cmpq $0, PARAM_STOP(%r15)
	jne done
	cmp PARAM_COUNT(%r15), %r13
	jb round
done:
	EXPECT_FAULTS(0)
	SUCCEED

on_fault:
	jmp fault_unexpected
