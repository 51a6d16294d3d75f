/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Configuration files: JSON with comments, read by json-c into a struct through a table of items. Every
 * refusal names the file, the line, the key, what was found and what is valid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_BOOL,   /* bool */
	CONFIG_U32,    /* uint32_t, min to max */
	CONFIG_STRING, /* char * of the target, owned; printable, and checked by check where given */
};

struct config_item {
	const char *key; /* "section.name" or "name" */
	enum config_type type;
	size_t offset; /* of the field in the target */
	uint32_t min, max;
	bool (*check)(const char *value);
	const char *valid; /* what is valid, for people */
};

/*
 * Read path into target, which holds the defaults. 0; -ENOENT where there is no such file; -EBADMSG and other
 * errors with *ret_message, to be freed. Quiet. On failure target may be half filled: hand in a copy.
 */
int config_read(const char *path, const struct config_item *items, size_t n, void *target,
		char **ret_message);
