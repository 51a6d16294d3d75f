/* SPDX-License-Identifier: GPL-2.0-only */
/* Policies as JSON: of the host and of each VM. */
#pragma once

#include <json-c/json.h>

#include "policy/ledger.h"
#include "policy/storms.h"

/* What is in force on the whole: files, number of rules and overrides. NULL (JSON null) without any. */
struct json_object *json_from_ledger(const struct ledger *l);

/*
 * Each setting with its value, effect, source, rule, reason, advice and end. NULL (JSON null) where there are
 * neither rules nor overrides.
 */
struct json_object *json_from_policy(const struct ledger *l, const struct vm *vm);

/*
 * What the kernel counted by the VM's policy: decisions it would have taken, storms, time throttled. NULL (JSON null)
 * where it keeps nothing of the VM.
 */
struct json_object *json_from_storms(const struct storms *s, const struct vm *vm);

/* Does an override have it frozen? */
bool json_policy_is_frozen(const struct ledger *l, const struct vm *vm);

/* All rules in force, by the keys of policy files and with file and line, and all overrides. */
struct json_object *json_from_rules(const struct ledger *l);
