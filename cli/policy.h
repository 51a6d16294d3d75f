/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of `cetctl policy`. Each gets the arguments after its name. */
#pragma once

#include <json-c/json.h>

#include "cetctl.h"

enum exit_code policy_list(struct ctl *ctl, int argc, char **argv);
enum exit_code policy_show(struct ctl *ctl, int argc, char **argv);
enum exit_code policy_explain(struct ctl *ctl, int argc, char **argv);
enum exit_code policy_set(struct ctl *ctl, int argc, char **argv);
enum exit_code policy_clear(struct ctl *ctl, int argc, char **argv);

/* A setting's value in a word or two; cut to size. */
void policy_value_text(json_object *value, char *buffer, size_t size);
