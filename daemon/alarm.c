// SPDX-License-Identifier: GPL-2.0-only
/* Storms told in the journal, and acted on. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cetd/message-ids.h"
#include "cetd/names.h"

#include "alarm.h"
#include "util/log.h"
#include "util/macro.h"

struct fields {
	char text[LOG_FIELDS_MAX][192];
	const char *list[LOG_FIELDS_MAX + 1];
	size_t n;
};

static void _printf_(2, 3) field(struct fields *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(f->text[f->n], sizeof(f->text[f->n]), format, ap);
	va_end(ap);
	f->list[f->n] = f->text[f->n];
	f->n++;
}

const char *alarm_rule(const struct ledger *l, uint64_t key)
{
	const struct policy_verdict *v = ledger_find(l, key);
	const struct policy_decision *d = v ? v->decisions + POLICY_SETTING_CP_RATE : NULL;

	if (!d)
		return "";
	return d->source == POLICY_SOURCE_RULE ? d->rule : "override";
}

static void describe_fault(const struct storm *t, char *buffer, size_t size)
{
	if (t->has_fault)
		snprintf(buffer, size, ", the first at %#llx, CPL %u, vCPU %u, error code %u",
			 (unsigned long long)t->rip, t->cpl, t->vcpu, t->error_code);
	else
		snprintf(buffer, size, "%s", "");
}

static void log_start(const struct vm *vm, const char *rule, const struct storm *t,
		      struct fields *f)
{
	char fault[128];

	describe_fault(t, fault, sizeof(fault));
	if (t->has_fault) {
		field(f, "CETD_RIP=%#llx", (unsigned long long)t->rip);
		field(f, "CETD_VCPU=%u", t->vcpu);
		field(f, "CETD_ERROR_CODE=%u", t->error_code);
	}
	log_event(LOG_WARNING, CETD_LOG_STORM_STARTED, f->list,
		  "VM %s (%s): a storm of #CP began: more than rate %u of %s allows, then %s%s%s",
		  vm->identity.id, vm->identity.name, t->rate, rule, cetd_then_to_string(t->then),
		  t->mode == CETD_MODE_ENFORCE ? "" : " (monitored only)", fault);
}

static void log_end(const struct vm *vm, const char *rule, const struct storm *t, struct fields *f)
{
	unsigned long long usec = (t->ended_ns - t->since_ns) / NSEC_PER_USEC;

	field(f, "CETD_DURATION_USEC=%llu", usec);
	field(f, "CETD_END=%s", storm_end_to_string(t->end));
	log_event(LOG_NOTICE, CETD_LOG_STORM_ENDED, f->list,
		  "VM %s (%s): the storm of #CP of rate %u of %s ended (%s) after %llu.%03llu s, "
		  "with %llu faults over the rate",
		  vm->identity.id, vm->identity.name, t->rate, rule, storm_end_to_string(t->end),
		  usec / USEC_PER_SEC, usec % USEC_PER_SEC / USEC_PER_MSEC,
		  (unsigned long long)t->over);
}

void alarm_log(const struct vm *vm, const char *rule, const struct storm *t)
{
	struct fields f = {};

	field(&f, "CETD_VM=%s", vm->identity.id);
	field(&f, "CETD_VM_NAME=%s", vm->identity.name);
	field(&f, "CETD_RULE=%s", rule);
	field(&f, "CETD_RATE=%u", t->rate);
	field(&f, "CETD_THEN=%s", cetd_then_to_string(t->then));
	field(&f, "CETD_MODE=%s", cetd_mode_to_string(t->mode));
	field(&f, "CETD_OVER=%llu", (unsigned long long)t->over);
	if (t->ended_ns)
		log_end(vm, rule, t, &f);
	else
		log_start(vm, rule, t, &f);
}

void alarm_act(struct acts *a, const struct vm *vm, const char *rule, const struct storm *t)
{
	enum actor_action action = t->then == CETD_THEN_TERMINATE ? ACTOR_TERMINATE : ACTOR_FREEZE;
	char by[POLICY_ID_SIZE + 8];
	int r;

	if (t->ended_ns || t->mode != CETD_MODE_ENFORCE || t->then < CETD_THEN_FREEZE)
		return;
	snprintf(by, sizeof(by), "%s%s", strcmp(rule, "override") ? "rule " : "", rule);
	r = acts_request(a, vm, action, by, NULL, NULL);
	if (r < 0)
		log_error_errno(r, "Failed to %s VM %s: %m", actor_action_to_string((int)action),
				vm->identity.id);
}
