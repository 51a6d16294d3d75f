// SPDX-License-Identifier: GPL-2.0-only
/* Look at one process so that a reused pid cannot pass for it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "source/vmm.h"
#include "source/procfs.h"
#include "util/macro.h"

#define ARGS_MAX 65536 /* a VM with many disks has some 10 KiB; names stand at the start */
#define TEXT_MAX 4096
#define FILES_RESERVED 64

/* The last descriptors are for those who cannot do without, such as the scan itself. */
static int open_pidfd(uint32_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct rlimit limit;

	if (fd < 0)
		return -errno;
	if (getrlimit(RLIMIT_NOFILE, &limit) >= 0 &&
	    (rlim_t)fd + FILES_RESERVED >= limit.rlim_cur) {
		close(fd);
		return -EMFILE;
	}
	return fd;
}

static int read_start_time(uint32_t pid, uint64_t *ret_ticks)
{
	_cleanup_(closep) int dir = procfs_open(pid);

	return dir < 0 ? dir : procfs_start_time(dir, ret_ticks);
}

int vmm_new(uint32_t pid, struct vmm **ret)
{
	struct vmm *v;
	int r;

	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->pid = pid;
	v->pidfd = open_pidfd(pid);
	if (v->pidfd == -ESRCH || v->pidfd == -EINVAL) { /* -EINVAL: now another process's thread */
		v->pidfd = -1;
		vmm_free(v);
		return -ESRCH;
	}
	if (v->pidfd < 0)
		v->pidfd = -1;

	r = read_start_time(pid, &v->start_ticks);
	if (r >= 0)
		r = vmm_read_identity(v, &v->tracker.identity);
	if (r < 0) {
		vmm_free(v);
		return r == -ENOENT ? -ESRCH : r;
	}
	*ret = v;
	return 0;
}

struct vmm *vmm_free(struct vmm *v)
{
	if (!v)
		return NULL;
	sd_event_source_disable_unref(v->exit_source);
	if (v->pidfd >= 0)
		close(v->pidfd);
	tracker_done(&v->tracker);
	free(v);
	return NULL;
}

bool vmm_has_ended(const struct vmm *v)
{
	struct pollfd poll_fd = {.fd = v->pidfd, .events = POLLIN};
	uint64_t start_ticks;
	int r;

	if (v->pidfd >= 0)
		return poll(&poll_fd, 1, 0) > 0;
	r = read_start_time(v->pid, &start_ticks);
	return r == -ENOENT || r == -ESRCH || (r >= 0 && start_ticks != v->start_ticks);
}

int vmm_read_identity(const struct vmm *v, struct cetd_identity *ret)
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
	dir = procfs_open(v->pid);
	if (dir < 0)
		return dir;
	r = procfs_start_time(dir, &start_ticks);
	if (r < 0 || start_ticks != v->start_ticks)
		return -ESRCH;

	/* Each is worth having without the others; a process may also hide from us. */
	n = procfs_read(dir, "cmdline", args, ARGS_MAX);
	procfs_read_link(dir, "exe", exe, sizeof(exe));
	procfs_read(dir, "cgroup", cgroup, sizeof(cgroup));
	if (procfs_read(dir, "comm", comm, sizeof(comm)) > 0)
		comm[strcspn(comm, "\n")] = '\0';
	/* If it has not ended by now, all this was its own. */
	if (vmm_has_ended(v))
		return -ESRCH;

	identity_resolve(
		&(struct identity_process){
			.pid = v->pid,
			.exe = exe,
			.comm = comm,
			.args = args,
			.args_size = n > 0 ? (size_t)n : 0,
			.cgroup = cgroup,
		},
		&v->machine, &identity);
	*ret = identity;
	return 0;
}

int vmm_compare_age(const void *a, const void *b)
{
	const struct vmm *x = *(struct vmm *const *)a, *y = *(struct vmm *const *)b;

	if (x->start_ticks != y->start_ticks)
		return x->start_ticks < y->start_ticks ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}
