/* SPDX-License-Identifier: GPL-2.0-only */
/* What the views show about the daemon itself; owned and filled by cetd.c. */
#pragma once

#include <stdint.h>

#include "policy/ledger.h"
#include "policy/storms.h"

struct export_context {
	uint64_t start_usec;	     /* CLOCK_REALTIME */
	const char *recording;	     /* file being replayed, or NULL */
	const char *config_file;     /* file in force, or NULL for built-in defaults */
	const char *metrics_address; /* where the exporter listens, or NULL */
	const struct ledger *ledger; /* rules, overrides and verdicts, or NULL */
	const struct storms *storms; /* what the kernel counts and keeps by policies, or NULL */
};
