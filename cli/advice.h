/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of a report that tell what to do: the policy, what else is to be known, the next steps. Pure. */
#pragma once

#include "diagnose.h"

/*
 * A command of causes.h with the VM's own words filled in, quoted for a shell. NULL where there is none, where a
 * word is not known, or out of memory. rip may be NULL.
 */
char *advice_command(const struct diagnosis_input *in, const char *pattern, const uint64_t *rip);

/* Where a command is to be run: "host" where it speaks of the VM, else "guest". NULL for NULL. */
const char *advice_where(const char *pattern);

/* Each adds the part of its name; advice_add_next() reads the findings that are there. */
void advice_add_symbols(json_object *report, const struct diagnosis_input *in);
void advice_add_policy(json_object *report, const struct diagnosis_input *in);
void advice_add_notes(json_object *report, const struct diagnosis_input *in);
void advice_add_next(json_object *report, const struct diagnosis_input *in);
