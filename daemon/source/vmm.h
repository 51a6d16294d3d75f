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

struct vmm {
	uint32_t pid;
	uint64_t start_ticks;
	struct population *owner; /* NULL until it is watched */
	int pidfd; /* -1 where there was no fd to be had: its end is found by a scan */
	sd_event_source *exit_source;
	struct identity_machine machine;
	struct tracker tracker;
	unsigned int refreshes; /* how often it was read again since it was found */
	uint32_t generation;	/* the full scan that last found it */
	bool is_adopted;	/* known by its events alone */
	bool was_destroyed;	/* KVM told that one of its VMs ended, and no scan has been since */
	UT_hash_handle hh;
};

/* -ESRCH where the process has ended. Both owned by the caller until vmm_free(). */
int vmm_new(uint32_t pid, struct vmm **ret);
struct vmm *vmm_free(struct vmm *v);

/* Has it ended? False where that cannot be told. */
bool vmm_has_ended(const struct vmm *v);

/* Read who it is, now. -ESRCH where it has ended. */
int vmm_read_identity(const struct vmm *v, struct cetd_identity *ret);

/* By age, then pid: the order in which processes get their ids. For qsort() of pointers. */
int vmm_compare_age(const void *a, const void *b);
