/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a fault comes to under a VM's policy: token buckets, delays that double, storms with hysteresis. The BPF
 * programs and the daemon compile the same code. No clock: the time is handed in, and may go back a little, as
 * it does between CPUs. Integers only; nothing overflows, whatever the parameters and the state hold.
 */
#pragma once

#include "cetd/policy.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* What a fault did to a rate. */
#define CETD_RATE_OVER (1U << 0)    /* it is over the rate */
#define CETD_RATE_STARTED (1U << 1) /* and the first of a storm */
#define CETD_RATE_ENDED (1U << 2)   /* an earlier storm had ended before it */

/* What a fault comes to for a VM. */
struct cetd_fault_verdict {
	__u64 delay_ns;
	__u32 action;  /* enum cetd_action that the policy asks for: deliver, delay or suppress */
	__u32 over;    /* rates that it is over, a bit each */
	__u32 started; /* rates of which a storm began, a bit each */
	__u32 ended;   /* rates of which an earlier storm had ended, a bit each */
};

static __always_inline __u64 cetd_min_u64(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

/* No daemon has renewed the lease: nothing but delivery is done. */
static __always_inline int cetd_lease_is_over(__u64 lease_ns, __u64 now_ns)
{
	return lease_ns && now_ns >= lease_ns;
}

/* A bucket in numbers that are fit to count with: what full and empty are, and what a fault costs. */
struct cetd_bucket_size {
	__s64 full;
	__s64 floor; /* the deepest debt: as much as is paid back in an interval */
	__s64 cost;
	__u64 limit;
};

static __always_inline struct cetd_bucket_size cetd_bucket_size(const struct cetd_rate *r)
{
	struct cetd_bucket_size s;

	s.cost = (__s64)cetd_min_u64(r->interval_ns, CETD_POLICY_INTERVAL_MAX_NS);
	if (!s.cost)
		s.cost = 1;
	s.limit = cetd_min_u64(r->limit, CETD_POLICY_COUNT_MAX);
	s.full = s.cost * (__s64)cetd_min_u64(r->burst, CETD_POLICY_COUNT_MAX);
	s.floor = -s.cost * (__s64)s.limit;
	return s;
}

/* Exact: what has flowed in is limit × elapsed nanoseconds, less what found no room. */
static __always_inline void cetd_bucket_refill(struct cetd_bucket *b,
					       const struct cetd_bucket_size *s, __u64 now_ns)
{
	__u64 elapsed_ns, missing;

	if (!b->refilled_ns || b->credit > s->full)
		b->credit = s->full;
	if (b->credit < s->floor)
		b->credit = s->floor;
	if (!b->refilled_ns || !now_ns)
		b->refilled_ns = now_ns ? now_ns : 1;
	if (now_ns <= b->refilled_ns)
		return;

	elapsed_ns = now_ns - b->refilled_ns;
	b->refilled_ns = now_ns;
	if (!s->limit)
		return;
	missing = (__u64)(s->full - b->credit);
	if (elapsed_ns > missing / s->limit)
		b->credit = s->full;
	else
		b->credit += (__s64)(elapsed_ns * s->limit);
}

/* Has there been no fault over the rate for so long that the storm is over? False where there is none. */
static __always_inline int cetd_storm_is_over(const struct cetd_rate *r,
					      const struct cetd_bucket *b, __u64 now_ns)
{
	return b->storm_ns && now_ns > b->over_ns && now_ns - b->over_ns >= r->quiet_ns;
}

/* The next fault is taken as the first of a new time: it alone is no storm, unless none are allowed at all. */
static __always_inline void cetd_storm_end(struct cetd_bucket *b, const struct cetd_bucket_size *s)
{
	b->storm_ns = 0;
	b->delay_ns = 0;
	if (b->credit < s->cost && s->cost <= s->full)
		b->credit = s->cost;
}

/* How long a fault over the rate has to wait; what the next one has to is noted. */
static __always_inline __u64 cetd_rate_delay(const struct cetd_rate *r, struct cetd_bucket *b)
{
	__u64 max_ns = cetd_min_u64(r->max_delay_ns, CETD_POLICY_DELAY_MAX_NS);
	__u64 delay_ns = b->delay_ns;

	if (r->then == CETD_THEN_ALERT)
		return 0;
	if (r->then != CETD_THEN_THROTTLE)
		return max_ns;
	if (delay_ns < r->min_delay_ns)
		delay_ns = r->min_delay_ns;
	delay_ns = cetd_min_u64(delay_ns, max_ns);
	b->delay_ns = cetd_min_u64(2 * delay_ns, max_ns);
	return delay_ns;
}

/*
 * A fault that the rate applies to. Returns CETD_RATE_… and, if the fault is over the rate, how long it is to
 * be delayed. is_enforced: the delay will really be kept; then the fault is paid for out of the time that it
 * waits, so that what gets through is the limit and not the limit plus what was delayed.
 */
static __always_inline __u32 cetd_rate_fault(const struct cetd_rate *r, struct cetd_bucket *b,
					     __u64 now_ns, int is_enforced, __u64 *ret_delay_ns)
{
	struct cetd_bucket_size s = cetd_bucket_size(r);
	__u32 result = 0;

	cetd_bucket_refill(b, &s, now_ns);
	if (cetd_storm_is_over(r, b, now_ns)) {
		cetd_storm_end(b, &s);
		result |= CETD_RATE_ENDED;
	}
	if (b->credit >= s.cost) {
		b->credit -= s.cost;
		return result;
	}

	result |= CETD_RATE_OVER;
	if (!b->storm_ns) {
		result |= CETD_RATE_STARTED;
		b->storm_ns = now_ns ? now_ns : 1;
		b->storm_over = 0;
		b->delay_ns = 0;
		b->storms++;
	}
	if (now_ns > b->over_ns)
		b->over_ns = now_ns;
	b->storm_over++;
	b->over++;
	*ret_delay_ns = cetd_rate_delay(r, b);
	if (is_enforced && *ret_delay_ns)
		b->credit = b->credit - s.cost < s.floor ? s.floor : b->credit - s.cost;
	return result;
}

/* Buckets of other rates than the policy's say nothing. The counters stay. */
static __always_inline void cetd_policy_renew(const struct cetd_policy *p,
					      struct cetd_policy_state *state)
{
	if (state->generation == p->generation)
		return;
	state->generation = p->generation;
	for (int i = 0; i < CETD_POLICY_RATES_MAX; i++) {
		struct cetd_bucket *b = state->buckets + i;

		b->credit = 0;
		b->refilled_ns = 0;
		b->delay_ns = 0;
		b->storm_ns = 0;
		b->over_ns = 0;
		b->storm_over = 0;
		b->storms = 0;
		b->over = 0;
	}
}

/*
 * A #CP of the VM, in three steps: begin, each of the policy's rates, end. The caller holds state->lock in each,
 * not necessarily from one to the next: a BPF program takes the rates by bpf_loop(), as the verifier would
 * follow every path through all of them otherwise, and calls no helper while it holds the lock.
 */

/* may_suppress: the kernel could let the branch be, as for endbranch faults that are neither an enclave's nor
 * part of an event's delivery. */
static __always_inline void cetd_policy_begin(const struct cetd_policy *p,
					      struct cetd_policy_state *state, int may_suppress,
					      struct cetd_fault_verdict *ret)
{
	ret->delay_ns = 0;
	ret->over = 0;
	ret->started = 0;
	ret->ended = 0;
	ret->action = may_suppress && (p->flags & CETD_POLICY_IBT_OFF) ? CETD_ACTION_SUPPRESS
								       : CETD_ACTION_DELIVER;
	cetd_policy_renew(p, state);
}

/* The i-th rate, i below CETD_POLICY_RATES_MAX. A fault that the guest never sees is none to limit. */
static __always_inline void cetd_policy_rate(const struct cetd_policy *p,
					     struct cetd_policy_state *state, __u32 i, __u32 kind,
					     __u32 privilege, __u64 now_ns,
					     struct cetd_fault_verdict *verdict)
{
	const struct cetd_rate *r = p->rates + i;
	int is_enforced = p->mode == CETD_MODE_ENFORCE;
	__u64 delay_ns = 0;
	__u32 result;

	if (i >= p->n_rates || verdict->action == CETD_ACTION_SUPPRESS ||
	    !(r->kinds >> (kind & 7) & 1) || !(r->privileges >> (privilege & 7) & 1))
		return;
	result = cetd_rate_fault(r, state->buckets + i, now_ns, is_enforced, &delay_ns);
	if (result & CETD_RATE_OVER)
		verdict->over |= 1U << i;
	if (result & CETD_RATE_ENDED)
		verdict->ended |= 1U << i;
	if (result & CETD_RATE_STARTED) {
		verdict->started |= 1U << i;
		state->storms[is_enforced][r->then & (_CETD_THEN_MAX - 1)]++;
	}
	if (delay_ns > verdict->delay_ns)
		verdict->delay_ns = delay_ns;
}

/* Count would and did. What is to be done is in the verdict; in monitor mode that is to deliver at once,
 * whatever it says. */
static __always_inline void cetd_policy_end(const struct cetd_policy *p,
					    struct cetd_policy_state *state,
					    struct cetd_fault_verdict *verdict)
{
	int is_enforced = p->mode == CETD_MODE_ENFORCE;
	__u32 would, did;

	if (verdict->action != CETD_ACTION_SUPPRESS && verdict->delay_ns)
		verdict->action = CETD_ACTION_DELAY;
	would = verdict->action & (CETD_POLICY_ACTIONS - 1);
	did = is_enforced ? would : CETD_ACTION_DELIVER;
	state->decision[0][would]++;
	state->decision[1][did & (CETD_POLICY_ACTIONS - 1)]++;
	if (is_enforced)
		state->delayed_ns += verdict->delay_ns;
}

_Static_assert(_CETD_THEN_MAX == 4, "a mask above");
