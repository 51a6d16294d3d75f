/* SPDX-License-Identifier: GPL-2.0-only */
/* Telling the daemon of what was counted: that there is something, and samples of it. */
#pragma once

#include "vm.bpf.h"

enum sampling {
	SAMPLE_NONE,
	SAMPLE_QUIET,
	SAMPLE_WAKE,
};

/*
 * Is a sample of this event wanted? The first event after a quiet time always sends one: it is what wakes
 * the daemon. A budget is per VM and round; two CPUs that start a round at once may both send a first sample.
 */
static __always_inline enum sampling sample_wanted(struct cetd_vm *vm, enum cetd_event_type type)
{
	__u32 round;

	if (*(volatile __u32 *)&control.armed && __sync_lock_test_and_set(&control.armed, 0))
		return SAMPLE_WAKE;
	if (!(*(volatile __u32 *)&control.sample_mask & 1U << type))
		return SAMPLE_NONE;

	round = *(volatile __u32 *)&control.round;
	if (vm->sample_round != round) {
		vm->sample_round = round;
		vm->sample_count = 0;
	}
	if (__sync_fetch_and_add(&vm->sample_count, 1) < sample_budget)
		return SAMPLE_QUIET;
	count(&vm->counters.samples_dropped);
	lost(CETD_LOST_SAMPLE_BUDGET);
	return SAMPLE_NONE;
}

static __noinline int sample_send(struct cetd_vm *vm, const struct cetd_event *event,
				  enum sampling how)
{
	struct cetd_event *e;

	if (!vm || !event)
		return 0;
	e = bpf_ringbuf_reserve(&samples, sizeof(*e), 0);
	if (!e) {
		count(&vm->counters.samples_dropped);
		lost(CETD_LOST_RING_FULL);
		if (how == SAMPLE_WAKE)
			*(volatile __u32 *)&control.armed = 1;
		return 0;
	}
	*e = *event;
	bpf_ringbuf_submit(e, how == SAMPLE_WAKE ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
	return 0;
}

/* The parts that all events have; the caller adds its own and sends it. */
static __always_inline void event_init(struct cetd_event *e, __u64 key, __u32 tid,
				       enum cetd_event_type type)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = bpf_ktime_get_ns();
	e->key = key;
	e->tid = tid;
	e->vcpu = CETD_VCPU_UNKNOWN;
	e->cpl = CETD_CPL_UNKNOWN;
	e->type = type;
}
