/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where messages come from: the live kernel (programs and maps in events.c, VMs in discovery.c, the host
 * in probe.c) or a recording (recording.c). All speak cetd/stream.h to a sink.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "cetd/stream.h"

struct events;
struct discovery;

struct events_params {
	uint32_t max_vms;	     /* capacity of the maps, 1 to 65536 */
	uint32_t samples_per_second; /* a VM's share of the ring buffer, 1 to 100000 */
	const char *pin_dir; /* where programs and counters outlive the daemon; NULL: nowhere */
};

/*
 * Load and attach the BPF programs of the family that this kernel has, and drain them on the loop.
 * Logging. On success fills the facts, the family and the map capacity of host, and adds causes for what
 * could not be attached. -EPERM, -ENOSYS, -ENOENT (no BTF) and the like where BPF is not to be had at
 * all; host says why then too. The sink is called from the loop only; what it fails with ends the loop.
 */
int events_new(sd_event *event, const struct events_params *params, const struct cetd_sink *sink,
	       struct cetd_host *host, struct events **ret);
struct events *events_free(struct events *e);

/* Read the maps now and send COUNTERS, HISTORY and LOST for what changed, then SETTLED. A no-op while the
 * programs are armed, that is, have counted nothing since the last round. */
int events_refresh(struct events *e);

/* A VM is gone: send its last samples, counters and history, and drop its map entries. */
int events_forget(struct events *e, uint64_t key);

/* Which event types are sampled through the ring buffer, one bit each (1U << CETD_EVENT_…). */
void events_set_sampling(struct events *e, uint32_t mask);

/* How often an attached program ran and for how long; both 0 unless the kernel keeps statistics
 * (kernel.bpf_stats_enabled). */
struct events_program {
	const char *hook; /* static: "kvm_msr" */
	uint64_t runs;
	uint64_t run_ns;
};

#define EVENTS_PROGRAMS_MAX 8

/* Fills up to EVENTS_PROGRAMS_MAX entries, returns how many. Quiet. */
unsigned int events_get_programs(const struct events *e, struct events_program *ret_programs);

/*
 * Find VMs: a scan at once and every scan_interval_usec, KVM's uevents, pidfds for exits. Sends VM_ADD and
 * VM_REMOVE. before_remove (the events source's events_forget, wrapped) is called just before VM_REMOVE.
 * In a PID namespace of its own it sends nothing at all: it could only give VMs the names of others.
 */
struct discovery_params {
	uint64_t scan_interval_usec; /* 1 s to 1 h */
	int (*before_remove)(void *userdata, uint64_t key);
	void *userdata;
};
int discovery_new(sd_event *event, const struct discovery_params *params,
		  const struct cetd_sink *sink, struct discovery **ret);
struct discovery *discovery_free(struct discovery *d);

/* Events came for a key that discovery has not sent yet: look for it soon (rate-limited). Ends in VM_ADD, or,
 * where its VM has ended meanwhile, in before_remove and VM_REMOVE. */
void discovery_nudge(struct discovery *d, uint64_t key);

/* In a PID namespace of its own: no VM will be found. */
bool discovery_is_blind(const struct discovery *d);

/* Fill kernel_release, kvm_vendor, guest_cet, realtime_offset_ns and causes. Quiet; never fails: what cannot
 * be found out is a cause. root is "/" or a directory with the same files, for tests. */
void probe_host(const char *root, struct cetd_host *ret);

/* CLOCK_REALTIME - CLOCK_MONOTONIC now: another one when the clock was set, or the host slept. */
uint64_t probe_realtime_offset_ns(void);

/* Append a cause, formatted; dropped when full or when the code is there already. */
void host_add_cause(struct cetd_host *host, const char *code, const char *advice,
		    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Set a fact's coverage and reason. */
void host_set_fact(struct cetd_host *host, enum cetd_fact fact, enum cetd_coverage state,
		   const char *format, ...) __attribute__((format(printf, 4, 5)));
