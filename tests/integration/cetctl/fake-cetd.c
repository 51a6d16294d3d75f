// SPDX-License-Identifier: GPL-2.0-only
/*
 * A daemon that answers cetctl from a snapshot file, so that cetctl is tested alone: with data that no
 * kernel here gives, hostile names, a thousand VMs, refusals and silence.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <json-c/json.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "cetd/bus.h"
#include "cetd/event.h"

struct fake {
	sd_bus *bus;
	json_object *snapshot;
	const char *monitor_lines; /* file that a monitor is sent */
	bool denies;		   /* what only root may see */
	bool ticks;	   /* the first VM takes 10 faults, and a second passes, at each Describe */
	bool is_mute;	   /* Describe is never answered */
	bool is_broken;	   /* Describe answers with half of the JSON */
	bool is_long;	   /* what Describe would answer is too long for a message */
	const char *calls; /* file that calls which change something are noted in */
	bool ends_monitor; /* the pipe is closed after the lines */
};

/* Snapshots may be odd on purpose: what is no array is an empty one. */
static size_t length(const json_object *o)
{
	return json_object_is_type(o, json_type_array) ? json_object_array_length(o) : 0;
}

static json_object *at(const json_object *o, size_t i)
{
	return i < length(o) ? json_object_array_get_idx(o, i) : NULL;
}

static json_object *get(json_object *o, const char *key)
{
	json_object *v = NULL;

	json_object_object_get_ex(o, key, &v);
	return v;
}

static const char *text(json_object *o, const char *key)
{
	return get(o, key) ? json_object_get_string(get(o, key)) : "";
}

static int deny(sd_bus_error *error)
{
	return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
				"Only root may read guest addresses");
}

static int find(struct fake *f, const char *name, json_object **ret, sd_bus_error *error)
{
	json_object *vms = get(f->snapshot, "vms"), *found = NULL;
	char pid[32];

	for (size_t i = 0; i < length(vms); i++) {
		json_object *vm = at(vms, i);

		snprintf(pid, sizeof(pid), "pid-%s", text(vm, "pid"));
		if (!strcmp(text(vm, "id"), name)) {
			*ret = vm;
			return 0;
		}
		if (strcmp(text(vm, "name"), name) && strcmp(pid, name) &&
		    strcasecmp(text(vm, "uuid"), name))
			continue;
		if (found)
			return sd_bus_error_setf(error, CETD_BUS_ERROR_AMBIGUOUS,
						 "Several VMs are called '%s'", name);
		found = vm;
	}
	if (!found)
		return sd_bus_error_setf(error, CETD_BUS_ERROR_NO_SUCH_VM, "There is no VM '%s'",
					 name);
	*ret = found;
	return 0;
}

static void bump(json_object *o, const char *key, uint64_t by)
{
	json_object_object_add(o, key,
			       json_object_new_uint64(json_object_get_uint64(get(o, key)) + by));
}

static void tick(struct fake *f)
{
	json_object *vm = at(get(f->snapshot, "vms"), 0);

	bump(f->snapshot, "now_usec", 1000000);
	bump(get(get(vm, "control_protection"), "endbranch"), "user", 10);
	bump(vm, "control_protection_total", 10);
}

/* Describe leaves out what only root may see, as the daemon does. */
static char *describe(json_object *o)
{
	json_object *copy = NULL, *vms;
	char *s;

	json_object_deep_copy(o, &copy, NULL);
	vms = get(copy, "vms");
	for (size_t i = 0; vms && i < length(vms); i++) {
		if (!json_object_is_type(at(vms, i), json_type_object))
			continue;
		json_object_object_del(at(vms, i), "faults");
		json_object_object_del(at(vms, i), "top_rips");
	}
	json_object_object_del(copy, "faults");
	json_object_object_del(copy, "top_rips");
	s = strdup(json_object_to_json_string_ext(copy, JSON_C_TO_STRING_PLAIN));
	json_object_put(copy);
	return s;
}

static int on_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct fake *f = userdata;
	char *s;
	int r;

	if (f->is_mute)
		return 1;
	if (f->is_long)
		return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
					"The answer has many bytes");
	if (f->ticks)
		tick(f);
	s = describe(f->snapshot);
	if (f->is_broken)
		s[strlen(s) / 2] = 0;
	r = sd_bus_reply_method_return(m, "s", s);
	free(s);
	return r;
}

static int on_vm_describe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct fake *f = userdata;
	json_object *vm;
	char *id = NULL, *s;
	int r = sd_bus_path_decode(sd_bus_message_get_path(m), CETD_BUS_VM_PREFIX, &id);

	if (r > 0)
		r = find(f, id, &vm, error);
	free(id);
	if (r < 0)
		return r;
	s = describe(vm);
	r = sd_bus_reply_method_return(m, "s", s);
	free(s);
	return r;
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	json_object *vms = get(((struct fake *)userdata)->snapshot, "vms");
	sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(m, &reply);

	(void)error;
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(sssuto)");
	for (size_t i = 0; r >= 0 && i < length(vms); i++) {
		json_object *vm = at(vms, i);
		char *path = NULL;

		sd_bus_path_encode(CETD_BUS_VM_PREFIX, text(vm, "id"), &path);
		r = sd_bus_message_append(
			reply, "(sssuto)", text(vm, "id"), text(vm, "name"), text(vm, "vmm"),
			(uint32_t)json_object_get_int(get(vm, "pid")),
			json_object_get_uint64(get(vm, "control_protection_total")), path);
		free(path);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static int on_get_vm(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	json_object *vm = NULL;
	char *path = NULL;
	const char *name;
	int r = sd_bus_message_read(m, "s", &name);

	if (r >= 0)
		r = find(userdata, name, &vm, error);
	if (r >= 0)
		r = sd_bus_path_encode(CETD_BUS_VM_PREFIX, text(vm, "id"), &path);
	if (r >= 0)
		r = sd_bus_reply_method_return(m, "o", path);
	free(path);
	return r;
}

static uint64_t hex(json_object *o, const char *key)
{
	return strtoull(text(o, key), NULL, 0);
}

static int append_fault(sd_bus_message *reply, json_object *e)
{
	json_object *vcpu = get(e, "vcpu"), *cpl = get(e, "cpl");

	return sd_bus_message_append(
		reply, "(tusuytttbbs)", json_object_get_uint64(get(e, "time_usec")),
		vcpu ? (uint32_t)json_object_get_int(vcpu) : CETD_VCPU_UNKNOWN, text(e, "kind"),
		(uint32_t)json_object_get_int(get(e, "error_code")),
		cpl ? json_object_get_int(cpl) : CETD_CPL_UNKNOWN, hex(e, "rip"), hex(e, "ssp"),
		hex(e, "cet"), json_object_get_boolean(get(e, "nested")),
		!strcmp(text(e, "type"), "injected"), text(e, "action"));
}

/* GetFaults and GetTopRIPs: an array of the VM, in the shape that the member has on the bus. */
static int reply_array(sd_bus_message *m, struct fake *f, const char *key, const char *types,
		       sd_bus_error *error)
{
	sd_bus_message *reply = NULL;
	json_object *vm = NULL, *array;
	uint32_t max = UINT32_MAX;
	const char *name;
	int r = sd_bus_message_read(m, "s", &name);

	if (r >= 0 && !strcmp(key, "faults"))
		r = sd_bus_message_read(m, "u", &max);
	if (r >= 0)
		r = f->denies ? deny(error) : find(f, name, &vm, error);
	if (r >= 0)
		r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', types);
	array = get(vm, key);
	for (size_t i = 0; r >= 0 && array && i < length(array) && i < max; i++) {
		json_object *e = at(array, i);

		if (!strcmp(key, "faults"))
			r = append_fault(reply, e);
		else
			r = sd_bus_message_append(reply, types, hex(e, "rip"),
						  json_object_get_uint64(get(e, "count")),
						  json_object_get_uint64(get(e, "error")));
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r >= 0)
		r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r < 0 ? r : 1;
}

static int on_faults(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return reply_array(m, userdata, "faults", "(tusuytttbbs)", error);
}

static int on_top_rips(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return reply_array(m, userdata, "top_rips", "(ttt)", error);
}

static int on_dump(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct fake *f = userdata;
	const char *s = json_object_to_json_string_ext(f->snapshot, JSON_C_TO_STRING_PRETTY);
	int fd = memfd_create("dump", MFD_CLOEXEC), r;

	(void)error;
	if (fd < 0 || write(fd, s, strlen(s)) != (ssize_t)strlen(s))
		return -errno;
	r = sd_bus_reply_method_return(m, "h", fd);
	close(fd);
	return r;
}

static int on_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	(void)error;
	return sd_bus_reply_method_return(
		m, "s",
		"# TYPE cetd_build_info gauge\ncetd_build_info{version=\"0\"} 1\n"
		"evil{vm=\"\033[31m\"} 1\n");
}

/* The pipe holds the lines of the file (they must fit); its write end stays open, leaked, unless it ends. */
static int on_monitor(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct fake *f = userdata;
	char buffer[60000];
	int fds[2], in, r;
	ssize_t n = 0;

	if (f->denies)
		return deny(error);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = f->monitor_lines ? open(f->monitor_lines, O_RDONLY | O_CLOEXEC) : -1;
	if (in >= 0) {
		n = read(in, buffer, sizeof(buffer));
		close(in);
	}
	if (n > 0 && write(fds[1], buffer, (size_t)n) != n)
		return -EIO;
	r = sd_bus_reply_method_return(m, "h", fds[0]);
	close(fds[0]);
	if (f->ends_monitor)
		close(fds[1]);
	return r;
}

/* What changes something: noted with its arguments. What is called bad is refused. */
static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *member = sd_bus_message_get_member(m), *word;
	struct fake *f = userdata;
	uint64_t number;
	FILE *out;
	char type;
	int r = 1;

	if (f->denies)
		return deny(error);
	out = fopen(f->calls ?: "/dev/null", "a");
	if (!out)
		return -errno;
	fprintf(out, "%s", member);
	while (r >= 0 && sd_bus_message_peek_type(m, &type, NULL) > 0) {
		if (type == 'a') {
			r = sd_bus_message_enter_container(m, 'a', "s");
			while (r >= 0 && sd_bus_message_read(m, "s", &word) > 0)
				fprintf(out, " [%s]", word);
			r = sd_bus_message_exit_container(m);
		} else if (type == 's') {
			r = sd_bus_message_read(m, "s", &word);
			fprintf(out, " %s", word);
			if (r >= 0 && strstr(word, "bad"))
				r = sd_bus_error_set(error, CETD_BUS_ERROR_BAD_POLICY,
						     "settings:1: that is bad\033[31m");
		} else {
			r = sd_bus_message_read(m, "t", &number);
			fprintf(out, " %" PRIu64, number);
		}
	}
	fprintf(out, "%s\n",
		sd_bus_message_get_allow_interactive_authorization(m) ? " asking" : "");
	fclose(out);
	if (r >= 0 && !strcmp(member, "Thaw"))
		r = sd_bus_error_set(error, CETD_BUS_ERROR_CANNOT_ACT, "It has no unit");
	return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int on_get_policy(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	json_object *all = get(((struct fake *)userdata)->snapshot, "all_policies");

	(void)error;
	return sd_bus_reply_method_return(
		m, "s", all ? json_object_to_json_string(all) : "{\"rules\":[],\"overrides\":[]}");
}

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
			sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct fake *f = userdata;
	json_object *coverage = get(get(f->snapshot, "host"), "coverage");
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)error;
	if (!strcmp(property, "Version"))
		return sd_bus_message_append(reply, "s", text(f->snapshot, "version"));
	if (!strcmp(property, "Replayed"))
		return sd_bus_message_append(reply, "b",
					     json_object_get_boolean(get(f->snapshot, "replayed")));
	r = sd_bus_message_open_container(reply, 'a', "(sss)");
	if (!json_object_is_type(coverage, json_type_object))
		return r < 0 ? r : sd_bus_message_close_container(reply);
	json_object_object_foreach (coverage, fact, v) {
		if (r >= 0)
			r = sd_bus_message_append(reply, "(sss)", fact, text(v, "state"),
						  text(v, "reason"));
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable manager[] = {
	SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Describe", NULL, "s", on_describe, 0),
	SD_BUS_METHOD("ListVMs", NULL, "a(sssuto)", on_list, 0),
	SD_BUS_METHOD("GetVM", "s", "o", on_get_vm, 0),
	SD_BUS_METHOD("GetFaults", "su", "a(tusuytttbbs)", on_faults, 0),
	SD_BUS_METHOD("GetTopRIPs", "s", "a(ttt)", on_top_rips, 0),
	SD_BUS_METHOD("DumpByFileDescriptor", NULL, "h", on_dump, 0),
	SD_BUS_METHOD("Metrics", NULL, "s", on_metrics, 0),
	SD_BUS_METHOD("MonitorByFileDescriptor", "s", "h", on_monitor, 0),
	SD_BUS_METHOD("GetPolicy", NULL, "s", on_get_policy, 0),
	SD_BUS_METHOD("ClearOverride", "sast", NULL, on_change, 0),
	SD_BUS_PROPERTY("Version", "s", get_property, 0, 0),
	SD_BUS_PROPERTY("Replayed", "b", get_property, 0, 0),
	SD_BUS_PROPERTY("Coverage", "a(sss)", get_property, 0, 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable vm_object[] = {
	SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Describe", NULL, "s", on_vm_describe, 0),
	SD_BUS_METHOD("SetPolicy", "stt", NULL, on_change, 0),
	SD_BUS_METHOD("Freeze", "tt", NULL, on_change, 0),
	SD_BUS_METHOD("Thaw", NULL, NULL, on_change, 0),
	SD_BUS_VTABLE_END,
};

static int find_vm(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
		   sd_bus_error *error)
{
	char *id = NULL;
	int r = sd_bus_path_decode(path, CETD_BUS_VM_PREFIX, &id);

	(void)bus;
	(void)interface;
	(void)error;
	free(id);
	*ret = userdata;
	return r;
}

/* The signals that everyone may see, four times a second; db-10 comes to an end each time. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct fake *f = userdata;
	json_object *vm = at(get(f->snapshot, "vms"), 0);

	(void)usec;
	sd_bus_emit_signal(f->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "ControlProtection", "ssstb",
			   text(vm, "id"), "endbranch", "user", (uint64_t)7, 0);
	sd_bus_emit_signal(f->bus, CETD_BUS_PATH, CETD_BUS_MANAGER, "VMRemoved", "so", "db-10",
			   CETD_BUS_VM_PREFIX "/db_2d10");
	return sd_event_source_set_time_relative(source, 250000);
}

/* n VMs after those of the file, each a copy of the first with an id of its own. */
static void clone(json_object *snapshot, unsigned int n)
{
	json_object *vms = get(snapshot, "vms");

	for (unsigned int i = 0; i < n; i++) {
		json_object *vm = NULL;
		char name[32];

		json_object_deep_copy(at(vms, 0), &vm, NULL);
		snprintf(name, sizeof(name), "clone-%u", i);
		json_object_object_add(vm, "id", json_object_new_string(name));
		json_object_object_add(vm, "name", json_object_new_string(name));
		json_object_object_add(vm, "uuid", NULL);
		json_object_object_add(vm, "pid", json_object_new_int64(100000 + (int64_t)i));
		json_object_array_add(vms, vm);
	}
}

static int serve(struct fake *f)
{
	sd_event_source *timer = NULL;
	sd_event *event = NULL;
	int r = sd_event_default(&event);

	if (r >= 0)
		r = sd_bus_open_system(&f->bus);
	if (r >= 0)
		r = sd_bus_attach_event(f->bus, event, 0);
	if (r >= 0)
		r = sd_bus_add_object_vtable(f->bus, NULL, CETD_BUS_PATH, CETD_BUS_MANAGER, manager,
					     f);
	if (r >= 0)
		r = sd_bus_add_fallback_vtable(f->bus, NULL, CETD_BUS_VM_PREFIX, CETD_BUS_VM,
					       vm_object, find_vm, f);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &timer, CLOCK_MONOTONIC, 250000, 0, on_timer,
					       f);
	if (r >= 0)
		r = sd_event_source_set_enabled(timer, SD_EVENT_ON);
	if (r >= 0)
		r = sd_bus_request_name(f->bus, CETD_BUS_NAME, 0);
	if (r >= 0) {
		printf("ready\n");
		fflush(stdout);
		r = sd_event_loop(event);
	}
	fprintf(stderr, "fake-cetd: %s\n", strerror(-r));
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"clone", required_argument, NULL, 'c'}, {"monitor", required_argument, NULL, 'm'},
		{"deny", no_argument, NULL, 'd'},	 {"tick", no_argument, NULL, 't'},
		{"mute", no_argument, NULL, 'u'},	 {"broken", no_argument, NULL, 'b'},
		{"long", no_argument, NULL, 'l'},	 {"end", no_argument, NULL, 'e'},
		{"calls", required_argument, NULL, 'C'}, {},
	};
	unsigned int clones = 0;
	struct fake f = {};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
		switch (c) {
		case 'c':
			clones = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			f.monitor_lines = optarg;
			break;
		case 'd':
			f.denies = true;
			break;
		case 't':
			f.ticks = true;
			break;
		case 'u':
			f.is_mute = true;
			break;
		case 'b':
			f.is_broken = true;
			break;
		case 'l':
			f.is_long = true;
			break;
		case 'C':
			f.calls = optarg;
			break;
		case 'e':
			f.ends_monitor = true;
			break;
		default:
			return 2;
		}
	f.snapshot = optind < argc ? json_object_from_file(argv[optind]) : NULL;
	if (!f.snapshot) {
		fprintf(stderr, "usage: fake-cetd [OPTION…] SNAPSHOT\n%s",
			json_util_get_last_err() ?: "");
		return 2;
	}
	clone(f.snapshot, clones);
	return serve(&f);
}
