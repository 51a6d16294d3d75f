// SPDX-License-Identifier: GPL-2.0-only
/* Talking to the daemon: the connection, calls, and what its errors mean for the person at the terminal. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cetd/bus.h"

#include "bus.h"
#include "doc.h"
#include "text.h"

/* 65536 VMs with 64 faults each stay below this. */
#define DUMP_BYTES_MAX (2ULL << 30)

#define PERSON_USEC (6 * 60 * 1000000ULL) /* cetd gives up after five minutes */

static const char *where(const struct ctl *ctl)
{
	const struct options *o = &ctl->options;

	return o->host ?: o->machine ?: o->address ?: "the system bus";
}

static int open_address(const char *address, sd_bus **ret)
{
	sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, true);
	if (r >= 0)
		r = sd_bus_negotiate_fds(bus, true);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0) {
		sd_bus_unref(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

enum exit_code bus_open(struct ctl *ctl)
{
	const struct options *o = &ctl->options;
	const char *name;
	int r;

	if (ctl->bus)
		return CETCTL_OK;
	if (o->host)
		r = sd_bus_open_system_remote(&ctl->bus, o->host);
	else if (o->machine)
		r = sd_bus_open_system_machine(&ctl->bus, o->machine);
	else if (o->address)
		r = open_address(o->address, &ctl->bus);
	else
		r = sd_bus_open_system(&ctl->bus);

	/* The handshake with the bus is part of connecting. */
	if (r >= 0)
		r = sd_bus_get_unique_name(ctl->bus, &name);
	if (r < 0) {
		text_error("cannot connect to %s: %s", where(ctl), strerror(-r));
		if (o->host)
			text_hint("does `ssh %s systemd-stdio-bridge` connect? (ctrl-c ends it)",
				  o->host);
		else if (o->machine)
			text_hint("`machinectl list` shows the machines that run");
		else if (o->address)
			text_hint("an address looks like unix:path=/run/dbus/system_bus_socket");
		else
			text_hint("is D-Bus running? cetd answers on the system bus");
		bus_close(ctl);
		return CETCTL_UNREACHABLE;
	}
	ctl->may_pass_fds = sd_bus_can_send(ctl->bus, SD_BUS_TYPE_UNIX_FD) > 0;
	return CETCTL_OK;
}

void bus_close(struct ctl *ctl)
{
	ctl->bus = sd_bus_flush_close_unref(ctl->bus);
}

/* What went wrong, by the name of the D-Bus error; the first match counts. */
static const struct {
	const char *name; /* a trailing dot stands for all names that start so */
	enum exit_code code;
	const char *hint;
} meanings[] = {
	{CETD_BUS_ERROR_NO_SUCH_VM, CETCTL_NO_VM, NULL},
	{CETD_BUS_ERROR_AMBIGUOUS, CETCTL_NO_VM,
	 "name it by its id: `cetctl list --columns=name,id,pid`"},
	{CETD_BUS_ERROR_LIMIT, CETCTL_FAILURE,
	 "end another `cetctl monitor`, or clear what `cetctl policy list` shows"},
	{CETD_BUS_ERROR_BAD_POLICY, CETCTL_USAGE, "see `cetctl help policy`, cetd-policy(5)"},
	{CETD_BUS_ERROR_NO_SUCH_OVERRIDE, CETCTL_FAILURE, "`cetctl policy list` shows what is set"},
	{CETD_BUS_ERROR_CANNOT_ACT, CETCTL_FAILURE,
	 "a VM is frozen by a systemd unit of its own: `cetctl show` names its unit"},
	{SD_BUS_ERROR_ACCESS_DENIED, CETCTL_DENIED,
	 "what holds guest addresses or changes anything is for root: sudo cetctl …"},
	{SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CETCTL_DENIED,
	 "what holds guest addresses or changes anything is for root: sudo cetctl …"},
	{SD_BUS_ERROR_SERVICE_UNKNOWN, CETCTL_UNREACHABLE, "start it: systemctl start cetd"},
	{SD_BUS_ERROR_NAME_HAS_NO_OWNER, CETCTL_UNREACHABLE, "start it: systemctl start cetd"},
	{"org.freedesktop.DBus.Error.Spawn.", CETCTL_UNREACHABLE,
	 "it could not be started: systemctl status cetd"},
	{"org.freedesktop.systemd1.", CETCTL_UNREACHABLE,
	 "it could not be started: systemctl status cetd"},
	{SD_BUS_ERROR_NO_REPLY, CETCTL_UNREACHABLE,
	 "it is stuck or went away: systemctl status cetd"},
	{SD_BUS_ERROR_TIMEOUT, CETCTL_UNREACHABLE,
	 "it is stuck or went away: systemctl status cetd"},
	{SD_BUS_ERROR_DISCONNECTED, CETCTL_UNREACHABLE, "the connection to the bus was lost"},
	{SD_BUS_ERROR_UNKNOWN_OBJECT, CETCTL_NO_VM, "the VM ended just now? see `cetctl list`"},
	{SD_BUS_ERROR_UNKNOWN_METHOD, CETCTL_FAILURE,
	 "are cetctl and cetd of the same version? see `cetctl version`"},
	{SD_BUS_ERROR_UNKNOWN_PROPERTY, CETCTL_FAILURE,
	 "are cetctl and cetd of the same version? see `cetctl version`"},
};

bool bus_is_denied(const sd_bus_error *error)
{
	return sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
	       sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
}

enum exit_code bus_fail(struct ctl *ctl, const sd_bus_error *error, int r, const char *what)
{
	const char *name = error && error->name ? error->name : "";
	const char *message = error && error->message ? error->message : strerror(r < 0 ? -r : r);

	if (!*name && (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ETIMEDOUT))
		name = SD_BUS_ERROR_DISCONNECTED;
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
		size_t n = strlen(meanings[i].name);

		if (meanings[i].name[n - 1] == '.' ? strncmp(name, meanings[i].name, n)
						   : strcmp(name, meanings[i].name))
			continue;
		if (meanings[i].code == CETCTL_UNREACHABLE)
			text_error("cetd does not answer on %s: %s", where(ctl), message);
		else if (meanings[i].code == CETCTL_NO_VM)
			text_error("%s", message);
		else
			text_error("%s: %s", what, message);
		if (meanings[i].hint)
			text_hint("%s", meanings[i].hint);
		return meanings[i].code;
	}
	text_error("%s: %s", what, message);
	return CETCTL_FAILURE;
}

static enum exit_code call(struct ctl *ctl, sd_bus_message **ret, const char *path,
			   const char *interface, const char *member, const char *types, va_list ap)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *m = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	enum exit_code code = bus_open(ctl);
	int r;

	if (code)
		return code;
	r = sd_bus_message_new_method_call(ctl->bus, &m, CETD_BUS_NAME, path, interface, member);
	if (r >= 0 && types)
		r = sd_bus_message_appendv(m, types, ap);
	if (r < 0) {
		text_error("cannot build the call %s: %s", member, strerror(-r));
		if (r == -EINVAL)
			text_hint("arguments must be UTF-8");
		return CETCTL_FAILURE;
	}
	/* Somebody is there to be asked for a password, and may have to look for it. */
	if (isatty(STDIN_FILENO))
		sd_bus_message_set_allow_interactive_authorization(m, true);
	r = sd_bus_call(ctl->bus, m, isatty(STDIN_FILENO) ? PERSON_USEC : 0, &error, ret);
	if (r < 0)
		return bus_fail(ctl, &error, r, member);
	return CETCTL_OK;
}

static enum exit_code call_path(struct ctl *ctl, sd_bus_message **ret, const char *path,
				const char *interface, const char *member, const char *types, ...)
{
	enum exit_code code;
	va_list ap;

	va_start(ap, types);
	code = call(ctl, ret, path, interface, member, types, ap);
	va_end(ap);
	return code;
}

enum exit_code bus_call(struct ctl *ctl, sd_bus_message **ret, const char *member,
			const char *types, ...)
{
	enum exit_code code;
	va_list ap;

	va_start(ap, types);
	code = call(ctl, ret, CETD_BUS_PATH, CETD_BUS_MANAGER, member, types, ap);
	va_end(ap);
	return code;
}

/* Time to find a password. */
#define CHANGE_USEC (5 * 60 * USEC_PER_SEC)

enum exit_code bus_new_change(struct ctl *ctl, const char *path, const char *member,
			      sd_bus_message **ret)
{
	enum exit_code code = bus_open(ctl);
	int r;

	if (code)
		return code;
	r = sd_bus_message_new_method_call(ctl->bus, ret, CETD_BUS_NAME, path ?: CETD_BUS_PATH,
					   path ? CETD_BUS_VM : CETD_BUS_MANAGER, member);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(*ret, true);
	return r < 0 ? bus_fail(ctl, NULL, r, member) : CETCTL_OK;
}

enum exit_code bus_send_change(struct ctl *ctl, sd_bus_message *m)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call(ctl->bus, m, CHANGE_USEC, &error, NULL);

	return r < 0 ? bus_fail(ctl, &error, r, sd_bus_message_get_member(m)) : CETCTL_OK;
}

enum exit_code bus_get_json(struct ctl *ctl, const char *member, json_object **ret)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *text;
	enum exit_code code = bus_call(ctl, &reply, member, NULL);
	int r;

	if (code)
		return code;
	r = sd_bus_message_read(reply, "s", &text);
	return r < 0 ? bus_fail(ctl, NULL, r, member) : doc_parse(text, member, ret);
}

static enum exit_code read_text(int fd, char **ret)
{
	_cleanup_(freep) char *text = NULL;
	size_t size, done = 0;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    (uint64_t)st.st_size > DUMP_BYTES_MAX) {
		text_error("the daemon's snapshot is not a file of a sensible size");
		return CETCTL_FAILURE;
	}
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	while (text && done < size) {
		ssize_t n = pread(fd, text + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			text_error("cannot read the daemon's snapshot: %s",
				   n ? strerror(errno) : "it ends early");
			return CETCTL_FAILURE;
		}
		done += (size_t)n;
	}
	if (!text) {
		text_error("out of memory");
		return CETCTL_FAILURE;
	}
	text[done] = 0;
	*ret = text;
	text = NULL;
	return CETCTL_OK;
}

enum exit_code bus_read_dump(int fd, json_object **ret)
{
	_cleanup_(freep) char *text = NULL;
	enum exit_code code = read_text(fd, &text);

	return code ? code : doc_parse(text, "snapshot", ret);
}

/* A method that returns what stands for the whole host, asking nobody for a password. */
static int call_host(struct ctl *ctl, const char *member, sd_bus_error *error, sd_bus_message **ret)
{
	return sd_bus_call_method(ctl->bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER, member,
				  error, ret, NULL);
}

static enum exit_code describe_host(struct ctl *ctl, json_object **ret)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	enum exit_code code = bus_open(ctl);
	const char *member = "Describe", *text;
	int fd, r;

	if (code)
		return code;
	r = call_host(ctl, member, &error, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "s", &text);
	if (r >= 0)
		return doc_parse(text, "description", ret);
	if (ctl->may_pass_fds && sd_bus_error_has_name(&error, SD_BUS_ERROR_LIMITS_EXCEEDED)) {
		/* So many VMs that a message is too short for them. */
		member = "DumpByFileDescriptor";
		sd_bus_error_free(&error);
		r = call_host(ctl, member, &error, &reply);
		if (r >= 0)
			r = sd_bus_message_read(reply, "h", &fd);
		if (r >= 0)
			return bus_read_dump(fd, ret);
	}
	return bus_fail(ctl, &error, r, member);
}

enum exit_code bus_describe(struct ctl *ctl, const char *path, json_object **ret)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *text;
	enum exit_code code;
	int r;

	if (!path)
		return describe_host(ctl, ret);
	code = call_path(ctl, &reply, path, CETD_BUS_VM, "Describe", NULL);
	if (code)
		return code;
	r = sd_bus_message_read(reply, "s", &text);
	if (r < 0)
		return bus_fail(ctl, NULL, r, "Describe");
	return doc_parse(text, "description", ret);
}

/* Offer the VM whose name or id is nearest to what was asked for. */
static void hint_vm(struct ctl *ctl, const char *wanted)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(freep) char *nearest = NULL;
	const char *id, *name;
	unsigned int best = 64;
	int r;

	r = sd_bus_call_method(ctl->bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER, "ListVMs",
			       NULL, &reply, NULL);
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(sssuto)");
	while (r >= 0 &&
	       sd_bus_message_read(reply, "(sssuto)", &id, &name, NULL, NULL, NULL, NULL) > 0) {
		if (text_is_nearer(wanted, name, &best)) {
			free(nearest);
			nearest = strdup(name);
		}
		if (text_is_nearer(wanted, id, &best)) {
			free(nearest);
			nearest = strdup(id);
		}
	}
	if (nearest)
		text_hint("did you mean '%s'? `cetctl list` shows all VMs", nearest);
	else
		text_hint("`cetctl list` shows all VMs; name one by id, name, UUID or pid-N");
}

enum exit_code bus_get_vm(struct ctl *ctl, const char *vm, char **ret_path, char **ret_id)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(freep) char *id = NULL;
	const char *path;
	enum exit_code code = bus_open(ctl);
	int r;

	if (code)
		return code;
	r = sd_bus_message_new_method_call(ctl->bus, &m, CETD_BUS_NAME, CETD_BUS_PATH,
					   CETD_BUS_MANAGER, "GetVM");
	if (r >= 0 && sd_bus_message_append(m, "s", vm) < 0) {
		text_error("'%s' cannot be the name of a VM: not UTF-8", vm);
		text_hint("`cetctl list` shows all VMs");
		return CETCTL_NO_VM;
	}
	r = sd_bus_call(ctl->bus, m, 0, &error, &reply);
	if (r < 0) {
		code = bus_fail(ctl, &error, r, "GetVM");
		if (sd_bus_error_has_name(&error, CETD_BUS_ERROR_NO_SUCH_VM))
			hint_vm(ctl, vm);
		return code;
	}
	r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = sd_bus_path_decode(path, CETD_BUS_VM_PREFIX, &id);
	if (r <= 0)
		return bus_fail(ctl, NULL, r < 0 ? r : -EBADMSG, "GetVM");

	*ret_path = strdup(path);
	if (!*ret_path)
		return bus_fail(ctl, NULL, -ENOMEM, "GetVM");
	*ret_id = id;
	id = NULL;
	return CETCTL_OK;
}

enum exit_code bus_get_coverage(struct ctl *ctl, json_object **ret)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_doc_ json_object *facts = json_object_new_object();
	const char *fact, *state, *reason;
	enum exit_code code = bus_open(ctl);
	int r;

	if (code)
		return code;
	r = sd_bus_get_property(ctl->bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
				"Coverage", &error, &reply, "a(sss)");
	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(sss)");
	while (r >= 0 && (r = sd_bus_message_read(reply, "(sss)", &fact, &state, &reason)) > 0) {
		json_object *o = json_object_new_object();

		json_object_object_add(o, "state", json_object_new_string(state));
		json_object_object_add(o, "reason", json_object_new_string(reason));
		json_object_object_add(facts, fact, o);
	}
	if (r < 0)
		return bus_fail(ctl, &error, r, "Coverage");
	*ret = facts;
	facts = NULL;
	return CETCTL_OK;
}

enum exit_code bus_get_string(struct ctl *ctl, const char *name, char **ret)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	enum exit_code code = bus_open(ctl);
	int r;

	if (code)
		return code;
	r = sd_bus_get_property_string(ctl->bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
				       name, &error, ret);
	return r < 0 ? bus_fail(ctl, &error, r, name) : CETCTL_OK;
}

void bus_print_replayed(struct ctl *ctl, const char *recording)
{
	_cleanup_(freep) char *safe = text_clean(recording ?: "a recording");
	const struct options *o = &ctl->options;
	bool is_legend = o->has_legend && o->json == JSON_OFF;

	if (is_legend)
		printf("%sREPLAYED%s from %s: this is not what happens on the host now.\n",
		       o->is_color ? "\033[1;33m" : "", o->is_color ? "\033[0m" : "",
		       safe ?: "a recording");
	else
		text_note("REPLAYED from %s: this is not what happens on the host now",
			  recording ?: "a recording");
}

enum exit_code bus_mark_replayed(struct ctl *ctl)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	enum exit_code code = bus_open(ctl);
	int is_replayed = 0, r;

	if (code)
		return code;
	r = sd_bus_get_property_trivial(ctl->bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
					"Replayed", &error, 'b', &is_replayed);
	if (r < 0)
		return bus_fail(ctl, &error, r, "Replayed");
	if (is_replayed)
		bus_print_replayed(ctl, NULL);
	return CETCTL_OK;
}

enum exit_code bus_call_fd(struct ctl *ctl, const char *member, const char *vm, int *ret)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	enum exit_code code;
	int fd, r;

	code = bus_call(ctl, &reply, member, vm ? "s" : NULL, vm);
	if (code)
		return code;
	r = sd_bus_message_read(reply, "h", &fd);
	if (r < 0)
		return bus_fail(ctl, NULL, r, member);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return bus_fail(ctl, NULL, -errno, member);
	*ret = fd;
	return CETCTL_OK;
}

enum exit_code bus_describe_vm(struct ctl *ctl, const char *name, json_object **ret)
{
	_cleanup_(freep) char *path = NULL, *id = NULL;
	enum exit_code code;

	code = bus_get_vm(ctl, name, &path, &id);
	if (!code)
		code = bus_mark_replayed(ctl);
	return code ? code : bus_describe(ctl, path, ret);
}
