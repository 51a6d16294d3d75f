// SPDX-License-Identifier: GPL-2.0-only
/* A unit's processes, read from its cgroup and those below it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "enforce/unit.h"
#include "util/macro.h"

/* Of a unit that may be a VM's own: what is in it is the VMM's to choose, and nothing else goes on meanwhile. */
#define DEPTH_MAX 8	   /* of cgroups below the unit's */
#define CGROUPS_MAX 2048   /* libvirt makes one a vCPU */
#define PROCESSES_MAX 4096 /* in all of them */
#define LOOKS_MAX 8192	   /* at who a process's parent is */
#define ANCESTORS_MAX 64   /* of a process */

/* Where systemd names processes: v2, or beside v1. */
static const char *const hierarchies[] = {"", "/systemd", "/unified"};

int unit_cgroup(const char *cgroup, const char *unit, char *ret, size_t size)
{
	size_t n = strlen(unit);

	for (const char *s = cgroup; n && (s = strchr(s, '/')); s++) {
		/* systemd prefixes what would clash with a kernel file by "_". */
		const char *part = s + 1 + (s[1] == '_' && *unit != '_');

		if (strncmp(part, unit, n) || (part[n] && part[n] != '/'))
			continue;
		if ((size_t)(part + n - cgroup) >= size)
			return -ENAMETOOLONG;
		snprintf(ret, size, "%.*s", (int)(part + n - cgroup), cgroup);
		return 0;
	}
	return -ENOENT;
}

/* 0 where there is none, or it cannot be told. */
static uint32_t parent_of(uint32_t pid)
{
	char path[32], text[512], *end;
	uint32_t parent;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	closep(&fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	/* The command is in brackets, and may hold any character. */
	end = strrchr(text, ')');
	return end && sscanf(end, ") %*c %u", &parent) == 1 ? parent : 0;
}

struct census {
	uint32_t pid;	/* the VM's */
	uint32_t other; /* one that is not; 0: none */
	unsigned int n, n_cgroups, n_looks;
	bool has_pid;
};

static bool is_full(const struct census *c)
{
	return c->n > PROCESSES_MAX || c->n_cgroups > CGROUPS_MAX || c->n_looks > LOOKS_MAX;
}

static bool is_descendant(uint32_t pid, struct census *c)
{
	for (int i = 0; pid && i < ANCESTORS_MAX; i++, pid = parent_of(pid), c->n_looks++)
		if (pid == c->pid)
			return true;
	return false;
}

static int count_processes(int dir, struct census *c)
{
	int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	uint32_t pid;
	int r = 0;

	if (!f) {
		r = errno == ENOENT || errno == ENODEV ? 0 : -errno; /* it was removed meanwhile */
		closep(&fd);
		return r;
	}
	errno = 0;
	while (!is_full(c) && fscanf(f, "%u", &pid) == 1) {
		c->n++;
		c->has_pid |= pid == c->pid;
		/* One that has ended meanwhile has no parent, and is none any more. */
		if (!c->other && !is_descendant(pid, c) && (!pid || parent_of(pid)))
			c->other = pid ?: UINT32_MAX;
	}
	/* A threaded cgroup tells its processes in the cgroup that it belongs to. */
	if (ferror(f) && errno != EOPNOTSUPP && errno != ENODEV)
		r = -errno;
	fclose(f);
	return r;
}

/* Takes fd over. */
static int walk(int fd, int depth, struct census *c)
{
	DIR *d = fdopendir(fd);
	int r, child;

	if (!d) {
		r = -errno;
		close(fd);
		return r;
	}
	c->n_cgroups++;
	r = count_processes(fd, c);
	for (struct dirent *e; r >= 0 && !c->other && !is_full(c) && (e = readdir(d));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		child = depth ? openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		if (!depth)
			r = -ELOOP;
		else if (child >= 0)
			r = walk(child, depth - 1, c);
		else if (errno != ENOENT) /* it was removed meanwhile */
			r = -errno;
	}
	closedir(d);
	return r;
}

static int open_cgroup(const char *root, const char *path)
{
	char full[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(hierarchies); i++) {
		int fd, n = snprintf(full, sizeof(full), "%s%s%s/cgroup.procs", root,
				     hierarchies[i], path);

		if (n < 0 || (size_t)n >= sizeof(full))
			return -ENAMETOOLONG;
		if (access(full, F_OK) < 0)
			continue;
		*strrchr(full, '/') = '\0';
		fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

static int refuse(char *reason, size_t size, int error, const char *unit, const char *why)
{
	snprintf(reason, size, "%s %s", unit, why);
	return error;
}

static int refuse_shared(char *reason, size_t size, const char *unit, uint32_t pid)
{
	char path[32], comm[20] = "?";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	f = fopen(path, "re");
	if (f && !fgets(comm, sizeof(comm), f))
		snprintf(comm, sizeof(comm), "?");
	if (f)
		fclose(f);
	comm[strcspn(comm, "\n")] = '\0';
	snprintf(reason, size,
		 "%s is not the VM's alone: process %u (%s) is in it, too; give the VM a unit of "
		 "its "
		 "own, such as by systemd-run --scope",
		 unit, pid, comm);
	return -EBUSY;
}

int unit_is_own(const char *root, const char *cgroup, const char *unit, uint32_t pid,
		char *ret_reason, size_t size)
{
	struct census c = {.pid = pid};
	char path[PATH_MAX];
	int fd, r;

	r = unit_cgroup(cgroup, unit, path, sizeof(path));
	fd = r < 0 ? r : open_cgroup(root, path);
	if (fd < 0)
		return refuse(
			ret_reason, size, -EOPNOTSUPP, unit,
			"has no cgroup that cetd can see, so it cannot be told what else is in it");
	r = walk(fd, DEPTH_MAX, &c);
	if (c.other)
		return refuse_shared(ret_reason, size, unit, c.other);
	if (r < 0 || is_full(&c))
		return refuse(ret_reason, size, -EOPNOTSUPP, unit,
			      "has processes that cannot all be read, so it may hold others' too");
	if (!c.has_pid)
		return refuse(ret_reason, size, -ENOENT, unit, "does not hold the VM any more");
	return 0;
}
