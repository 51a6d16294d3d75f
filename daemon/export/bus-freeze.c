// SPDX-License-Identifier: GPL-2.0-only
/* Freeze and Thaw: the reply comes when it is done. */
#include <errno.h>
#include <string.h>

#include "cetd/bus.h"
#include "export/authorize.h"
#include "export/bus-policy.h"
#include "util/log.h"

struct call {
	sd_bus_message *message;
	bool is_freeze;
};

static void call_free(struct call *c)
{
	sd_bus_message_unref(c->message);
	free(c);
}

static void on_done(void *userdata, int error, const char *message)
{
	struct call *c = userdata;
	int r;

	if (error < 0)
		r = sd_bus_reply_method_errorf(
			c->message, CETD_BUS_ERROR_CANNOT_ACT, "The VM cannot be %s: %s",
			c->is_freeze ? "frozen" : "thawed", message ?: strerror(-error));
	else
		r = sd_bus_reply_method_return(c->message, NULL);
	if (r < 0)
		log_debug_errno(r, "Failed to reply: %m");
	call_free(c);
}

static int order(struct bus *b, sd_bus_message *message, const struct vm *vm,
		 const struct bus_override *override, sd_bus_error *error)
{
	struct call *c = calloc(1, sizeof(*c));
	_cleanup_(freep) char *why = NULL;
	struct bus_freeze freeze;
	char by[32];
	int r;

	if (!c)
		return -ENOMEM;
	c->message = sd_bus_message_ref(message);
	c->is_freeze = override;
	snprintf(by, sizeof(by), "user %u", b->caller_uid);
	freeze = (struct bus_freeze){override, by, on_done, c};
	r = b->commands.freeze(b->commands.userdata, vm, &freeze, &why);
	if (r >= 0)
		return 1;
	call_free(c);
	return bus_policy_refuse(error, r, why);
}

static int run_freeze(struct bus *b, sd_bus_message *message, const struct vm *vm,
		      sd_bus_error *error)
{
	struct bus_override override = {};
	int r = bus_policy_read_duration(message, &override, error);

	return r < 0 ? r : order(b, message, vm, &override, error);
}

static int run_thaw(struct bus *b, sd_bus_message *message, const struct vm *vm,
		    sd_bus_error *error)
{
	return order(b, message, vm, NULL, error);
}

int bus_policy_freeze(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	static const struct guarded_method method = {AUTHORIZE_ENFORCE, "freeze a VM", run_freeze};

	return authorize(bus_of_vm(sd_bus_message_get_bus(message)), message, userdata, &method,
			 error);
}

int bus_policy_thaw(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	static const struct guarded_method method = {AUTHORIZE_ENFORCE, "thaw a VM", run_thaw};

	return authorize(bus_of_vm(sd_bus_message_get_bus(message)), message, userdata, &method,
			 error);
}
