/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps and the words shared with the daemon; sizes are set by it before the load. */
#pragma once

#include "compat.bpf.h"

#include "cetd/event.h"

/* Samples that a VM may send in a round, and the rounds' length is the daemon's affair. */
const volatile __u32 sample_budget = 100;

/* The kernel has cetd's tracepoints. */
const volatile bool is_patched = false;

struct cetd_control control;

/* A VM has set CR4.CET: from here on, clearing it is looked for. */
__u32 cr4_seen;

/* Something was counted that does not wake the daemon. On a line of its own: it is written often. */
__u32 dirty __attribute__((aligned(64)));

/*
 * A VM's counters live in a slot; `slots` tells which by the VM's key, and `recent` spares the lookup: a word per
 * hash of the key, the key's low bits and the slot in one, so that no CPU sees half of it. Slots are handed out in
 * turn, and again as the daemon gives them back, zeroed. Nothing is allocated at a VM's first event that could
 * fail, and the daemon reads counters and histories where they are.
 */
const volatile __u32 max_vms = 4096;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct cetd_vm);
} vms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 4096);
	__type(value, __u32);
} free_slots SEC(".maps");

__u32 next_slot;

#define RECENT 2048
__u64 recent[RECENT] __attribute__((aligned(64)));

/* By slot as well: to look a history up in a hash would be a third of what a fault costs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct cetd_slot_history);
} histories SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} samples SEC(".maps");

/* Patched kernels: what is known of a vCPU's thread, for tracepoints that pass no vCPU. */
struct thread {
	__u64 key;	 /* of the VM that it runs */
	__u64 has_fault; /* an intercepted #CP is on its way back into the guest */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/*
 * Likewise, and faster: threads with such a #CP, by the low bits of their id. A thread that finds its place taken by
 * another uses `threads`.
 */
#define IN_FLIGHT 1024
__u32 in_flight[IN_FLIGHT];

static __always_inline void lost(enum cetd_lost reason)
{
	__sync_fetch_and_add(&control.lost[reason], 1);
}
