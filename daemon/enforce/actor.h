/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Acting on a whole VM from outside of it: freeze, thaw, terminate, by systemd and machined on the system bus,
 * or dry-run. Only on a unit that is the VM's own: what machined has registered for it, or what holds nothing
 * but the VM's process and its children. Nothing here waits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

enum actor_action {
	ACTOR_FREEZE,
	ACTOR_THAW,
	ACTOR_TERMINATE,
	_ACTOR_ACTION_MAX,
};

const char *actor_action_to_string(int action); /* "freeze", "thaw", "terminate" */

/* Who it is about. Strings are copied. */
struct actor_subject {
	const char *vm; /* its id, for the log */
	const char *unit, *cgroup;
	uint32_t pid;		 /* of the VMM */
	uint32_t vms_in_process; /* more than one: refused */
	int pidfd;		 /* of that process; stays the caller's */
};

/*
 * The end of what actor_request() began: error is 0, or -errno with a message: -EBUSY where the unit or the process
 * holds other things than the VM, -ENOENT where it has no unit, -ESRCH where it has ended, -EOPNOTSUPP where
 * nothing can do it, else what systemd said. From the loop.
 */
typedef void (*actor_done_t)(void *userdata, enum actor_action action, int error,
			     const char *message);

struct actor;

struct actor_params {
	bool is_dry_run;	 /* do nothing, and say what */
	const char *cgroup_root; /* NULL: UNIT_CGROUP_ROOT */
};

int actor_new(sd_event *event, const struct actor_params *params, struct actor **ret);

/* What is under way is told to have ended with -ECANCELED, not undone. */
struct actor *actor_free(struct actor *a);

/* Begin; done, which may be NULL, is told of the end, once, and not before this returns. -ENOMEM; -EBUSY where too
 * many are under way. */
int actor_request(struct actor *a, const struct actor_subject *subject, enum actor_action action,
		  actor_done_t done, void *userdata);
