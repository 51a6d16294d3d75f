// SPDX-License-Identifier: GPL-2.0-only
/*
 * HTTP: the bytes of one connection, in pieces (the first byte says how large), to the exporter's server; and as an
 * Accept header by itself. It answers with HTTP or not at all, and forgets who has left.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <systemd/sd-event.h>

#include "../lib/sample-model.h"
#include "export/accept.h"
#include "export/http.h"
#include "export/landing.h"
#include "fuzz.h"

static sd_event *event;
static struct http *http;
static struct model *model;
static struct sockaddr_un address;
static socklen_t address_size;

static int on_render(void *userdata _unused_, enum http_page page, unsigned int number,
		     char **ret_text, size_t *ret_size)
{
	const struct metrics_context context = {.version = "1", .http = http_get_stats(http)};

	if (page == HTTP_PAGE_INDEX)
		return landing_render(model, &context, number, ret_text, ret_size);
	return metrics_render(model, &context,
			      page == HTTP_PAGE_METRICS_TEXT ? METRICS_FORMAT_TEXT
							     : METRICS_FORMAT_OPENMETRICS,
			      ret_text, ret_size);
}

/* An abstract socket that the kernel names: nothing is left in the file system. */
static void start(void)
{
	const enum cetd_coverage states[_CETD_FACT_MAX] = {CETD_COVERAGE_OBSERVED};
	struct http_params params = {.render = on_render};
	struct cetd_identity id = sample_identity(1);

	log_set_max_level(LOG_EMERG);
	FUZZ_CHECK(model_new(2, &model) == 0 &&
		   sample_host(model, states, CETD_FAMILY_STOCK) == 0 &&
		   sample_vm(model, &id) == 0);
	params.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address = (struct sockaddr_un){.sun_family = AF_UNIX};
	FUZZ_CHECK(bind(params.listen_fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	FUZZ_CHECK(listen(params.listen_fd, 8) == 0);
	address_size = sizeof(address);
	FUZZ_CHECK(getsockname(params.listen_fd, (struct sockaddr *)&address, &address_size) == 0);
	FUZZ_CHECK(sd_event_new(&event) >= 0 && http_new(event, &params, &http) >= 0 && http);
}

static void turn(void)
{
	for (int i = 0; i < 50 && sd_event_run(event, 0) > 0; i++)
		;
}

/* Take what there is; the first bytes are kept. */
static void receive(int fd, char *first, size_t *n, size_t max)
{
	char buffer[8192];
	ssize_t got;

	while ((got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
		size_t part = MIN((size_t)got, max - *n);

		memcpy(first + *n, buffer, part);
		*n += part;
	}
}

static void talk(const uint8_t *data, size_t size)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t piece = size ? (size_t)data[0] * 16 + 1 : 1, n = 0;
	char first[8] = "";

	FUZZ_CHECK(connect(fd, (struct sockaddr *)&address, address_size) == 0);
	turn();
	for (size_t at = 1; at < size; at += piece) {
		if (send(fd, data + at, MIN(piece, size - at), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
		turn();
		receive(fd, first, &n, sizeof(first));
	}
	shutdown(fd, SHUT_WR);
	turn();
	receive(fd, first, &n, sizeof(first));
	FUZZ_CHECK(!n || !memcmp(first, "HTTP/1.", MIN(n, strlen("HTTP/1."))));
	close(fd);
	for (int i = 0; i < 200 && http_get_stats(http)->connections; i++)
		FUZZ_CHECK(sd_event_run(event, USEC_PER_MSEC) >= 0);
	FUZZ_CHECK(!http_get_stats(http)->connections);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = fuzz_text(data, size);
	struct accept a;

	if (!http)
		start();
	accept_init(&a);
	accept_add(&a, text);
	FUZZ_CHECK(accept_choose(&a) >= 0 && accept_choose(&a) < _METRICS_FORMAT_MAX);
	talk(data, size);
	return 0;
}
