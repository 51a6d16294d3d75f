/* SPDX-License-Identifier: GPL-2.0-only */
/* The VMs of one process, from scan to scan: which were added, which are gone. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cetd/stream.h"

struct tracker {
	struct cetd_identity identity; /* the process's, without key and attribution */
	struct cetd_scan *vms;	       /* owned; in the order of scan_run() */
	size_t n_vms;
	uint64_t plain_vm_id; /* the VM whose id is the process's, without a suffix */
	bool is_ambiguous;    /* counters of several VMs went to one key */
};

/* Told what changed. A negative return ends the update and is returned from it. */
struct tracker_ops {
	int (*add)(void *userdata, const struct cetd_identity *identity); /* or more is known */
	int (*remove)(void *userdata, uint64_t key);
	void *userdata;
};

/*
 * The process now has these VMs. was_destroyed: KVM told that one of its VMs ended since the last update, so
 * that a single one found again is another one, even at the same address.
 * Returns 1 when something changed, 0 when not, or -errno.
 */
int tracker_update(struct tracker *t, const struct cetd_scan *vms, size_t n, bool was_destroyed,
		   const struct tracker_ops *ops);

/* More is known of the process: add its VMs again. Returns as above. */
int tracker_rename(struct tracker *t, const struct cetd_identity *identity,
		   const struct tracker_ops *ops);

bool tracker_has_key(const struct tracker *t, uint64_t key);

/* Free what it owns; tells nobody. */
void tracker_done(struct tracker *t);
