/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the sources and the sink: a VM's first events may come before discovery has found it. They wait here for
 * its VM_ADD, so that those who watch are told whose they are.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "cetd/stream.h"

#define HELD_EVENTS_MAX 4096 /* with more, all are passed on as they are */
#define HELD_USEC 2000000    /* as is what waited for so long, CLOCK_MONOTONIC */

struct held;

/* is_found(next->userdata, key): is there nothing to wait for? Returns 0, or a negative errno. Quiet. */
int held_new(sd_event *event, const struct cetd_sink *next, bool (*is_found)(void *, uint64_t),
	     struct held **ret);

/* What is held is not passed on any more. */
struct held *held_free(struct held *h);

/* The sink to give to the sources, userdata being the struct held: passes on all messages, the EVENTs of a VM that is
 * not found after its VM_ADD, before its VM_REMOVE or when their time is over. Fails as next does. */
int held_send(void *userdata, const struct cetd_message *message);

/* Pass on what came up to now_ns - HELD_USEC. The timer's part, for tests. */
int held_expire(struct held *h, uint64_t now_ns);
