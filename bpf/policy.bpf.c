// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies at work in the kernel: struct kvm_cet_ops, which KVM asks about each #CP of a vCPU that a policy is
 * for. Kernels with cetd's patches only.
 */
#include "lease.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* arch/x86/kvm/cet.h of such kernels. */
#define KVM_CET_POLICY_DECIDE (1U << 0)
#define KVM_CET_POLICY_IBT_OFF (1U << 1)
#define KVM_CET_POLICY_HIDE_IBT (1U << 2)
#define KVM_CET_POLICY_HIDE_SHSTK (1U << 3)

struct kvm_cet_fault___policy {
	__u64 vm_id;
	__u64 rip;
	__u32 vcpu_id;
	__u32 error_code;
	__u8 cpl;
} __attribute__((preserve_access_index));

struct kvm_cet_ops___cetd {
	__u32 (*vcpu_policy)(struct kvm_vcpu___cetd *vcpu, __u64 vm_id);
	__u64 (*cp)(struct kvm_vcpu___cetd *vcpu, struct kvm_cet_fault___policy *fault);
};

SEC("struct_ops/vcpu_policy")
__u32 BPF_PROG(vcpu_policy, struct kvm_vcpu___cetd *vcpu, __u64 vm_id)
{
	const struct cetd_policy *p = bpf_map_lookup_elem(&policies, &vm_id);
	__u32 flags = 0;

	if (!p)
		return 0;
	if (p->n_rates || p->flags & CETD_POLICY_IBT_OFF)
		flags |= KVM_CET_POLICY_DECIDE;
	if (p->mode != CETD_MODE_ENFORCE || lease_is_over(bpf_ktime_get_ns()))
		return flags;
	if (p->flags & CETD_POLICY_IBT_OFF)
		flags |= KVM_CET_POLICY_IBT_OFF;
	if (p->flags & CETD_POLICY_HIDE_IBT)
		flags |= KVM_CET_POLICY_HIDE_IBT;
	if (p->flags & CETD_POLICY_HIDE_SHSTK)
		flags |= KVM_CET_POLICY_HIDE_SHSTK;
	return flags;
}

SEC("struct_ops/cp")
__u64 BPF_PROG(cp, struct kvm_vcpu___cetd *vcpu, struct kvm_cet_fault___policy *fault)
{
	return decide(fault->vm_id, bpf_ktime_get_ns(),
		      FAULT(fault->error_code, fault->cpl, fault->vcpu_id), fault->rip);
}

SEC(".struct_ops.link")
struct kvm_cet_ops___cetd ops = {
	.vcpu_policy = (void *)vcpu_policy,
	.cp = (void *)cp,
};

struct update {
	__u64 vm_id;
};

/* For the daemon, after it changed a VM's parameters. */
SEC("syscall")
int update(struct update *u)
{
	return bpf_kvm_cet_update(u->vm_id);
}

struct grant {
	__u64 until_ns;
};

/* For the daemon, from time to time. */
SEC("syscall")
int grant(struct grant *g)
{
	return lease_set(g->until_ns);
}
