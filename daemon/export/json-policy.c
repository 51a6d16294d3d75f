// SPDX-License-Identifier: GPL-2.0-only
/* Verdicts as JSON, a setting as its value and where that comes from. */
#include "cetd/names.h"
#include "export/json-policy.h"
#include "policy/print.h"
#include "util/macro.h"

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text && text[0] ? json_object_new_string(text) : NULL);
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

		json_object_object_add(of_setting, "value", policy_value_to_json(&v->values, s));
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

static void add_u64(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

static struct json_object *storm_to_json(const struct model *m, const struct storm *t)
{
	struct json_object *o = json_object_new_object();

	add_u64(o, "rate", t->rate);
	add_text(o, "then", cetd_then_to_string(t->then));
	add_text(o, "mode", cetd_mode_to_string(t->mode));
	add_u64(o, "since_usec", model_realtime_usec(m, t->since_ns));
	json_object_object_add(
		o, "ended_usec",
		t->ended_ns ? json_object_new_uint64(model_realtime_usec(m, t->ended_ns)) : NULL);
	add_text(o, "end", t->ended_ns ? storm_end_to_string(t->end) : NULL);
	add_u64(o, "over", t->over);
	return o;
}

struct json_object *json_from_storms(const struct storms *s, const struct vm *vm)
{
	const struct storms_vm *v = storms_find(s, vm->identity.key);
	struct json_object *o, *latest;

	if (!v || !v->has_state)
		return NULL;
	o = json_object_new_object();
	add_u64(o, "active", storms_count_active(v));
	add_u64(o, "total", storms_count(v));
	add_u64(o, "throttled_usec", v->state.delayed_ns / NSEC_PER_USEC);
	latest = json_object_new_array();
	for (unsigned int i = 0; i < CETD_POLICY_RATES_MAX; i++)
		if (v->storms[i].since_ns)
			json_object_array_add(latest, storm_to_json(vm->model, v->storms + i));
	json_object_object_add(o, "latest", latest);
	return o;
}

bool json_policy_is_frozen(const struct ledger *l, const struct vm *vm)
{
	const struct policy_verdict *v = l ? ledger_find(l, vm->identity.key) : NULL;

	return v && v->is_frozen;
}

static void add_layer(struct json_object *overrides, const char *id,
		      const struct policy_override *override, int lifetime)
{
	const struct policy_layer *layer = override->layers + lifetime;

	for (int s = 0; s < POLICY_OVERRIDABLE_MAX; s++) {
		struct json_object *o;

		if (!(layer->values.sets & 1U << s))
			continue;
		o = json_object_new_object();
		add_text(o, "vm", id);
		add_text(o, "lifetime", policy_lifetime_to_string(lifetime));
		add_text(o, "setting", s == POLICY_FROZEN ? "frozen" : policy_setting_to_string(s));
		json_object_object_add(o, "value",
				       s == POLICY_FROZEN
					       ? json_object_new_boolean(true)
					       : policy_value_to_json(&layer->values, s));
		json_object_object_add(
			o, "until_usec",
			layer->until_usec[s] ? json_object_new_uint64(layer->until_usec[s]) : NULL);
		json_object_array_add(overrides, o);
	}
}

struct json_object *json_from_rules(const struct ledger *l)
{
	struct json_object *o = json_object_new_object(), *rules = json_object_new_array(),
			   *overrides = json_object_new_array();
	const struct policy_set *set = l ? ledger_get_rules(l) : NULL;
	const struct policy_override *override;
	const char *id = NULL;

	for (size_t i = 0; set && i < set->n_rules; i++) {
		struct json_object *rule = policy_rule_to_json(set->rules[i]);

		add_text(rule, "file", set->rules[i]->file);
		json_object_object_add(rule, "line", json_object_new_int64(set->rules[i]->line));
		json_object_array_add(rules, rule);
	}
	while (l && (override = ledger_next_override(l, id, &id)))
		for (int lifetime = 0; lifetime < _POLICY_LIFETIME_MAX; lifetime++)
			add_layer(overrides, id, override, lifetime);
	json_object_object_add(o, "rules", rules);
	json_object_object_add(o, "overrides", overrides);
	return o;
}
