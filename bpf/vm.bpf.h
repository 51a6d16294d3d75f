/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a VM's counters, and telling the daemon of what was counted. */
#pragma once

#include "maps.bpf.h"

/* What an event counts for: the entry in `vms` and its key. */
struct subject {
	struct cetd_vm *vm;
	__u64 key;
};

static __noinline struct cetd_vm *vm_add(__u64 key)
{
	struct cetd_vm *vm;
	long r;

	r = bpf_map_update_elem(&vms, &key, &new_vm, BPF_NOEXIST);
	vm = bpf_map_lookup_elem(&vms, &key);
	if (!vm) {
		lost(CETD_LOST_VMS_FULL);
		return NULL;
	}
	if (r) /* another CPU added it first */
		return vm;
	vm->tgid = bpf_get_current_pid_tgid() >> 32;
	vm->vm_id = key & CETD_KEY_TGID ? 0 : key;
	vm->first_ns = bpf_ktime_get_ns();
	__sync_fetch_and_add(&control.vms, 1);
	return vm;
}

static __always_inline bool vm_find(struct subject *ret, __u64 key)
{
	ret->key = key;
	ret->vm = bpf_map_lookup_elem(&vms, &key);
	return ret->vm;
}

static __always_inline bool vm_get(struct subject *ret, __u64 key)
{
	if (vm_find(ret, key))
		return true;
	ret->vm = vm_add(key);
	return ret->vm;
}

static __always_inline __u64 key_of_process(void)
{
	return CETD_KEY_TGID | bpf_get_current_pid_tgid() >> 32;
}

static __always_inline __u64 key_of_vcpu(struct kvm_vcpu___cetd *vcpu)
{
	return vcpu_vm_id(vcpu) ?: key_of_process();
}

/* NULL where the thread is not known, as on all stock kernels. */
static __always_inline struct thread *thread_find(void)
{
	if (!is_patched)
		return NULL;
	return bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL, 0);
}

static __always_inline struct thread *thread_get(__u64 key)
{
	struct thread *t = bpf_task_storage_get(&threads, bpf_get_current_task_btf(), NULL,
						BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (t)
		t->key = key;
	return t;
}

/* For tracepoints that pass no vCPU: what the thread ran last, or its process. */
static __always_inline __u64 key_of_thread(const struct thread *t)
{
	return t && t->key ? t->key : key_of_process();
}

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

/* counters[i], i below n: as the verifier must see the bound on the very register that is added. */
static __always_inline void count_at(__u64 *counters, __u64 i, __u64 n)
{
	asm volatile("" : "+r"(i));
	if (i < n)
		__sync_fetch_and_add(counters + i, 1);
}

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
static __always_inline void event_init(struct cetd_event *e, __u64 key, enum cetd_event_type type)
{
	__builtin_memset(e, 0, sizeof(*e));
	e->time_ns = bpf_ktime_get_ns();
	e->key = key;
	e->tid = bpf_get_current_pid_tgid();
	e->vcpu = CETD_VCPU_UNKNOWN;
	e->cpl = CETD_CPL_UNKNOWN;
	e->type = type;
}
