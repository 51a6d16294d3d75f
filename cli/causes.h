/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of control-protection faults: what each kind means, and what may be behind it. Pure, tables only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cetctl.h"

/* What speaks for one cause or another, a bit each; how the faults of one kind look. */
enum clue {
	CLUE_SUPERVISOR,
	CLUE_USER,
	CLUE_ONE_RIP,	/* several faults, all at one address */
	CLUE_MANY_RIPS, /* at four addresses or more */
	CLUE_ONE_VCPU,	/* several faults, all on one vCPU */
	CLUE_MANY_VCPUS,
	CLUE_ONCE,   /* a single fault */
	CLUE_STORM,  /* ten a second or more */
	CLUE_YOUNG,  /* the first within 30 s of when the VM was first seen */
	CLUE_NESTED, /* in a guest of the guest */
	CLUE_ENCLAVE,
	CLUE_MODULE_AREA, /* where Linux puts modules and the code that BPF compiles to */
	CLUE_KERNEL_IMAGE,
	CLUE_FUNCTION_START,  /* by the symbols */
	CLUE_FUNCTION_INSIDE, /* likewise */
	_CLUE_MAX,
};

#define CLUE_BIT(c) (1U << (c))

/* As a reason: "all at one address". */
const char *clue_to_string(int clue);

/* Kinds as in the daemon's JSON, "near_ret" and so on; NULL for what is none of them. */
const char *causes_title(const char *kind);
const char *causes_meaning(const char *kind);
/* What RIP is: the branch's target, or the instruction that faulted. */
const char *causes_rip(const char *kind);

struct cause {
	const char *id, *text, *check;
	/* NULL: none. {vm}, {pid}, {unit}, {rip}, {rip_end}, {file} stand for the VM's; FILE and PID are the reader's to fill in. */
	const char *command;
};

#define CAUSES_MAX 8

struct ranked_cause {
	const struct cause *cause;
	unsigned int clues; /* those that speak for it */
	int weight;
};

/*
 * The causes to think of for faults of a kind with these clues, likeliest first. Injected faults are no fault of
 * the guest's, whatever their kind. Returns how many.
 */
size_t causes_rank(const char *kind, bool is_injected, unsigned int clues,
		   struct ranked_cause ret[CAUSES_MAX]);
