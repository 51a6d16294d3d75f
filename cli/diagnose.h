/* SPDX-License-Identifier: GPL-2.0-only */
/* What happened to a VM, what it means and what to do: one report, from which text and --json are made. Pure. */
#pragma once

#include <json-c/json.h>

#include "cetctl.h"
#include "symbols.h"

struct diagnosis_input {
	json_object *daemon; /* the manager's description */
	json_object *vm;     /* the VM's */
	json_object *faults; /* newest first; NULL: only root may see them, and this is not root */
	json_object *rips;   /* the most frequent addresses; NULL likewise */
	const char *name;    /* what the caller called the VM, for commands */
	const struct symbols *symbols; /* NULL: none were given */
	const char *symbol_file;
};

/* Does the kernel show nothing that could be explained? ret_reason: why, borrowed from daemon. */
bool diagnose_is_blind(const struct diagnosis_input *in, const char **ret_reason);

/* Are there guests in this guest, as far as can be seen? Then its faults need not all be of one kernel. */
bool diagnose_is_hypervisor(const struct diagnosis_input *in);

/*
 * The report, owned by the caller: {"vm", "headline", "findings": […], "top_rips", "symbols", "policy", "notes",
 * "next"}. What is not known is null.
 */
json_object *diagnose(const struct diagnosis_input *in);
