// SPDX-License-Identifier: GPL-2.0-only
/* cetctl monitor: events as they happen, from the daemon's pipe, or from its signal where no pipe passes. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "cetd/bus.h"

#include "bus.h"
#include "doc.h"
#include "text.h"

/* The daemon keeps a line within PIPE_BUF, 4096. */
#define LINE_BYTES_MAX 16384

/* Twice as many as can run at once (max_vms); those of VMs that have ended go when it is full. */
#define NAMES_MAX 131072

struct monitor {
	struct ctl *ctl;
	const char *vm; /* id, or NULL for all */
	sd_event *event;
	json_object *names; /* id -> name */
	char buffer[LINE_BYTES_MAX];
	size_t used;
	unsigned int seen;
	bool skips_line; /* until the end of one that is too long */
};

static int end(struct monitor *m, enum exit_code code)
{
	return sd_event_exit(m->event, (int)code);
}

/* Names are for people, events carry ids: look them up when an id is new. */
static const char *name_of(struct monitor *m, const char *id)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *key, *name;
	json_object *known;
	int r;

	if (json_object_object_get_ex(m->names, id, &known))
		return json_object_get_string(known);
	if (json_object_object_length(m->names) >= NAMES_MAX) {
		json_object_put(m->names);
		m->names = json_object_new_object();
	}
	r = sd_bus_call_method(m->ctl->bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
			       "ListVMs", NULL, &reply, NULL);
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(sssuto)");
	while (r >= 0 &&
	       sd_bus_message_read(reply, "(sssuto)", &key, &name, NULL, NULL, NULL, NULL) > 0)
		json_object_object_add(m->names, key, json_object_new_string(name));
	if (!json_object_object_get_ex(m->names, id, &known)) {
		json_object_object_add(m->names, id, json_object_new_string(id));
		return id;
	}
	return json_object_get_string(known);
}

/* What follows the type on a line, by type. */
static const char *const details[] = {
	"kind", "msr", "op",  "result", "data", "host", "cpu",	  "prev_cpu", "error_code",
	"vcpu", "tid", "cpl", "rip",	"ssp",	"cet",	"nested", "action",
};

static void print_event(struct monitor *m, json_object *e)
{
	const char *type = doc_text(e, "type") ?: "-", *id = doc_text(e, "vm") ?: "-";
	_cleanup_(freep) char *name = text_clean(name_of(m, id)), *what = text_clean(type);
	const struct options *o = &m->ctl->options;
	bool is_fault = !strcmp(type, "control_protection") || !strcmp(type, "injected");
	char when[64];

	text_time(when, sizeof(when), doc_number(e, "time_usec"), true);
	printf("%-26s  %s  %s%s%s", when, name ?: "-", o->is_color && is_fault ? "\033[31m" : "",
	       what ?: "-", o->is_color && is_fault ? "\033[0m" : "");
	for (size_t i = 0; i < ARRAY_SIZE(details); i++) {
		json_object *v = doc_get(e, details[i]);
		_cleanup_(freep) char *text = NULL;

		/* null: not known. Flags speak up when they are set. */
		if (!v)
			continue;
		if (json_object_is_type(v, json_type_boolean)) {
			if (json_object_get_boolean(v))
				printf(" %s", details[i]);
			continue;
		}
		text = text_clean(json_object_get_string(v));
		printf(" %s=%s", details[i], text ?: "-");
	}
	printf("\n");
}

/* One object a line, also on a terminal, unless pretty was asked for. */
static void print_json(struct monitor *m, json_object *e)
{
	enum json_mode mode = m->ctl->options.json;

	doc_print(stdout, e, mode == JSON_PRETTY ? mode : JSON_SHORT);
}

static int on_line(struct monitor *m, const char *line)
{
	_cleanup_doc_ json_object *e = json_tokener_parse(line);
	const struct options *o = &m->ctl->options;
	uint64_t dropped;

	if (!json_object_is_type(e, json_type_object)) {
		text_error("the daemon sent a line that is not a JSON object: %.200s", line);
		return end(m, CETCTL_FAILURE);
	}
	dropped = doc_number(e, "dropped");
	if (o->json != JSON_OFF)
		print_json(m, e);
	else if (dropped)
		printf("-- %" PRIu64
		       " events were not shown: they came faster than they were read\n",
		       dropped);
	else
		print_event(m, e);
	if (dropped)
		return 0;
	return o->lines && ++m->seen >= o->lines ? end(m, CETCTL_OK) : 0;
}

static bool vm_is_gone(struct monitor *m)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

	return m->vm &&
	       sd_bus_call_method(m->ctl->bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
				  "GetVM", &error, NULL, "s", m->vm) < 0 &&
	       sd_bus_error_has_name(&error, CETD_BUS_ERROR_NO_SUCH_VM);
}

static int on_vm_end(struct monitor *m)
{
	text_note("the VM has ended");
	return end(m, CETCTL_OK);
}

/* The pipe has ended: because the VM has, or because the daemon has. */
static int on_end(struct monitor *m)
{
	if (vm_is_gone(m))
		return on_vm_end(m);
	text_error("cetd ended the stream");
	text_hint("is it still running? systemctl status cetd");
	return end(m, CETCTL_UNREACHABLE);
}

static int on_pipe(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct monitor *m = userdata;
	ssize_t n = read(fd, m->buffer + m->used, sizeof(m->buffer) - 1 - m->used);
	char *line = m->buffer, *newline;

	(void)source;
	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return on_end(m);
	m->used += (size_t)n;
	m->buffer[m->used] = 0;
	while ((newline = memchr(line, '\n', m->used - (size_t)(line - m->buffer)))) {
		*newline = 0;
		if (!m->skips_line) {
			int r = on_line(m, line);

			if (r < 0 || sd_event_get_exit_code(m->event, &(int){0}) >= 0)
				return r;
		}
		m->skips_line = false;
		line = newline + 1;
	}
	m->used -= (size_t)(line - m->buffer);
	memmove(m->buffer, line, m->used);
	if (m->used == sizeof(m->buffer) - 1) {
		text_note("skipping a line of more than %d bytes", LINE_BYTES_MAX);
		m->skips_line = true;
		m->used = 0;
	}
	fflush(stdout);
	return 0;
}

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct monitor *m = userdata;
	const char *id, *kind, *privilege;
	const struct options *o = &m->ctl->options;
	uint64_t count;
	int is_injected, r;

	(void)error;
	r = sd_bus_message_read(message, "ssstb", &id, &kind, &privilege, &count, &is_injected);
	if (r < 0) {
		text_error("a ControlProtection signal cannot be read: %s", strerror(-r));
		return end(m, CETCTL_FAILURE);
	}
	if (m->vm && strcmp(m->vm, id))
		return 0;
	if (o->json != JSON_OFF) {
		_cleanup_doc_ json_object *e = json_object_new_object();

		json_object_object_add(e, "vm", json_object_new_string(id));
		json_object_object_add(
			e, "type",
			json_object_new_string(is_injected ? "injected" : "control_protection"));
		json_object_object_add(e, "kind", json_object_new_string(kind));
		json_object_object_add(e, "privilege", json_object_new_string(privilege));
		json_object_object_add(e, "count", json_object_new_uint64(count));
		print_json(m, e);
	} else {
		_cleanup_(freep) char *name = text_clean(name_of(m, id)), *what = text_clean(kind);
		_cleanup_(freep) char *who = text_clean(privilege);

		printf("%s  %s kind=%s privilege=%s count=%" PRIu64 "\n", name ?: "-",
		       is_injected ? "injected" : "control_protection", what ?: "-", who ?: "-",
		       count);
	}
	fflush(stdout);
	return o->lines && ++m->seen >= o->lines ? end(m, CETCTL_OK) : 0;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *new_owner;

	(void)error;
	if (sd_bus_message_read(message, "sss", NULL, NULL, &new_owner) >= 0 && !*new_owner)
		return on_end(userdata);
	return 0;
}

/* The pipe outlives the VM. */
static int on_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct monitor *m = userdata;
	const char *id;

	(void)error;
	if (sd_bus_message_read(message, "s", &id) < 0 || strcmp(id, m->vm))
		return 0;
	return on_vm_end(m);
}

static int watch(struct monitor *m, int fd)
{
	sd_bus *bus = m->ctl->bus;
	int r = 0;

	if (m->vm)
		r = sd_bus_match_signal(bus, NULL, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
					"VMRemoved", on_removed, m);
	if (r < 0)
		return r;
	if (fd >= 0)
		return sd_event_add_io(m->event, NULL, fd, EPOLLIN, on_pipe, m);
	r = sd_bus_match_signal(bus, NULL, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
				"ControlProtection", on_signal, m);
	if (r >= 0)
		r = sd_bus_add_match(
			bus, NULL,
			"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
			"arg0='" CETD_BUS_NAME "'",
			on_owner, m);
	return r;
}

static enum exit_code run(struct monitor *m, int fd)
{
	int r = sd_event_new(&m->event);

	if (r >= 0)
		r = sd_bus_attach_event(m->ctl->bus, m->event, 0);
	if (r >= 0)
		r = watch(m, fd);
	/* It may have gone before its removal was watched for. */
	if (r >= 0 && vm_is_gone(m))
		r = on_vm_end(m);
	if (r >= 0)
		r = sd_event_loop(m->event);
	if (m->event)
		sd_bus_detach_event(m->ctl->bus);
	sd_event_unref(m->event);
	if (r < 0) {
		text_error("monitoring failed: %s", strerror(-r));
		return CETCTL_FAILURE;
	}
	return (enum exit_code)r;
}

/* Waiting for what can never come would look like peace and quiet. */
static enum exit_code check_coverage(struct ctl *ctl)
{
	_cleanup_doc_ json_object *coverage = NULL;
	enum exit_code code = bus_get_coverage(ctl, &coverage);
	bool is_any = false;

	if (code)
		return code;
	json_object_object_foreach (coverage, fact, v) {
		(void)v;
		is_any |= strcmp(fact, "enforcement") && doc_shows(coverage, fact);
	}
	if (!is_any) {
		text_error("nothing of CET can be observed on this host");
		text_hint("`cetctl probe` says why and what to do about it");
		return CETCTL_UNOBSERVABLE;
	}
	if (!doc_shows(coverage, "hardware_cp"))
		text_note("hardware #CP is not seen: %s",
			  doc_text(coverage, "hardware_cp.reason") ?: "no reason given");
	return CETCTL_OK;
}

enum exit_code verb_monitor(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(freep) char *path = NULL, *id = NULL;
	_cleanup_(freep) struct monitor *m = calloc(1, sizeof(*m));
	enum exit_code code = bus_open(ctl);
	int fd = -1;

	if (!code && argc)
		code = bus_get_vm(ctl, argv[0], &path, &id);
	if (!code)
		code = check_coverage(ctl);
	if (!code)
		code = bus_mark_replayed(ctl);
	if (code)
		return code;
	if (ctl->may_pass_fds)
		code = bus_call_fd(ctl, "MonitorByFileDescriptor", id ?: "", &fd);
	else
		text_note("no pipe passes over this connection: only counts of control-protection "
			  "faults are "
			  "shown, without addresses");
	if (code)
		return code;
	if (!m) {
		text_error("out of memory");
		return CETCTL_FAILURE;
	}
	m->ctl = ctl;
	m->vm = id;
	m->names = json_object_new_object();
	fflush(stdout);
	code = run(m, fd);
	json_object_put(m->names);
	if (fd >= 0)
		close(fd);
	return code;
}
