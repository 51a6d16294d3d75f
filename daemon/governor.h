/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Policies at work: reads the rules, evaluates each VM when something about it, the rules or the time changes,
 * and tells of what is different. Part of the composition root; logging.
 */
#pragma once

#include <systemd/sd-event.h>

#include "policy/ledger.h"

struct governor;

/* Told after a verdict changed, also the first of a VM; may be NULL. */
typedef void (*governor_changed_t)(void *userdata, const struct vm *vm,
				   const struct policy_verdict *verdict);

int governor_new(sd_event *event, const struct model *model, governor_changed_t changed,
		 void *userdata, struct governor **ret);
struct governor *governor_free(struct governor *g);

/* Read the rules of a directory without putting them in force: NULL where there is none and none has to be.
 * Quiet; errors with *ret_message, to be freed. */
int governor_read(const char *dir, struct policy_set **ret, char **ret_message);

/* Put rules in force, NULL for none, and evaluate every VM. Takes set over. */
void governor_set_rules(struct governor *g, const char *dir, struct policy_set *set);

void governor_vm_changed(struct governor *g, const struct vm *vm);
/* What was set at run time of a VM that had only a number so far goes with it to its id. */
void governor_vm_renamed(struct governor *g, const struct vm *vm, const char *old_id);
/* A sampled event: written to the log if it is a fault and the VM's faults are to be recorded. vm
 * may be NULL, as in struct model_observer. */
void governor_event(struct governor *g, const struct vm *vm, const struct cetd_event *e);
void governor_vm_removed(struct governor *g, const struct vm *vm);

/* After the host changed. */
void governor_evaluate(struct governor *g);

/* Take up the persistent overrides of a directory, and keep them there from now on; NULL: there are none, and none
 * can be set. What is damaged is put aside. */
void governor_open_store(struct governor *g, const char *dir);

/* Was the VM frozen for a time that ended while no cetd was there to thaw it? Yes once. */
bool governor_take_ended(struct governor *g, const char *id);

/*
 * Set something of one VM for a time, 0 for without end, or clear it: settings and lifetimes are a bit each. What is
 * persistent is on disk when this returns. On failure nothing has changed and *ret_message, to be freed, says why:
 * -EINVAL where the VM's id is not one to keep, -EOPNOTSUPP where nothing can be stored, -E2BIG, -ENOENT where
 * there is nothing to clear, or what the store failed with.
 */
int governor_set(struct governor *g, const struct vm *vm, enum policy_lifetime lifetime,
		 const struct policy_values *values, uint64_t for_usec, char **ret_message);
int governor_clear(struct governor *g, const char *id, uint32_t lifetimes, uint32_t settings,
		   char **ret_message);

/* What is in force, for views and for overrides. */
struct ledger *governor_get_ledger(struct governor *g);
