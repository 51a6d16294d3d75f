/* SPDX-License-Identifier: GPL-2.0-only */
/* The text of a policy file to rules, and the JSON Schema that says the same. Pure. */
#pragma once

#include <json-c/json.h>

#include "policy/policy.h"

/*
 * Append the rules of a file to set. text is NUL-terminated. 0; -EBADMSG with a message that names file, line,
 * key, what was found and what is valid; -ENOMEM. On failure set is not to be used any further.
 */
int policy_parse(struct policy_set *set, const char *name, const char *text, size_t size,
		 char **ret_message);

/*
 * Settings alone, { "mode": …, "cp_rate": … }, as overrides are given and stored. Fills values, with `sets`. As
 * above; name stands for the file.
 */
int policy_parse_settings(const char *name, const char *text, size_t size,
			  struct policy_values *ret, char **ret_message);

/* JSON Schema (draft 2020-12) of policy files; a new reference, NULL when out of memory. */
struct json_object *policy_schema(void);
