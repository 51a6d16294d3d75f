/* SPDX-License-Identifier: GPL-2.0-only */
/* A process that has VMs: its pidfd, who it is, its VMs. Quiet. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include <uthash.h>

#include "source/identity.h"
#include "source/tracker.h"

struct population;

struct process {
	uint32_t pid;
	uint64_t start_ticks;
	struct population *owner; /* NULL until it is watched */
	int pidfd; /* -1 where there was no fd to be had: its end is found by a scan */
	sd_event_source *exit_source;
	struct identity_machine machine;
	struct tracker tracker;
	unsigned int refreshes; /* how often it was read again since it was found */
	uint32_t generation;    /* the full scan that last found it */
	bool is_adopted;        /* known by its events alone */
	bool was_destroyed;     /* KVM told that one of its VMs ended, and no scan has been since */
	UT_hash_handle hh;
};

/* -ESRCH where the process has ended. Both owned by the caller until process_free(). */
int process_new(uint32_t pid, struct process **ret);
struct process *process_free(struct process *p);

/* Has it ended? False where that cannot be told. */
bool process_has_ended(const struct process *p);

/* Read who it is, now. -ESRCH where it has ended. */
int process_read_identity(const struct process *p, struct cetd_identity *ret);

/* By age, then pid: the order in which processes get their ids. For qsort() of pointers. */
int process_compare_age(const void *a, const void *b);
