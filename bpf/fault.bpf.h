/* SPDX-License-Identifier: GPL-2.0-only */
/* #CP: counters, the last faults of a VM, its most frequent faulting addresses. */
#pragma once

#include "sample.bpf.h"

#define CP_CODE_MASK \
	0x7fff /* error code bits 14:0; bit 15 is ENCL (SDM vol. 1, "Control-protection exception") */
#define CP_ENCL 0x8000

static __always_inline enum cetd_kind cp_kind(__u32 error_code)
{
	__u32 code = (error_code & CP_CODE_MASK) - 1;

	return code < CETD_KIND_OTHER ? code : CETD_KIND_OTHER;
}

/*
 * Space-saving: a new address takes the slot with the lowest count and inherits that count as its error. If
 * another CPU takes the same slot at that moment, look once more; losing twice leaves the fault out of this
 * table, though never out of the counters.
 */
static __always_inline void rip_replace(struct cetd_history *h, __u64 rip)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		/* Count and index in one word, and a minimum without branches that nothing could predict. */
		__s64 min = h->rips[0].count << 4, other;
		struct cetd_rip *victim;
		__u64 old;

#pragma unroll
		for (int i = 1; i < CETD_HISTORY_RIPS; i++) {
			other = (__s64)(h->rips[i].count << 4 | i) - min;
			min += other & other >> 63;
		}
		victim = h->rips + (min & CETD_HISTORY_RIPS - 1);
		old = victim->rip;
		if (__sync_val_compare_and_swap(&victim->rip, old, rip) != old)
			continue;
		victim->error = min >> 4;
		count(&victim->count);
		return;
	}
}
_Static_assert(CETD_HISTORY_RIPS == 16, "four bits of index");

static __always_inline void rip_count(struct cetd_history *h, __u64 rip)
{
#pragma unroll
	for (int i = 0; i < CETD_HISTORY_RIPS; i++) {
		if (h->rips[i].rip == rip && h->rips[i].count) {
			count(&h->rips[i].count);
			return;
		}
	}
	rip_replace(h, rip);
}

/* `data` is the record's position and is written last: a reader that finds another one drops the record. */
static __always_inline void history_record(const struct subject *s, const struct cetd_event *e)
{
	struct cetd_slot_history *of_slot = bpf_map_lookup_elem(&histories, &s->slot);
	struct cetd_history *h;
	struct cetd_event *slot;
	__u64 position;

	if (!of_slot)
		return;
	h = &of_slot->history;
	/* First what is locked: a lock waits for the record's stores. */
	if (e->flags & CETD_FLAG_ADDRESS)
		rip_count(h, e->rip);
	position = __sync_fetch_and_add(&h->head, 1);
	slot = h->faults + position % CETD_HISTORY_FAULTS;
	*(volatile __u64 *)&slot->data = 0;
	barrier();
	slot->time_ns = e->time_ns;
	slot->key = e->key;
	slot->rip = e->rip;
	slot->ssp = e->ssp;
	slot->cet = e->cet;
	((__u64 *)slot)[6] = ((const __u64 *)e)[6];
	((__u64 *)slot)[7] = ((const __u64 *)e)[7];
	barrier();
	*(volatile __u64 *)&slot->data = position + 1;
}

struct fault {
	__u64 rip, ssp, cet;
	__u32 error_code, vcpu;
	__u8 cpl, action;
	bool is_nested, has_address;
};

/* An intercepted #CP, whatever tracepoint told of it. */
static __always_inline void cp_count(const struct subject *s, const struct fault *f, __u32 tid)
{
	enum cetd_kind kind = cp_kind(f->error_code);
	enum sampling sampling;
	struct cetd_event e;

	count_at((__u64 *)s->vm->counters.cp, kind * _CETD_PRIVILEGE_MAX + (f->cpl == 3),
		 _CETD_KIND_MAX * _CETD_PRIVILEGE_MAX);
	count_at(s->vm->counters.decision[1], f->action, _CETD_ACTION_MAX);

	event_init(&e, s->key, tid, CETD_EVENT_CP);
	e.rip = f->rip;
	e.ssp = f->ssp;
	e.cet = f->cet;
	e.vcpu = f->vcpu;
	e.error_code = f->error_code;
	e.kind = kind;
	e.cpl = f->cpl;
	e.action = f->action;
	e.flags = (f->is_nested ? CETD_FLAG_NESTED : 0) | (f->has_address ? CETD_FLAG_ADDRESS : 0) |
		  (f->error_code & CP_ENCL ? CETD_FLAG_ENCLAVE : 0);
	history_record(s, &e);
	sampling = sample_wanted(s->vm, CETD_EVENT_CP);
	if (sampling)
		sample_send(s->vm, &e, sampling);
}

/* A #CP that the host injected: no addresses, those are the guest's affair. */
static __always_inline void injected_count(const struct subject *s, __u32 error_code)
{
	enum sampling sampling;
	struct cetd_event e;

	count(&s->vm->counters.injected);
	event_init(&e, s->key, bpf_get_current_pid_tgid(), CETD_EVENT_INJECTED);
	e.error_code = error_code;
	e.kind = cp_kind(error_code);
	history_record(s, &e);
	sampling = sample_wanted(s->vm, CETD_EVENT_INJECTED);
	if (sampling)
		sample_send(s->vm, &e, sampling);
}
