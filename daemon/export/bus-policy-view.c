// SPDX-License-Identifier: GPL-2.0-only
/* Each VM's policy as properties, and the signal when it changes. */
#include <errno.h>

#include <json-c/json.h>

#include "cetd/bus.h"
#include "cetd/names.h"
#include "cetd/ratelimit.h"
#include "export/bus-policy.h"
#include "policy/print.h"
#include "util/clock.h"
#include "util/log.h"

/* A definition of what the header declares; most arguments go unused. */
#define GETTER(name)                                                                              \
	int name(sd_bus *bus _unused_, const char *path _unused_, const char *interface _unused_, \
		 const char *property _unused_, sd_bus_message *reply, void *userdata,            \
		 sd_bus_error *error _unused_)

static const struct policy_verdict *verdict_of(const struct bus *b, const struct vm *vm)
{
	return b->ctx->ledger ? ledger_find(b->ctx->ledger, vm->identity.key) : NULL;
}

/* A word is a word, and what is none is JSON. Owned by the caller. */
static char *value_text(const struct policy_values *v, int setting)
{
	struct json_object *o = policy_value_to_json(v, setting);
	char *text;

	text = strdup(json_object_is_type(o, json_type_string)
			      ? json_object_get_string(o)
			      : json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	return text;
}

static int append_values(sd_bus_message *reply, const struct policy_values *v)
{
	int r;

	r = sd_bus_message_open_container(reply, 'a', "{sv}");
	for (int s = 0; s < _POLICY_SETTING_MAX && r >= 0; s++) {
		_cleanup_(freep) char *text = NULL;

		if (!(v->sets & 1U << s))
			continue;
		if (s == POLICY_SETTING_RECORD) {
			r = sd_bus_message_append(reply, "{sv}", policy_setting_to_string(s), "b",
						  v->record);
			continue;
		}
		text = value_text(v, s);
		r = text ? sd_bus_message_append(reply, "{sv}", policy_setting_to_string(s), "s",
						 text)
			 : -ENOMEM;
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(bus_policy_get_desired)
{
	const struct policy_verdict *v = verdict_of(bus_of_vm(bus), userdata);

	return append_values(reply, v ? &v->values : &(struct policy_values){});
}

GETTER(bus_policy_get_effective)
{
	const struct policy_verdict *v = verdict_of(bus_of_vm(bus), userdata);
	struct policy_values values = {};

	if (v)
		policy_verdict_effective(v, &values);
	return append_values(reply, &values);
}

GETTER(bus_policy_get_pending)
{
	const struct policy_verdict *v = verdict_of(bus_of_vm(bus), userdata);
	struct policy_values values = {};

	if (v)
		policy_verdict_pending(v, &values);
	return append_values(reply, &values);
}

GETTER(bus_policy_get_decisions)
{
	const struct bus *b = bus_of_vm(bus);
	const struct policy_verdict *v = verdict_of(b, userdata);
	char reason[512], advice[512];
	int r;

	r = sd_bus_message_open_container(reply, 'a', "(sssssst)");
	for (int s = 0; s < _POLICY_SETTING_MAX && v && r >= 0; s++) {
		const struct policy_decision *d = v->decisions + s;

		policy_reason(ledger_get_rules(b->ctx->ledger), v, (enum policy_setting)s, reason,
			      sizeof(reason));
		policy_advice(v, (enum policy_setting)s, userdata, advice, sizeof(advice));
		r = sd_bus_message_append(reply, "(sssssst)", policy_setting_to_string(s),
					  cetd_effect_to_string(d->effect),
					  policy_source_to_string(d->source), d->rule, reason,
					  advice, d->until_usec);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_layer(sd_bus_message *reply, const struct policy_override *o, int lifetime)
{
	const struct policy_layer *layer = o->layers + lifetime;
	int r = 0;

	for (int s = 0; s < _POLICY_SETTING_MAX && r >= 0; s++) {
		_cleanup_(freep) char *text = NULL;

		if (!(layer->values.sets & 1U << s))
			continue;
		text = value_text(&layer->values, s);
		r = text ? sd_bus_message_append(
				   reply, "(ssst)", policy_lifetime_to_string(lifetime),
				   policy_setting_to_string(s), text, layer->until_usec[s])
			 : -ENOMEM;
	}
	return r;
}

GETTER(bus_policy_get_overrides)
{
	const struct bus *b = bus_of_vm(bus);
	const struct vm *vm = userdata;
	const struct policy_override *o =
		b->ctx->ledger ? ledger_find_override(b->ctx->ledger, vm->identity.id) : NULL;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "(ssst)");
	for (int l = 0; l < _POLICY_LIFETIME_MAX && o && r >= 0; l++)
		r = append_layer(reply, o, l);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(bus_policy_get_frozen)
{
	const struct policy_verdict *v = verdict_of(bus_of_vm(bus), userdata);

	return sd_bus_message_append(reply, "b", v && v->is_frozen);
}

/* The strongest that a storm brings about now. The buckets of another policy, before the first fault under this one,
 * say nothing. */
static const char *throttle_state(const struct cetd_policy_state *state,
				  const struct cetd_policy *policy, uint64_t now_ns)
{
	int n = state->generation == policy->generation ? policy->n_rates : 0, strongest = -1;

	for (int i = 0; i < MIN(n, CETD_POLICY_RATES_MAX); i++) {
		const struct cetd_rate *rate = policy->rates + i;
		const struct cetd_bucket *bucket = state->buckets + i;

		if (bucket->storm_ns && !cetd_storm_is_over(rate, bucket, now_ns) &&
		    rate->then > strongest)
			strongest = rate->then;
	}
	if (strongest < 0)
		return "idle";
	return policy->mode == CETD_MODE_MONITOR ? "monitored"
	       : strongest == CETD_THEN_ALERT	 ? "alerted"
						 : "throttled";
}

static bool get_state(const struct bus *b, const struct vm *vm, struct cetd_policy_state *ret)
{
	return b->commands.get_policy_state(b->commands.userdata, vm->identity.key, ret) >= 0;
}

GETTER(bus_policy_get_throttle_state)
{
	const struct bus *b = bus_of_vm(bus);
	const struct vm *vm = userdata;
	const struct storms_vm *storms = storms_find(b->ctx->storms, vm->identity.key);
	struct cetd_policy_state state;

	if (!verdict_of(b, vm) || !model_shows(b->model, CETD_FACT_ENFORCEMENT))
		return sd_bus_message_append(reply, "s", "unobservable");
	if (!storms || !get_state(b, vm, &state))
		return sd_bus_message_append(reply, "s", "idle");
	return sd_bus_message_append(
		reply, "s", throttle_state(&state, &storms->policy, clock_ns(CLOCK_MONOTONIC)));
}

GETTER(bus_policy_get_throttled)
{
	const struct bus *b = bus_of_vm(bus);
	struct cetd_policy_state state = {};

	if (!model_shows(b->model, CETD_FACT_ENFORCEMENT))
		return sd_bus_message_append(reply, "t", NOT_OBSERVABLE);
	get_state(b, userdata, &state);
	return sd_bus_message_append(reply, "t", (uint64_t)state.delayed_ns / NSEC_PER_USEC);
}

static int append_applied(sd_bus_message *signal, const struct bus *b,
			  const struct policy_verdict *v)
{
	int r;

	r = sd_bus_message_open_container(signal, 'a', "(sssss)");
	for (int s = 0; s < _POLICY_SETTING_MAX && r >= 0; s++) {
		_cleanup_(freep) char *text = value_text(&v->values, s);
		const struct policy_decision *d = v->decisions + s;
		char reason[512];

		policy_reason(ledger_get_rules(b->ctx->ledger), v, (enum policy_setting)s, reason,
			      sizeof(reason));
		r = text ? sd_bus_message_append(signal, "(sssss)", policy_setting_to_string(s),
						 text, cetd_effect_to_string(d->effect), d->rule,
						 reason)
			 : -ENOMEM;
	}
	return r < 0 ? r : sd_bus_message_close_container(signal);
}

static int emit_applied(struct bus *b, const struct vm *vm, const char *path)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *signal = NULL;
	const struct policy_verdict *v = verdict_of(b, vm);
	int r;

	if (!v)
		return 0;
	r = sd_bus_message_new_signal(b->bus, &signal, CETD_BUS_PATH, CETD_BUS_MANAGER,
				      "PolicyApplied");
	if (r >= 0)
		r = sd_bus_message_append(signal, "so", vm->identity.id, path);
	if (r >= 0)
		r = append_applied(signal, b, v);
	return r < 0 ? r : sd_bus_send(b->bus, signal, NULL);
}

void bus_policy_applied(struct bus *b, const struct vm *vm)
{
	_cleanup_(freep) char *path = NULL;
	int r;

	r = vm_object_path(vm->identity.id, &path);
	if (r >= 0)
		r = emit_applied(b, vm, path);
	if (r >= 0)
		r = sd_bus_emit_properties_changed(b->bus, path, CETD_BUS_VM, "DesiredPolicy",
						   "EffectivePolicy", "PendingPolicy",
						   "PolicyDecisions", "Overrides", "Frozen", NULL);
	if (r < 0)
		log_debug_errno(r, "Failed to send PolicyApplied for %s: %m", vm->identity.id);
}
