/* SPDX-License-Identifier: GPL-2.0-only */
/* Settings and rules as JSON by the keys of policy files: what is printed is read back as the same. Pure. */
#pragma once

#include <json-c/json.h>

#include "policy/policy.h"

/* New references. A value's is NULL where setting is none. */
struct json_object *policy_value_to_json(const struct policy_values *v, int setting);
struct json_object *policy_settings_to_json(const struct policy_values *v); /* what is in `sets` */
struct json_object *policy_rule_to_json(const struct policy_rule *rule);
