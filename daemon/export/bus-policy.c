// SPDX-License-Identifier: GPL-2.0-only
/* Overrides of VMs, set and cleared; policies read and checked. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <json-c/json.h>

#include "cetd/bus.h"
#include "export/authorize.h"
#include "export/bus-policy.h"
#include "export/json-policy.h"
#include "policy/parse.h"
#include "policy/print.h"
#include "util/jsontext.h"
#include "util/log.h"

/* Eight rates take 3 KiB. */
#define SETTINGS_MAX_BYTES 65536

#define METHOD(name) int name(sd_bus_message *message, void *userdata, sd_bus_error *error)

_Static_assert(CETD_BUS_RUNTIME == 1U << POLICY_RUNTIME, "flag");
_Static_assert(CETD_BUS_PERSISTENT == 1U << POLICY_PERSISTENT, "flag");

int bus_policy_refuse(sd_bus_error *error, int r, const char *message)
{
	static const struct {
		int error;
		const char *name;
	} names[] = {
		{EINVAL, SD_BUS_ERROR_INVALID_ARGS},  {EOPNOTSUPP, SD_BUS_ERROR_NOT_SUPPORTED},
		{E2BIG, CETD_BUS_ERROR_LIMIT},	      {ENOENT, CETD_BUS_ERROR_NO_SUCH_OVERRIDE},
		{EBADMSG, CETD_BUS_ERROR_BAD_POLICY}, {EBUSY, CETD_BUS_ERROR_CANNOT_ACT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names) && message; i++)
		if (names[i].error == -r)
			return sd_bus_error_set(error, names[i].name, message);
	return sd_bus_error_set_errnof(error, r, "%s", message ?: strerror(-r));
}

/* Who changed what is to be found in the log. */
static void log_change(const struct bus *b, const char *id, const char *what)
{
	log_notice("VM %s: %s, by user %u", id, what, b->caller_uid);
}

int bus_policy_read_duration(sd_bus_message *message, struct bus_override *o, sd_bus_error *error)
{
	uint64_t flags;
	int r;

	r = sd_bus_message_read(message, "tt", &flags, &o->for_usec);
	if (r < 0)
		return r;
	if (flags != CETD_BUS_RUNTIME && flags != CETD_BUS_PERSISTENT)
		return sd_bus_error_setf(
			error, SD_BUS_ERROR_INVALID_ARGS,
			"flags is %" PRIu64 ", valid are 1 (runtime) and 2 (persistent)", flags);
	if (o->for_usec > CETD_BUS_FOR_MAX_USEC)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "for_usec is %" PRIu64
					 ", valid are 0 (without end) to %llu microseconds",
					 o->for_usec, CETD_BUS_FOR_MAX_USEC);
	o->lifetime = flags == CETD_BUS_RUNTIME ? POLICY_RUNTIME : POLICY_PERSISTENT;
	return 0;
}

static int parse_settings(const char *text, struct policy_values *ret, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	int r;

	if (strlen(text) > SETTINGS_MAX_BYTES)
		return sd_bus_error_setf(error, CETD_BUS_ERROR_BAD_POLICY,
					 "settings: more than %d bytes", SETTINGS_MAX_BYTES);
	r = policy_parse_settings("settings", text, strlen(text), ret, &why);
	if (r < 0)
		return bus_policy_refuse(error, r, why);
	if (!ret->sets)
		return sd_bus_error_set(error, CETD_BUS_ERROR_BAD_POLICY,
					"settings: nothing is set, valid is at least one of mode, "
					"ibt, shstk, cp_rate, record");
	return 0;
}

static int set(struct bus *b, sd_bus_message *message, const struct vm *vm,
	       struct bus_override *override, sd_bus_error *error)
{
	struct json_object *settings = policy_settings_to_json(&override->values);
	_cleanup_(freep) char *why = NULL, *what = NULL;
	int r;

	r = asprintf(&what, "%s override %s for %" PRIu64 " s (0: without end)",
		     policy_lifetime_to_string(override->lifetime),
		     json_object_to_json_string_ext(settings, JSON_C_TO_STRING_PLAIN),
		     (uint64_t)(override->for_usec / USEC_PER_SEC));
	json_object_put(settings);
	if (r < 0)
		return -ENOMEM;
	r = b->commands.set_override(b->commands.userdata, vm, override, &why);
	if (r < 0)
		return bus_policy_refuse(error, r, why);
	log_change(b, vm->identity.id, what);
	return sd_bus_reply_method_return(message, NULL);
}

/* One setting by itself: a word, or with is_json a JSON value. */
static int set_one(struct bus *b, sd_bus_message *message, const struct vm *vm, const char *setting,
		   sd_bus_error *error)
{
	bool is_json = !strcmp(setting, "cp_rate");
	_cleanup_(freep) char *text = NULL;
	struct bus_override override;
	struct json_object *o;
	const char *value;
	int r;

	r = sd_bus_message_read(message, "s", &value);
	if (r >= 0)
		r = bus_policy_read_duration(message, &override, error);
	if (r < 0)
		return r;
	if (is_json) {
		r = asprintf(&text, "{\"%s\": %s}", setting, value);
	} else {
		o = json_object_new_object();
		json_object_object_add(o, setting, json_object_new_string(value));
		r = asprintf(&text, "%s", json_object_to_json_string(o));
		json_object_put(o);
	}
	if (r < 0)
		return -ENOMEM;
	r = parse_settings(text, &override.values, error);
	if (r < 0)
		return r;
	/* A value that closes the object and goes on with another key is no value. */
	if (override.values.sets & (override.values.sets - 1))
		return sd_bus_error_setf(error, CETD_BUS_ERROR_BAD_POLICY,
					 "%s is more than one value", setting);
	return set(b, message, vm, &override, error);
}

static int run_set_mode(struct bus *b, sd_bus_message *message, const struct vm *vm,
			sd_bus_error *error)
{
	return set_one(b, message, vm, "mode", error);
}

static int run_set_ibt(struct bus *b, sd_bus_message *message, const struct vm *vm,
		       sd_bus_error *error)
{
	return set_one(b, message, vm, "ibt", error);
}

static int run_set_rate_limit(struct bus *b, sd_bus_message *message, const struct vm *vm,
			      sd_bus_error *error)
{
	return set_one(b, message, vm, "cp_rate", error);
}

static int run_set(struct bus *b, sd_bus_message *message, const struct vm *vm, sd_bus_error *error)
{
	struct bus_override override;
	const char *text;
	int r;

	r = sd_bus_message_read(message, "s", &text);
	if (r >= 0)
		r = bus_policy_read_duration(message, &override, error);
	if (r >= 0)
		r = parse_settings(text, &override.values, error);
	return r < 0 ? r : set(b, message, vm, &override, error);
}

/* The names of settings, none for all, and the lifetimes to clear. */
static int read_clear(sd_bus_message *message, uint32_t *ret_settings, uint32_t *ret_lifetimes,
		      sd_bus_error *error)
{
	const uint64_t all = CETD_BUS_RUNTIME | CETD_BUS_PERSISTENT;
	uint32_t settings = 0;
	const char *name;
	uint64_t flags;
	int r, s;

	r = sd_bus_message_enter_container(message, 'a', "s");
	while (r >= 0 && (r = sd_bus_message_read(message, "s", &name)) > 0) {
		for (s = 0; s < _POLICY_SETTING_MAX; s++)
			if (!strcmp(name, policy_setting_to_string(s)))
				break;
		if (s == _POLICY_SETTING_MAX)
			return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
						 "'%s' is no setting, valid are mode, ibt, shstk, "
						 "cp_rate, record",
						 name);
		settings |= 1U << s;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(message);
	if (r >= 0)
		r = sd_bus_message_read(message, "t", &flags);
	if (r < 0)
		return r;
	if (!flags || flags & ~all)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "flags is %" PRIu64
					 ", valid are 1 (runtime), 2 (persistent) and 3 (both)",
					 flags);
	*ret_settings = settings ?: (1U << _POLICY_SETTING_MAX) - 1;
	*ret_lifetimes = (uint32_t)flags;
	return 0;
}

static int clear(struct bus *b, sd_bus_message *message, const char *id, sd_bus_error *error)
{
	_cleanup_(freep) char *why = NULL;
	uint32_t settings = 0, lifetimes = 0;
	int r;

	r = read_clear(message, &settings, &lifetimes, error);
	if (r < 0)
		return r;
	r = b->commands.clear_override(b->commands.userdata, id, lifetimes, settings, &why);
	if (r < 0)
		return bus_policy_refuse(error, r, why);
	log_change(b, id, "overrides cleared");
	return sd_bus_reply_method_return(message, NULL);
}

static int run_clear(struct bus *b, sd_bus_message *message, const struct vm *vm,
		     sd_bus_error *error)
{
	return clear(b, message, vm->identity.id, error);
}

/* A VM that does not run has its overrides still: it is named by its id then. */
static int run_clear_by_name(struct bus *b, sd_bus_message *message, const struct vm *none _unused_,
			     sd_bus_error *error)
{
	const struct vm *vm;
	const char *text;
	int r;

	r = sd_bus_message_read(message, "s", &text);
	if (r < 0)
		return r;
	if (b->ctx->ledger && ledger_find_override(b->ctx->ledger, text))
		return clear(b, message, text, error);
	r = bus_find_vm(b, text, &vm, error);
	return r < 0 ? r : clear(b, message, vm->identity.id, error);
}

static int run_check(struct bus *b _unused_, sd_bus_message *message,
		     const struct vm *none _unused_, sd_bus_error *error)
{
	_cleanup_(policy_set_freep) struct policy_set *rules = policy_set_new();
	_cleanup_(freep) char *why = NULL;
	const char *name, *text;
	int r;

	r = sd_bus_message_read(message, "ss", &name, &text);
	if (r < 0)
		return r;
	if (strlen(text) > JSONTEXT_MAX)
		return sd_bus_error_setf(error, CETD_BUS_ERROR_BAD_POLICY,
					 "%s: has %zu bytes, at most %d are read", name,
					 strlen(text), JSONTEXT_MAX);
	r = rules ? policy_parse(rules, name, text, strlen(text), &why) : -ENOMEM;
	if (r >= 0)
		r = policy_set_finish(rules, &why);
	if (r < 0)
		return bus_policy_refuse(error, r, why);
	return sd_bus_reply_method_return(message, "t", (uint64_t)rules->n_rules);
}

#define SET_WHAT "change the policy of a VM"

#define VM_METHOD(name, handler)                                                                   \
	METHOD(name)                                                                               \
	{                                                                                          \
		static const struct guarded_method method = {AUTHORIZE_MANAGE, SET_WHAT, handler}; \
                                                                                                   \
		return authorize(bus_of_vm(sd_bus_message_get_bus(message)), message, userdata,    \
				 &method, error);                                                  \
	}

VM_METHOD(bus_policy_set_mode, run_set_mode)
VM_METHOD(bus_policy_set_ibt, run_set_ibt)
VM_METHOD(bus_policy_set_rate_limit, run_set_rate_limit)
VM_METHOD(bus_policy_set, run_set)
VM_METHOD(bus_policy_clear, run_clear)

/* Who decides is told which VM it is about, if that runs. */
METHOD(bus_policy_clear_by_name)
{
	static const struct guarded_method method = {AUTHORIZE_MANAGE, SET_WHAT, run_clear_by_name};
	const struct vm *vm = NULL;
	struct bus *b = userdata;
	const char *text;
	int r;

	r = sd_bus_message_read(message, "s", &text);
	if (r < 0)
		return r;
	model_find(b->model, text, &vm);
	return authorize(b, message, vm, &method, error);
}

/* It takes the daemon's time, and `cetctl policy check` needs no daemon. */
METHOD(bus_policy_check)
{
	static const struct guarded_method method = {AUTHORIZE_MANAGE, "have a policy checked",
						     run_check};

	return authorize(userdata, message, NULL, &method, error);
}

METHOD(bus_policy_get_all)
{
	const struct bus *b = userdata;

	return bus_reply_json(b, message, json_from_rules(b->ctx->ledger), error);
}
