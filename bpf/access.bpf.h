/* SPDX-License-Identifier: GPL-2.0-only */
/* Accesses to CET's registers: its MSRs, IA32_XSS as far as it concerns CET, CR4.CET. */
#pragma once

#include "sample.bpf.h"

#define MSR_CET_FIRST 0x6a0
#define MSR_CET_LAST 0x6a8
#define MSR_XSS 0xda0
#define XSS_CET (1U << 11 | 1U << 12) /* CET_U, CET_S */
#define CR4_CET (1U << 23)

/* enum cetd_msr by index - MSR_CET_FIRST, a nibble each; 0x6a1 and 0x6a3 are nobody's. */
#define MSR_TABLE 0x65432f1f0ULL
_Static_assert(CETD_MSR_S_CET == 1 && CETD_MSR_INT_SSP_TAB == 6, "MSR_TABLE");

/* CETD_MSR_…, or _CETD_MSR_MAX for what does not concern CET. */
static __always_inline __u32 msr_of(__u32 index, __u64 data)
{
	__u32 msr;

	if (index == MSR_XSS)
		return data & XSS_CET ? CETD_MSR_XSS : _CETD_MSR_MAX;
	if (index - MSR_CET_FIRST > MSR_CET_LAST - MSR_CET_FIRST)
		return _CETD_MSR_MAX;
	msr = MSR_TABLE >> (index - MSR_CET_FIRST) * 4 & 0xf;
	return msr < CETD_MSR_XSS ? msr : _CETD_MSR_MAX;
}

struct access {
	__u64 data;
	__u32 msr, vcpu; /* msr: CETD_MSR_… */
	bool is_write, has_faulted, is_host, is_nested;
};

static __always_inline void msr_count(const struct subject *s, const struct access *a)
{
	enum sampling sampling;
	struct cetd_event e;

	if (a->is_host)
		count_at(s->vm->counters.host_msr, a->is_write, _CETD_OP_MAX);
	else /* msr[msr][op][result] */
		count_at((__u64 *)s->vm->counters.msr,
			 a->msr << 2 | a->is_write << 1 | a->has_faulted,
			 _CETD_MSR_MAX * _CETD_OP_MAX * _CETD_RESULT_MAX);
	sampling = sample_wanted(s->vm, CETD_EVENT_MSR);
	if (!sampling)
		return;

	event_init(&e, s->key, bpf_get_current_pid_tgid(), CETD_EVENT_MSR);
	e.data = a->data;
	e.vcpu = a->vcpu;
	e.msr = a->msr;
	e.flags = (a->is_write ? CETD_FLAG_WRITE : 0) | (a->has_faulted ? CETD_FLAG_FAULT : 0) |
		  (a->is_host ? CETD_FLAG_HOST : 0) | (a->is_nested ? CETD_FLAG_NESTED : 0);
	sample_send(s->vm, &e, sampling);
}

/* A write of CR4 that sets CET, or the first one that clears it again. */
static __always_inline void cr4_count(const struct subject *s, __u64 value)
{
	bool sets = value & CR4_CET;
	enum sampling sampling;
	struct cetd_event e;

	if (sets) {
		s->vm->flags |= CETD_VM_CR4_CET;
		*(volatile __u32 *)&cr4_seen = 1;
	} else {
		if (!(s->vm->flags & CETD_VM_CR4_CET))
			return;
		s->vm->flags &= ~CETD_VM_CR4_CET;
	}
	count_at(s->vm->counters.cr4_cet, sets, 2);
	sampling = sample_wanted(s->vm, CETD_EVENT_CR4);
	if (!sampling)
		return;

	event_init(&e, s->key, bpf_get_current_pid_tgid(), CETD_EVENT_CR4);
	e.data = value;
	e.flags = sets ? CETD_FLAG_WRITE : 0;
	sample_send(s->vm, &e, sampling);
}
