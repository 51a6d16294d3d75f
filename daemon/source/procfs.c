// SPDX-License-Identifier: GPL-2.0-only
/* Read /proc/PID by way of a directory fd, so that a reused pid cannot mix two processes up. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kcmp.h>

#include "source/procfs.h"
#include "util/clock.h"
#include "util/macro.h"

#define PROC_PID_INIT_INO 0xeffffffcU /* linux/proc_ns.h: inode of the first PID namespace */
#define VM_FILES_MAX 64		      /* a process's, beyond which copies are not looked for */

static inline void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int procfs_parse_pid(const char *text, uint32_t *ret)
{
	uint32_t v = 0;

	if (*text < '1' || *text > '9' || strlen(text) > 9)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		v = v * 10 + (uint32_t)(*text - '0');
	}
	*ret = v;
	return 0;
}

int procfs_open(uint32_t pid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

ssize_t procfs_read(int dir_fd, const char *file, char *buf, size_t size)
{
	_cleanup_(closep) int fd = -1;
	size_t n = 0;
	ssize_t r;

	fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (n < size - 1) {
		r = read(fd, buf + n, size - 1 - n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		n += (size_t)r;
	}
	buf[n] = '\0';
	return (ssize_t)n;
}

ssize_t procfs_read_link(int dir_fd, const char *link, char *buf, size_t size)
{
	ssize_t n = readlinkat(dir_fd, link, buf, size - 1);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return n;
}

int procfs_parse_start_time(const char *stat, uint64_t *ret_ticks)
{
	const char *s = strrchr(stat, ')'); /* the command may hold anything, parentheses too */
	unsigned long long ticks;

	if (!s)
		return -EBADMSG;
	/* proc(5): starttime is field 22, and field 3 follows the command. */
	for (int field = 2; field < 22; field++) {
		s = strchr(s + 1, ' ');
		if (!s)
			return -EBADMSG;
	}
	if (sscanf(s, " %llu", &ticks) != 1)
		return -EBADMSG;
	*ret_ticks = ticks;
	return 0;
}

int procfs_start_time(int dir_fd, uint64_t *ret_ticks)
{
	char buf[1024];
	ssize_t r;

	r = procfs_read(dir_fd, "stat", buf, sizeof(buf));
	return r < 0 ? (int)r : procfs_parse_start_time(buf, ret_ticks);
}

bool procfs_is_younger(uint32_t pid, uint64_t time_ns)
{
	_cleanup_(closep) int dir = procfs_open(pid);
	int64_t tick_ns = (int64_t)NSEC_PER_SEC / sysconf(_SC_CLK_TCK);
	int64_t asleep_ns = (int64_t)(clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC));
	uint64_t ticks;

	if (dir < 0 || procfs_start_time(dir, &ticks) < 0)
		return false;
	/* What is told in ticks is rounded down: no process seems younger than it is. */
	return (int64_t)ticks * tick_ns - asleep_ns > (int64_t)time_ns;
}

int procfs_find_tgid(uint32_t tid, uint32_t *ret_tgid)
{
	_cleanup_(closep) int dir = -1;
	char buf[4096];
	const char *s;
	ssize_t r;

	dir = procfs_open(tid);
	if (dir < 0)
		return dir;
	r = procfs_read(dir, "status", buf, sizeof(buf));
	if (r < 0)
		return (int)r;
	s = strstr(buf, "\nTgid:\t");
	return s && sscanf(s, "\nTgid:\t%u", ret_tgid) == 1 ? 0 : -EBADMSG;
}

bool procfs_is_own_pid_namespace(const char *link)
{
	char text[64];
	unsigned long inode;
	ssize_t n = readlink(link, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return sscanf(text, "pid:[%lu]", &inode) == 1 && inode != PROC_PID_INIT_INO;
}

/* Do both descriptors of the process stand for one open file? False where that may not be known. */
static bool is_same_file(uint32_t tgid, int a, int b)
{
	return syscall(SYS_kcmp, tgid, tgid, KCMP_FILE, a, b) == 0;
}

int procfs_count_vms(uint32_t tgid, unsigned int *ret)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	int seen[VM_FILES_MAX];
	unsigned int n_seen = 0, n = 0;
	bool has_vcpu = false;
	struct dirent *d;
	char path[32], link[64];

	snprintf(path, sizeof(path), "/proc/%u/fd", tgid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		bool is_copy = false;
		ssize_t r;
		int fd;

		r = procfs_read_link(dirfd(dir), d->d_name, link, sizeof(link));
		if (r == -EACCES)
			return -EACCES;
		if (r < 0)
			continue;
		has_vcpu |= !strncmp(link, "anon_inode:kvm-vcpu:", 20);
		if (strcmp(link, "anon_inode:kvm-vm"))
			continue;
		fd = atoi(d->d_name);
		for (unsigned int i = 0; i < n_seen && !is_copy; i++)
			is_copy = is_same_file(tgid, seen[i], fd);
		if (is_copy)
			continue;
		if (n_seen < VM_FILES_MAX)
			seen[n_seen++] = fd;
		n++;
	}
	*ret = n ?: has_vcpu;
	return 0;
}
