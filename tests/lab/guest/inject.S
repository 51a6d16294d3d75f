/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VMM injects #CP with each error code (KVM_SET_VCPU_EVENTS): it arrives once, with that code, at the
 * instruction after the request, whether the guest uses CET or not.
 */
#include "guest.h"

	.text
main:
	need_cet
	xor %r13d, %r13d
	lea after(%rip), %r14
round:
	inc %r13
	report PORT_INJECT, %r13d
after:	cmp PARAM_FAULTS(%r15), %r13
	EXPECT(je)
	cmp $CP_SETSSBSY, %r13d
	jb round
	SUCCEED

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmp FRAME_ERROR(%rbx), %r13d
	jne fault_unexpected
	cmp FRAME_RIP(%rbx), %r14
	jne fault_unexpected
	jmp fault_return
