/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON with comments as people write it: json-c does the parsing, and this finds the place of what it found, so
 * that every refusal can name file, line, key, what was found and what is valid. Quiet.
 */
#pragma once

#include <stddef.h>

#include <json-c/json.h>

#define JSONTEXT_MAX (1024 * 1024)
#define JSONTEXT_NOWHERE ((size_t)-1)

struct jsontext {
	const char *name; /* of the file, for messages */
	const char *text; /* NUL-terminated, no NUL before the end */
	size_t size;
	char **ret_message; /* set by jsontext_fail(), to be freed by the caller */
	size_t line_at;	    /* where `line` is, so that lines in rising order are counted once */
	unsigned int line;
};

/* Read a regular file of at most JSONTEXT_MAX bytes, with a NUL added. 0; -ENOENT without a message where there is none,
 * not even a link to nowhere; other errors with *ret_message, to be freed. */
int jsontext_read(const char *path, char **ret_text, size_t *ret_size, char **ret_message);

/* Likewise, of at most max bytes. */
int jsontext_read_max(const char *path, size_t max, char **ret_text, size_t *ret_size,
		      char **ret_message);

/* Sets the message, "name:line: …", or "name: …" where at is JSONTEXT_NOWHERE; what a terminal or a bus should not get
 * is '?' in it. Returns -EBADMSG. */
int jsontext_fail(struct jsontext *t, size_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A value as it stands in the text, for messages; json-c's, until the value is made text again. */
const char *jsontext_quote(struct json_object *value);

unsigned int jsontext_line(struct jsontext *t, size_t at);

/* One JSON object, nothing after it. 0 and a reference; -EBADMSG with a message; -ENOMEM. ret_at: its place. */
int jsontext_parse(struct jsontext *t, struct json_object **ret, size_t *ret_at);

/* Places in a text that has been parsed. Comments and white space before the place are stepped over. */

/* The key of the object at `at`, or JSONTEXT_NOWHERE; *ret_value: its value. after: JSONTEXT_NOWHERE for the
 * first of that name, or what an earlier call returned for the next. */
size_t jsontext_find_key(const struct jsontext *t, size_t at, const char *key, size_t after,
			 size_t *ret_value);

/* The first element of the array at `at`, and the one after the element at `at`; JSONTEXT_NOWHERE at the end. */
size_t jsontext_first(const struct jsontext *t, size_t at);
size_t jsontext_next(const struct jsontext *t, size_t at);

/* Refuse a key that is not among names[0..n): which is near, or all_are_where, "cetd --help-config". */
int jsontext_unknown_key(struct jsontext *t, size_t at, const char *key, const char *const *names,
			 size_t n, const char *all_are_where);
