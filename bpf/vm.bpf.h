/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a VM's counters, and counting. */
#pragma once

#include "maps.bpf.h"

/* What an event counts for: a VM's slot and its key. */
struct subject {
	struct cetd_vm *vm;
	__u64 key;
	__u32 slot;
};

/* The daemon clears it when it forgets the VM. */
static __always_inline __u64 *recent_entry(__u64 key)
{
	return recent + (key & RECENT - 1);
}

#define RECENT_KEY_BITS 47 /* more VMs than any kernel will number */

/* What the entry of key holds, short of the slot in its low 16 bits. Never 0, as no key is. */
static __always_inline __u64 recent_value(__u64 key)
{
	return ((key & (1ULL << RECENT_KEY_BITS) - 1) | key >> 63 << RECENT_KEY_BITS) << 16;
}

static __always_inline int slot_alloc(__u32 *ret)
{
	if (bpf_map_pop_elem(&free_slots, ret) == 0)
		return 0;
	*ret = __sync_fetch_and_add(&next_slot, 1);
	if (*ret < max_vms)
		return 0;
	__sync_fetch_and_add(&next_slot, -1);
	return -1;
}

/* first_ns comes last: it tells the daemon that the slot is in use and the rest is there. */
static __always_inline void slot_init(struct cetd_vm *vm, __u64 key)
{
	vm->tgid = bpf_get_current_pid_tgid() >> 32;
	vm->vm_id = key & CETD_KEY_TGID ? 0 : key;
	barrier();
	*(volatile __u64 *)&vm->first_ns = bpf_ktime_get_ns();
	__sync_fetch_and_add(&control.vms, 1);
}

/*
 * The daemon forgets a VM in the map first and in its entry then: if it did so just now, take back what would send this
 * key to another VM's counters one day. The exchange keeps the entry before the look.
 */
static __always_inline void recent_note(__u64 key, __u32 slot)
{
	__u64 *entry = recent_entry(key);
	__u32 *known;

	__sync_lock_test_and_set(entry, recent_value(key) | slot);
	known = bpf_map_lookup_elem(&slots, &key);
	if (!known || *known != slot)
		*(volatile __u64 *)entry = 0;
}

/* The slot by the map, or -1; a VM that is not there yet is added if it may be. */
static __noinline __s64 slot_lookup(__u64 key, bool may_add)
{
	struct cetd_vm *vm;
	__u32 slot, *known;
	bool is_new = false;

	known = bpf_map_lookup_elem(&slots, &key);
	if (!known) {
		if (!may_add)
			return -1;
		if (slot_alloc(&slot) < 0) {
			lost(CETD_LOST_VMS_FULL);
			return -1;
		}
		is_new = bpf_map_update_elem(&slots, &key, &slot, BPF_NOEXIST) == 0;
		if (!is_new) /* another CPU was first */
			bpf_map_push_elem(&free_slots, &slot, 0);
		known = bpf_map_lookup_elem(&slots, &key);
		if (!known) {
			lost(CETD_LOST_VMS_FULL);
			return -1;
		}
	}
	slot = *known;
	vm = is_new ? bpf_map_lookup_elem(&vms, &slot) : NULL;
	if (vm)
		slot_init(vm, key);
	recent_note(key, slot);
	return slot;
}

static __always_inline bool vm_get_or_find(struct subject *ret, __u64 key, bool may_add)
{
	__u64 entry = *(volatile __u64 *)recent_entry(key);
	__s64 slot = entry & 0xffff;

	if ((entry & ~0xffffULL) != recent_value(key)) {
		slot = slot_lookup(key, may_add);
		if (slot < 0)
			return false;
	}
	ret->key = key;
	ret->slot = slot;
	ret->vm = bpf_map_lookup_elem(&vms, &ret->slot);
	return ret->vm;
}

static __always_inline bool vm_find(struct subject *ret, __u64 key)
{
	return vm_get_or_find(ret, key, false);
}

static __always_inline bool vm_get(struct subject *ret, __u64 key)
{
	return vm_get_or_find(ret, key, true);
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

/* The thread has a #CP on its way back into the guest. */
static __always_inline void thread_expect_fault(__u64 key, __u32 tid)
{
	__u32 holder = __sync_val_compare_and_swap(in_flight + tid % IN_FLIGHT, 0, tid);
	struct thread *t;

	if (!holder || holder == tid)
		return;
	t = thread_get(key);
	if (t)
		t->has_fault = 1;
}

/* Had it? Not any more then. */
static __always_inline bool thread_take_fault(struct thread *t)
{
	__u32 tid = bpf_get_current_pid_tgid();
	volatile __u32 *holder = in_flight + tid % IN_FLIGHT;

	if (*holder == tid) {
		*holder = 0;
		return true;
	}
	if (!t || !t->has_fault)
		return false;
	t->has_fault = 0;
	return true;
}

/* For tracepoints that pass no vCPU: what the thread ran last, or runs since before we came, or its process. */
static __always_inline __u64 key_of_thread(const struct thread *t)
{
	if (t && t->key)
		return t->key;
	return (is_patched ? loaded_vm_id() : 0) ?: key_of_process();
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
