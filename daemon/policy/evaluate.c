// SPDX-License-Identifier: GPL-2.0-only
/* From rules, overrides and what is known of a VM to what holds for it. */
#include <fnmatch.h>
#include <string.h>

#include "policy/index.h"
#include "policy/policy.h"

/* Most patterns differ from most texts before their first special character. */
static bool glob(const char *pattern, const char *text, int flags)
{
	return !strncmp(pattern, text, strcspn(pattern, "*?[\\")) && !fnmatch(pattern, text, flags);
}

static bool matches_slice(const char *pattern, const char *cgroup)
{
	char part[256];

	while (*(cgroup += strspn(cgroup, "/"))) {
		size_t n = strcspn(cgroup, "/");

		snprintf(part, sizeof(part), "%.*s", (int)n, cgroup);
		if (n > 6 && !strcmp(part + n - 6, ".slice") && glob(pattern, part, 0))
			return true;
		cgroup += n;
	}
	return false;
}

static bool matches_one(enum policy_match match, const char *pattern, const struct vm *vm)
{
	const struct cetd_identity *i = &vm->identity;

	switch (match) {
	case POLICY_MATCH_NAME:
		return glob(pattern, i->name, 0);
	case POLICY_MATCH_UUID:
		return !strcmp(pattern, i->uuid);
	case POLICY_MATCH_UNIT:
		return glob(pattern, i->unit, 0);
	case POLICY_MATCH_SLICE:
		return matches_slice(pattern, i->cgroup);
	case POLICY_MATCH_CGROUP:
		return glob(pattern, i->cgroup, FNM_PATHNAME | FNM_LEADING_DIR);
	case POLICY_MATCH_VMM:
		return !strcmp(pattern, i->vmm);
	case POLICY_MATCH_USES_CET:
		return !strcmp(pattern, vm_uses_cet(vm));
	case _POLICY_MATCH_MAX:
		break;
	}
	return false;
}

bool policy_rule_matches(const struct policy_rule *rule, const struct vm *vm)
{
	for (int m = 0; m < _POLICY_MATCH_MAX; m++) {
		char **p = rule->patterns[m];

		while (p && *p && !matches_one((enum policy_match)m, *p, vm))
			p++;
		if (p && !*p)
			return false;
	}
	return true;
}

static void take_layer(const struct policy_layer *layer, enum policy_source source,
		       uint64_t now_usec, struct policy_verdict *v)
{
	for (int s = 0; s < POLICY_OVERRIDABLE_MAX; s++) {
		if (!(layer->values.sets & ~v->values.sets & 1U << s) ||
		    policy_layer_has_ended(layer, s, now_usec))
			continue;
		policy_values_take(&v->values, &layer->values, s);
		if (s == POLICY_FROZEN)
			continue;
		v->decisions[s].source = (uint8_t)source;
		v->decisions[s].until_usec = layer->until_usec[s];
	}
}

static void take_rules(const struct policy_set *set, const struct vm *vm, struct policy_verdict *v)
{
	const struct policy_rule *rule;
	struct policy_walk walk;

	policy_walk_init(&walk, set->index, vm);
	while (v->values.sets != (1U << _POLICY_SETTING_MAX) - 1 &&
	       (rule = policy_walk_next(&walk))) {
		uint32_t news = rule->values.sets & ~v->values.sets;

		if (!news || !policy_rule_matches(rule, vm))
			continue;
		for (int s = 0; s < _POLICY_SETTING_MAX; s++) {
			struct policy_decision *d = v->decisions + s;

			if (!(news & 1U << s))
				continue;
			policy_values_take(&v->values, &rule->values, s);
			d->source = POLICY_SOURCE_RULE;
			d->rule_number = rule->number;
			memcpy(d->rule, rule->id, sizeof(d->rule));
		}
	}
}

static enum cetd_effect effect_of(const struct policy_values *values, enum policy_setting setting,
				  const struct model *m)
{
	bool can = model_shows(m, CETD_FACT_ENFORCEMENT);
	bool is_moot = m->has_host && m->host.guest_cet == CETD_GUEST_CET_OFF;
	bool is_monitored = values->mode == CETD_MODE_MONITOR;

	switch (setting) {
	case POLICY_SETTING_MODE:
		return is_monitored || can ? CETD_EFFECT_IN_FORCE : CETD_EFFECT_UNENFORCEABLE;
	case POLICY_SETTING_IBT:
		if (values->ibt == CETD_IBT_KEEP)
			return CETD_EFFECT_IN_FORCE;
		if (is_moot)
			return CETD_EFFECT_MOOT;
		if (is_monitored)
			return CETD_EFFECT_MONITORED;
		return can ? CETD_EFFECT_IN_FORCE : CETD_EFFECT_NEXT_START;
	case POLICY_SETTING_SHSTK:
		if (values->shstk == CETD_SHSTK_KEEP)
			return CETD_EFFECT_IN_FORCE;
		if (is_moot)
			return CETD_EFFECT_MOOT;
		return is_monitored ? CETD_EFFECT_MONITORED : CETD_EFFECT_NEXT_START;
	case POLICY_SETTING_CP_RATE:
		if (!values->n_rates)
			return CETD_EFFECT_IN_FORCE;
		if (is_moot)
			return CETD_EFFECT_MOOT;
		/* Without the hook there is nobody to count what would be done, either. */
		if (!can)
			return CETD_EFFECT_UNENFORCEABLE;
		return is_monitored ? CETD_EFFECT_MONITORED : CETD_EFFECT_IN_FORCE;
	default:
		return CETD_EFFECT_IN_FORCE;
	}
}

void policy_evaluate(const struct policy_set *set, const struct policy_override *override,
		     const struct vm *vm, uint64_t now_usec, struct policy_verdict *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (override) {
		take_layer(override->layers + POLICY_RUNTIME, POLICY_SOURCE_RUNTIME, now_usec, ret);
		take_layer(override->layers + POLICY_PERSISTENT, POLICY_SOURCE_PERSISTENT, now_usec,
			   ret);
	}
	ret->is_frozen = ret->values.sets & 1U << POLICY_FROZEN;
	ret->values.sets &= ~(1U << POLICY_FROZEN);
	if (set && set->index)
		take_rules(set, vm, ret);
	ret->values.sets = (1U << _POLICY_SETTING_MAX) - 1;
	for (int s = 0; s < _POLICY_SETTING_MAX; s++)
		ret->decisions[s].effect =
			effect_of(&ret->values, (enum policy_setting)s, vm->model);
}
