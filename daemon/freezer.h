/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps VMs frozen that an override says are: when it is set, when the VM comes back, and until it ends. Part of the
 * composition root; logging.
 */
#pragma once

#include "acts.h"
#include "governor.h"

struct freezer;

/* The end of what was asked for: 0, or -errno with a reason for people. */
typedef void (*freezer_done_t)(void *userdata, int error, const char *message);

/* On whose behalf, for the log, and whom to tell; done is not told where the function fails. */
struct freezer_order {
	const char *by;
	freezer_done_t done;
	void *userdata;
};

int freezer_new(struct governor *governor, const struct model *model, struct acts *acts,
		struct freezer **ret);

/* After its acts are gone. */
struct freezer *freezer_free(struct freezer *f);

/* The VM is to be as the verdict has it. */
void freezer_follow(struct freezer *f, const struct vm *vm, const struct policy_verdict *verdict);
/* Its unit may be known now, which it takes to freeze it. Cheap. */
void freezer_vm_changed(struct freezer *f, const struct vm *vm);
void freezer_forget(struct freezer *f, const struct vm *vm);

/*
 * Freeze for a time, 0 for without end, or thaw, whatever had it frozen. Where it then cannot be frozen, the override
 * is gone again. As governor_set(), and -EBUSY while an earlier order is under way.
 */
int freezer_freeze(struct freezer *f, const struct vm *vm, enum policy_lifetime lifetime,
		   uint64_t for_usec, const struct freezer_order *order, char **ret_message);
int freezer_thaw(struct freezer *f, const struct vm *vm, const struct freezer_order *order,
		 char **ret_message);
