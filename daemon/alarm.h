/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the start or the end of a storm leads to: an entry in the journal and, in enforce mode, what the rate asks
 * for. Part of the composition root; logging.
 */
#pragma once

#include "acts.h"
#include "policy/ledger.h"
#include "policy/storms.h"

/* Whose rate it is, for people and programs: the id of the rule, or "override" where one was set for the VM. */
const char *alarm_rule(const struct ledger *l, uint64_t key);

void alarm_log(const struct vm *vm, const char *rule, const struct storm *storm);

/* Freeze or terminate the VM if a storm that began asks for it. */
void alarm_act(struct acts *a, const struct vm *vm, const char *rule, const struct storm *storm);
