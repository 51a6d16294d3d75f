/* SPDX-License-Identifier: GPL-2.0-only */
/* A report of diagnose.h as text for people, wrapped and safe on a terminal. */
#pragma once

#include <stdio.h>

#include <json-c/json.h>

#include "cetctl.h"

void explain_print(FILE *f, const struct options *options, json_object *report);
