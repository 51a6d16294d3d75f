/* SPDX-License-Identifier: GPL-2.0-only */
/* What the daemon costs: the figures behind the process_* metrics. */
#pragma once

#include <stdint.h>

struct process_stats {
	uint64_t cpu_ns;
	uint64_t resident_bytes, virtual_bytes;
	uint64_t start_usec;	    /* since the epoch */
	uint64_t open_fds, max_fds; /* max_fds: UINT64_MAX where there is no limit */
};

/* Read the present figures from /proc/self. start_usec is kept where it is not 0: it is derived from two
 * clocks and would jitter. Quiet; 0 or -errno, and then stats is as it was. */
int process_stats_read(struct process_stats *stats);

/*
 * Parse the text of /proc/PID/stat (proc_pid_stat(5)). Fills cpu_ns, virtual_bytes and resident_bytes, and
 * the start in clock ticks since boot. 0, or -EBADMSG.
 */
int process_stats_parse(const char *text, uint64_t ticks_per_second, uint64_t page_bytes,
			struct process_stats *stats, uint64_t *ret_start_ticks);
