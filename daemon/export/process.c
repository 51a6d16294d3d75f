// SPDX-License-Identifier: GPL-2.0-only
/* What the daemon costs, read from /proc/self. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "export/process.h"
#include "util/clock.h"
#include "util/macro.h"

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

int process_stats_parse(const char *text, uint64_t ticks_per_second, uint64_t page_bytes,
			struct process_stats *stats, uint64_t *ret_start_ticks)
{
	unsigned long long utime, stime, start, size;
	long long rss;
	const char *p;

	/* The command may hold blanks and parentheses: what follows its last one is regular. */
	p = strrchr(text, ')');
	if (!p)
		return -EBADMSG;
	if (sscanf(p,
		   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
		   "%*d %llu %llu %lld",
		   &utime, &stime, &start, &size, &rss) != 5 ||
	    rss < 0)
		return -EBADMSG;

	stats->cpu_ns = (utime + stime) * (NSEC_PER_SEC / ticks_per_second);
	stats->virtual_bytes = size;
	stats->resident_bytes = (uint64_t)rss * page_bytes;
	*ret_start_ticks = start;
	return 0;
}

static int read_stat(char *text, size_t size)
{
	_cleanup_(closep) int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = 0;
	return 0;
}

static int count_fds(uint64_t *ret)
{
	_cleanup_(closedirp) DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!d)
		return -errno;
	while (readdir(d))
		n++;
	*ret = n > 3 ? n - 3 : 0; /* ".", ".." and the directory's own */
	return 0;
}

int process_stats_read(struct process_stats *stats)
{
	const uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	struct process_stats now = *stats;
	struct rlimit limit;
	uint64_t start_ticks;
	char text[1024];
	int r;

	r = read_stat(text, sizeof(text));
	if (r < 0)
		return r;
	r = process_stats_parse(text, hz, (uint64_t)sysconf(_SC_PAGESIZE), &now, &start_ticks);
	if (r < 0)
		return r;
	r = count_fds(&now.open_fds);
	if (r < 0)
		return r;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	now.max_fds = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
	if (!now.start_usec)
		now.start_usec = clock_usec(CLOCK_REALTIME) - clock_usec(CLOCK_BOOTTIME) +
				 start_ticks * (USEC_PER_SEC / hz);
	*stats = now;
	return 0;
}
