/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is in force: the rules, the overrides and each VM's verdict. Quiet; no clock, no I/O. Times are
 * CLOCK_REALTIME in microseconds, as overrides outlive a boot.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy/policy.h"

struct ledger;

/* Without rules and overrides. -ENOMEM. */
int ledger_new(struct ledger **ret);
struct ledger *ledger_free(struct ledger *l);

/* The rules from now on; owned by the ledger, NULL for none. Verdicts change by ledger_update() only: call it
 * for every VM. */
void ledger_set_rules(struct ledger *l, struct policy_set *set);
const struct policy_set *ledger_get_rules(const struct ledger *l);

/* Evaluate. 1 and the verdict if it differs from the one before, is the VM's first or an override of the VM was
 * changed, 0 and it if not; -ENOMEM. The pointer is good until the VM is removed. */
int ledger_update(struct ledger *l, const struct vm *vm, uint64_t now_usec,
		  const struct policy_verdict **ret);
const struct policy_verdict *ledger_find(const struct ledger *l, uint64_t key);

/* The overrides of the VM stay: it may come back under its id. */
void ledger_remove(struct ledger *l, uint64_t key);

/* VMs that may have an override at a time, running or not. */
#define LEDGER_OVERRIDES_MAX 4096

/* A VM's override, by the VM's id, as a whole; an empty one is dropped. -ENOMEM; -E2BIG where
 * LEDGER_OVERRIDES_MAX other VMs have one. */
int ledger_set_override(struct ledger *l, const char *id, const struct policy_override *override);
const struct policy_override *ledger_find_override(const struct ledger *l, const char *id);

/* Walk the overrides: start with NULL, ends with NULL. */
const struct policy_override *ledger_next_override(const struct ledger *l, const char *after_id,
						   const char **ret_id);

/* Drop what has ended by now; how many overrides lost something, and of which lifetimes, a bit each. */
unsigned int ledger_expire(struct ledger *l, uint64_t now_usec, uint32_t *ret_lifetimes);

/* When the next override ends; 0: none will. */
uint64_t ledger_next_usec(const struct ledger *l);

/* No rules, no overrides: nothing is as it would not be without policies. */
bool ledger_is_empty(const struct ledger *l);
unsigned int ledger_count_overrides(const struct ledger *l);
