// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests wait in a list for their turn. Each first asks machined whether it registered the VM's process as a
 * machine with that unit; else the unit's cgroup must hold nothing but the VM. Then the order is given.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "enforce/actor.h"
#include "enforce/unit.h"
#include "util/log.h"
#include "util/macro.h"

#define IN_FLIGHT_MAX 32 /* dbus-daemon allows 128 outstanding replies a connection */
#define REQUESTS_MAX 8192
#define TIMEOUT_USEC (30 * USEC_PER_SEC)

#define SYSTEMD "org.freedesktop.systemd1"
#define MACHINED "org.freedesktop.machine1"

struct call {
	const char *service, *path, *interface, *method;
	const char *types; /* of the name, and of what follows: a word, a signal */
	const char *word;
};

#define TO_SYSTEMD(...) {SYSTEMD, "/org/freedesktop/systemd1", SYSTEMD ".Manager", __VA_ARGS__}
#define TO_MACHINED(...) {MACHINED, "/org/freedesktop/machine1", MACHINED ".Manager", __VA_ARGS__}

/* On a unit, and on a machine. To stop it keeps it from being started anew; to kill it then ends at once what is
 * frozen or does not heed SIGTERM. */
static const struct {
	const char *name;
	bool is_machines; /* machined can do it */
	struct call order[2], then[2];
} actions[_ACTOR_ACTION_MAX] = {
	[ACTOR_FREEZE] = {"freeze", false, {TO_SYSTEMD("FreezeUnit", "s")}},
	[ACTOR_THAW] = {"thaw", false, {TO_SYSTEMD("ThawUnit", "s")}},
	[ACTOR_TERMINATE] = {"terminate",
			     true,
			     {TO_SYSTEMD("StopUnit", "ss", "replace"),
			      TO_MACHINED("TerminateMachine", "s")},
			     {TO_SYSTEMD("KillUnit", "ssi", "all"),
			      TO_MACHINED("KillMachine", "ssi", "all")}},
};

struct request {
	struct actor *actor;
	struct request *next;
	sd_bus_slot *slot; /* of the question or the order that is on its way */
	bool is_begun;
	enum actor_action action;
	actor_done_t done;
	void *userdata;
	uint32_t pid, vms_in_process;
	int pidfd;
	char vm[64], unit[128], cgroup[256];
	char machine[128]; /* "" where machined has none */
};

struct actor {
	sd_event_source *turn;
	sd_bus *bus;
	bool is_dry_run;
	char *cgroup_root;
	struct request *requests; /* the latest first */
	unsigned int n_requests, n_begun;
};

const char *actor_action_to_string(int action)
{
	return action >= 0 && action < _ACTOR_ACTION_MAX ? actions[action].name : NULL;
}

static void request_end(struct request *r, int error, const char *message)
{
	struct actor *a = r->actor;
	struct request **at = &a->requests;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	a->n_requests--;
	a->n_begun -= r->is_begun;
	sd_bus_slot_unref(r->slot);
	if (r->done)
		r->done(r->userdata, r->action, error, message);
	closep(&r->pidfd);
	free(r);
	if (a->requests)
		sd_event_source_set_enabled(a->turn, SD_EVENT_ONESHOT);
}

static int make(sd_bus *bus, const struct call *c, const char *name, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(bus, &m, c->service, c->path, c->interface, c->method);
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, false);
	if (r >= 0) /* what types has no letter for is not read */
		r = sd_bus_message_append(m, c->types, name, c->word, SIGKILL);
	if (r >= 0)
		*ret = take_ptr(m);
	return r;
}

static bool by_machined(const struct request *r)
{
	return r->machine[0] && actions[r->action].is_machines;
}

/* What an order is followed by. Nobody waits for it: what it is about may be gone already. */
static void follow_up(const struct request *r)
{
	const struct call *c = &actions[r->action].then[by_machined(r)];
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

	if (c->method && make(r->actor->bus, c, by_machined(r) ? r->machine : r->unit, &m) >= 0 &&
	    sd_bus_message_set_expect_reply(m, false) >= 0)
		sd_bus_send(r->actor->bus, m, NULL);
}

static int on_done(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct request *r = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);

	if (!e)
		follow_up(r);
	request_end(r, e ? -abs(sd_bus_error_get_errno(e)) : 0, e ? e->message : NULL);
	return 0;
}

/* While it has not, its id means no other process. */
static bool has_ended(const struct request *r)
{
	struct pollfd p = {.fd = r->pidfd, .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

static void give_order(struct request *r)
{
	const struct call *c = &actions[r->action].order[by_machined(r)];
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char reason[512];
	int k;

	if (!r->machine[0]) {
		k = unit_is_own(r->actor->cgroup_root, r->cgroup, r->unit, r->pid, reason,
				sizeof(reason));
		if (k < 0)
			return request_end(r, k, reason);
	}
	if (has_ended(r))
		return request_end(r, -ESRCH, "its process has ended");
	if (r->actor->is_dry_run) {
		log_notice("Dry run: would %s VM %s by %s of %s", actions[r->action].name, r->vm,
			   c->method, by_machined(r) ? r->machine : r->unit);
		return request_end(r, 0, NULL);
	}
	if (!r->actor->bus)
		return request_end(r, -EOPNOTSUPP, "there is no system bus to reach systemd by");
	k = make(r->actor->bus, c, by_machined(r) ? r->machine : r->unit, &m);
	r->slot = sd_bus_slot_unref(r->slot);
	if (k >= 0)
		k = sd_bus_call_async(r->actor->bus, &r->slot, m, on_done, r, TIMEOUT_USEC);
	if (k < 0)
		request_end(r, k, "the order cannot be sent");
}

struct machine {
	const char *name, *class, *unit;
	uint32_t leader;
};

static int read_machine(sd_bus_message *m, struct machine *ret)
{
	const struct {
		const char *key, *type;
		void *to;
	} properties[] = {
		{"Name", "s", &ret->name},
		{"Class", "s", &ret->class},
		{"Unit", "s", &ret->unit},
		{"Leader", "u", &ret->leader},
	};
	const char *key;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		size_t i = 0;

		r = sd_bus_message_read(m, "s", &key);
		while (r >= 0 && i < ARRAY_SIZE(properties) && strcmp(properties[i].key, key))
			i++;
		if (r >= 0 && i < ARRAY_SIZE(properties))
			r = sd_bus_message_read(m, "v", properties[i].type, properties[i].to);
		else if (r >= 0)
			r = sd_bus_message_skip(m, "v");
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	return r;
}

/* A machine's leader is its VMM; a VMM in a container is in a machine, too, but not that machine. */
static int on_machine(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct request *r = userdata;
	struct machine found = {};

	if (!sd_bus_message_is_method_error(m, NULL) && read_machine(m, &found) >= 0 &&
	    found.name && found.class && found.unit && !strcmp(found.class, "vm") &&
	    found.leader == r->pid && !strcmp(found.unit, r->unit) &&
	    strlen(found.name) < sizeof(r->machine))
		strcpy(r->machine, found.name);
	give_order(r);
	return 0;
}

static int on_machine_path(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *ask = NULL;
	struct request *r = userdata;
	const char *path;
	int k;

	if (sd_bus_message_is_method_error(m, NULL)) {
		give_order(r); /* no machine, or no machined */
		return 0;
	}
	k = sd_bus_message_read(m, "o", &path);
	if (k >= 0)
		k = sd_bus_message_new_method_call(r->actor->bus, &ask, MACHINED, path,
						   "org.freedesktop.DBus.Properties", "GetAll");
	if (k >= 0)
		k = sd_bus_message_append(ask, "s", MACHINED ".Machine");
	r->slot = sd_bus_slot_unref(r->slot);
	if (k >= 0)
		k = sd_bus_call_async(r->actor->bus, &r->slot, ask, on_machine, r, TIMEOUT_USEC);
	if (k < 0)
		give_order(r);
	return 0;
}

static int ask_for_machine(struct request *r)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int k;

	k = sd_bus_message_new_method_call(r->actor->bus, &m, MACHINED, "/org/freedesktop/machine1",
					   MACHINED ".Manager", "GetMachineByPID");
	if (k >= 0)
		k = sd_bus_message_set_auto_start(m, false);
	if (k >= 0)
		k = sd_bus_message_append(m, "u", r->pid);
	return k < 0 ? k
		     : sd_bus_call_async(r->actor->bus, &r->slot, m, on_machine_path, r,
					 TIMEOUT_USEC);
}

static void begin(struct request *r)
{
	char reason[128];

	r->is_begun = true;
	r->actor->n_begun++;
	if (!r->unit[0])
		return request_end(r, -ENOENT, "it runs in no systemd unit");
	if (r->vms_in_process > 1) {
		snprintf(reason, sizeof(reason), "its process holds %u VMs", r->vms_in_process);
		return request_end(r, -EBUSY, reason);
	}
	if (r->pidfd < 0 || has_ended(r))
		return request_end(r, -ESRCH, "its process has ended");
	if (!r->actor->bus || ask_for_machine(r) < 0)
		give_order(r);
}

/* The system bus comes and goes. */
static void connect_bus(struct actor *a)
{
	if (a->bus && sd_bus_is_open(a->bus) > 0)
		return;
	a->bus = sd_bus_close_unref(a->bus);
	if (sd_bus_open_system(&a->bus) >= 0 &&
	    sd_bus_attach_event(a->bus, sd_event_source_get_event(a->turn),
				SD_EVENT_PRIORITY_NORMAL) < 0)
		a->bus = sd_bus_close_unref(a->bus);
}

static int on_turn(sd_event_source *s _unused_, void *userdata)
{
	struct actor *a = userdata;

	if (!a->n_begun)
		connect_bus(a);
	while (a->n_begun < IN_FLIGHT_MAX) {
		struct request *oldest = NULL;

		for (struct request *r = a->requests; r; r = r->next)
			if (!r->is_begun)
				oldest = r;
		if (!oldest)
			break;
		begin(oldest);
	}
	return 0;
}

int actor_new(sd_event *event, const struct actor_params *params, struct actor **ret)
{
	struct actor *a = calloc(1, sizeof(*a));
	int r = 0;

	if (!a)
		return -ENOMEM;
	a->is_dry_run = params->is_dry_run;
	a->cgroup_root = strdup(params->cgroup_root ?: UNIT_CGROUP_ROOT);
	if (!a->cgroup_root)
		r = -ENOMEM;
	if (r >= 0)
		r = sd_event_add_defer(event, &a->turn, on_turn, a);
	if (r >= 0)
		r = sd_event_source_set_enabled(a->turn, SD_EVENT_OFF);
	if (r < 0) {
		actor_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct actor *actor_free(struct actor *a)
{
	if (!a)
		return NULL;
	while (a->requests)
		request_end(a->requests, -ECANCELED, "cetd ends");
	sd_bus_flush_close_unref(a->bus);
	sd_event_source_disable_unref(a->turn);
	free(a->cgroup_root);
	free(a);
	return NULL;
}

int actor_request(struct actor *a, const struct actor_subject *subject, enum actor_action action,
		  actor_done_t done, void *userdata)
{
	struct request *r;

	if (a->n_requests >= REQUESTS_MAX)
		return -EBUSY;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct request){
		.actor = a,
		.next = a->requests,
		.action = action,
		.done = done,
		.userdata = userdata,
		.pid = subject->pid,
		.vms_in_process = subject->vms_in_process,
		.pidfd = subject->pidfd < 0 ? -1 : fcntl(subject->pidfd, F_DUPFD_CLOEXEC, 3),
	};
	snprintf(r->vm, sizeof(r->vm), "%s", subject->vm);
	snprintf(r->unit, sizeof(r->unit), "%s", subject->unit);
	snprintf(r->cgroup, sizeof(r->cgroup), "%s", subject->cgroup);
	a->requests = r;
	a->n_requests++;
	sd_event_source_set_enabled(a->turn, SD_EVENT_ONESHOT);
	return 0;
}
