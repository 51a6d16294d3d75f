/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Policies as they are kept in the kernel, and what a fault comes to under them. The daemon writes the parameters;
 * what is over a rate, and what becomes of it, is decided here, whether the daemon runs or not.
 */
#pragma once

#include "compat.bpf.h"

#include "cetd/policy.h"
#include "cetd/ratelimit.h"

#define KVM_CET_VERDICT_DELAY_SHIFT 8 /* arch/x86/kvm/cet.h of kernels with the hook */
#define CP_ERROR_ENDBRANCH 3
#define CP_ERROR_ENCL (1U << 15)

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

static __always_inline bool lease_is_over(__u64 now_ns)
{
	return cetd_lease_is_over(*(volatile __u64 *)&control.lease_ns, now_ns);
}

static __always_inline __u32 kind_of(__u32 error_code)
{
	__u32 code = error_code & ~CP_ERROR_ENCL;

	return code >= 1 && code <= CETD_KIND_OTHER ? code - 1 : CETD_KIND_OTHER;
}

/* What a fault is, in a word. */
#define FAULT(error_code, cpl, vcpu) \
	((__u64)(error_code) & 0xffff | ((__u64)(cpl) & 0xff) << 16 | (__u64)(vcpu) << 32)
#define FAULT_ERROR_CODE(fault) ((fault) & 0xffff)
#define FAULT_CPL(fault) ((fault) >> 16 & 0xff)
#define FAULT_VCPU(fault) ((fault) >> 32)

static __always_inline void storm_tell(struct cetd_storm *what, enum cetd_storm_type type)
{
	what->type = type;
	if (bpf_ringbuf_output(&storms, what, sizeof(*what), 0))
		__sync_fetch_and_add(&control.storms_lost, 1);
}

/*
 * The i-th rate: how long the fault has to wait for it. Not static, and with numbers only: so the verifier looks at
 * it once by itself, and not at each way through it for each rate.
 */
__noinline __u64 rate_take(__u32 i, __u64 key, __u64 now_ns, __u64 fault, __u64 rip)
{
	struct cetd_policy *p = bpf_map_lookup_elem(&policies, &key);
	struct cetd_policy_state *state = bpf_map_lookup_elem(&states, &key);
	struct cetd_fault_verdict verdict = {.action = CETD_ACTION_DELIVER};
	__u32 kind = kind_of(FAULT_ERROR_CODE(fault));
	__u32 privilege = FAULT_CPL(fault) == 3 ? CETD_PRIVILEGE_USER : CETD_PRIVILEGE_SUPERVISOR;
	struct cetd_storm storm = {
		.time_ns = now_ns,
		.key = key,
		.rip = rip,
		.vcpu = FAULT_VCPU(fault),
		.error_code = FAULT_ERROR_CODE(fault),
		.cpl = FAULT_CPL(fault),
	};

	if (!p || !state)
		return 0;
	/* The bound that the verifier sees, on the very register that is used. */
	asm volatile("" : "+r"(i));
	i &= CETD_POLICY_RATES_MAX - 1;
	storm.rule = p->rates[i].rule;
	storm.then = p->rates[i].then;
	storm.generation = p->generation;
	storm.mode = p->mode;
	storm.rate = i;
	bpf_spin_lock(&state->lock);
	storm.since_ns = state->buckets[i].storm_ns;
	storm.over = state->buckets[i].storm_over;
	cetd_policy_rate(p, state, i, kind, privilege, now_ns, &verdict);
	bpf_spin_unlock(&state->lock);
	if (verdict.ended)
		storm_tell(&storm, CETD_STORM_ENDED);
	storm.since_ns = now_ns;
	storm.over = 1;
	if (verdict.started)
		storm_tell(&storm, CETD_STORM_STARTED);
	return verdict.delay_ns;
}

/* The longest that any rate asks for. */
static __always_inline __u64 rates_take(__u32 n, __u64 key, __u64 now_ns, __u64 fault, __u64 rip)
{
	__u64 longest_ns = 0;

	for (__u32 i = 0; i < CETD_POLICY_RATES_MAX; i++) {
		__u64 delay_ns = i < n ? rate_take(i, key, now_ns, fault, rip) : 0;

		if (delay_ns > longest_ns)
			longest_ns = delay_ns;
	}
	return longest_ns;
}

/* What KVM is to do with the fault, as kvm_cet_ops tells it. */
static __always_inline __u64 decide(__u64 key, __u64 now_ns, __u64 fault, __u64 rip)
{
	struct cetd_policy_state *state = bpf_map_lookup_elem(&states, &key);
	struct cetd_policy *p = bpf_map_lookup_elem(&policies, &key);
	int may_suppress = FAULT_ERROR_CODE(fault) == CP_ERROR_ENDBRANCH;
	struct cetd_fault_verdict verdict;

	if (!p || !state)
		return CETD_ACTION_DELIVER;
	if (lease_is_over(now_ns)) {
		__sync_fetch_and_add(&control.lapsed, 1);
		return CETD_ACTION_DELIVER;
	}
	bpf_spin_lock(&state->lock);
	cetd_policy_begin(p, state, may_suppress, &verdict);
	bpf_spin_unlock(&state->lock);
	if (verdict.action != CETD_ACTION_SUPPRESS)
		verdict.delay_ns = rates_take(p->n_rates, key, now_ns, fault, rip);
	bpf_spin_lock(&state->lock);
	cetd_policy_end(p, state, &verdict);
	bpf_spin_unlock(&state->lock);
	if (p->mode != CETD_MODE_ENFORCE)
		return CETD_ACTION_DELIVER;
	return verdict.action | verdict.delay_ns << KVM_CET_VERDICT_DELAY_SHIFT;
}
