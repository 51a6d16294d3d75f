// SPDX-License-Identifier: GPL-2.0-only
/* The backend that does nothing but say what it would do. */
#include <stdlib.h>

#include <uthash.h>

#include "enforce/enforce.h"
#include "util/log.h"

struct told {
	uint64_t key;
	struct cetd_policy policy;
	UT_hash_handle hh;
};

struct dry_run {
	struct enforcer enforcer;
	struct told *told;
};

static struct dry_run *dry_run_of(struct enforcer *e)
{
	return container_of(e, struct dry_run, enforcer);
}

static int dry_run_apply(struct enforcer *e, uint64_t key, const struct cetd_policy *policy)
{
	struct dry_run *d = dry_run_of(e);
	struct told *t;

	HASH_FIND(hh, d->told, &key, sizeof(key), t);
	if (!policy) {
		if (t)
			HASH_DEL(d->told, t);
		free(t);
		return 0;
	}
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			return -ENOMEM;
		t->key = key;
		HASH_ADD(hh, d->told, key, sizeof(t->key), t);
	}
	t->policy = *policy;
	log_info("Dry run: %s of VM %#llx would be %s, with %u rates",
		 policy->mode == CETD_MODE_ENFORCE ? "the policy" : "the watch",
		 (unsigned long long)key,
		 policy->flags & CETD_POLICY_IBT_OFF ? "to turn off IBT" : "to keep IBT",
		 policy->n_rates);
	return 0;
}

static int dry_run_get_policy(struct enforcer *e, uint64_t key, struct cetd_policy *ret)
{
	struct told *t;

	HASH_FIND(hh, dry_run_of(e)->told, &key, sizeof(key), t);
	if (!t)
		return -ENOENT;
	*ret = t->policy;
	return 0;
}

static int dry_run_get_state(struct enforcer *e _unused_, uint64_t key _unused_,
			     struct cetd_policy_state *ret _unused_)
{
	return -EOPNOTSUPP;
}

static void dry_run_set_lease(struct enforcer *e _unused_, uint64_t time_ns _unused_)
{
}

static void dry_run_get_control(struct enforcer *e _unused_, struct cetd_policy_control *ret)
{
	*ret = (struct cetd_policy_control){};
}

static int dry_run_next(struct enforcer *e, uint64_t *key)
{
	struct told *t = dry_run_of(e)->told;

	if (*key) {
		HASH_FIND(hh, dry_run_of(e)->told, key, sizeof(*key), t);
		t = t ? t->hh.next : NULL;
	}
	if (!t)
		return -ENOENT;
	*key = t->key;
	return 0;
}

static void dry_run_drain(struct enforcer *e _unused_)
{
}

static struct enforcer *dry_run_free(struct enforcer *e)
{
	struct dry_run *d = dry_run_of(e);
	struct told *t, *next;

	HASH_ITER (hh, d->told, t, next) {
		HASH_DEL(d->told, t);
		free(t);
	}
	free(d);
	return NULL;
}

static const struct enforcer_ops dry_run_ops = {
	.name = "dry-run",
	.apply = dry_run_apply,
	.get_policy = dry_run_get_policy,
	.get_state = dry_run_get_state,
	.set_lease = dry_run_set_lease,
	.get_control = dry_run_get_control,
	.next = dry_run_next,
	.drain = dry_run_drain,
	.free = dry_run_free,
};

int enforce_dry_run_new(struct enforcer **ret)
{
	struct dry_run *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->enforcer.ops = &dry_run_ops;
	*ret = &d->enforcer;
	return 0;
}
