/* SPDX-License-Identifier: GPL-2.0-only */
/* What the landing page loads: its script and its style, built in. */
#pragma once

#include <stddef.h>

struct asset {
	const char *path; /* of the URL */
	const char *type;
	const char *data, *end;
};

extern const struct asset assets[];
extern const size_t n_assets;
