/* SPDX-License-Identifier: GPL-2.0-only */
/* Reasons to scan before the next interval is over, gathered so that many cost one scan. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUESTS_MAX 64
#define REQUESTS_SINGLE_MAX 8 /* with more than this, one full scan is cheaper */
#define REQUESTS_TRIES_MAX 5

struct request {
	uint32_t pid;	 /* where to look; 0: everywhere */
	uint64_t key;	 /* a key that must be accounted for, or 0 */
	size_t n_before; /* VMs of pid when a new one was announced: satisfied by more */
	bool is_create;	 /* n_before counts */
	unsigned int tries;
};

struct requests {
	struct request list[REQUESTS_MAX];
	unsigned int n;
	bool want_all;	 /* a full scan, whatever the list says */
	uint64_t due_ns; /* CLOCK_MONOTONIC; 0: nothing to do */
};

/* Have a scan at due_ns, or earlier where one is due earlier. With the list full, everything is scanned. */
void requests_add(struct requests *r, const struct request *request, uint64_t due_ns);
void requests_add_all(struct requests *r, uint64_t due_ns);

/* Must everything be scanned to answer them? */
bool requests_need_all(const struct requests *r);

/*
 * After a scan: is_satisfied is asked about each; what is not is tried again, later each time, and handed to
 * give_up after REQUESTS_TRIES_MAX scans. Returns 0, or what give_up returned where that was negative.
 */
int requests_settle(struct requests *r, uint64_t now_ns,
		    bool (*is_satisfied)(void *userdata, const struct request *request),
		    int (*give_up)(void *userdata, const struct request *request), void *userdata);
