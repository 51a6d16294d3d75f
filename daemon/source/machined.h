/* SPDX-License-Identifier: GPL-2.0-only */
/* Ask machined, where it runs, which machine a process belongs to. Never blocks, never starts machined. */
#pragma once

#include <stdint.h>

#include <systemd/sd-event.h>

#include "source/identity.h"

struct machined;

/* cookie is the asker's, so that an answer about a pid that was reused meanwhile can be told. */
typedef void (*machined_answer_t)(void *userdata, uint32_t pid, uint64_t cookie,
				  const struct identity_machine *machine);

int machined_new(sd_event *event, machined_answer_t answer, void *userdata, struct machined **ret);
struct machined *machined_free(struct machined *m);

/* The answer comes from the loop, if at all: none without a system bus, without machined on it, or where the
 * process belongs to no machine. Quiet. */
void machined_ask(struct machined *m, uint32_t pid, uint64_t cookie);
