/* SPDX-License-Identifier: GPL-2.0-only */
/* The page that a browser finds at the exporter's address: what is seen, what is not, and the VMs. */
#pragma once

#include "export/metrics.h"

#define LANDING_VMS_MAX 100 /* rows of one page */

/*
 * HTML that is whole without scripts, NUL-terminated; page/page.js takes it again and again and draws charts from
 * it. VMs with the most #CP come first; page counts from 1, and one that is not there is the nearest that is.
 * Quiet; 0 or -ENOMEM.
 */
int landing_render(const struct model *m, const struct metrics_context *context, unsigned int page,
		   char **ret_text, size_t *ret_size);
