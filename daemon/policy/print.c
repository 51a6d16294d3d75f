// SPDX-License-Identifier: GPL-2.0-only
/* Settings and rules as the JSON that the parser reads. */
#include "cetd/names.h"

#include "policy/print.h"

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
	json_object_object_add(o, "then", json_object_new_string(cetd_then_to_string(r->then)));
	if (r->then == CETD_THEN_THROTTLE)
		add_ms(o, "min_delay_ms", r->min_delay_ns);
	if (r->then != CETD_THEN_ALERT)
		add_ms(o, "max_delay_ms", r->max_delay_ns);
	add_ms(o, "quiet_ms", r->quiet_ns);
	return o;
}

struct json_object *policy_value_to_json(const struct policy_values *v, int setting)
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
	default:
		return NULL;
	}
}

static void add_settings(struct json_object *o, const struct policy_values *v)
{
	for (int s = 0; s < _POLICY_SETTING_MAX; s++)
		if (v->sets & 1U << s)
			json_object_object_add(o, policy_setting_to_string(s),
					       policy_value_to_json(v, s));
}

struct json_object *policy_settings_to_json(const struct policy_values *v)
{
	struct json_object *o = json_object_new_object();

	add_settings(o, v);
	return o;
}

struct json_object *policy_rule_to_json(const struct policy_rule *rule)
{
	struct json_object *o = json_object_new_object(), *match = json_object_new_object();

	json_object_object_add(o, "id", json_object_new_string(rule->id));
	for (int m = 0; m < _POLICY_MATCH_MAX; m++) {
		struct json_object *patterns;

		if (!rule->patterns[m])
			continue;
		patterns = json_object_new_array();
		for (char **p = rule->patterns[m]; *p; p++)
			json_object_array_add(patterns, json_object_new_string(*p));
		json_object_object_add(match, policy_match_to_string(m), patterns);
	}
	json_object_object_add(o, "match", match);
	add_settings(o, &rule->values);
	return o;
}
