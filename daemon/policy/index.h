/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which rules can be for a VM: those that name it literally, found by bisection, and those that do not. A set
 * of one rule a VM is then no slower a VM than one of a few rules.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

/* -ENOMEM. The rules stay the set's. */
int policy_index_new(const struct policy_set *set, struct policy_index **ret);
struct policy_index *policy_index_free(struct policy_index *index);
DEFINE_CLEANUP(struct policy_index *, policy_index_free)

#define POLICY_INDEX_KEYS 3 /* UUID, name, unit */

/* Walks the rules that can be for a VM, in order. */
struct policy_walk {
	const struct policy_index *index;
	const struct vm *vm;
	size_t next[POLICY_INDEX_KEYS + 1]; /* position in each list */
};

void policy_walk_init(struct policy_walk *w, const struct policy_index *index, const struct vm *vm);

/* NULL at the end. A rule may not match all the same, and is returned once. */
const struct policy_rule *policy_walk_next(struct policy_walk *w);
