/* SPDX-License-Identifier: GPL-2.0-only */
/* The page that a browser finds at the exporter's address: what is seen, what is not, and the VMs. */
#pragma once

#include "export/metrics.h"

#define LANDING_VMS_MAX 500 /* rows; the page says how many more there are */

/* Static HTML, NUL-terminated. Quiet; 0 or -ENOMEM. */
int landing_render(const struct model *m, const struct metrics_context *context, char **ret_text,
		   size_t *ret_size);
