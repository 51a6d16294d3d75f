/* SPDX-License-Identifier: GPL-2.0-only */
/* A directory of pins in bpffs: what is in it lives on without the process that made it. Quiet. */
#pragma once

#include <limits.h>
#include <stddef.h>

#define BPFFS_PATH_SIZE PATH_MAX

/* What is to take the place of another pin is made under its name with this before it. */
#define BPFFS_NEW "new-"

/*
 * Make the directory if it is not there, and keep others from using it for as long as *ret_fd is open. What did not
 * come to take a pin's place is removed.
 * -EOPNOTSUPP: not in bpffs; -EBUSY: another process has it; -EACCES, -EROFS and the like.
 */
int bpffs_claim(const char *dir, int *ret_fd);

/* DIR/PREFIX-NAME, with underscores for the dots in NAME, which bpffs refuses. -ENAMETOOLONG. */
int bpffs_path(const char *dir, const char *prefix, const char *name, char *ret, size_t size);

/* Remove the pins whose name starts with prefix ("": all). Returns how many there were. */
int bpffs_clear(const char *dir, const char *prefix);

/* Remove the directory and all pins in it. Returns how many there were; -ENOENT: no directory. */
int bpffs_remove(const char *dir);
