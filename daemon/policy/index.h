/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which rules can be for a VM: those that name it literally, those whose pattern begins as it does, and those that
 * say neither. A set of one rule a VM is then no slower a VM than one of a few rules.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

/* -ENOMEM. The rules stay the set's. */
int policy_index_new(const struct policy_set *set, struct policy_index **ret);
struct policy_index *policy_index_free(struct policy_index *index);
DEFINE_CLEANUP(struct policy_index *, policy_index_free)

/* Rules that are in question for one reason, in their order. */
struct policy_run {
	const struct policy_rule *const *next, *const *end;
};

/* A literal UUID, name and unit; a beginning of each length that a name and a unit can have. */
#define POLICY_RUNS_MAX (3 + 2 * 128)

/* Walks the rules that can be for a VM, in order. */
struct policy_walk {
	struct policy_run runs[POLICY_RUNS_MAX];
	size_t n;
};

void policy_walk_init(struct policy_walk *w, const struct policy_index *index, const struct vm *vm);

/* NULL at the end. A rule may not match all the same, and is returned once. */
const struct policy_rule *policy_walk_next(struct policy_walk *w);
