// SPDX-License-Identifier: GPL-2.0-only
/* Verdicts as JSON, a setting as its value and where that comes from. */
#include "cetd/names.h"
#include "export/json-policy.h"
#include "util/macro.h"

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text && text[0] ? json_object_new_string(text) : NULL);
}

static void add_ms(struct json_object *o, const char *key, uint64_t ns)
{
	json_object_object_add(o, key, json_object_new_uint64(ns / NSEC_PER_MSEC));
}

static struct json_object *names_of(unsigned int mask, const char *(*to_string)(int))
{
	struct json_object *o = json_object_new_array();

	for (int i = 0; to_string(i); i++)
		if (mask & 1U << i)
			json_object_array_add(o, json_object_new_string(to_string(i)));
	return o;
}

/* By the keys of policy files. */
static struct json_object *rate_to_json(const struct cetd_rate *r)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "kinds", names_of(r->kinds, cetd_kind_to_string));
	json_object_object_add(o, "privileges", names_of(r->privileges, cetd_privilege_to_string));
	json_object_object_add(o, "limit", json_object_new_uint64(r->limit));
	add_ms(o, "interval_ms", r->interval_ns);
	json_object_object_add(o, "burst", json_object_new_uint64(r->burst));
	add_text(o, "then", cetd_then_to_string(r->then));
	if (r->then == CETD_THEN_THROTTLE)
		add_ms(o, "min_delay_ms", r->min_delay_ns);
	if (r->then != CETD_THEN_ALERT)
		add_ms(o, "max_delay_ms", r->max_delay_ns);
	add_ms(o, "quiet_ms", r->quiet_ns);
	return o;
}

static struct json_object *value_to_json(const struct policy_values *v, enum policy_setting setting)
{
	struct json_object *o;

	switch (setting) {
	case POLICY_SETTING_MODE:
		return json_object_new_string(cetd_mode_to_string(v->mode));
	case POLICY_SETTING_IBT:
		return json_object_new_string(cetd_ibt_to_string(v->ibt));
	case POLICY_SETTING_SHSTK:
		return json_object_new_string(cetd_shstk_to_string(v->shstk));
	case POLICY_SETTING_CP_RATE:
		o = json_object_new_array();
		for (unsigned int i = 0; i < v->n_rates; i++)
			json_object_array_add(o, rate_to_json(v->rates + i));
		return o;
	case POLICY_SETTING_RECORD:
		return json_object_new_boolean(v->record);
	case _POLICY_SETTING_MAX:
	case _POLICY_SETTING_INVALID:
		break;
	}
	return NULL;
}

struct json_object *json_from_policy(const struct ledger *l, const struct vm *vm)
{
	const struct policy_verdict *v = l ? ledger_find(l, vm->identity.key) : NULL;
	struct json_object *o;

	if (!v || ledger_is_empty(l))
		return NULL;
	o = json_object_new_object();
	for (int s = 0; s < _POLICY_SETTING_MAX; s++) {
		enum policy_setting setting = (enum policy_setting)s;
		const struct policy_decision *d = v->decisions + s;
		struct json_object *of_setting = json_object_new_object();
		char text[512];

		json_object_object_add(of_setting, "value", value_to_json(&v->values, setting));
		add_text(of_setting, "effect", cetd_effect_to_string(d->effect));
		add_text(of_setting, "source", policy_source_to_string(d->source));
		add_text(of_setting, "rule", d->rule);
		policy_reason(ledger_get_rules(l), v, setting, text, sizeof(text));
		add_text(of_setting, "reason", text);
		policy_advice(v, setting, vm, text, sizeof(text));
		add_text(of_setting, "advice", text);
		json_object_object_add(of_setting, "until_usec",
				       d->until_usec ? json_object_new_uint64(d->until_usec)
						     : NULL);
		json_object_object_add(o, policy_setting_to_string(s), of_setting);
	}
	return o;
}

struct json_object *json_from_ledger(const struct ledger *l)
{
	const struct policy_set *set = l ? ledger_get_rules(l) : NULL;
	struct json_object *o, *files;

	if (!l || ledger_is_empty(l))
		return NULL;
	o = json_object_new_object();
	files = json_object_new_array();
	for (size_t i = 0; set && i < set->n_files; i++)
		json_object_array_add(files, json_object_new_string(set->files[i]));
	json_object_object_add(o, "files", files);
	json_object_object_add(o, "rules", json_object_new_uint64(set ? set->n_rules : 0));
	json_object_object_add(o, "overrides", json_object_new_uint64(ledger_count_overrides(l)));
	return o;
}
