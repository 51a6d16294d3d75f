/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From verdicts to effects: picks the backend, hands it each VM's parameters, keeps the lease, acts on storms.
 * Part of the composition root; logging.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "cetd/stream.h"

#include "enforce/enforce.h"
#include "policy/policy.h"
#include "policy/storms.h"

struct enforcement;

/* The fact `enforcement` is another than the host was said to have; from the loop. */
typedef void (*enforcement_fact_t)(void *userdata, enum cetd_coverage state, const char *reason);

struct enforcement_params {
	const char *pin_dir; /* of the counters, policies have one beside it; NULL: nowhere */
	uint32_t max_vms;
	uint32_t lease_sec; /* 0: none */
	bool is_dry_run;
	bool is_wanted;	     /* there are rules: be ready before the first VM is judged */
	storms_tell_t storm; /* told of each start and each end, of VMs that the model has */
	enforcement_fact_t fact;
	void *userdata;
};

#define ENFORCEMENT_PIN_DIR_SIZE PATH_MAX

/* Where policies are pinned, if counters are in pin_dir. -ENAMETOOLONG. */
int enforcement_pin_dir(const char *pin_dir, char *ret, size_t size);

/* Where the kernel has no hook nothing is enforced, and no failure. Where no rule and no pinned policy wants the
 * hook, it is left alone until a verdict does. Sets the fact `enforcement` of host where it
 * is another than it says. */
int enforcement_new(sd_event *event, const struct model *model,
		    const struct enforcement_params *params, struct cetd_host *host,
		    struct enforcement **ret);
struct enforcement *enforcement_free(struct enforcement *e);

/* May programs have to be loaded later, when a policy wants the hook? */
bool enforcement_may_load(const struct enforcement *e);

/* How long policies hold without a cetd, from now on; 0: without end. */
void enforcement_set_lease(struct enforcement *e, uint32_t sec);

void enforcement_apply(struct enforcement *e, const struct vm *vm,
		       const struct policy_verdict *verdict);
void enforcement_forget(struct enforcement *e, const struct vm *vm);

/* Read again what the kernel keeps of all VMs. */
void enforcement_refresh(struct enforcement *e);

/* What the kernel keeps of the VM's policy, read now; -ENOENT: it has none. */
int enforcement_get_state(struct enforcement *e, uint64_t key, struct cetd_policy_state *ret);

/* What was read, for views: of the VMs, and of the host (NULL where nothing is enforced). */
const struct storms *enforcement_get_storms(const struct enforcement *e);
const struct cetd_policy_control *enforcement_get_control(const struct enforcement *e);
