// SPDX-License-Identifier: GPL-2.0-only
/* The exporter's HTTP server: libmicrohttpd, driven by the daemon's loop through its epoll descriptor. */
#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <string.h>

#include "export/accept.h"
#include "export/assets.h"
#include "export/client.h"
#include "export/http.h"
#include "export/listen.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/macro.h"

/* The library's own ceiling lies above ours: those that were cut linger until it has noticed. */
#define CONNECTIONS_MAX (HTTP_CLIENTS_MAX + 16)
/* Bounds the request line with its headers; twice what a scraper or browser sends. */
#define CONNECTION_BYTES 8192
#define TIMER_ACCURACY_USEC 1000

static const struct {
	unsigned int status;
	const char *body;
} errors[_METRICS_HTTP_CODE_MAX] = {
	[METRICS_HTTP_404] = {MHD_HTTP_NOT_FOUND, "Not found. There are / and /metrics.\n"},
	[METRICS_HTTP_405] = {MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed.\n"},
	[METRICS_HTTP_413] = {MHD_HTTP_CONTENT_TOO_LARGE, "Requests here have no body.\n"},
	[METRICS_HTTP_500] = {MHD_HTTP_INTERNAL_SERVER_ERROR,
			      "The page could not be prepared; see cetd's log.\n"},
	[METRICS_HTTP_503] = {MHD_HTTP_SERVICE_UNAVAILABLE,
			      "Too many pages wait to be taken; try again.\n"},
};

struct http {
	struct http_params params;
	struct MHD_Daemon *daemon;
	struct MHD_Response *errors[_METRICS_HTTP_CODE_MAX];
	sd_event_source *io, *timer;
	struct clients clients;
	struct metrics_http stats;
	struct listen_address bound;
	struct stat own; /* of the unix socket's file; st_ino 0 where there is none */
	char address[LISTEN_TEXT_MAX];
};

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode toe)
{
	struct http *h = cls;

	if (toe == MHD_CONNECTION_NOTIFY_STARTED) {
		int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				 ->connect_fd;
		const struct sockaddr *peer =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)
				->client_addr;

		*socket_context = client_add(&h->clients, fd, peer, clock_usec(CLOCK_MONOTONIC));
	} else {
		*socket_context = client_remove(*socket_context);
	}
}

static void on_completed(void *cls _unused_, struct MHD_Connection *connection,
			 void **request _unused_, enum MHD_RequestTerminationCode toe _unused_)
{
	struct client *c = client_of(connection);

	if (c)
		client_end_request(c, clock_usec(CLOCK_MONOTONIC));
}

static enum MHD_Result answer(struct http *h, struct MHD_Connection *connection,
			      enum metrics_http_code code, unsigned int status,
			      struct MHD_Response *response)
{
	struct client *c = client_of(connection);
	enum MHD_Result r = MHD_queue_response(connection, status, response);

	if (r == MHD_YES) {
		h->stats.responses[code]++;
		if (c)
			c->has_served = true;
	}
	return r;
}

static enum MHD_Result answer_error(struct http *h, struct MHD_Connection *connection,
				    enum metrics_http_code code)
{
	return answer(h, connection, code, errors[code].status, h->errors[code]);
}

static enum MHD_Result add_accept(void *cls, enum MHD_ValueKind kind _unused_, const char *key,
				  const char *value)
{
	if (!strcasecmp(key, MHD_HTTP_HEADER_ACCEPT) && value)
		accept_add(cls, value);
	return MHD_YES;
}

static enum metrics_format wanted_format(struct MHD_Connection *connection)
{
	struct accept a;

	accept_init(&a);
	MHD_get_connection_values(connection, MHD_HEADER_KIND, add_accept, &a);
	return accept_choose(&a);
}

static struct MHD_Response *response_new(size_t size, char *text, enum MHD_ResponseMemoryMode mode,
					 const char *type)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size, text, mode);

	if (!response)
		return NULL;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	return response;
}

/* What a page may do: load its own style and script, ask its own server, be in nobody's frame. */
static const char policy[] = "default-src 'none'; style-src 'self'; script-src 'self'; "
			     "connect-src 'self'; img-src data:; base-uri 'none'; "
			     "form-action 'none'; frame-ancestors 'none'";

/* Which part of the VMs is asked for; what is no number is the first. */
static unsigned int wanted_number(struct MHD_Connection *connection)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "page");
	size_t n = value ? strspn(value, "0123456789") : 0;

	return n && n < 9 && !value[n] ? (unsigned int)strtoul(value, NULL, 10) : 1;
}

/* Built in, so that it cannot fail in more ways than memory, and no page to be counted. */
static enum MHD_Result answer_asset(struct http *h, struct MHD_Connection *connection,
				    const struct asset *asset)
{
	struct MHD_Response *response = response_new((size_t)(asset->end - asset->data),
						     (char *)asset->data, MHD_RESPMEM_PERSISTENT,
						     asset->type);
	enum MHD_Result result;

	if (!response)
		return answer_error(h, connection, METRICS_HTTP_500);
	result = answer(h, connection, METRICS_HTTP_200, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_page(struct http *h, struct MHD_Connection *connection,
				   enum http_page page, const char *type)
{
	struct client *c = client_of(connection);
	struct MHD_Response *response;
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	enum MHD_Result result;
	char *text = NULL;
	size_t size = 0;
	int r;

	/* A page of 4096 VMs is megabytes: who does not take his has to make room for the next. */
	if (h->clients.n_sending >= HTTP_PAGES_MAX) {
		clients_cut_slowest(&h->clients);
		return answer_error(h, connection, METRICS_HTTP_503);
	}
	r = h->params.render(h->params.userdata, page, wanted_number(connection), &text, &size);
	if (r < 0) {
		log_warning_errno(r, "Failed to prepare a page for HTTP: %m");
		return answer_error(h, connection, METRICS_HTTP_500);
	}
	response = response_new(size, text, MHD_RESPMEM_MUST_FREE, type);
	if (!response) {
		free(text);
		return answer_error(h, connection, METRICS_HTTP_500);
	}
	if (page == HTTP_PAGE_INDEX) {
		MHD_add_response_header(response, "Content-Security-Policy", policy);
		MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	}
	if (page != HTTP_PAGE_INDEX)
		h->stats.scrape_ns = clock_ns(CLOCK_MONOTONIC) - start;
	result = answer(h, connection, METRICS_HTTP_200, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	if (result == MHD_YES && c)
		client_begin_sending(c);
	return result;
}

static bool has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);

	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
					   MHD_HTTP_HEADER_TRANSFER_ENCODING) ||
	       (length && strcmp(length, "0"));
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version _unused_,
				  const char *upload _unused_, size_t *upload_size, void **request)
{
	struct http *h = cls;
	enum metrics_format format;

	if (!*request) {
		*request = h; /* the headers are known; answers given now end the connection */
		if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
			return answer_error(h, connection, METRICS_HTTP_405);
		if (has_body(connection))
			return answer_error(h, connection, METRICS_HTTP_413);
		return MHD_YES;
	}
	if (*upload_size)
		return MHD_NO;
	if (!strcmp(url, "/"))
		return answer_page(h, connection, HTTP_PAGE_INDEX, "text/html; charset=utf-8");
	for (size_t i = 0; i < n_assets; i++)
		if (!strcmp(url, assets[i].path))
			return answer_asset(h, connection, &assets[i]);
	if (strcmp(url, "/metrics"))
		return answer_error(h, connection, METRICS_HTTP_404);
	format = wanted_format(connection);
	return answer_page(h, connection,
			   format == METRICS_FORMAT_OPENMETRICS ? HTTP_PAGE_METRICS_OPENMETRICS
								: HTTP_PAGE_METRICS_TEXT,
			   metrics_content_type(format));
}

_printf_(2, 0) static void on_log(void *cls _unused_, const char *format, va_list ap)
{
	char line[512];

	vsnprintf(line, sizeof(line), format, ap);
	line[strcspn(line, "\n")] = 0;
	log_debug("HTTP: %s", line);
}

/* Sleep until the library wants to run, or the longest waiting client has used up its time. */
static int http_rearm(struct http *h)
{
	uint64_t oldest = clients_oldest_usec(&h->clients), next = UINT64_MAX;
	MHD_UNSIGNED_LONG_LONG ms;
	int r;

	if (oldest != UINT64_MAX)
		next = oldest + h->params.request_seconds * USEC_PER_SEC;
	if (MHD_get_timeout(h->daemon, &ms) == MHD_YES)
		next = MIN(next, clock_usec(CLOCK_MONOTONIC) + ms * USEC_PER_MSEC);
	if (next == UINT64_MAX)
		return sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	r = sd_event_source_set_time(h->timer, next);
	return r < 0 ? r : sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

static int http_run(struct http *h)
{
	uint64_t now = clock_usec(CLOCK_MONOTONIC),
		 limit = h->params.request_seconds * USEC_PER_SEC;

	if (now > limit)
		clients_cut_before(&h->clients, now - limit);
	MHD_run(h->daemon);
	return http_rearm(h);
}

static int on_io(sd_event_source *s _unused_, int fd _unused_, uint32_t revents _unused_,
		 void *userdata)
{
	return http_run(userdata);
}

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
	return http_run(userdata);
}

static int http_listen(struct http *h)
{
	int fd = h->params.listen_fd, r;
	struct listen_address a;
	const char *why;

	if (fd >= 0) {
		r = listen_adopt(fd, &h->bound);
		if (r < 0) {
			close(fd);
			return r;
		}
	} else {
		r = listen_address_from_string(h->params.address, &a, &why);
		if (r < 0)
			return log_error_errno(r, "The metrics address \"%s\" is not valid: %s",
					       h->params.address, why);
		fd = listen_open(&a, h->params.may_be_remote, &h->bound);
		if (fd < 0)
			return fd;
	}
	listen_address_to_string(&h->bound, h->address);
	if (h->params.listen_fd < 0 && h->bound.family == AF_UNIX &&
	    lstat(h->address + strlen("unix:"), &h->own) < 0)
		h->own.st_ino = 0;
	return fd;
}

static int http_start(struct http *h, int fd)
{
	for (int i = 0; i < _METRICS_HTTP_CODE_MAX; i++) {
		if (!errors[i].body)
			continue;
		h->errors[i] = response_new(strlen(errors[i].body), (char *)errors[i].body,
					    MHD_RESPMEM_PERSISTENT, "text/plain; charset=utf-8");
		if (!h->errors[i])
			break;
	}
	if (h->errors[METRICS_HTTP_405] && h->errors[METRICS_HTTP_503]) {
		MHD_add_response_header(h->errors[METRICS_HTTP_405], MHD_HTTP_HEADER_ALLOW,
					"GET, HEAD");
		MHD_add_response_header(h->errors[METRICS_HTTP_503], MHD_HTTP_HEADER_RETRY_AFTER,
					"1");
		/* The logger comes first: it is told of what is wrong with the others. */
		h->daemon = MHD_start_daemon(
			MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, h,
			MHD_OPTION_EXTERNAL_LOGGER, on_log, h, MHD_OPTION_LISTEN_SOCKET, fd,
			MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS_MAX,
			MHD_OPTION_CONNECTION_TIMEOUT, h->params.idle_seconds,
			MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
			MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
			on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
			MHD_OPTION_END);
	}
	return h->daemon ? 0
			 : log_error_errno(ENOMEM, "Failed to start the HTTP server on %s",
					   h->address);
}

static int http_attach(struct http *h, sd_event *event)
{
	int fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int r;

	r = sd_event_add_io(event, &h->io, fd, EPOLLIN, on_io, h);
	if (r >= 0)
		r = sd_event_source_set_priority(h->io, h->params.priority);
	if (r >= 0)
		r = sd_event_add_time(event, &h->timer, CLOCK_MONOTONIC, UINT64_MAX,
				      TIMER_ACCURACY_USEC, on_timer, h);
	if (r >= 0)
		r = sd_event_source_set_priority(h->timer, h->params.priority);
	if (r >= 0)
		r = http_rearm(h);
	return r < 0 ? log_error_errno(r, "Failed to put the HTTP server on the loop: %m") : 0;
}

DEFINE_CLEANUP(struct http *, http_free)

int http_new(sd_event *event, const struct http_params *params, struct http **ret)
{
	_cleanup_(http_freep) struct http *h = NULL;
	int fd, r;

	if (params->listen_fd < 0 && !strcmp(params->address, "off")) {
		*ret = NULL;
		return 0;
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		if (params->listen_fd >= 0)
			close(params->listen_fd);
		return log_error_errno(ENOMEM, "Failed to start the HTTP server: %m");
	}
	h->params = *params;
	h->params.idle_seconds = params->idle_seconds ?: HTTP_IDLE_SECONDS;
	h->params.request_seconds = params->request_seconds ?: HTTP_REQUEST_SECONDS;
	h->clients.max = HTTP_CLIENTS_MAX;
	h->clients.max_per_peer = HTTP_CLIENTS_PER_PEER;
	h->clients.stats = &h->stats;

	fd = http_listen(h);
	if (fd < 0)
		return fd;
	/* The library owns the socket from here on. */
	r = http_start(h, fd);
	if (r < 0)
		return r;
	r = http_attach(h, event);
	if (r < 0)
		return r;
	log_info("Serving metrics on %s", h->address);
	*ret = take_ptr(h);
	return 0;
}

struct http *http_free(struct http *h)
{
	if (!h)
		return NULL;
	sd_event_source_disable_unref(h->io);
	sd_event_source_disable_unref(h->timer);
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	for (int i = 0; i < _METRICS_HTTP_CODE_MAX; i++)
		if (h->errors[i])
			MHD_destroy_response(h->errors[i]);
	if (h->own.st_ino)
		listen_unlink(&h->bound, &h->own);
	free(h);
	return NULL;
}

const char *http_get_address(const struct http *h)
{
	return h->address;
}

const struct metrics_http *http_get_stats(const struct http *h)
{
	return &h->stats;
}
