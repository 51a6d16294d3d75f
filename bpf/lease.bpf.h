/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The dead-man: policies end when their lease does, whether or not anyone is left to say so. Faults see to it
 * themselves, in decide(); but a VM whose supervisor IBT is off has none that would. So a timer at the lease's end has
 * a work item, which may sleep, tell KVM to look at each VM's policy again. Both live in a pinned map and outlive the
 * daemon with it.
 */
#pragma once

#include "decide.bpf.h"

extern int bpf_kvm_cet_update(__u64 vm_id) __ksym;

/* The verifier knows it by this name; compat.bpf.h hides that of vmlinux.h, which older kernels lack. */
struct bpf_wq {
	__u64 __opaque[2];
} __attribute__((aligned(8)));

extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
/* Later kernels, and 6.12. */
extern int bpf_wq_set_callback(struct bpf_wq *wq, int (*callback)(void *map, int *key, void *value),
			       unsigned int flags) __weak __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq,
				    int (*callback)(void *map, int *key, void *value),
				    unsigned int flags, void *aux) __weak __ksym;

struct lease {
	struct bpf_timer timer;
	struct bpf_wq work;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lease);
} leases SEC(".maps");

/* For the work item, which may not sleep while it walks the policies: their keys, and how many. */
__u32 n_governed;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} governed SEC(".maps");

static long note_governed(void *map, __u64 *key, void *policy, void *unused)
{
	__u32 i = n_governed++;

	bpf_map_update_elem(&governed, &i, key, BPF_ANY);
	return 0;
}

static long update_governed(__u32 i, void *unused)
{
	__u64 *key = bpf_map_lookup_elem(&governed, &i);

	if (key)
		bpf_kvm_cet_update(*key);
	return 0;
}

static int lease_work(void *map, int *key, void *value)
{
	n_governed = 0;
	bpf_for_each_map_elem(&policies, note_governed, NULL, 0);
	bpf_loop(n_governed, update_governed, NULL, 0);
	return 0;
}

static int lease_timer(void *map, int *key, struct lease *lease)
{
	bpf_wq_start(&lease->work, 0);
	return 0;
}

/* Timer and work item as of these programs: -EBUSY where they are made already, perhaps by those before. */
static __always_inline int lease_init(struct lease *lease)
{
	int r;

	bpf_wq_init(&lease->work, &leases, 0);
	bpf_timer_init(&lease->timer, &leases, 1 /* CLOCK_MONOTONIC */);
	if (bpf_ksym_exists(bpf_wq_set_callback))
		r = bpf_wq_set_callback(&lease->work, lease_work, 0);
	else
		r = bpf_wq_set_callback_impl(&lease->work, lease_work, 0, NULL);
	return r ?: bpf_timer_set_callback(&lease->timer, lease_timer);
}

/* Until when policies hold, CLOCK_MONOTONIC; 0: without end. */
static __always_inline int lease_set(__u64 until_ns)
{
	__u64 now_ns = bpf_ktime_get_ns();
	bool was_over = lease_is_over(now_ns);
	struct lease *lease;
	__u32 key = 0;
	int r;

	lease = bpf_map_lookup_elem(&leases, &key);
	r = lease ? lease_init(lease) : -1;
	if (r)
		return r;
	__sync_lock_test_and_set(&control.lease_ns, until_ns);
	if (until_ns)
		r = bpf_timer_start(&lease->timer, until_ns > now_ns ? until_ns - now_ns : 0, 0);
	else
		bpf_timer_cancel(&lease->timer);
	/* What ended holds again. */
	return was_over ? bpf_wq_start(&lease->work, 0) : r;
}
