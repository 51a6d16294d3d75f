// SPDX-License-Identifier: GPL-2.0-only
/* Look at one process so that a reused pid cannot pass for it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "source/process.h"
#include "source/procfs.h"
#include "util/macro.h"

#define ARGS_MAX 65536 /* a VM with many disks has some 10 KiB; names stand at the start */
#define TEXT_MAX 4096

static int open_pidfd(uint32_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int process_new(uint32_t pid, struct process **ret)
{
	struct process *p;
	int dir, r;

	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->pid = pid;
	p->pidfd = open_pidfd(pid);
	if (p->pidfd == -ESRCH || p->pidfd == -EINVAL) { /* -EINVAL: now another process's thread */
		p->pidfd = -1;
		process_free(p);
		return -ESRCH;
	}
	if (p->pidfd < 0)
		p->pidfd = -1;

	dir = procfs_open(pid);
	r = dir < 0 ? dir : procfs_start_time(dir, &p->start_ticks);
	if (dir >= 0)
		close(dir);
	if (r >= 0)
		r = process_read_identity(p, &p->tracker.identity);
	if (r < 0) {
		process_free(p);
		return r == -ENOENT ? -ESRCH : r;
	}
	*ret = p;
	return 0;
}

struct process *process_free(struct process *p)
{
	if (!p)
		return NULL;
	sd_event_source_disable_unref(p->exit_source);
	if (p->pidfd >= 0)
		close(p->pidfd);
	tracker_done(&p->tracker);
	free(p);
	return NULL;
}

bool process_has_ended(const struct process *p)
{
	struct pollfd poll_fd = {.fd = p->pidfd, .events = POLLIN};

	return p->pidfd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

int process_read_identity(const struct process *p, struct cetd_identity *ret)
{
	_cleanup_(freep) char *args = malloc(ARGS_MAX);
	_cleanup_(closep) int dir = -1;
	char exe[TEXT_MAX] = "", comm[64] = "", cgroup[TEXT_MAX] = "";
	struct cetd_identity identity;
	uint64_t start_ticks;
	ssize_t n;
	int r;

	if (!args)
		return -ENOMEM;
	dir = procfs_open(p->pid);
	if (dir < 0)
		return dir;
	r = procfs_start_time(dir, &start_ticks);
	if (r < 0 || start_ticks != p->start_ticks)
		return -ESRCH;

	/* Each is worth having without the others; a process may also hide from us. */
	n = procfs_read(dir, "cmdline", args, ARGS_MAX);
	procfs_read_link(dir, "exe", exe, sizeof(exe));
	procfs_read(dir, "cgroup", cgroup, sizeof(cgroup));
	if (procfs_read(dir, "comm", comm, sizeof(comm)) > 0)
		comm[strcspn(comm, "\n")] = '\0';
	/* If it has not ended by now, all this was its own. */
	if (process_has_ended(p))
		return -ESRCH;

	identity_resolve(
		&(struct identity_process){
			.pid = p->pid,
			.exe = exe,
			.comm = comm,
			.args = args,
			.args_size = n > 0 ? (size_t)n : 0,
			.cgroup = cgroup,
		},
		&p->machine, &identity);
	*ret = identity;
	return 0;
}

int process_compare_age(const void *a, const void *b)
{
	const struct process *x = *(struct process *const *)a, *y = *(struct process *const *)b;

	if (x->start_ticks != y->start_ticks)
		return x->start_ticks < y->start_ticks ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}
