/* SPDX-License-Identifier: GPL-2.0-only */
/* VMCS loads: the host's own affair and frequent, so they are counted without waking the daemon. */
#pragma once

#include "sample.bpf.h"

static __always_inline void vmcs_load_count(const struct subject *s, __u32 vcpu, int cpu,
					    int prev_cpu, bool is_nested)
{
	enum sampling sampling;
	struct cetd_event e;

	count_at(s->vm->counters.vmcs_load, is_nested, 2);
	if (!*(volatile __u32 *)&dirty)
		*(volatile __u32 *)&dirty = 1;
	/* sample_wanted() would take the wake-up: ask it only where samples are asked for. */
	if (!(*(volatile __u32 *)&control.sample_mask & 1U << CETD_EVENT_VMCS_LOAD))
		return;
	sampling = sample_wanted(s->vm, CETD_EVENT_VMCS_LOAD);
	if (!sampling)
		return;

	event_init(&e, s->key, bpf_get_current_pid_tgid(), CETD_EVENT_VMCS_LOAD);
	e.data = (__u64)(__u32)prev_cpu << 32 | (__u32)cpu;
	e.vcpu = vcpu;
	e.flags = is_nested ? CETD_FLAG_NESTED : 0;
	sample_send(s->vm, &e, sampling);
}
