// SPDX-License-Identifier: GPL-2.0-only
// A policy that does what its map says, by VM id or, with id 0, for all VMs; and counts of what came of it.
/* Only newer headers have it; it is declared below for all. */
#define bpf_wq bpf_wq_of_header
#include <linux/bpf.h>
#undef bpf_wq
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

/*
 * A policy that is over when its time is, whether or not anyone is left to say so: a timer has a work item look up the
 * policy again. Neither outlives the map, so a pinned map keeps the promise of a daemon that is gone.
 */
struct bpf_wq {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct lease {
	struct bpf_timer timer;
	struct bpf_wq work;
	__u64 vm_id;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lease);
} leases SEC(".maps");

extern int bpf_wq_init(struct bpf_wq *work, void *map, unsigned int flags) __ksym;
/* The first of later kernels, the second of 6.12. */
extern int bpf_wq_set_callback(struct bpf_wq *work, int (*callback)(void *, int *, void *),
			       unsigned int flags) __weak __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *work, int (*callback)(void *, int *, void *), unsigned int flags,
				    void *aux) __weak __ksym;
extern int bpf_wq_start(struct bpf_wq *work, unsigned int flags) __ksym;

static int lease_work(void *map, int *key, void *value)
{
	struct lease *lease = value;
	__u64 vm_id = lease->vm_id;

	bpf_map_delete_elem(&policies, &vm_id);
	bpf_kvm_cet_update(vm_id);
	return 0;
}

static int lease_timer(void *map, int *key, struct lease *lease)
{
	bpf_wq_start(&lease->work, 0);
	return 0;
}

SEC("syscall")
int grant(struct lease_request *request)
{
	struct lease *lease;
	__u32 key = 0;
	int r;

	lease = bpf_map_lookup_elem(&leases, &key);
	if (!lease)
		return -1;
	lease->vm_id = request->vm_id;
	bpf_wq_init(&lease->work, &leases, 0);
	bpf_timer_init(&lease->timer, &leases, 1 /* CLOCK_MONOTONIC */);
	if (bpf_ksym_exists(bpf_wq_set_callback))
		r = bpf_wq_set_callback(&lease->work, lease_work, 0);
	else
		r = bpf_wq_set_callback_impl(&lease->work, lease_work, 0, (void *)0);
	return r ?: bpf_timer_set_callback(&lease->timer, lease_timer) ?:
	       bpf_timer_start(&lease->timer, request->ns, 0);
}

SEC("tp_btf/kvm_cet_cp")
int BPF_PROG(on_cp, struct kvm_vcpu *vcpu, __u32 error_code, __u64 cet, __u64 ssp, __u32 action)
{
	if (action < NR_ACTIONS)
		count(action);
	return 0;
}

char _license[] SEC("license") = "GPL";
