// SPDX-License-Identifier: GPL-2.0-only
/* Monitors: a pipe a watcher, one JSON object a line. A slow reader loses lines, and is told how many. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cetd/bus.h"
#include "export/bus-internal.h"
#include "export/json.h"
#include "util/log.h"

#define PIPE_BYTES (256 * 1024)

struct monitor {
	struct bus *bus;
	int fd; /* write end */
	uint64_t key;
	uint64_t dropped;
	sd_event_source *source;
	struct monitor *next;
};

static void monitor_free(struct monitor *m)
{
	struct bus *b = m->bus;

	for (struct monitor **p = &b->monitors; *p; p = &(*p)->next) {
		if (*p != m)
			continue;
		*p = m->next;
		b->n_monitors--;
		break;
	}
	sd_event_source_disable_unref(m->source);
	closep(&m->fd);
	free(m);
	if (!b->n_monitors)
		b->commands.set_monitored(b->commands.userdata, false);
}

/* The reader has gone: a pipe's write end reports that as an error condition. */
static int on_reader_gone(sd_event_source *s _unused_, int fd _unused_, uint32_t revents _unused_,
			  void *userdata)
{
	monitor_free(userdata);
	return 0;
}

int monitor_new(struct bus *b, uint64_t key, int *ret_fd, sd_bus_error *error)
{
	_cleanup_(closep) int reader = -1, writer = -1;
	struct monitor *m;
	int fds[2], r;

	if (b->n_monitors >= MONITORS_MAX)
		return sd_bus_error_setf(error, CETD_BUS_ERROR_LIMIT,
					 "%d monitors are open already: close one first",
					 MONITORS_MAX);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return sd_bus_error_set_errnof(error, errno, "Failed to make a pipe: %m");
	reader = fds[0];
	writer = fds[1];
	/* Only our end must not block; a smaller pipe than asked for is good enough. */
	if (fcntl(writer, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	(void)fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES);

	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->bus = b;
	m->fd = -1;
	m->key = key;
	r = sd_event_add_io(b->event, &m->source, writer, EPOLLERR, on_reader_gone, m);
	if (r < 0) {
		free(m);
		return r;
	}
	m->fd = take_fd(&writer);
	m->next = b->monitors;
	b->monitors = m;
	if (b->n_monitors++ == 0)
		b->commands.set_monitored(b->commands.userdata, true);
	*ret_fd = take_fd(&reader);
	return 0;
}

/* A line is at most PIPE_BUF bytes, so it is written whole or not at all (pipe(7)). */
static void monitor_write(struct monitor *m, const char *line, size_t size)
{
	char dropped[64];
	int n;

	if (m->dropped) {
		n = snprintf(dropped, sizeof(dropped), "{\"dropped\":%llu}\n",
			     (unsigned long long)m->dropped);
		if (write(m->fd, dropped, (size_t)n) == n)
			m->dropped = 0;
	}
	if (m->dropped || write(m->fd, line, size) != (ssize_t)size)
		m->dropped++;
}

void monitors_send(struct bus *b, const struct vm *vm, const struct cetd_event *e)
{
	_cleanup_(json_object_putp) struct json_object *o = NULL;
	_cleanup_(freep) char *line = NULL;
	int n = -1;

	for (struct monitor *m = b->monitors; m; m = m->next) {
		if (m->key && m->key != e->key)
			continue;
		if (n < 0) {
			o = json_from_event(b->model, vm, e);
			n = asprintf(&line, "%s\n",
				     json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
			if (n < 0) {
				line = NULL;
				return;
			}
		}
		monitor_write(m, line, (size_t)n);
	}
}

/* Whoever watches this VM has seen all there is. */
void monitors_vm_removed(struct bus *b, uint64_t key)
{
	struct monitor *next;

	for (struct monitor *m = b->monitors; m; m = next) {
		next = m->next;
		if (m->key == key)
			monitor_free(m);
	}
}

void monitors_free(struct bus *b)
{
	while (b->monitors)
		monitor_free(b->monitors);
}
