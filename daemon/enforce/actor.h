/* SPDX-License-Identifier: GPL-2.0-only */
/* Acting on a whole VM from outside of it: freeze, thaw, terminate. By systemd, or dry-run. */
#pragma once

#include <stdbool.h>

#include <systemd/sd-bus.h>

enum actor_action {
	ACTOR_FREEZE,
	ACTOR_THAW,
	ACTOR_TERMINATE,
	_ACTOR_ACTION_MAX,
};

const char *actor_action_to_string(int action); /* "freeze", "thaw", "terminate" */

/* The end of what actor_request() began: error is 0, or -errno with a message. */
typedef void (*actor_done_t)(void *userdata, const char *vm, enum actor_action action, int error,
			     const char *message);

struct actor;

/* bus: where systemd is, NULL where there is none; a reference is taken. is_dry_run: do nothing, and say so. */
int actor_new(sd_bus *bus, bool is_dry_run, actor_done_t done, void *userdata, struct actor **ret);

/* What is under way is forgotten, not undone. */
struct actor *actor_free(struct actor *a);

/*
 * Do it to the VM, which runs in unit ("": none). Returns at once; done is told of the end. Refused, with a reason
 * in *ret_reason (static): -EOPNOTSUPP where nothing can do it, -ENOENT where the VM has no unit of its own.
 */
int actor_request(struct actor *a, const char *vm, const char *unit, enum actor_action action,
		  const char **ret_reason);
