// SPDX-License-Identifier: GPL-2.0-only
/* From policy files and VMs to verdicts. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cetd/names.h"

#include "governor.h"
#include "policy-dir.h"
#include "settings.h"
#include "util/log.h"
#include "util/macro.h"

struct governor {
	const struct model *model;
	struct ledger *ledger;
	governor_changed_t changed;
	void *userdata;
	sd_event_source *timer; /* the end of the next override */
};

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC;
}

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
	if (!g)
		return NULL;
	sd_event_source_disable_unref(g->timer);
	ledger_free(g->ledger);
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

void governor_set_rules(struct governor *g, const char *dir, struct policy_set *set)
{
	const struct policy_set *old = ledger_get_rules(g->ledger);

	if (set && (set->n_rules || (old && old->n_rules)))
		log_info("%zu rules in %zu files of %s are in force", set->n_rules, set->n_files,
			 dir);
	ledger_set_rules(g->ledger, set);
	governor_evaluate(g);
}

void governor_evaluate(struct governor *g)
{
	uint64_t now = now_usec();
	uint32_t lifetimes;
	unsigned int n = ledger_expire(g->ledger, now, &lifetimes);

	if (n)
		log_info("The time of %u overrides is over", n);
	FOREACH_VM (g->model, vm)
		evaluate(g, vm, now);
	set_timer(g);
}

/* Without rules and overrides a VM is evaluated once, and then is as it always is. */
void governor_vm_changed(struct governor *g, const struct vm *vm)
{
	if (!ledger_is_empty(g->ledger) || !ledger_find(g->ledger, vm->identity.key))
		evaluate(g, vm, now_usec());
}

void governor_event(struct governor *g, const struct vm *vm, const struct cetd_event *e)
{
	/* The model has no VM for an event that came before it, or after its end. */
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

void governor_vm_removed(struct governor *g, const struct vm *vm)
{
	ledger_remove(g->ledger, vm->identity.key);
}

struct ledger *governor_get_ledger(struct governor *g)
{
	return g->ledger;
}
