/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known: the host, the VMs, their counters and fault histories. Fed with the messages of
 * cetd/stream.h, read by policy and export. Quiet; no clock, no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

#include "cetd/stream.h"

struct model;

struct vm {
	const struct model *model; /* that holds it */
	struct cetd_identity identity;
	struct cetd_vm kernel;	      /* latest counters; all zero until the first event */
	struct cetd_history *history; /* owned; NULL until the first fault */
	uint64_t first_seen_ns;	      /* CLOCK_MONOTONIC of the first message about the VM */
	uint64_t last_activity_ns;    /* of the last counters that differed; 0 if none did */
	bool is_provisional;	      /* events came before discovery found the VM */
	uint32_t revision;	      /* of the identity: goes up when it changes */
	UT_hash_handle hh_key, hh_id;
};

/* Told by the model as a message takes effect; any may be NULL. Called with the VM still (or already) in
 * the model, from within model_apply(). */
struct model_observer {
	void (*vm_added)(void *userdata, const struct vm *vm);
	void (*vm_renamed)(void *userdata, const struct vm *vm, const char *old_id);
	void (*vm_changed)(void *userdata, const struct vm *vm); /* counters, history or identity */
	void (*vm_removed)(void *userdata, const struct vm *vm);
	void (*event)(void *userdata, const struct vm *vm, const struct cetd_event *event);
	void (*host_changed)(void *userdata);
	void (*settled)(void *userdata);
	void *userdata;
};

struct model {
	struct cetd_host host;
	bool has_host;
	bool is_replayed;
	struct vm *vms_by_key; /* uthash, hh_key */
	struct vm *vms_by_id;  /* uthash, hh_id */
	uint32_t n_vms, max_vms;
	uint64_t lost[_CETD_LOST_MAX];
	uint64_t vms_refused; /* VM_ADDs dropped because max_vms was reached */
	uint32_t map_entries;
	uint64_t now_ns;   /* time of the latest message */
	uint64_t events;   /* samples received */
	uint64_t messages; /* messages applied */
	struct model_observer observer;
};

/* max_vms bounds the registry; further VMs are refused and counted. */
int model_new(uint32_t max_vms, struct model **ret);
struct model *model_free(struct model *m);
void model_set_observer(struct model *m, const struct model_observer *observer);

/* 0, or -EBADMSG where size, strings or values do not fit the type (nothing is changed then), -ENOMEM. */
int model_apply(struct model *m, const struct cetd_message *message);

struct vm *model_find_key(const struct model *m, uint64_t key);
struct vm *model_find_id(const struct model *m, const char *id);

/* By id, else by name where only one VM has it, else "pid-N" or a UUID in another spelling.
 * Returns 1 and the VM, 0 where there is none, -ENOTUNIQ where several have the name. */
int model_find(const struct model *m, const char *text, const struct vm **ret);

/* 1 and the VM, 0 where there is none, -ENOTUNIQ where the process holds several. */
int model_find_pid(const struct model *m, uint32_t pid, const struct vm **ret);

/* Is the fact shown at all by the kernel that the messages come from? */
static inline bool model_shows(const struct model *m, enum cetd_fact fact)
{
	return m->has_host && m->host.facts[fact].state != CETD_COVERAGE_UNOBSERVABLE;
}

uint64_t vm_cp_total(const struct vm *vm);
uint64_t vm_msr_total(const struct vm *vm);

/* "yes": CET state was accepted or a hardware #CP seen; "attempted": only refused accesses; else "unknown". */
const char *vm_uses_cet(const struct vm *vm);

/* Will the VM have this id again when it comes back? Not where it is made of a process's number. */
bool vm_has_stable_id(const struct vm *vm);

/* The n most frequent faulting RIPs, most frequent first; returns how many. */
unsigned int vm_top_rips(const struct vm *vm, unsigned int n, struct cetd_rip *ret_rips);

/* The newest n faults, newest first, torn records left out; returns how many. */
unsigned int vm_faults(const struct vm *vm, unsigned int n, const struct cetd_event **ret_faults);

/* CLOCK_MONOTONIC of the source to microseconds since the epoch; 0 stays 0. */
uint64_t model_realtime_usec(const struct model *m, uint64_t monotonic_ns);

#define FOREACH_VM(m, vm) for (struct vm *vm = (m)->vms_by_key; vm; vm = vm->hh_key.next)
