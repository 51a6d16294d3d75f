// SPDX-License-Identifier: GPL-2.0-only
/* From policy files and VMs to verdicts. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include <uthash.h>

#include "cetd/message-ids.h"
#include "cetd/names.h"

#include "governor.h"
#include "policy-dir.h"
#include "policy-store.h"
#include "settings.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/macro.h"

struct governor {
	const struct model *model;
	struct ledger *ledger;
	governor_changed_t changed;
	void *userdata;
	sd_event_source *timer; /* the end of the next override */
	char *store_dir;	/* owned; NULL: nothing persistent */
	char *no_store;		/* owned; why nothing can be stored, where store_dir is NULL */
	struct ended *ended;
};

/* A VM that was frozen for a time that ended while there was no cetd. */
struct ended {
	char id[sizeof(((struct cetd_identity *)0)->id)];
	UT_hash_handle hh;
};

static void log_verdict(const struct governor *g, const struct vm *vm,
			const struct policy_verdict *v)
{
	const struct policy_values *values = &v->values;
	const struct policy_decision *mode = v->decisions + POLICY_SETTING_MODE;

	if (ledger_is_empty(g->ledger))
		return;
	log_info("VM %s (%s): mode %s (%s%s%s), ibt %s (%s), shstk %s (%s), %u rates (%s)",
		 vm->identity.id, vm->identity.name, cetd_mode_to_string(values->mode),
		 policy_source_to_string(mode->source), mode->rule[0] ? " " : "", mode->rule,
		 cetd_ibt_to_string(values->ibt),
		 cetd_effect_to_string(v->decisions[POLICY_SETTING_IBT].effect),
		 cetd_shstk_to_string(values->shstk),
		 cetd_effect_to_string(v->decisions[POLICY_SETTING_SHSTK].effect), values->n_rates,
		 cetd_effect_to_string(v->decisions[POLICY_SETTING_CP_RATE].effect));
}

static void evaluate(struct governor *g, const struct vm *vm, uint64_t now)
{
	const struct policy_verdict *verdict;
	int r = ledger_update(g->ledger, vm, now, &verdict);

	if (r < 0) {
		log_error_errno(r, "Failed to evaluate the policy of VM %s: %m", vm->identity.id);
		return;
	}
	if (!r)
		return;
	log_verdict(g, vm, verdict);
	if (g->changed)
		g->changed(g->userdata, vm, verdict);
}

static int on_end(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
	governor_evaluate(userdata);
	return 0;
}

/* Wake up when the next override ends. */
static void set_timer(struct governor *g)
{
	uint64_t next = ledger_next_usec(g->ledger);
	int r = 0;

	if (next)
		r = sd_event_source_set_time(g->timer, next);
	if (r >= 0)
		r = sd_event_source_set_enabled(g->timer, next ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	if (r < 0)
		log_error_errno(r, "Failed to set the end of an override: %m");
}

int governor_new(sd_event *event, const struct model *model, governor_changed_t changed,
		 void *userdata, struct governor **ret)
{
	struct governor *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return log_error_errno(-ENOMEM, "Failed to set up policies: %m");
	*g = (struct governor){.model = model, .changed = changed, .userdata = userdata};
	r = ledger_new(&g->ledger);
	if (r >= 0)
		r = sd_event_add_time(event, &g->timer, CLOCK_REALTIME, 0, 0, on_end, g);
	if (r >= 0)
		r = sd_event_source_set_enabled(g->timer, SD_EVENT_OFF);
	if (r < 0) {
		governor_free(g);
		return log_error_errno(r, "Failed to set up policies: %m");
	}
	*ret = g;
	return 0;
}

struct governor *governor_free(struct governor *g)
{
	struct ended *e, *next;

	if (!g)
		return NULL;
	sd_event_source_disable_unref(g->timer);
	ledger_free(g->ledger);
	HASH_ITER (hh, g->ended, e, next) {
		HASH_DEL(g->ended, e);
		free(e);
	}
	free(g->store_dir);
	free(g->no_store);
	free(g);
	return NULL;
}

int governor_read(const char *dir, struct policy_set **ret, char **ret_message)
{
	int r;

	*ret = NULL;
	r = policy_dir_read(dir, ret, ret_message);
	if (r == -ENOENT && !strcmp(dir, SETTINGS_POLICY_DIR))
		return 0;
	if (r == -ENOENT && asprintf(ret_message, "%s: there is no such directory", dir) < 0)
		*ret_message = NULL;
	return r;
}

static void log_loaded(const struct policy_set *set, const char *dir)
{
	char rules[40], where[PATH_MAX + 32];
	const char *const fields[] = {rules, where, NULL};

	snprintf(rules, sizeof(rules), "CETD_RULES=%zu", set->n_rules);
	snprintf(where, sizeof(where), "CETD_POLICY_DIR=%s", dir);
	log_event(LOG_INFO, CETD_LOG_POLICY_LOADED, fields,
		  "%zu rules in %zu files of %s are in force", set->n_rules, set->n_files, dir);
}

void governor_set_rules(struct governor *g, const char *dir, struct policy_set *set)
{
	const struct policy_set *old = ledger_get_rules(g->ledger);

	if (set && (set->n_rules || (old && old->n_rules)))
		log_loaded(set, dir);
	ledger_set_rules(g->ledger, set);
	governor_evaluate(g);
}

/* Logging. What is not stored now is so with the next change. */
static int store(const struct governor *g)
{
	int r = policy_store_write(g->store_dir, g->ledger);

	if (r < 0)
		return log_error_errno(r, "Failed to store overrides in %s: %m", g->store_dir);
	if (r > 0)
		log_warning("Overrides are stored in %s, but would not survive a loss of power",
			    g->store_dir);
	return 0;
}

static void expire(struct governor *g, uint64_t now)
{
	uint32_t lifetimes;
	unsigned int n = ledger_expire(g->ledger, now, &lifetimes);

	if (n)
		log_info("The time of %u overrides is over", n);
	if (g->store_dir && lifetimes & 1U << POLICY_PERSISTENT)
		store(g);
}

void governor_evaluate(struct governor *g)
{
	uint64_t now = clock_usec(CLOCK_REALTIME);

	expire(g, now);
	FOREACH_VM (g->model, vm)
		evaluate(g, vm, now);
	set_timer(g);
}

static int fail(int error, char **ret_message, const char *format, ...) _printf_(3, 4);
static int fail(int error, char **ret_message, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vasprintf(ret_message, format, ap) < 0)
		*ret_message = NULL;
	va_end(ap);
	return error;
}

static void log_damaged(const char *why)
{
	char reason[1024];
	const char *const fields[] = {reason, NULL};

	snprintf(reason, sizeof(reason), "CETD_REASON=%s", why);
	log_event(LOG_ERR, CETD_LOG_STORE_DAMAGED, fields,
		  "The stored overrides are damaged, none is in force: %s", why);
}

static void forget_store(struct governor *g, const char *why)
{
	g->store_dir = (free(g->store_dir), NULL);
	g->no_store = strdup(why);
	log_error("Persistent overrides cannot be set: %s", why);
}

static void note_ended(struct governor *g, uint64_t now)
{
	const struct policy_override *o;
	const char *id = NULL;

	while ((o = ledger_next_override(g->ledger, id, &id))) {
		struct ended *e;

		if (!policy_layer_has_ended(o->layers + POLICY_PERSISTENT, POLICY_FROZEN, now))
			continue;
		e = calloc(1, sizeof(*e));
		if (!e)
			return (void)log_error_errno(-ENOMEM, "VM %s stays frozen: %m", id);
		snprintf(e->id, sizeof(e->id), "%s", id);
		HASH_ADD_STR(g->ended, id, e);
	}
}

bool governor_take_ended(struct governor *g, const char *id)
{
	struct ended *e;

	HASH_FIND_STR(g->ended, id, e);
	if (!e)
		return false;
	HASH_DEL(g->ended, e);
	free(e);
	return true;
}

void governor_open_store(struct governor *g, const char *dir)
{
	_cleanup_(freep) char *message = NULL, *path = NULL;
	int r;

	if (!dir)
		return;
	g->store_dir = strdup(dir);
	r = g->store_dir ? policy_store_read(dir, g->ledger, &message) : -ENOMEM;
	if (r == -EBADMSG) {
		log_damaged(message ?: strerror(-r));
		r = policy_store_set_aside(dir, clock_usec(CLOCK_REALTIME), &path);
		if (r >= 0)
			log_error("They are kept as %s", path);
		else
			message = (free(message), NULL);
	}
	if (r < 0)
		forget_store(g, message ?: strerror(-r));
	note_ended(g, clock_usec(CLOCK_REALTIME));
	if (ledger_count_overrides(g->ledger))
		log_info("Overrides of %u VMs are in force, from %s",
			 ledger_count_overrides(g->ledger), dir);
	governor_evaluate(g);
}

static struct policy_override find_override(const struct governor *g, const char *id)
{
	const struct policy_override *o = ledger_find_override(g->ledger, id);

	return o ? *o : (struct policy_override){};
}

/* Put the override in force if what is persistent of it can be stored; otherwise the old one stays. */
static int replace(struct governor *g, const char *id, const struct policy_override *next,
		   uint32_t lifetimes, char **ret_message)
{
	struct policy_override old = find_override(g, id);
	const struct vm *vm;
	int r, k;

	r = ledger_set_override(g->ledger, id, next);
	if (r == -E2BIG)
		return fail(r, ret_message, "%d VMs have overrides already", LEDGER_OVERRIDES_MAX);
	if (r < 0)
		return fail(r, ret_message, "%s", strerror(-r));
	if (lifetimes & 1U << POLICY_PERSISTENT) {
		r = store(g);
		if (r < 0) {
			k = ledger_set_override(g->ledger, id, &old);
			if (k < 0)
				log_error_errno(k, "Failed to restore an override: %m");
			return fail(r, ret_message, "it cannot be stored in %s: %s", g->store_dir,
				    strerror(-r));
		}
	}
	vm = model_find_id(g->model, id);
	if (vm)
		evaluate(g, vm, clock_usec(CLOCK_REALTIME));
	set_timer(g);
	return 0;
}

int governor_set(struct governor *g, const struct vm *vm, enum policy_lifetime lifetime,
		 const struct policy_values *values, uint64_t for_usec, char **ret_message)
{
	struct policy_override next = find_override(g, vm->identity.id);
	uint64_t now = clock_usec(CLOCK_REALTIME);

	*ret_message = NULL;
	if (lifetime == POLICY_PERSISTENT && !g->store_dir)
		return fail(-EOPNOTSUPP, ret_message, "nothing can be stored: %s",
			    g->no_store ?: "cetd runs without a state directory");
	if (lifetime == POLICY_PERSISTENT && !vm_has_stable_id(vm))
		return fail(-EINVAL, ret_message,
			    "%s is no id that would be the VM's again: it has neither a UUID nor a "
			    "name of its own",
			    vm->identity.id);
	policy_override_set(&next, lifetime, values, for_usec ? now + for_usec : 0);
	return replace(g, vm->identity.id, &next, 1U << lifetime, ret_message);
}

int governor_clear(struct governor *g, const char *id, uint32_t lifetimes, uint32_t settings,
		   char **ret_message)
{
	struct policy_override next = find_override(g, id);
	uint32_t lost = policy_override_clear(&next, lifetimes, settings);

	*ret_message = NULL;
	if (!lost)
		return fail(-ENOENT, ret_message, "no such override is set for %s", id);
	if (lost & 1U << POLICY_PERSISTENT && !g->store_dir)
		return fail(-EOPNOTSUPP, ret_message, "nothing can be stored: %s",
			    g->no_store ?: "cetd runs without a state directory");
	return replace(g, id, &next, lost, ret_message);
}

/* Without rules and overrides a VM is evaluated once, and then is as it always is. */
void governor_vm_changed(struct governor *g, const struct vm *vm)
{
	if (!ledger_is_empty(g->ledger) || !ledger_find(g->ledger, vm->identity.key))
		evaluate(g, vm, clock_usec(CLOCK_REALTIME));
}

void governor_event(struct governor *g, const struct vm *vm, const struct cetd_event *e)
{
	/* The model has no VM for an event whose VM was not found in time. */
	const struct policy_verdict *v = vm ? ledger_find(g->ledger, vm->identity.key) : NULL;
	char where[96] = "";

	if (!v || !v->values.record || (e->type != CETD_EVENT_CP && e->type != CETD_EVENT_INJECTED))
		return;
	if (e->flags & CETD_FLAG_ADDRESS)
		snprintf(where, sizeof(where), " at %#llx, CPL %u, vCPU %u, SSP %#llx",
			 (unsigned long long)e->rip, e->cpl, e->vcpu, (unsigned long long)e->ssp);
	log_notice("VM %s (%s): %s#CP %s, error code %u%s: %s (rule %s)", vm->identity.id,
		   vm->identity.name, e->type == CETD_EVENT_INJECTED ? "injected " : "",
		   cetd_kind_to_string(e->kind), e->error_code, where,
		   cetd_action_to_string(e->action),
		   v->decisions[POLICY_SETTING_RECORD].rule[0]
			   ? v->decisions[POLICY_SETTING_RECORD].rule
			   : "of the VM's own");
}

void governor_vm_renamed(struct governor *g, const struct vm *vm, const char *old_id)
{
	const struct policy_override none = {}, old = find_override(g, old_id);
	const struct policy_layer *from = old.layers + POLICY_RUNTIME;
	struct policy_override next = find_override(g, vm->identity.id);

	for (int s = 0; s < POLICY_OVERRIDABLE_MAX; s++) {
		struct policy_values one = from->values;

		one.sets &= 1U << s;
		policy_override_set(&next, POLICY_RUNTIME, &one, from->until_usec[s]);
	}
	if (from->values.sets && (ledger_set_override(g->ledger, old_id, &none) < 0 ||
				  ledger_set_override(g->ledger, vm->identity.id, &next) < 0))
		log_error("Failed to keep the overrides of VM %s, now %s", old_id, vm->identity.id);
	governor_vm_changed(g, vm);
}

/* An override of a number would be another VM's one day. */
void governor_vm_removed(struct governor *g, const struct vm *vm)
{
	const struct policy_override none = {};

	if (!vm_has_stable_id(vm))
		ledger_set_override(g->ledger, vm->identity.id, &none);
	ledger_remove(g->ledger, vm->identity.key);
}

struct ledger *governor_get_ledger(struct governor *g)
{
	return g->ledger;
}
