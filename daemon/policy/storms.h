/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Storms: the kernel tells when one begins, and when a later fault shows that one was over; most ends show in the
 * VM's state only. What is read here and told there twice, late or never is made one start and one end of each
 * storm. Quiet; no clock: times are CLOCK_MONOTONIC, handed in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <uthash.h>

#include "cetd/policy.h"

struct storms;

enum storm_end {
	STORM_END_NONE,	  /* it goes on */
	STORM_END_QUIET,  /* no fault over the rate for the rate's quiet time */
	STORM_END_POLICY, /* the VM's policy is another one now */
	STORM_END_VM,	  /* the VM has ended */
	_STORM_END_MAX,
};

const char *storm_end_to_string(int end); /* "none", "quiet", "policy_changed", "vm_gone" */

/* The latest of a rate. */
struct storm {
	uint64_t since_ns; /* 0: there was none */
	uint64_t ended_ns; /* 0: it goes on */
	uint64_t over;	   /* faults over the rate in it */
	uint64_t rip;	   /* of the fault that began it, where that was told: has_fault */
	uint32_t vcpu;
	uint16_t error_code;
	uint8_t cpl;
	uint8_t rate; /* index */
	uint8_t then; /* enum cetd_then */
	uint8_t mode; /* enum cetd_mode */
	uint8_t end;  /* enum storm_end */
	bool has_fault;
	bool is_start_told, is_end_told;
	bool is_adopted; /* it began under an earlier daemon, which told of it */
};

/* A VM with a policy in the kernel. */
struct storms_vm {
	uint64_t key;
	struct cetd_policy policy;
	struct cetd_policy_state state; /* as last read; zero unless has_state */
	struct storm storms[CETD_POLICY_RATES_MAX];
	bool has_state;
	bool is_known; /* who it is is known: what happens can be told */
	UT_hash_handle hh;
};

/* Told once when a storm begins and once when it has ended; for a VM that is not known yet, when it is. */
typedef void (*storms_tell_t)(void *userdata, const struct storms_vm *vm,
			      const struct storm *storm);

int storms_new(storms_tell_t tell, void *userdata, struct storms **ret);
struct storms *storms_free(struct storms *s);

/*
 * The VM's policy in the kernel from now on. Where the rates are others, its storms end. -ENOMEM. is_known: as
 * above. state: of a policy that an earlier daemon put in force, else NULL; a storm in it was told by that one.
 */
int storms_set_policy(struct storms *s, uint64_t key, const struct cetd_policy *policy,
		      bool is_known, const struct cetd_policy_state *state, uint64_t now_ns);

/* It has no policy any more, for a reason: its storms end. */
void storms_remove(struct storms *s, uint64_t key, enum storm_end why, uint64_t now_ns);

/* What the kernel told. A VM without a policy here is ignored. */
void storms_take_message(struct storms *s, const struct cetd_storm *m);

/* What the kernel keeps of the VM; now_ns is from before it was read. */
void storms_take_state(struct storms *s, uint64_t key, const struct cetd_policy_state *state,
		       uint64_t now_ns);

const struct storms_vm *storms_find(const struct storms *s, uint64_t key);
unsigned int storms_count_active(const struct storms_vm *vm);
uint64_t storms_count(const struct storms_vm *vm); /* ever, in either mode */

/* Walk: start with NULL, ends with NULL. */
const struct storms_vm *storms_next(const struct storms *s, const struct storms_vm *after);

/* When the end of a storm may show at the earliest, by what was last read; 0: there is no storm. */
uint64_t storms_next_ns(const struct storms *s);
uint64_t storms_vm_next_ns(const struct storms_vm *vm);
