// SPDX-License-Identifier: GPL-2.0-only
/* Verdicts compared, and turned into parameters for the kernel. */
#include <string.h>

#include "policy/policy.h"

static bool rates_equal(const struct cetd_rate *a, unsigned int n_a, const struct cetd_rate *b,
			unsigned int n_b)
{
	return n_a == n_b && !memcmp(a, b, n_a * sizeof(*a));
}

/* The same but for the rule that they come from, whose number changes with the rules before it. */
static bool rates_limit_the_same(const struct cetd_rate *a, unsigned int n_a,
				 const struct cetd_rate *b, unsigned int n_b)
{
	for (unsigned int i = 0; i < n_a && n_a == n_b; i++) {
		struct cetd_rate other = b[i];

		other.rule = a[i].rule;
		if (memcmp(a + i, &other, sizeof(other)))
			return false;
	}
	return n_a == n_b;
}

/* Field by field: padding says nothing. */
bool policy_verdict_equal(const struct policy_verdict *a, const struct policy_verdict *b)
{
	const struct policy_values *x = &a->values, *y = &b->values;

	if (x->sets != y->sets || x->mode != y->mode || x->ibt != y->ibt || x->shstk != y->shstk ||
	    x->record != y->record || a->is_frozen != b->is_frozen ||
	    !rates_equal(x->rates, x->n_rates, y->rates, y->n_rates))
		return false;
	for (int s = 0; s < _POLICY_SETTING_MAX; s++) {
		const struct policy_decision *d = a->decisions + s, *e = b->decisions + s;

		if (d->source != e->source || d->effect != e->effect || strcmp(d->rule, e->rule) ||
		    d->rule_number != e->rule_number || d->until_usec != e->until_usec)
			return false;
	}
	return true;
}

bool policy_verdict_is_plain(const struct policy_verdict *v)
{
	return v->values.ibt == CETD_IBT_KEEP && v->values.shstk == CETD_SHSTK_KEEP &&
	       !v->values.n_rates;
}

static void take_those(const struct policy_verdict *v, enum cetd_effect effect,
		       struct policy_values *ret)
{
	for (int s = 0; s < _POLICY_SETTING_MAX; s++)
		if (v->decisions[s].effect == effect)
			policy_values_take(ret, &v->values, s);
}

void policy_verdict_effective(const struct policy_verdict *v, struct policy_values *ret)
{
	memset(ret, 0, sizeof(*ret));
	take_those(v, CETD_EFFECT_IN_FORCE, ret);
	ret->sets = (1U << _POLICY_SETTING_MAX) - 1;
}

void policy_verdict_pending(const struct policy_verdict *v, struct policy_values *ret)
{
	memset(ret, 0, sizeof(*ret));
	take_those(v, CETD_EFFECT_NEXT_START, ret);
}

void policy_verdict_to_kernel(const struct policy_verdict *v, const struct cetd_policy *previous,
			      struct cetd_policy *ret)
{
	struct cetd_policy p;

	memset(&p, 0, sizeof(p));
	p.mode = v->values.mode;
	p.flags = (v->values.ibt == CETD_IBT_OFF ? CETD_POLICY_IBT_OFF | CETD_POLICY_HIDE_IBT : 0) |
		  (v->values.shstk == CETD_SHSTK_HIDE ? CETD_POLICY_HIDE_SHSTK : 0);
	p.n_rates = v->values.n_rates;
	memcpy(p.rates, v->values.rates, sizeof(p.rates));
	p.generation = 1;
	if (previous) {
		/* In another mode, or when other faults are left, the buckets' past says nothing. */
		bool is_same = previous->mode == p.mode && previous->flags == p.flags &&
			       rates_limit_the_same(previous->rates, previous->n_rates, p.rates,
						    p.n_rates);

		p.generation = previous->generation + !is_same;
	}
	*ret = p;
}
