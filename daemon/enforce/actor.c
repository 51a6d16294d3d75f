// SPDX-License-Identifier: GPL-2.0-only
/* A VM is its systemd unit: frozen and thawed by its cgroup, terminated by stopping it. Nothing here waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/actor.h"
#include "util/log.h"

static const struct {
	const char *name, *method;
	bool has_mode; /* the method takes a job mode */
} actions[_ACTOR_ACTION_MAX] = {
	[ACTOR_FREEZE] = {"freeze", "FreezeUnit"},
	[ACTOR_THAW] = {"thaw", "ThawUnit"},
	[ACTOR_TERMINATE] = {"terminate", "StopUnit", true},
};

struct request {
	struct actor *actor;
	sd_bus_slot *slot;
	enum actor_action action;
	struct request *next;
	char vm[];
};

struct actor {
	sd_bus *bus;
	bool is_dry_run;
	actor_done_t done;
	void *userdata;
	struct request *requests;
};

const char *actor_action_to_string(int action)
{
	return action >= 0 && action < _ACTOR_ACTION_MAX ? actions[action].name : NULL;
}

int actor_new(sd_bus *bus, bool is_dry_run, actor_done_t done, void *userdata, struct actor **ret)
{
	struct actor *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	*a = (struct actor){sd_bus_ref(bus), is_dry_run, done, userdata, NULL};
	*ret = a;
	return 0;
}

static void request_free(struct request *r)
{
	struct request **at = &r->actor->requests;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	sd_bus_slot_unref(r->slot);
	free(r);
}

struct actor *actor_free(struct actor *a)
{
	if (!a)
		return NULL;
	while (a->requests)
		request_free(a->requests);
	sd_bus_unref(a->bus);
	free(a);
	return NULL;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct request *r = userdata;
	const sd_bus_error *e = sd_bus_message_get_error(m);

	r->actor->done(r->actor->userdata, r->vm, r->action,
		       e ? -abs(sd_bus_error_get_errno(e)) : 0, e ? e->message : NULL);
	request_free(r);
	return 0;
}

/* A unit that holds other things than this VM is no VM: stopping libvirtd.service would end them all. */
static bool unit_is_a_vms(const char *unit)
{
	const char *dot = strrchr(unit, '.');

	return dot && (!strcmp(dot, ".scope") || (!strcmp(dot, ".service") && strchr(unit, '@')));
}

static int send(struct actor *a, const char *vm, const char *unit, enum actor_action action)
{
	struct request *r = calloc(1, sizeof(*r) + strlen(vm) + 1);
	int k;

	if (!r)
		return -ENOMEM;
	r->actor = a;
	r->action = action;
	strcpy(r->vm, vm);
	r->next = a->requests;
	a->requests = r;
	k = sd_bus_call_method_async(
		a->bus, &r->slot, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
		"org.freedesktop.systemd1.Manager", actions[action].method, on_reply, r,
		actions[action].has_mode ? "ss" : "s", unit, "replace");
	if (k < 0)
		request_free(r);
	return k;
}

int actor_request(struct actor *a, const char *vm, const char *unit, enum actor_action action,
		  const char **ret_reason)
{
	int r;

	*ret_reason = NULL;
	if (!*unit) {
		*ret_reason = "it runs in no systemd unit";
		return -ENOENT;
	}
	if (!unit_is_a_vms(unit)) {
		*ret_reason = "its systemd unit is not its own: only a scope or an instance of a "
			      "service is";
		return -ENOENT;
	}
	if (a->is_dry_run) {
		log_info("Dry run: would %s VM %s by its unit %s", actions[action].name, vm, unit);
		return 0;
	}
	if (!a->bus) {
		*ret_reason = "there is no bus to reach systemd by";
		return -EOPNOTSUPP;
	}
	r = send(a, vm, unit, action);
	if (r < 0)
		*ret_reason = "systemd cannot be asked";
	return r < 0 ? r : 0;
}
