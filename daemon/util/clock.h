/* SPDX-License-Identifier: GPL-2.0-only */
/* The time, in one number. Not for what is to be pure: there it is handed in. */
#pragma once

#include <stdint.h>
#include <time.h>

#include "util/macro.h"

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static inline uint64_t clock_usec(clockid_t clock)
{
	return clock_ns(clock) / NSEC_PER_USEC;
}
