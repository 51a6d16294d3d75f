/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's JSON: looking things up by path, and printing it. Paths are dotted; null means "not seen". */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include "cetctl.h"

static inline void doc_putp(json_object **o)
{
	json_object_put(*o);
}
#define _cleanup_doc_ _cleanup_(doc_putp)

/* Parse what the daemon sent. Logging. */
enum exit_code doc_parse(const char *text, const char *what, json_object **ret);

/* Borrowed; NULL where there is nothing, or null. */
json_object *doc_get(json_object *o, const char *path);
const char *doc_text(json_object *o, const char *path);
bool doc_is_true(json_object *o, const char *path);
uint64_t doc_number(json_object *o, const char *path);
/* How many an array has; 0 of what is no array: a daemon elsewhere may be another version, or not honest. */
size_t doc_length(json_object *array);

/* What "now" is to a snapshot's data: a replayed one lives in the time of its recording. */
uint64_t doc_data_now(struct json_object *snapshot);

/* The sum of every number at or below path, where * stands for every key of an object. False where it
 * cannot be seen: something on the way is null or missing. */
bool doc_sum(json_object *o, const char *path, uint64_t *ret);

/* The state of the fact is known, and not "unobservable". */
bool doc_shows(json_object *coverage, const char *fact);

/* Append a string to an array; nothing where memory ran out. */
void doc_say(json_object *array, const char *format, ...) _printf_(2, 3);

/* Print, as --json says, with a newline. */
enum exit_code doc_print(FILE *f, json_object *o, enum json_mode mode);
