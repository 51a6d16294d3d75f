/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keys of policy files: one table, which the parser reads by, the schema is printed from and the messages
 * are made of.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"

enum policy_key_type {
	POLICY_KEY_VERSION,	/* the number 1 */
	POLICY_KEY_ID,		/* char[POLICY_ID_SIZE] */
	POLICY_KEY_TEXT,	/* any string; not kept */
	POLICY_KEY_BOOL,	/* bool */
	POLICY_KEY_U32,		/* uint32_t, min to max */
	POLICY_KEY_ENUM,	/* uint8_t */
	POLICY_KEY_ENUM_SET,	/* array of names, at least one; uint8_t, a bit each */
	POLICY_KEY_PATTERNS,	/* string or array of strings, at least one; char ** */
	POLICY_KEY_OBJECT,	/* by `object`, in place */
	POLICY_KEY_LIST,	/* array of at most max objects, by `object`; at least min */
	POLICY_KEY_ONE_OR_LIST, /* likewise, or one object by itself */
	_POLICY_KEY_TYPE_MAX,
};

struct policy_object;

struct policy_key {
	const char *name;
	enum policy_key_type type;
	size_t offset; /* of the field in the target */
	uint32_t min, max;
	const char *(*to_string)(
		int value); /* ENUM, ENUM_SET, and PATTERNS of given words; NULL past the end */
	bool (*normalise)(char *text); /* PATTERNS: false if it is none; may change it in place */
	const struct policy_object *object;
	bool is_required;
	const char *valid; /* what is valid, for people; NULL: made of the type */
	const char *about; /* a sentence for the schema */
};

struct policy_object {
	const char *title;
	const struct policy_key *keys;
	size_t n_keys;
};

/* What a rate's keys are read into. */
struct policy_rate_text {
	uint32_t limit, interval_ms, burst, min_delay_ms, max_delay_ms, quiet_ms;
	uint8_t kinds, privileges, then;
};

/* Which keys of a rate were given, a bit each in the order of its table. */
enum policy_rate_key {
	POLICY_RATE_KINDS,
	POLICY_RATE_PRIVILEGES,
	POLICY_RATE_LIMIT,
	POLICY_RATE_INTERVAL,
	POLICY_RATE_BURST,
	POLICY_RATE_THEN,
	POLICY_RATE_MIN_DELAY,
	POLICY_RATE_MAX_DELAY,
	POLICY_RATE_QUIET,
};

#define POLICY_FILE_VERSION 1

/* In the table of a rule, the settings come last, in the order of enum policy_setting. */
#define POLICY_RULE_FIRST_SETTING 3

extern const struct policy_object policy_file_object, policy_rule_object, policy_match_object,
	policy_rate_object, policy_settings_object;

/* What is valid for a key, for people; cut to size. */
void policy_key_valid(const struct policy_key *key, char *buffer, size_t size);
