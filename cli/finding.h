/* SPDX-License-Identifier: GPL-2.0-only */
/* The faults of a VM, put together by kind: how often, since when, where. Pure. */
#pragma once

#include <json-c/json.h>

#include "cetd/event.h"

#include "cetctl.h"
#include "symbols.h"

struct finding_rip {
	uint64_t rip;
	unsigned int count;
};

/* Faults of a kind at a privilege, or all that the host injected. */
struct finding {
	bool is_injected;
	const char *kind;      /* of causes.h, static; injected: of the newest */
	const char *privilege; /* "supervisor", "user", "unknown", static */
	bool has_count;
	uint64_t count; /* the kernel's, exact */
	/* Of the records that are kept, at most CETD_HISTORY_FAULTS for the whole VM: */
	unsigned int n, n_nested, n_enclave, n_cpl[4], n_action[_CETD_ACTION_MAX];
	uint64_t first_usec, last_usec;
	struct finding_rip rips[CETD_HISTORY_FAULTS]; /* most frequent first */
	unsigned int n_rips;
	uint32_t vcpus[CETD_HISTORY_FAULTS]; /* ascending */
	unsigned int n_vcpus;
};

#define FINDINGS_MAX 32

struct findings {
	struct finding
		list[FINDINGS_MAX]; /* most frequent first, those injected by the host last */
	size_t n;
};

/* vm is as the daemon describes it, faults an array of its fault records or NULL. Whatever is odd is left out. */
void findings_collect(json_object *vm, json_object *faults, struct findings *ret);

/* All that were counted, or recorded where there is no count. */
uint64_t finding_count(const struct finding *f);

/* Are there records of all its faults? Then the first record is the first fault. */
bool finding_is_complete(const struct finding *f);

/* Faults a second between the first and the last record; 0 where that cannot be told. */
double finding_rate(const struct finding *f);

/*
 * What speaks for one cause or another: CLUE_BIT()s. symbols may be NULL. since_usec: when the VM came, 0 where
 * nobody saw it come.
 */
unsigned int finding_clues(const struct finding *f, uint64_t since_usec,
			   const struct symbols *symbols);
