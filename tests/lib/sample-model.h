/* SPDX-License-Identifier: GPL-2.0-only */
/* A model of made-up VMs, the same at every run, built through messages as the daemon's is. */
#pragma once

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"
#include "util/macro.h"

#define SAMPLE_START_NS (1000 * NSEC_PER_SEC)

static inline int sample_send(struct model *m, unsigned int type, unsigned int size,
			      const void *payload)
{
	struct cetd_message message = {
		.type = type, .size = size, .time_ns = SAMPLE_START_NS, .payload = payload};

	return model_apply(m, &message);
}

/* A host on which facts[f] has the state states[f]. */
static inline struct cetd_host sample_make_host(const enum cetd_coverage states[_CETD_FACT_MAX],
						enum cetd_family family)
{
	struct cetd_host host = {.kernel_release = "6.12.95-sample",
				 .kvm_vendor = "intel",
				 .family = family,
				 .guest_cet = CETD_GUEST_CET_OFF,
				 .map_capacity = 4096,
				 .realtime_offset_ns = 1700000000 * NSEC_PER_SEC};

	for (int f = 0; f < _CETD_FACT_MAX; f++) {
		host.facts[f].state = states[f];
		snprintf(host.facts[f].reason, sizeof(host.facts[f].reason),
			 "made up for a test: <fact %d> & its \"reason\"", f);
	}
	return host;
}

static inline int sample_host(struct model *m, const enum cetd_coverage states[_CETD_FACT_MAX],
			      enum cetd_family family)
{
	struct cetd_host host = sample_make_host(states, family);

	return sample_send(m, CETD_MESSAGE_HOST, sizeof(host), &host);
}

static inline struct cetd_identity sample_identity(unsigned int i)
{
	struct cetd_identity id = {.key = CETD_KEY_TGID | (1000 + i),
				   .pid = 1000 + i,
				   .vms_in_process = 1,
				   .vmm = "qemu"};

	snprintf(id.uuid, sizeof(id.uuid), "4dea22b3-1d52-d8f3-2516-%012x", i);
	memcpy(id.id, id.uuid, sizeof(id.uuid));
	snprintf(id.name, sizeof(id.name), "vm-%u", i);
	snprintf(id.unit, sizeof(id.unit), "machine-qemu\\x2d%u\\x2dvm\\x2d%u.scope", i, i);
	return id;
}

static inline int sample_vm(struct model *m, const struct cetd_identity *id)
{
	return sample_send(m, CETD_MESSAGE_VM_ADD, sizeof(*id), id);
}

/* Counters that all differ: n is the first, each further one counts one up. */
static inline struct cetd_counters_message sample_make_counters(__u64 key, __u64 n)
{
	struct cetd_counters_message c = {.key = key};
	struct cetd_counters *k = &c.vm.counters;

	c.vm.tgid = (__u32)key;
	for (int kind = 0; kind < _CETD_KIND_MAX; kind++)
		for (int p = 0; p < _CETD_PRIVILEGE_MAX; p++)
			k->cp[kind][p] = n++;
	k->msr[CETD_MSR_S_CET][CETD_OP_WRITE][CETD_RESULT_FAULT] = n++;
	k->msr[CETD_MSR_U_CET][CETD_OP_READ][CETD_RESULT_OK] = n++;
	k->msr[CETD_MSR_XSS][CETD_OP_WRITE][CETD_RESULT_OK] = n++;
	k->host_msr[CETD_OP_WRITE] = n++;
	k->cr4_cet[1] = n++;
	k->vmcs_load[0] = n++;
	k->vmcs_load[1] = n++;
	k->injected = n++;
	k->samples_dropped = n++;
	return c;
}

static inline int sample_counters(struct model *m, __u64 key, __u64 n)
{
	struct cetd_counters_message c = sample_make_counters(key, n);

	return sample_send(m, CETD_MESSAGE_COUNTERS, sizeof(c), &c);
}

/* A full history: the last 64 of 100 faults, the addresses of all. */
static inline struct cetd_history_message sample_make_history(__u64 key)
{
	struct cetd_history_message h = {.key = key, .history.head = 100};

	for (unsigned int i = 0; i < CETD_HISTORY_RIPS; i++)
		h.history.rips[i] = (struct cetd_rip){.rip = 0x401000 + i, .count = 7};
	for (unsigned int i = 37; i <= 100; i++)
		h.history.faults[(i - 1) % CETD_HISTORY_FAULTS] =
			(struct cetd_event){.time_ns = SAMPLE_START_NS,
					    .key = key,
					    .rip = 0x401000 + i % CETD_HISTORY_RIPS,
					    .data = i,
					    .error_code = 3,
					    .type = CETD_EVENT_CP,
					    .kind = CETD_KIND_ENDBRANCH,
					    .cpl = 3,
					    .flags = CETD_FLAG_ADDRESS};
	return h;
}

static inline int sample_lost(struct model *m, __u32 map_entries)
{
	struct cetd_lost_message l = {.map_entries = map_entries};

	for (int i = 0; i < _CETD_LOST_MAX; i++)
		l.lost[i] = (__u64)i;
	return sample_send(m, CETD_MESSAGE_LOST, sizeof(l), &l);
}
