/* SPDX-License-Identifier: GPL-2.0-only */
/* The directory of policy files. */
#pragma once

#include "policy/policy.h"

#define POLICY_FILES_MAX 1024

/*
 * Read all files of the directory that end in .json and do not begin with a dot, in the order of the bytes of
 * their names: all of them, or nothing. 0; -ENOENT where there is no such directory, not even a link to nowhere;
 * -EBADMSG and other errors with *ret_message, to be freed. Quiet.
 */
int policy_dir_read(const char *path, struct policy_set **ret, char **ret_message);

/* One file, by its path, as it would be read from the directory. */
int policy_file_read(const char *path, struct policy_set *set, char **ret_message);
