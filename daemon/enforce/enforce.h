/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Turning a verdict into an effect. Two kinds of backends, each a table of functions: enforcers, which put a
 * VM's parameters in force, and actors, which freeze and terminate whole VMs. Dry-run is one of each kind.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "cetd/policy.h"

struct enforcer;

struct enforcer_ops {
	const char *name; /* "kernel", "dry-run" */
	bool needs_vm_id; /* keys that stand for a process, CETD_KEY_TGID, mean nothing to it */

	/* The VM's parameters from now on; NULL: none, and what was kept of them is dropped. -ENOENT: it has ended,
	 * and nothing is kept; -EOPNOTSUPP: kept, but it has no vCPU with CET; -E2BIG, -ENOMEM. */
	int (*apply)(struct enforcer *e, uint64_t key, const struct cetd_policy *policy);

	/* What is in force, perhaps since before this daemon. -ENOENT: nothing; -EOPNOTSUPP: no state is kept. */
	int (*get_policy)(struct enforcer *e, uint64_t key, struct cetd_policy *ret);
	int (*get_state)(struct enforcer *e, uint64_t key, struct cetd_policy_state *ret);

	/* Parameters lapse at time_ns (CLOCK_MONOTONIC) unless this is called again; 0: never. */
	void (*set_lease)(struct enforcer *e, uint64_t time_ns);

	/* Of all VMs together. */
	void (*get_control)(struct enforcer *e, struct cetd_policy_control *ret);

	/* Walk the VMs that have parameters: *key is the one before, 0 to start. -ENOENT: that was the last. */
	int (*next)(struct enforcer *e, uint64_t *key);

	/* Have told what the kernel has told so far. */
	void (*drain)(struct enforcer *e);
	struct enforcer *(*free)(struct enforcer *e);
};

struct enforcer {
	const struct enforcer_ops *ops;
};

typedef void (*enforce_storm_t)(void *userdata, const struct cetd_storm *storm);

struct enforce_params {
	const char *pin_dir; /* in bpffs; NULL: what is enforced ends with the daemon */
	uint32_t max_vms;
	enforce_storm_t storm; /* told of storms, from the loop */
	void *userdata;
};

/* By struct kvm_cet_ops, on the loop. Logging. -ENOSYS: the kernel lacks it; -EBUSY: another's policy is there.
 * Takes over what an earlier daemon pinned, or replaces it in place, and says which. */
int enforce_kernel_new(sd_event *event, const struct enforce_params *params, struct enforcer **ret);

/* Keeps what it is told and logs it; decides nothing. */
int enforce_dry_run_new(struct enforcer **ret);

static inline struct enforcer *enforcer_free(struct enforcer *e)
{
	return e ? e->ops->free(e) : NULL;
}
