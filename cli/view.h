/* SPDX-License-Identifier: GPL-2.0-only */
/* The screen of cetctl top: a header, the rows that fit, a line of help. */
#pragma once

#include <stddef.h>

#include "table.h"

struct view {
	const struct options *options;
	struct table table;
	json_object *snapshot;
	char *trouble; /* why the snapshot is old; NULL: it is not */
	size_t scroll; /* first row shown; view_draw() keeps it in bounds */
};

/* Compose the screen, then write it at once: it never flickers and is never half old. */
void view_draw(struct view *view);
