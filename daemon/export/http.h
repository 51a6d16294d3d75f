/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The exporter's HTTP server, on the daemon's own loop: GET and HEAD of /, what that page loads, and
 * /metrics. Every page is prepared whole; nothing ever waits for a client. Connections, requests, pages on their way and the time
 * for each are bounded, and what is cut is counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "export/metrics.h"

#define HTTP_CLIENTS_MAX 32	 /* open connections; for one more the oldest is cut */
#define HTTP_CLIENTS_PER_PEER 16 /* of them from one address; all of a unix socket are one */
#define HTTP_PAGES_MAX 4	 /* pages that clients have not taken yet; further ones get 503 */
#define HTTP_IDLE_SECONDS 10	 /* without a byte either way */
#define HTTP_REQUEST_SECONDS \
	30 /* from the connection or the last answer to the next answer taken */

struct http;

enum http_page {
	HTTP_PAGE_INDEX,
	HTTP_PAGE_METRICS_TEXT,
	HTTP_PAGE_METRICS_OPENMETRICS,
};

struct http_params {
	const char *address; /* as in listen.h; not looked at where a socket is inherited */
	int listen_fd;	     /* inherited socket, taken over whatever happens; or -1 */
	bool may_be_remote;  /* other hosts may be let in */
	int64_t priority;    /* on the loop, sd_event_source_set_priority(3) */
	unsigned int idle_seconds, request_seconds; /* 0: as above */

	/* The text of a page, malloc'ed; number is what was asked for as ?page=, 1 without. 0 or -errno, which
	 * the client sees as 500. */
	int (*render)(void *userdata, enum http_page page, unsigned int number, char **ret_text,
		      size_t *ret_size);
	void *userdata;
};

/* Logging. 0, and NULL in *ret where the address is "off"; -errno where it cannot be listened on. */
int http_new(sd_event *event, const struct http_params *params, struct http **ret);
struct http *http_free(struct http *h);

/* Where it listens, with the port that the kernel chose: for people and D-Bus. */
const char *http_get_address(const struct http *h);

/* Valid as long as h. */
const struct metrics_http *http_get_stats(const struct http *h);
