/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Freeze, thaw or terminate a VM, for a policy or for a person. Part of the composition root; logging.
 */
#pragma once

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "enforce/actor.h"
#include "model/model.h"

struct acts;

/* is_dry_run: nothing is done, and what would be is logged. */
int acts_new(sd_event *event, bool is_dry_run, struct acts **ret);
struct acts *acts_free(struct acts *a);

/* Begin; done, which may be NULL, is told of the end, once, after this returns: 0, or -errno with a reason for people.
 * by: on whose behalf, for the log. 0, -EBUSY where too many are under way, -ENOMEM: done is not told then. */
int acts_request(struct acts *a, const struct vm *vm, enum actor_action action, const char *by,
		 actor_done_t done, void *userdata);
