/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bare L1 hypervisor runs an L2 with CET. First L1 does not intercept #CP: L2 takes its faults itself. Then
 * L1 intercepts #CP: each fault exits to L1 first, with the right code, RIP, SSP and tracker, and L1 injects
 * it into L2. L1's own CET state must come back with every exit. VMCS field numbers: SDM Vol. 3D, appendix
 * "Field Encoding in VMCS". L2 shares L1's page tables and IDT; its reports go straight to the VMM.
 */
#include "guest.h"

#define MSR_VMX_BASIC 0x480
#define MSR_VMX_TRUE_PIN 0x48d
#define MSR_VMX_TRUE_PROC 0x48e
#define MSR_VMX_TRUE_EXIT 0x48f
#define MSR_VMX_TRUE_ENTRY 0x490

#define EXIT_CONTROL_HOST_64 (1 << 9)
#define EXIT_CONTROL_CET (1 << 28)
#define ENTRY_CONTROL_GUEST_64 (1 << 9)
#define ENTRY_CONTROL_CET (1 << 20)
#define PROC_CONTROL_HLT (1 << 7)

#define EXCEPTION_BITMAP 0x4004
#define ENTRY_INTR_INFO 0x4016
#define ENTRY_ERROR_CODE 0x4018
#define EXIT_REASON 0x4402
#define EXIT_INTR_INFO 0x4404
#define EXIT_INTR_ERROR_CODE 0x4406
#define GUEST_RSP 0x681c
#define GUEST_RIP 0x681e
#define GUEST_S_CET 0x6828
#define GUEST_SSP 0x682a

#define REASON_EXCEPTION 0
#define REASON_VMCALL 18
#define INTR_INFO_CP 0x80000b15 /* valid, error code, hardware exception, vector 21 */

#define L2_STACK (MEM_STACK + 4 * MEM_PAGE - 16)
#define L2_SHSTK (MEM_SHSTK + MEM_PAGE + SHSTK_TOKEN)
#define L1_S_CET CET_ENDBR_EN

/* Clobber rax and rcx. */
.macro vm_write field, value
	mov $\field, %ecx
	mov \value, %rax
	vmwrite %rax, %rcx
	EXPECT(ja)
.endm
.macro vm_expect field, value
	mov $\field, %ecx
	vmread %rcx, %rax
	EXPECT(ja)
	mov \value, %rcx
	cmp %rcx, %rax
	EXPECT(je)
.endm

/* Controls: the wanted bits, and those that the capability MSR demands; all wanted ones must be allowed. */
.macro vm_control field, msr, wanted
	read_msr \msr
	or $\wanted, %eax
	mov %eax, %r8d
	and %edx, %r8d
	cmp %eax, %r8d
	EXPECT(je)
	vm_write \field, %r8
.endm

/* Run L2 until it exits: then check that L1's state is back. */
.macro run_l2 instruction
	lea 774f(%rip), %rax
	mov %rax, exit_to(%rip)
	\instruction
	FAIL
774:	endbr64
	read_msr MSR_S_CET
	cmp $L1_S_CET, %eax
	EXPECT(je)
.endm

.macro start_l2 entry, s_cet
	vm_write GUEST_RIP, $\entry
	vm_write GUEST_RSP, $L2_STACK
	vm_write GUEST_S_CET, $(\s_cet)
	vm_write GUEST_SSP, $L2_SHSTK
.endm

/* L2 faulted into L1: check what L1 is told, then have L2 take the fault. */
.macro expect_fault_exit code, rip, s_cet
	vm_expect EXIT_REASON, $REASON_EXCEPTION
	vm_expect EXIT_INTR_INFO, $INTR_INFO_CP
	vm_expect EXIT_INTR_ERROR_CODE, $\code
	vm_expect GUEST_RIP, $\rip
	vm_expect GUEST_S_CET, $(\s_cet)
	vm_write ENTRY_INTR_INFO, $INTR_INFO_CP
	vm_write ENTRY_ERROR_CODE, $\code
.endm

	.text
main:
	mov %esi, %ebp
	need_cet
	test $FEATURE_VMX, %ebp
	EXPECT(jnz)
	supervisor_cet L1_S_CET
	call vmx_on
	call write_controls
	call write_guest_state
	call write_host_state

	start_l2 l2_ibt, CET_ENDBR_EN
	run_l2 vmlaunch
	vm_expect EXIT_REASON, $REASON_VMCALL
	EXPECT_FAULTS(1)
	start_l2 l2_shstk, CET_SH_STK_EN
	run_l2 vmresume
	vm_expect EXIT_REASON, $REASON_VMCALL
	vm_expect GUEST_SSP, $L2_SHSTK
	EXPECT_FAULTS(2)

	vm_write EXCEPTION_BITMAP, $(1 << VEC_CP)
	start_l2 l2_ibt, CET_ENDBR_EN
	run_l2 vmresume
	EXPECT_FAULTS(2)
	expect_fault_exit CP_ENDBRANCH, l2_bad, (CET_ENDBR_EN | CET_TRACKER)
	run_l2 vmresume
	vm_expect EXIT_REASON, $REASON_VMCALL
	vm_expect GUEST_S_CET, $CET_ENDBR_EN
	EXPECT_FAULTS(3)
	start_l2 l2_shstk, CET_SH_STK_EN
	run_l2 vmresume
	EXPECT_FAULTS(3)
	vm_expect GUEST_SSP, $(L2_SHSTK - 8)
	expect_fault_exit CP_NEAR_RET, l2_smashed_ret, CET_SH_STK_EN
	run_l2 vmresume
	vm_expect EXIT_REASON, $REASON_VMCALL
	vm_expect GUEST_SSP, $L2_SHSTK
	EXPECT_FAULTS(4)
	SUCCEED

vmx_on:
	set_cr4 (1 << 13)		/* VMXE */
	read_msr MSR_VMX_BASIC
	mov %eax, MEM_NESTED
	mov %eax, MEM_NESTED + 0x1000
	vmxon vmxon_area(%rip)
	EXPECT(ja)
	vmclear vmcs_area(%rip)
	EXPECT(ja)
	vmptrld vmcs_area(%rip)
	EXPECT(ja)
	ret

write_controls:
	vm_control 0x4000, MSR_VMX_TRUE_PIN, 0
	vm_control 0x4002, MSR_VMX_TRUE_PROC, PROC_CONTROL_HLT
	vm_control 0x400c, MSR_VMX_TRUE_EXIT, (EXIT_CONTROL_HOST_64 | EXIT_CONTROL_CET)
	vm_control 0x4012, MSR_VMX_TRUE_ENTRY, (ENTRY_CONTROL_GUEST_64 | ENTRY_CONTROL_CET)
	.irp field, EXCEPTION_BITMAP, 0x4006, 0x4008, 0x400a, 0x400e, 0x4010, 0x4014, ENTRY_INTR_INFO, 0x6000, 0x6002
	vm_write \field, $0
	.endr
	ret

write_guest_state:
	mov %cr0, %r8
	vm_write 0x6800, %r8
	mov %cr3, %r8
	vm_write 0x6802, %r8
	mov %cr4, %r8
	vm_write 0x6804, %r8
	vm_write 0x802, $SEL_CODE
	vm_write 0x4802, $0xffffffff
	vm_write 0x4816, $0xa09b
	vm_write 0x6808, $0
	/* ES SS DS FS GS: selector, limit, access rights, base. */
	.irp segment, 0, 4, 6, 8, 10
	vm_write (0x800 + \segment), $SEL_DATA
	vm_write (0x4800 + \segment), $0xffffffff
	vm_write (0x4814 + \segment), $0xc093
	vm_write (0x6806 + \segment), $0
	.endr
	vm_write 0x80c, $0		/* LDTR, not usable */
	vm_write 0x480c, $0
	vm_write 0x4820, $0x10000
	vm_write 0x6812, $0
	vm_write 0x80e, $SEL_TSS
	vm_write 0x480e, $0x67
	vm_write 0x4822, $0x8b
	vm_write 0x6814, $MEM_TSS
	vm_write 0x4810, $(SEL_TSS + 16 * MAX_VCPUS - 1)
	vm_write 0x6816, $MEM_GDT
	vm_write 0x4812, $0xfff
	vm_write 0x6818, $MEM_IDT
	vm_write 0x681a, $0x400		/* DR7 */
	vm_write 0x6820, $2		/* RFLAGS */
	vm_write 0x2800, $-1		/* VMCS link pointer */
	.irp field, 0x2802, 0x4824, 0x4826, 0x482a, 0x6822, 0x6824, 0x6826, 0x682c
	vm_write \field, $0
	.endr
	ret

write_host_state:
	mov %cr0, %r8
	vm_write 0x6c00, %r8
	mov %cr3, %r8
	vm_write 0x6c02, %r8
	mov %cr4, %r8
	vm_write 0x6c04, %r8
	vm_write 0xc02, $SEL_CODE
	.irp field, 0xc00, 0xc04, 0xc06, 0xc08, 0xc0a
	vm_write \field, $SEL_DATA
	.endr
	vm_write 0xc0c, $SEL_TSS
	.irp field, 0x4c00, 0x6c06, 0x6c08, 0x6c10, 0x6c12, 0x6c1a, 0x6c1c
	vm_write \field, $0
	.endr
	vm_write 0x6c0a, $MEM_TSS
	vm_write 0x6c0c, $MEM_GDT
	vm_write 0x6c0e, $MEM_IDT
	lea 8(%rsp), %r8
	vm_write 0x6c14, %r8
	vm_write 0x6c16, $vm_exit
	vm_write 0x6c18, $L1_S_CET
	ret

vm_exit:
	endbr64
	jmp *exit_to(%rip)

on_fault:
	cmpl $VEC_CP, FRAME_VECTOR(%rbx)
	jne fault_unexpected
	cmpl $CP_ENDBRANCH, FRAME_ERROR(%rbx)
	je skip_branch
	cmpl $CP_NEAR_RET, FRAME_ERROR(%rbx)
	je mend_return
	jmp fault_unexpected

	/* L2 */
l2_ibt:
	lea l2_after(%rip), %r14
	lea l2_bad(%rip), %rax
	call *%rax
	FAIL
l2_after:
	endbr64
	vmcall
	FAIL
l2_bad:	nop
	FAIL

l2_shstk:
	call l2_smashed
l2_back:
	vmcall
	FAIL
l2_smashed:
	lea l2_back(%rip), %r13
	lea 1f(%rip), %rax
	mov %rax, (%rsp)
l2_smashed_ret:
	ret
1:	FAIL

	.balign 8
vmxon_area:
	.quad MEM_NESTED
vmcs_area:
	.quad MEM_NESTED + 0x1000
exit_to:
	.quad 0
