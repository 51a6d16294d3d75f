// SPDX-License-Identifier: GPL-2.0-only
// A policy that does what its map says, by VM id or, with id 0, for all VMs; and counts of what came of it.
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "policy.h"

struct kvm_vcpu {
	int vcpu_id;
} __attribute__((preserve_access_index));

struct kvm_cet_fault {
	__u64 vm_id;
} __attribute__((preserve_access_index));

struct kvm_cet_ops {
	__u32 (*vcpu_policy)(struct kvm_vcpu *vcpu, __u64 vm_id);
	__u64 (*cp)(struct kvm_vcpu *vcpu, struct kvm_cet_fault *fault);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u64);
	__type(value, struct policy);
} policies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NR_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static void count(__u32 what)
{
	__u64 *value = bpf_map_lookup_elem(&counts, &what);

	if (value)
		__sync_fetch_and_add(value, 1);
}

static struct policy *policy_of(__u64 vm_id)
{
	struct policy *policy = bpf_map_lookup_elem(&policies, &vm_id);
	__u64 any = 0;

	return policy ?: bpf_map_lookup_elem(&policies, &any);
}

SEC("struct_ops/vcpu_policy")
__u32 BPF_PROG(vcpu_policy, struct kvm_vcpu *vcpu, __u64 vm_id)
{
	struct policy *policy = policy_of(vm_id);

	count(COUNT_VCPU_POLICY);
	return policy ? policy->flags : 0;
}

SEC("struct_ops/cp")
__u64 BPF_PROG(cp, struct kvm_vcpu *vcpu, struct kvm_cet_fault *fault)
{
	struct policy *policy = policy_of(fault->vm_id);

	count(COUNT_CP);
	return policy && policy->vcpus >> (vcpu->vcpu_id & 63) & 1 ? policy->verdict : DELIVER;
}

SEC(".struct_ops.link")
struct kvm_cet_ops ops = {
	.vcpu_policy = (void *)vcpu_policy,
	.cp = (void *)cp,
};

SEC(".struct_ops.link")
struct kvm_cet_ops second_ops = {
	.vcpu_policy = (void *)vcpu_policy,
};

extern int bpf_kvm_cet_update(__u64 vm_id) __ksym;

SEC("syscall")
int update(__u64 *vm_id)
{
	return bpf_kvm_cet_update(*vm_id);
}

SEC("tp_btf/kvm_cet_cp")
int BPF_PROG(on_cp, struct kvm_vcpu *vcpu, __u32 error_code, __u64 cet, __u64 ssp, __u32 action)
{
	if (action < NR_ACTIONS)
		count(action);
	return 0;
}

char _license[] SEC("license") = "GPL";
