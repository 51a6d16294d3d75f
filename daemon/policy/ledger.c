// SPDX-License-Identifier: GPL-2.0-only
/* Rules, overrides by VM id, verdicts by VM key. */
#include <errno.h>
#include <string.h>

#include <uthash.h>

#include "policy/ledger.h"
#include "util/macro.h"

struct verdict_entry {
	uint64_t key;
	struct policy_verdict verdict;
	UT_hash_handle hh;
};

struct override_entry {
	char id[sizeof(((struct cetd_identity *)0)->id)];
	struct policy_override override;
	bool is_news; /* since the VM's verdict */
	UT_hash_handle hh;
};

struct ledger {
	struct policy_set *set; /* owned */
	struct verdict_entry *verdicts;
	struct override_entry *overrides;
};

int ledger_new(struct ledger **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

struct ledger *ledger_free(struct ledger *l)
{
	struct verdict_entry *v, *next_v;
	struct override_entry *o, *next_o;

	if (!l)
		return NULL;
	HASH_ITER (hh, l->verdicts, v, next_v) {
		HASH_DEL(l->verdicts, v);
		free(v);
	}
	HASH_ITER (hh, l->overrides, o, next_o) {
		HASH_DEL(l->overrides, o);
		free(o);
	}
	policy_set_free(l->set);
	free(l);
	return NULL;
}

void ledger_set_rules(struct ledger *l, struct policy_set *set)
{
	policy_set_free(l->set);
	l->set = set;
}

const struct policy_set *ledger_get_rules(const struct ledger *l)
{
	return l->set;
}

static struct override_entry *find_override(const struct ledger *l, const char *id)
{
	struct override_entry *o = NULL;

	HASH_FIND_STR(l->overrides, id, o);
	return o;
}

int ledger_update(struct ledger *l, const struct vm *vm, uint64_t now_usec,
		  const struct policy_verdict **ret)
{
	struct override_entry *o = find_override(l, vm->identity.id);
	uint64_t key = vm->identity.key;
	struct policy_verdict verdict;
	struct verdict_entry *v = NULL;
	bool is_new;

	HASH_FIND(hh, l->verdicts, &key, sizeof(key), v);
	is_new = !v;
	if (is_new) {
		v = calloc(1, sizeof(*v));
		if (!v)
			return -ENOMEM;
		v->key = key;
		HASH_ADD(hh, l->verdicts, key, sizeof(v->key), v);
	}
	policy_evaluate(l->set, o ? &o->override : NULL, vm, now_usec, &verdict);
	*ret = &v->verdict;
	if (!is_new && !(o && o->is_news) && policy_verdict_equal(&verdict, &v->verdict))
		return 0;
	if (o)
		o->is_news = false;
	v->verdict = verdict;
	return 1;
}

const struct policy_verdict *ledger_find(const struct ledger *l, uint64_t key)
{
	struct verdict_entry *v = NULL;

	HASH_FIND(hh, l->verdicts, &key, sizeof(key), v);
	return v ? &v->verdict : NULL;
}

void ledger_remove(struct ledger *l, uint64_t key)
{
	struct verdict_entry *v = NULL;

	HASH_FIND(hh, l->verdicts, &key, sizeof(key), v);
	if (!v)
		return;
	HASH_DEL(l->verdicts, v);
	free(v);
}

const struct policy_override *ledger_find_override(const struct ledger *l, const char *id)
{
	const struct override_entry *o = find_override(l, id);

	return o ? &o->override : NULL;
}

static void drop_if_empty(struct ledger *l, struct override_entry *o)
{
	if (!policy_override_is_empty(&o->override))
		return;
	HASH_DEL(l->overrides, o);
	free(o);
}

int ledger_set_override(struct ledger *l, const char *id, const struct policy_override *override)
{
	struct override_entry *o = find_override(l, id);

	if (!o && policy_override_is_empty(override))
		return 0;
	if (!o && HASH_COUNT(l->overrides) >= LEDGER_OVERRIDES_MAX)
		return -E2BIG;
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		snprintf(o->id, sizeof(o->id), "%s", id);
		HASH_ADD_STR(l->overrides, id, o);
	}
	o->override = *override;
	o->is_news = true;
	drop_if_empty(l, o);
	return 0;
}

const struct policy_override *ledger_next_override(const struct ledger *l, const char *after_id,
						   const char **ret_id)
{
	const struct override_entry *o = l->overrides;

	if (after_id) {
		o = find_override(l, after_id);
		o = o ? o->hh.next : NULL;
	}
	if (!o)
		return NULL;
	*ret_id = o->id;
	return &o->override;
}

unsigned int ledger_expire(struct ledger *l, uint64_t now_usec, uint32_t *ret_lifetimes)
{
	struct override_entry *o, *next;
	unsigned int n = 0;

	*ret_lifetimes = 0;
	HASH_ITER (hh, l->overrides, o, next) {
		uint32_t lost = policy_override_expire(&o->override, now_usec);

		n += !!lost;
		o->is_news |= !!lost;
		*ret_lifetimes |= lost;
		drop_if_empty(l, o);
	}
	return n;
}

uint64_t ledger_next_usec(const struct ledger *l)
{
	uint64_t next = 0;

	for (const struct override_entry *o = l->overrides; o; o = o->hh.next) {
		uint64_t usec = policy_override_next_usec(&o->override);

		if (usec && (!next || usec < next))
			next = usec;
	}
	return next;
}

bool ledger_is_empty(const struct ledger *l)
{
	return (!l->set || !l->set->n_rules) && !l->overrides;
}

unsigned int ledger_count_overrides(const struct ledger *l)
{
	return HASH_COUNT(l->overrides);
}
