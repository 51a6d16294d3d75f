/* SPDX-License-Identifier: GPL-2.0-only */
/* What /proc says of a process. Quiet; nothing here needs more rights than any user has, but for the links
 * (exe, fd), which need those of a debugger. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A process id as /proc spells it; -EINVAL for anything else. */
int procfs_parse_pid(const char *text, uint32_t *ret);

/* An fd of /proc/PID, which goes on meaning the same process: reads fail with -ESRCH once it has ended. */
int procfs_open(uint32_t pid);

/* Read a file of the process, at most size - 1 bytes, and end it with a NUL. Returns the bytes read. */
ssize_t procfs_read(int dir_fd, const char *file, char *buf, size_t size);

/* Likewise for a link. */
ssize_t procfs_read_link(int dir_fd, const char *link, char *buf, size_t size);

/* When the process started, in clock ticks since boot: with the pid, this names a process for good. */
int procfs_start_time(int dir_fd, uint64_t *ret_ticks);

/* The start time in the text of /proc/PID/stat, whatever the command is called; -EBADMSG. For tests. */
int procfs_parse_start_time(const char *stat, uint64_t *ret_ticks);

/* Did the process that has the id now start after time_ns (CLOCK_MONOTONIC)? False where that is not known. */
bool procfs_is_younger(uint32_t pid, uint64_t time_ns);

/* The process that a thread belongs to. */
int procfs_find_tgid(uint32_t tid, uint32_t *ret_tgid);

/* Is the link, such as "/proc/self/ns/pid", one to a PID namespace other than the first? False where it cannot
 * be read. In such a namespace the process ids that BPF and uevents tell are not those of /proc. */
bool procfs_is_own_pid_namespace(const char *link);

/* How many VMs the process has files of. Copies of one file count once where kcmp(2) may be used, else each
 * for itself. A process that has only vCPUs' files counts as having one. -EACCES where they may not be seen. */
int procfs_count_vms(uint32_t tgid, unsigned int *ret);
