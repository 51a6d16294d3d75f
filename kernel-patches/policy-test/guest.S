/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Branch to something that is not ENDBR64, RDI times or until told to stop, at CPL 0 or, if RSI is not 0,
 * at CPL 3. Count faults, branches that went through, and rounds in the block at RDX; and faults that are not like the
 * first one, or that come with other registers than there were at the branch.
 */
#include "guest.h"

	.code64
	.globl _start
_start:
	mov %rdi, %r12
	mov %rdx, %r15
	mov %cr4, %rax
	bts $23, %rax
	mov %rax, %cr4
	mov $0x6a2, %ecx		/* IA32_S_CET */
	test %rsi, %rsi
	jz 1f
	mov $0x6a0, %ecx		/* IA32_U_CET */
1:	mov $4, %eax			/* ENDBR_EN */
	xor %edx, %edx
	wrmsr
	test %rsi, %rsi
	jz rounds
	push $0x1b
	lea -256(%rsp), %rax
	push %rax
	push $2
	push $0x23
	lea rounds(%rip), %rax
	push %rax
	iretq

rounds:
	lea 1f(%rip), %r14
	lea bad(%rip), %rax
	test %rsp, %rsp			/* the same flags each time */
	stc
	.set i, 1
	.irp register, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r13
	lea i(%r12), %\register
	.set i, i + 1
	.endr
	jmp *%rax
bad:
	incq BLOCK_PASSED(%r15)
1:	incq BLOCK_ROUNDS(%r15)
	cmpq $0, BLOCK_STOP(%r15)
	jne 2f
	dec %r12
	jnz rounds
2:	int $0x80

/* #CP: go on behind the branch. As a kernel does, make the tracker of user mode idle. */
on_cp:
	endbr64
	cmpq $3, (%rsp)
	jne on_other
	.set i, 1
	.irp register, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r13
	lea i(%r12), %rax
	mov $5 + i, %ecx
	cmp %rax, %\register
	jne differs
	.set i, i + 1
	.endr
	mov $5, %ecx			/* error code, RIP, CS, RFLAGS, RSP, SS */
	cmpq $0, BLOCK_FRAME + 40(%r15)
	je first
1:	mov (%rsp, %rcx, 8), %rax
	cmp %rax, BLOCK_FRAME(%r15, %rcx, 8)
	jne differs
	dec %ecx
	jns 1b
2:	incq BLOCK_FAULTS(%r15)
	mov %r14, 8(%rsp)
	testb $3, 16(%rsp)
	jz 1f
	mov $0x6a0, %ecx
	rdmsr
	btr $11, %eax
	wrmsr
1:	add $8, %rsp
	iretq

first:
	mov (%rsp, %rcx, 8), %rax
	mov %rax, BLOCK_FRAME(%r15, %rcx, 8)
	dec %ecx
	jns first
	jmp 2b

differs:
	incq BLOCK_DIFFERS(%r15)
	mov %rcx, BLOCK_WHICH(%r15)
	mov %rax, BLOCK_VALUE(%r15)
	jmp 2b

on_other:
	endbr64
	mov $END_UNEXPECTED, %al
	out %al, $PORT_END
	hlt

on_end:
	endbr64
	mov $0x6a2, %ecx
	rdmsr
	mov %eax, BLOCK_S_CET(%r15)
	mov $END_OK, %al
	out %al, $PORT_END
	hlt

	.balign 8
	.quad VECTOR_TABLE_MAGIC, on_cp, on_other, on_end
