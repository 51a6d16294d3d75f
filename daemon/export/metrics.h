/* SPDX-License-Identifier: GPL-2.0-only */
/* The model as Prometheus text 0.0.4 or OpenMetrics 1.0, from one table of metric families. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "export/process.h"
#include "model/model.h"
#include "policy/ledger.h"
#include "policy/storms.h"

enum metrics_format {
	METRICS_FORMAT_TEXT,
	METRICS_FORMAT_OPENMETRICS,
	_METRICS_FORMAT_MAX,
};

/* Running figures of the HTTP server. */
enum metrics_http_code {
	METRICS_HTTP_200,
	METRICS_HTTP_404,
	METRICS_HTTP_405,
	METRICS_HTTP_413, /* a request with a body */
	METRICS_HTTP_500,
	METRICS_HTTP_503, /* too much is being sent already */
	_METRICS_HTTP_CODE_MAX,
};

enum metrics_http_drop {
	METRICS_HTTP_DROP_EVICTED,    /* the oldest, when too many were open */
	METRICS_HTTP_DROP_DEADLINE,   /* a request not sent or an answer not taken in time */
	METRICS_HTTP_DROP_NO_REQUEST, /* closed without one request that could be understood */
	_METRICS_HTTP_DROP_MAX,
};

struct metrics_http {
	uint64_t connections; /* open now */
	uint64_t accepted;
	uint64_t responses[_METRICS_HTTP_CODE_MAX];
	uint64_t dropped[_METRICS_HTTP_DROP_MAX];
	uint64_t scrape_ns; /* time the latest scrape took to prepare; 0: there was none */
};

struct metrics_program {
	const char *name;
	uint64_t run_ns, runs;
};

/* What is exported beside the model. A figure that is not known is left out, never printed as 0. */
struct metrics_context {
	const char *version;
	const struct process_stats *process;	/* NULL: unknown */
	const struct metrics_http *http;	/* NULL: no server */
	const struct metrics_program *programs; /* while the kernel keeps BPF statistics */
	size_t n_programs;
	const struct ledger *ledger;		   /* verdicts; NULL: there are no policies */
	const struct storms *storms;		   /* NULL: nothing can be enforced */
	const struct cetd_policy_control *control; /* NULL: the kernel's hook is not used */
};

/* The value of Content-Type that goes with a format. */
const char *metrics_content_type(enum metrics_format format);

/* Render everything, NUL-terminated. Quiet; 0 or -ENOMEM. */
int metrics_render(const struct model *m, const struct metrics_context *context,
		   enum metrics_format format, char **ret_text, size_t *ret_size);
