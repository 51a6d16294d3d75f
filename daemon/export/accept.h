/* SPDX-License-Identifier: GPL-2.0-only */
/* Content negotiation for /metrics (RFC 9110, "Accept"). */
#pragma once

#include "export/metrics.h"

/* Weights in thousandths, -1 where the client named nothing that fits. All -1 before the first header. */
struct accept {
	int openmetrics;
	int text, text_any, any; /* from the most specific to the least */
};

void accept_init(struct accept *a);

/* Take one Accept header in; a request may have several. What cannot be understood is passed over. */
void accept_add(struct accept *a, const char *header);

/*
 * OpenMetrics where the client asks for it by name and does not like the older text better; else the older
 * text, even where the client named neither: an exporter answers with what it has.
 */
enum metrics_format accept_choose(const struct accept *a);
