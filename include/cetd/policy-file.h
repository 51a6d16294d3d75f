/* SPDX-License-Identifier: GPL-2.0-only */
/* Policy files for those who do not run the daemon: what is right and wrong in them. Linked into cetctl. */
#pragma once

#include <stddef.h>

/*
 * Read files as the daemon would, together as those of one directory. 0 and how many rules they hold; a negative
 * errno and a message, to be freed, that names file, line, key, what was found and what is valid.
 */
int cetd_policy_check(const char *const *paths, size_t n, size_t *ret_rules, char **ret_message);

/* The JSON Schema of policy files, to be freed; NULL: out of memory. */
char *cetd_policy_schema(void);
