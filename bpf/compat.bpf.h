/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels. KVM's types are declared here as far as they are used: vmlinux.h of a machine
 * that has kvm as a module lacks them. CO-RE fits them to the running kernel, module BTF included.
 */
#pragma once

/* kfuncs, and what they take, are declared where they are used: not every machine's vmlinux.h has them. */
#define BPF_NO_KFUNC_PROTOTYPES
#define bpf_wq bpf_wq___vmlinux
#include "vmlinux.h"
#undef bpf_wq

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* BPF_PROG() declares a context that most programs do not use. */
#pragma clang diagnostic ignored "-Wunused-parameter"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Kernels with cetd's patches only: an id for life, from 1, and the latest intercepted #CP of a vCPU. */
struct kvm_arch___cetd {
	__u64 vm_id;
};

struct kvm___cetd {
	struct mm_struct *mm; /* the VMM's: only it may use the VM */
	struct kvm_arch___cetd arch;
};

struct kvm_cet_fault___cetd {
	__u64 rip;
	__u8 cpl;
	bool nested;
};

struct kvm_vcpu_cet___cetd {
	struct kvm_cet_fault___cetd fault;
};

/* hflags: in all kernels since 6.2 with the meaning below; read on patched kernels only. */
struct kvm_vcpu_arch___cetd {
	__u32 hflags;
	struct kvm_vcpu_cet___cetd cet;
};

struct preempt_notifier___cetd {
	struct hlist_node link;
};

/* CONFIG_PREEMPT_NOTIFIERS, which kvm selects. */
struct task_struct___cetd {
	struct hlist_head preempt_notifiers;
};

struct kvm_vcpu___cetd {
	struct kvm___cetd *kvm;
	struct preempt_notifier___cetd preempt_notifier;
	int vcpu_id;
	struct kvm_vcpu_arch___cetd arch;
};

/* The records of the tracepoints, as perf's programs get them. */
struct trace_event_raw_kvm_msr___cetd {
	unsigned int write;
	__u32 ecx;
	__u64 data;
	__u8 exception;
};

struct trace_event_raw_kvm_cr___cetd {
	unsigned int rw;
	unsigned int cr;
	unsigned long val;
};

struct trace_event_raw_kvm_inj_exception___cetd {
	__u8 exception;
	__u8 has_error;
	__u32 error_code;
	bool reinjected;
};

struct trace_event_raw_kvm_cet_cp___cetd {
	__u64 vm_id, rip, cet, ssp;
	__u32 vcpu_id, code, action;
	__u8 cpl, encl, nested;
};

struct trace_event_raw_kvm_cet_msr___cetd {
	__u64 vm_id, data;
	__u32 vcpu_id, index;
	int err;
	__u8 write, host;
};

struct trace_event_raw_kvm_cet_vmcs_load___cetd {
	__u64 vm_id;
	__u32 vcpu_id;
	int cpu, prev_cpu;
	__u8 nested;
};

/* kvm_intel's: which VMCS a vCPU uses. clang 19 crashes where a struct that is looked for has no member. */
struct nested_vmx___cetd {
	struct {
		void *vmcs;
	} vmcs02;
};

struct vcpu_vmx___cetd {
	void *loaded_vmcs;
	struct nested_vmx___cetd nested;
};

#pragma clang attribute pop

/* arch/x86/include/asm/kvm_host.h: the vCPU runs L2. */
#define HF_GUEST_MASK (1U << 0)

/*
 * All kernels with kvm as a module: members of struct kvm sit beyond the reach of a load's 16-bit offset, and
 * libbpf refuses to relocate the load. Relocate an addition instead and load from its result; the barrier
 * keeps the compiler from merging the two.
 */
#define LOAD_FAR(pointer, member)                                            \
	({                                                                   \
		typeof(&(pointer)->member) _p =                              \
			__builtin_preserve_access_index(&(pointer)->member); \
		asm volatile("" : "+r"(_p));                                 \
		*_p;                                                         \
	})

/* The kernel's VM id, or 0 where the kernel has none. */
static __always_inline __u64 vcpu_vm_id(struct kvm_vcpu___cetd *vcpu)
{
	struct kvm___cetd *kvm;

	if (!bpf_core_field_exists(((struct kvm___cetd *)0)->arch.vm_id))
		return 0;
	kvm = vcpu->kvm;
	return kvm ? LOAD_FAR(kvm, arch.vm_id) : 0;
}

/* Likewise, of the vCPU that the current thread has loaded: KVM is all that uses preempt notifiers. */
static __always_inline __u64 loaded_vm_id(void)
{
	struct task_struct___cetd *task = (void *)bpf_get_current_task();
	struct kvm_vcpu___cetd *vcpu;
	void *link;

	if (!bpf_core_field_exists(((struct kvm___cetd *)0)->arch.vm_id) ||
	    !bpf_core_field_exists(task->preempt_notifiers))
		return 0;
	link = BPF_CORE_READ(task, preempt_notifiers.first);
	if (!link)
		return 0;
	vcpu = link - bpf_core_field_offset(((struct kvm_vcpu___cetd *)0)->preempt_notifier.link);
	return BPF_CORE_READ(vcpu, kvm, arch.vm_id);
}

/* Is vmcs02, the VMCS of L2, the one that the vCPU uses? False where kvm_intel's types are not known. */
static __always_inline bool vcpu_uses_vmcs02(struct kvm_vcpu___cetd *vcpu)
{
	struct vcpu_vmx___cetd *vmx = (void *)vcpu; /* struct kvm_vcpu is its first member */

	if (!bpf_core_field_exists(vmx->nested.vmcs02))
		return false;
	return BPF_CORE_READ(vmx, loaded_vmcs) ==
	       (void *)vmx + bpf_core_field_offset(vmx->nested.vmcs02);
}
