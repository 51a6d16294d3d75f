/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose a systemd unit is: a VM's own, or shared with something that must not stop with it. Quiet. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UNIT_CGROUP_ROOT "/sys/fs/cgroup"

/* The path of the unit's cgroup, out of that of a process in it: up to the component that is the unit. -ENOENT
 * where the path has none, -ENAMETOOLONG. */
int unit_cgroup(const char *cgroup, const char *unit, char *ret, size_t size);

/*
 * Does the unit hold nothing but the process and what it started? root is where cgroups are mounted. 0; else,
 * with the reason in words: -EBUSY where it holds other processes, -ENOENT where pid is not in it, -EOPNOTSUPP
 * where that cannot be told.
 */
int unit_is_own(const char *root, const char *cgroup, const char *unit, uint32_t pid,
		char *ret_reason, size_t size);
