// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots by file descriptor. The memory is the daemon's for as long as anybody keeps the descriptor, so those that
 * are for anyone are few, and are emptied after a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "cetd/bus.h"
#include "export/authorize.h"
#include "export/bus-internal.h"
#include "export/json.h"
#include "util/log.h"

#define OPEN_SEALS (F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_WRITE)

/* One that somebody has who may not see addresses. */
struct dump {
	struct bus *bus;
	int fd;
	uint32_t uid;
	sd_event_source *timer;
	struct dump *next;
};

static void dump_free(struct dump *d)
{
	struct dump **at = &d->bus->dumps;

	while (*at && *at != d)
		at = &(*at)->next;
	if (*at)
		*at = d->next;
	sd_event_source_disable_unref(d->timer);
	closep(&d->fd);
	free(d);
}

void dumps_free(struct bus *b)
{
	while (b->dumps)
		dump_free(b->dumps);
}

/* Whoever has not read it by now does not want to. Nothing is left of it but the descriptor. */
static int on_end(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
	struct dump *d = userdata;

	/* Nobody can have sealed it against that. */
	if (ftruncate(d->fd, 0) < 0)
		log_warning_errno(errno, "Failed to empty a dump: %m");
	dump_free(d);
	return 0;
}

/* All of it, so that a slow reader costs the daemon no time. seals: what nobody can do to it any more. */
static int make_dump(struct bus *b, bool has_addresses, int seals, int *ret_fd, sd_bus_error *error)
{
	_cleanup_(closep) int fd = memfd_create("cetd-dump", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	_cleanup_(fclosep) FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	int r;

	if (!f)
		return sd_bus_error_set_errnof(error, errno, "Failed to make the dump: %m");
	take_fd(&fd);
	b->commands.refresh(b->commands.userdata);
	r = json_write_model(f, b->model, b->ctx, has_addresses);
	if (r >= 0) {
		fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 3);
		if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
			r = -errno;
	}
	if (r < 0)
		return sd_bus_error_set_errnof(error, r, "Failed to write the dump: %m");
	*ret_fd = take_fd(&fd);
	return 0;
}

static int run_dump(struct bus *b, sd_bus_message *message, const struct vm *vm _unused_,
		    sd_bus_error *error)
{
	_cleanup_(closep) int fd = -1;
	int r = make_dump(b, true, OPEN_SEALS | F_SEAL_SHRINK, &fd, error);

	return r < 0 ? r : sd_bus_reply_method_return(message, "h", fd);
}

static bool has_room(const struct bus *b, uint32_t uid)
{
	unsigned int n = 0, n_user = 0;

	for (const struct dump *d = b->dumps; d; d = d->next) {
		n++;
		n_user += d->uid == uid;
	}
	return n < DUMPS_MAX && n_user < DUMPS_MAX_USER;
}

static int keep(struct bus *b, int fd)
{
	struct dump *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct dump){.bus = b, .uid = b->caller_uid, .next = b->dumps};
	b->dumps = d;
	d->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	r = d->fd < 0 ? -errno
		      : sd_event_add_time_relative(b->event, &d->timer, CLOCK_MONOTONIC,
						   b->dump_usec, 0, on_end, d);
	if (r < 0)
		dump_free(d);
	return r;
}

static int run_dump_denied(struct bus *b, sd_bus_message *message, const struct vm *vm _unused_,
			   sd_bus_error *error)
{
	_cleanup_(closep) int fd = -1;
	int r;

	if (!has_room(b, b->caller_uid))
		return sd_bus_error_setf(error, CETD_BUS_ERROR_LIMIT,
					 "%d dumps of a user at most are made in %d s, and %d in "
					 "all: wait, or call Describe",
					 DUMPS_MAX_USER, DUMP_SECONDS, DUMPS_MAX);
	r = make_dump(b, false, OPEN_SEALS, &fd, error);
	if (r >= 0)
		r = keep(b, fd);
	return r < 0 ? r : sd_bus_reply_method_return(message, "h", fd);
}

int bus_dump(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	static const struct guarded_method dump = {
		AUTHORIZE_INSPECT, "have guest addresses in a dump", run_dump, run_dump_denied};

	return authorize(userdata, message, NULL, &dump, error);
}
