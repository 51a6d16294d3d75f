// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies at work in the kernel: struct kvm_cet_ops, which KVM asks about each #CP of a vCPU that a policy is
 * for. The daemon writes the parameters; what is over a rate, and what becomes of it, is decided here, whether
 * the daemon runs or not. Kernels with cetd's patches only.
 */
#include "compat.bpf.h"

#include "cetd/policy.h"
#include "cetd/ratelimit.h"

char LICENSE[] SEC("license") = "GPL";

/* arch/x86/kvm/cet.h of such kernels. */
#define KVM_CET_POLICY_DECIDE (1U << 0)
#define KVM_CET_POLICY_IBT_OFF (1U << 1)
#define KVM_CET_POLICY_HIDE_IBT (1U << 2)
#define KVM_CET_POLICY_HIDE_SHSTK (1U << 3)
#define KVM_CET_VERDICT_DELAY_SHIFT 8
#define CP_ERROR_ENDBRANCH 3
#define CP_ERROR_ENCL (1U << 15)

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

extern int bpf_kvm_cet_update(__u64 vm_id) __ksym;

struct cetd_policy_control control;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct cetd_policy);
} policies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct cetd_policy_state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} storms SEC(".maps");

/* A fault on its way through the rates. */
struct decision {
	const struct cetd_policy *policy;
	struct cetd_policy_state *state;
	struct cetd_fault_verdict verdict;
	__u64 now_ns;
	__u64 key;
	__u64 rip;
	__u32 vcpu;
	__u32 error_code;
	__u32 kind;
	__u32 privilege;
	__u32 cpl;
};

/* No daemon has renewed the lease: nothing but delivery is done. */
static __always_inline bool lease_is_over(__u64 now_ns)
{
	__u64 lease_ns = *(volatile __u64 *)&control.lease_ns;

	return lease_ns && now_ns >= lease_ns;
}

static __always_inline __u32 kind_of(__u32 error_code)
{
	__u32 code = error_code & ~CP_ERROR_ENCL;

	return code >= 1 && code <= CETD_KIND_OTHER ? code - 1 : CETD_KIND_OTHER;
}

static __always_inline void storm_tell(const struct decision *d, __u32 i, enum cetd_storm_type type)
{
	const struct cetd_rate *r = d->policy->rates + i;
	struct cetd_storm *s = bpf_ringbuf_reserve(&storms, sizeof(*s), 0);

	if (!s) {
		__sync_fetch_and_add(&control.storms_lost, 1);
		return;
	}
	__builtin_memset(s, 0, sizeof(*s));
	s->time_ns = d->now_ns;
	s->key = d->key;
	s->since_ns = type == CETD_STORM_STARTED ? d->now_ns : 0;
	s->over = type == CETD_STORM_STARTED;
	s->rip = type == CETD_STORM_STARTED ? d->rip : 0;
	s->rule = r->rule;
	s->generation = d->policy->generation;
	s->vcpu = d->vcpu;
	s->error_code = d->error_code;
	s->rate = i;
	s->type = type;
	s->then = r->then;
	s->mode = d->policy->mode;
	s->cpl = d->cpl;
	bpf_ringbuf_submit(s, 0);
}

/* One rate, for bpf_loop(). */
static long take_rate(__u64 i, struct decision *d)
{
	if (i >= CETD_POLICY_RATES_MAX)
		return 1;
	bpf_spin_lock(&d->state->lock);
	cetd_policy_rate(d->policy, d->state, i, d->kind, d->privilege, d->now_ns, &d->verdict);
	bpf_spin_unlock(&d->state->lock);
	if (d->verdict.ended & 1U << i)
		storm_tell(d, i, CETD_STORM_ENDED);
	if (d->verdict.started & 1U << i)
		storm_tell(d, i, CETD_STORM_STARTED);
	return 0;
}

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
	struct decision d = {
		.now_ns = bpf_ktime_get_ns(),
		.key = fault->vm_id,
		.rip = fault->rip,
		.vcpu = fault->vcpu_id,
		.error_code = fault->error_code,
		.kind = kind_of(fault->error_code),
		.privilege = fault->cpl == 3 ? CETD_PRIVILEGE_USER : CETD_PRIVILEGE_SUPERVISOR,
		.cpl = fault->cpl,
	};
	int may_suppress = d.error_code == CP_ERROR_ENDBRANCH;

	d.policy = bpf_map_lookup_elem(&policies, &d.key);
	d.state = bpf_map_lookup_elem(&states, &d.key);
	if (!d.policy || !d.state)
		return CETD_ACTION_DELIVER;
	if (lease_is_over(d.now_ns)) {
		__sync_fetch_and_add(&control.lapsed, 1);
		return CETD_ACTION_DELIVER;
	}
	bpf_spin_lock(&d.state->lock);
	cetd_policy_begin(d.policy, d.state, may_suppress, &d.verdict);
	bpf_spin_unlock(&d.state->lock);
	bpf_loop(d.policy->n_rates, take_rate, &d, 0);
	bpf_spin_lock(&d.state->lock);
	cetd_policy_end(d.policy, d.state, &d.verdict);
	bpf_spin_unlock(&d.state->lock);
	if (d.policy->mode != CETD_MODE_ENFORCE)
		return CETD_ACTION_DELIVER;
	return d.verdict.action | d.verdict.delay_ns << KVM_CET_VERDICT_DELAY_SHIFT;
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
