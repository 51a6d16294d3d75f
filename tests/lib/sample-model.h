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
static inline int sample_host(struct model *m, const enum cetd_coverage states[_CETD_FACT_MAX],
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
static inline int sample_counters(struct model *m, __u64 key, __u64 n)
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
	return sample_send(m, CETD_MESSAGE_COUNTERS, sizeof(c), &c);
}

static inline int sample_lost(struct model *m, __u32 map_entries)
{
	struct cetd_lost_message l = {.map_entries = map_entries};

	for (int i = 0; i < _CETD_LOST_MAX; i++)
		l.lost[i] = (__u64)i;
	return sample_send(m, CETD_MESSAGE_LOST, sizeof(l), &l);
}
