/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all guests share: start-up, reports, exception entry, the way to CPL 3 and back.
 *
 * A guest defines `main` (entered at CPL 0, CET off, interrupts off) and `on_fault` (entered on any
 * exception with the frame below in %rbx; it ends with `jmp fault_return`, `jmp fault_unexpected`, or
 * by leaving the frame for good). Kept registers: %r15 the parameter block; by custom %r14 is where
 * on_fault lets a faulting branch go on, %r13 the return address that it mends, %r12 where `int $0x80`
 * from CPL 3 goes on at CPL 0. With QUIET defined a fault of the same vector, CPL and code as the one
 * before it is only counted, and the number reported later.
 */
#pragma once

#include "abi.h"

#define STUB_BYTES 16

/* Offsets from %rbx in on_fault. */
#define FRAME_VECTOR 32
#define FRAME_ERROR 40
#define FRAME_RIP 48
#define FRAME_CS 56
#define FRAME_RFLAGS 64
#define FRAME_RSP 72

/* End with the number of this source line as the verdict. */
#define FAIL mov $__LINE__, %eax; jmp guest_end
/* Go on if the condition of the jump holds, else end with this line. */
#define EXPECT(jump) jump 772f; FAIL; 772:
#define EXPECT_FAULTS(n) cmpq $n, PARAM_FAULTS(%r15); EXPECT(je)
#define SUCCEED xor %eax, %eax; jmp guest_end

/* Report VALUE (register or immediate). Clobbers rax and rdx. */
.macro report port, value
	mov \value, %eax
	mov $\port, %edx
	out %eax, %dx
.endm

.macro write_msr index, low, high=0
	mov $\index, %ecx
	mov $\low, %eax
	mov $\high, %edx
	wrmsr
.endm

.macro read_msr index
	mov $\index, %ecx
	rdmsr
.endm

/* Set bits in CR4. Clobbers rax. */
.macro set_cr4 bits
	mov %cr4, %rax
	or $\bits, %rax
	mov %rax, %cr4
.endm

/* Have the VMM compare what KVM_GET_MSRS says with the 64-bit value in %rax. Clobbers rax and rdx. */
.macro check_msr index
	mov %rax, PARAM_CHECK_VALUE(%r15)
	movl $\index, PARAM_CHECK_MSR(%r15)
	report PORT_CHECK_MSR, $0
.endm

/* The same for the SSP that is live now. */
.macro check_ssp
	rdsspq %rax
	mov %rax, PARAM_CHECK_VALUE(%r15)
	report PORT_CHECK_SSP, $0
.endm

/* Have LABEL take exceptions of VECTOR instead of the common entry. Clobbers rax. */
.macro set_vector vector, label
	lea \label(%rip), %rax
	mov %ax, MEM_IDT + 16 * \vector
	shr $16, %rax
	mov %ax, MEM_IDT + 16 * \vector + 6
.endm

/* Run the code at LABEL in .user at CPL 3; `int $0x80` there goes on behind this macro, at CPL 0. */
.macro run_user label
	lea 771f(%rip), %r12
	mov PARAM_VCPU(%r15), %ecx
	inc %ecx
	shl $12, %ecx
	add $(MEM_USER_STACK - 16), %ecx
	push $SEL_USER_DATA
	push %rcx
	push $2
	push $SEL_USER_CODE
	push $\label
	iretq
771:	endbr64
.endm

/* For guests that test CET: where it is missing, check that it is missing properly and end. */
.macro need_cet
	and $(FEATURE_SHSTK | FEATURE_IBT), %esi
	jz no_cet
	cmp $(FEATURE_SHSTK | FEATURE_IBT), %esi
	EXPECT(je)
	set_cr4 (1 << CR4_CET_BIT)
.endm

/* Supervisor CET on, with the shadow stack of this vCPU if asked. Clobbers rax, rcx, rdx. */
.macro supervisor_cet bits
	.if (\bits) & CET_SH_STK_EN
	mov PARAM_VCPU(%r15), %eax
	shl $12, %eax
	add $(MEM_SHSTK + SHSTK_TOKEN), %eax
	xor %edx, %edx
	mov $MSR_PL0_SSP, %ecx
	wrmsr
	.endif
	write_msr MSR_S_CET, \bits
	.if (\bits) & CET_SH_STK_EN
	setssbsy
	.endif
.endm

/* User CET on; the shadow stack starts empty. Clobbers rax, rcx, rdx. */
.macro user_cet bits
	mov PARAM_VCPU(%r15), %eax
	inc %eax
	shl $12, %eax
	add $MEM_USER_SHSTK, %eax
	xor %edx, %edx
	mov $MSR_PL3_SSP, %ecx
	wrmsr
	write_msr MSR_U_CET, \bits
.endm

	.code64
	.section .start, "ax"
	.globl _start
_start:
	mov %rdi, %r15
	cmpl $0, PARAM_VCPU(%r15)
	jne 2f
	mov $(MEM_IDT + 16 * 255), %edi
	lea (stubs_end - STUB_BYTES)(%rip), %rax
	mov $255, %ecx
1:	mov %ax, (%rdi)
	movw $SEL_CODE, 2(%rdi)
	movw $0x8e00, 4(%rdi)
	mov %rax, %rdx
	shr $16, %rdx
	mov %dx, 6(%rdi)
	movl $0, 8(%rdi)
	sub $STUB_BYTES, %rax
	sub $16, %rdi
	dec %ecx
	jns 1b
	movw $0xee00, MEM_IDT + 16 * 0x80 + 4
	movl $1, idt_ready(%rip)
2:	pause				/* the others wait for the first vCPU's IDT */
	cmpl $0, idt_ready(%rip)
	je 2b
	mov PARAM_VCPU(%r15), %eax
	shl $4, %eax
	add $SEL_TSS, %eax
	ltr %ax
	mov $7, %eax
	xor %ecx, %ecx
	cpuid
	xor %esi, %esi
	test $(1 << 7), %ecx
	jz 1f
	or $FEATURE_SHSTK, %esi
1:	test $(1 << 20), %edx
	jz 1f
	or $FEATURE_IBT, %esi
1:	mov $1, %eax
	cpuid
	test $(1 << 5), %ecx
	jz 1f
	or $FEATURE_VMX, %esi
1:	report PORT_FEATURES, %esi
	jmp main

/* %eax: the failed line, 0 for success. */
guest_end:
	mov %eax, %ebx
#ifndef NO_CET_CODE
	mov %cr4, %rax			/* no shadow stack from here on: it may be in any state */
	btr $CR4_CET_BIT, %rax
	mov %rax, %cr4
#endif
	call flush_pending
	report PORT_DONE, %ebx
1:	hlt
	jmp 1b

	.text
	.balign 8
idt_ready:
	.long 0

/* One entry a vector, all of one size; vectors that carry no error code get a 0. */
	.balign 16
stubs:
	.set vector, 0
	.rept 256
	.balign STUB_BYTES
	endbr64
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	push $0
	.endif
	.if vector < 128
	push $vector
	.else
	pushq $vector
	.endif
	jmp exception
	.set vector, vector + 1
	.endr
	.balign STUB_BYTES
stubs_end:

exception:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	mov %rsp, %rbx
	cmpl $0x80, FRAME_VECTOR(%rbx)
	je back_from_user
	incq PARAM_FAULTS(%r15)
#ifndef NO_CET_CODE
	cmpl $0, no_cet_probing(%rip)
	jne no_cet_fault
#endif
	call report_fault
	jmp on_fault

flush_pending:
	mov PARAM_PENDING(%r15), %ecx
	test %ecx, %ecx
	jz 1f
	report PORT_FAULTS, %ecx
	movl $0, PARAM_PENDING(%r15)
1:	ret

/* Vector, CPL, error code and RIP, then the SSP that the fault left: delivery at CPL 0 pushed it on the
 * shadow stack (SDM Vol. 3A, "Interrupt and exception handling", shadow stacks), from CPL 3 it is in
 * PL3_SSP. 0 where no shadow stack is on.
 */
report_fault:
	mov FRAME_VECTOR(%rbx), %eax
	shl $8, %eax
	mov FRAME_CS(%rbx), %ecx
	and $3, %ecx
	or %ecx, %eax
	shl $16, %eax
	movzwl FRAME_ERROR(%rbx), %ecx
	or %ecx, %eax
#ifdef QUIET
	incl PARAM_PENDING(%r15)
	cmp PARAM_LAST(%r15), %eax
	je 3f
	decl PARAM_PENDING(%r15)
	mov %eax, PARAM_LAST(%r15)
	call flush_pending
	mov PARAM_LAST(%r15), %eax
#endif
	mov $PORT_FAULT, %edx
	out %eax, %dx
	report PORT_FAULT_RIP, FRAME_RIP(%rbx)
	xor %ecx, %ecx
#ifndef NO_CET_CODE
	mov %cr4, %rax
	bt $CR4_CET_BIT, %rax
	jnc 1f
	testl $3, FRAME_CS(%rbx)
	jnz 2f
	rdsspq %rcx
	test %rcx, %rcx
	jz 1f
	mov 8(%rcx), %ecx
	jmp 1f
2:	read_msr MSR_U_CET
	xor %ecx, %ecx
	test $CET_SH_STK_EN, %al
	jz 1f
	read_msr MSR_PL3_SSP
	mov %eax, %ecx
#endif
1:	report PORT_FAULT_SSP, %ecx
3:	ret

fault_return:
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

#ifndef NO_CET_CODE
/* For a branch to a place without ENDBR64: go on at %r14 (which needs one), its call undone. */
skip_branch:
	mov %r14, FRAME_RIP(%rbx)
	addq $8, FRAME_RSP(%rbx)
	jmp fault_return

/* For a return to a wrong place: mend the return address and have it tried again. */
mend_return:
	mov FRAME_RSP(%rbx), %rax
	mov %r13, (%rax)
	jmp fault_return
#endif

/* A fault the guest has no place for: end with the vector as the line, far above any source line. */
fault_unexpected:
	mov FRAME_VECTOR(%rbx), %eax
	add $1000000, %eax
	jmp guest_end

#ifndef NO_CET_CODE
	.balign 4
no_cet_probing:
	.long 0

/* Without CET: CR4.CET and the MSRs end in #GP, instructions in #UD, RDSSP and ENDBR64 do nothing. */
#define MUST_FAULT(vector, n) FAIL; 773: cmpl $vector, PARAM_VECTOR(%r15); EXPECT(je); EXPECT_FAULTS(n)
no_cet:
	movl $1, no_cet_probing(%rip)
	lea 773f(%rip), %r14
	set_cr4 (1 << CR4_CET_BIT)
	MUST_FAULT(VEC_GP, 1)
	lea 773f(%rip), %r14
	write_msr MSR_S_CET, 0
	MUST_FAULT(VEC_GP, 2)
	lea 773f(%rip), %r14
	read_msr MSR_U_CET
	MUST_FAULT(VEC_GP, 3)
	lea 773f(%rip), %r14
	write_msr MSR_PL0_SSP, 0
	MUST_FAULT(VEC_GP, 4)
	lea 773f(%rip), %r14
	write_msr MSR_INT_SSP_TAB, 0
	MUST_FAULT(VEC_GP, 5)
	lea 773f(%rip), %r14
	setssbsy
	MUST_FAULT(VEC_UD, 6)
	lea 773f(%rip), %r14
	incsspq %rax
	MUST_FAULT(VEC_UD, 7)
	lea 773f(%rip), %r14
	wrssq %rax, MEM_NESTED
	MUST_FAULT(VEC_UD, 8)
	mov $0x1234, %eax
	rdsspq %rax
	endbr64
	cmp $0x1234, %rax
	EXPECT(je)
	EXPECT_FAULTS(8)
	SUCCEED

no_cet_fault:
	mov FRAME_VECTOR(%rbx), %eax
	mov %eax, PARAM_VECTOR(%r15)
	call report_fault
	mov %r14, FRAME_RIP(%rbx)
	jmp fault_return
#endif

/* `int $0x80` at CPL 3: drop the frame and go on where run_user said. */
back_from_user:
	mov PARAM_VCPU(%r15), %eax
	inc %eax
	shl $13, %eax
	add $(MEM_STACK - 16), %eax
	mov %eax, %esp
	jmp *%r12
