// SPDX-License-Identifier: GPL-2.0-only
/* From overrides that say so to VMs that are frozen. */
#include <errno.h>
#include <string.h>

#include <uthash.h>

#include "freezer.h"
#include "util/log.h"

#define FROZEN_BIT (1U << POLICY_FROZEN)

struct frozen {
	uint64_t key;
	struct freezer *freezer;
	bool is_frozen;	   /* by us, or about to be */
	bool is_under_way; /* the actor has not told of the end yet */
	bool has_failed;   /* for this unit; another is tried anew */
	char unit[sizeof(((struct cetd_identity *)0)->unit)];
	char id[sizeof(((struct cetd_identity *)0)->id)]; /* of the VM that was ordered */
	bool was_frozen;				  /* before the order that is under way */
	uint32_t lifetimes;	    /* of an override that is new with it; dropped if it fails */
	struct freezer_order order; /* of a person; done is NULL where there is none */
	UT_hash_handle hh;
};

struct freezer {
	struct governor *governor;
	const struct model *model;
	struct acts *acts;
	struct frozen *vms;
};

int freezer_new(struct governor *governor, const struct model *model, struct acts *acts,
		struct freezer **ret)
{
	struct freezer *f = calloc(1, sizeof(*f));

	if (!f)
		return log_error_errno(-ENOMEM, "Failed to set up freezing: %m");
	*f = (struct freezer){governor, model, acts, NULL};
	*ret = f;
	return 0;
}

static void drop(struct freezer *f, struct frozen *v)
{
	HASH_DEL(f->vms, v);
	free(v);
}

struct freezer *freezer_free(struct freezer *f)
{
	struct frozen *v, *next;

	if (!f)
		return NULL;
	HASH_ITER (hh, f->vms, v, next)
		drop(f, v);
	free(f);
	return NULL;
}

static struct frozen *find(struct freezer *f, uint64_t key)
{
	struct frozen *v;

	HASH_FIND(hh, f->vms, &key, sizeof(key), v);
	return v;
}

static struct frozen *find_or_add(struct freezer *f, uint64_t key)
{
	struct frozen *v = find(f, key);

	if (v)
		return v;
	v = calloc(1, sizeof(*v));
	if (!v)
		return NULL;
	v->key = key;
	v->freezer = f;
	HASH_ADD(hh, f->vms, key, sizeof(v->key), v);
	return v;
}

/* What the policy wanted while an order was under way. */
static void catch_up(struct freezer *f, uint64_t key)
{
	const struct policy_verdict *verdict = ledger_find(governor_get_ledger(f->governor), key);
	const struct vm *vm = model_find_key(f->model, key);

	if (vm && verdict)
		freezer_follow(f, vm, verdict);
}

/* That the VM is frozen, which it is not: also of one that has ended, and would be frozen when it comes back. */
static void take_back(struct freezer *f, const char *id, uint32_t lifetimes)
{
	_cleanup_(freep) char *why = NULL;
	int r = governor_clear(f->governor, id, lifetimes, FROZEN_BIT, &why);

	/* -ENOENT: it went with the VM. */
	if (r < 0 && r != -ENOENT)
		log_error("Failed to take back that VM %s is frozen: %s", id,
			  why ?: "out of memory");
}

static void on_done(void *userdata, enum actor_action action, int error, const char *message)
{
	struct frozen *v = userdata;
	struct freezer *f = v->freezer;
	struct freezer_order order = v->order;
	const struct vm *vm = model_find_key(f->model, v->key);
	uint32_t lifetimes = v->lifetimes;
	uint64_t key = v->key;
	char id[sizeof(v->id)];

	v->is_under_way = false;
	v->order = (struct freezer_order){};
	v->lifetimes = 0;
	v->has_failed = error < 0;
	if (error < 0)
		v->is_frozen = action == ACTOR_THAW ? !order.done : v->was_frozen;
	/* It may have another id by now. */
	memcpy(id, vm ? vm->identity.id : v->id, sizeof(id));
	/* A VM that ended meanwhile is forgotten only now. */
	if (!vm)
		drop(f, v);
	if (error < 0 && lifetimes && error != -ECANCELED)
		take_back(f, id, lifetimes);
	if (order.done)
		order.done(order.userdata, error, message);
	if (error >= 0)
		catch_up(f, key);
}

static int act(struct freezer *f, const struct vm *vm, struct frozen *v, bool is_frozen,
	       const struct freezer_order *order)
{
	int r;

	r = acts_request(f->acts, vm, is_frozen ? ACTOR_FREEZE : ACTOR_THAW, order->by, on_done, v);
	if (r < 0)
		return r;
	v->is_frozen = is_frozen;
	v->is_under_way = true;
	v->was_frozen = false;
	v->order = *order;
	memcpy(v->unit, vm->identity.unit, sizeof(v->unit));
	memcpy(v->id, vm->identity.id, sizeof(v->id));
	return 0;
}

void freezer_follow(struct freezer *f, const struct vm *vm, const struct policy_verdict *verdict)
{
	const struct freezer_order order = {.by = "an override"};
	struct frozen *v = find(f, vm->identity.key);
	bool was_frozen = false;
	int r;

	/* A VM of which nothing but events is known has no process to freeze yet. */
	if (vm->is_provisional)
		return;
	if (!v) {
		was_frozen = governor_take_ended(f->governor, vm->identity.id);
		if (!verdict->is_frozen && !was_frozen)
			return;
		v = find_or_add(f, vm->identity.key);
		if (!v)
			return (void)log_error_errno(-ENOMEM, "Failed to freeze a VM: %m");
		v->is_frozen = was_frozen;
	}
	if (v->is_under_way || v->is_frozen == verdict->is_frozen ||
	    (v->has_failed && !strcmp(v->unit, vm->identity.unit)))
		return;
	r = act(f, vm, v, verdict->is_frozen, &order);
	if (r < 0)
		log_error_errno(r, "Failed to %s VM %s: %m", verdict->is_frozen ? "freeze" : "thaw",
				vm->identity.id);
}

void freezer_vm_changed(struct freezer *f, const struct vm *vm)
{
	if (find(f, vm->identity.key))
		catch_up(f, vm->identity.key);
}

void freezer_forget(struct freezer *f, const struct vm *vm)
{
	struct frozen *v = find(f, vm->identity.key);

	if (v && !v->is_under_way)
		drop(f, v);
}

static int fail(int error, char **ret_message, const char *what)
{
	*ret_message = strdup(what);
	return error;
}

/* That the VM is frozen is noted before the override is evaluated, so that this is not acted on as well. */
int freezer_freeze(struct freezer *f, const struct vm *vm, enum policy_lifetime lifetime,
		   uint64_t for_usec, const struct freezer_order *order, char **ret_message)
{
	const struct policy_values frozen = {.sets = FROZEN_BIT};
	const struct policy_override *o =
		ledger_find_override(governor_get_ledger(f->governor), vm->identity.id);
	bool is_new = !o || !(o->layers[lifetime].values.sets & FROZEN_BIT), was_frozen;
	struct frozen *v = find_or_add(f, vm->identity.key);
	int r;

	*ret_message = NULL;
	if (!v)
		return -ENOMEM;
	if (v->is_under_way)
		return fail(-EBUSY, ret_message, "it is being frozen or thawed already");
	was_frozen = v->is_frozen;
	v->is_frozen = true;
	r = governor_set(f->governor, vm, lifetime, &frozen, for_usec, ret_message);
	if (r < 0) {
		v->is_frozen = was_frozen;
		return r;
	}
	r = act(f, vm, v, true, order);
	if (r >= 0) {
		v->lifetimes = is_new ? 1U << lifetime : 0;
		v->was_frozen = was_frozen;
		return 0;
	}
	v->is_frozen = was_frozen;
	if (is_new)
		governor_clear(f->governor, vm->identity.id, 1U << lifetime, FROZEN_BIT,
			       ret_message);
	free(*ret_message);
	return fail(r, ret_message, strerror(-r));
}

int freezer_thaw(struct freezer *f, const struct vm *vm, const struct freezer_order *order,
		 char **ret_message)
{
	const struct policy_override *o =
		ledger_find_override(governor_get_ledger(f->governor), vm->identity.id);
	struct frozen *v = find_or_add(f, vm->identity.key);
	uint32_t lifetimes = 0;
	bool was_frozen;
	int r;

	*ret_message = NULL;
	if (!v)
		return -ENOMEM;
	if (v->is_under_way)
		return fail(-EBUSY, ret_message, "it is being frozen or thawed already");
	for (int l = 0; o && l < _POLICY_LIFETIME_MAX; l++)
		lifetimes |= o->layers[l].values.sets & FROZEN_BIT ? 1U << l : 0;
	was_frozen = v->is_frozen;
	v->is_frozen = false;
	r = lifetimes ? governor_clear(f->governor, vm->identity.id, lifetimes, FROZEN_BIT,
				       ret_message)
		      : 0;
	if (r < 0) {
		v->is_frozen = was_frozen;
		return r;
	}
	r = act(f, vm, v, false, order);
	return r < 0 ? fail(r, ret_message, strerror(-r)) : 0;
}
