// SPDX-License-Identifier: GPL-2.0-only
/* Verdicts in words: where a setting comes from, and what would give it effect. */
#include <string.h>

#include "policy/policy.h"

/* Leaf 7, subleaf 0 of CPUID, and the guest kernel's own switch. */
struct feature {
	const char *name, *qemu, *cpuid_bit, *parameter;
};

static const struct feature ibt = {"IBT", "ibt", "EDX bit 20", "ibt=off"};
static const struct feature shstk = {"SHSTK", "shstk", "ECX bit 7", "nousershstk"};

void policy_reason(const struct policy_set *set, const struct policy_verdict *v,
		   enum policy_setting setting, char *buffer, size_t size)
{
	const struct policy_decision *d = v->decisions + setting;
	const struct policy_rule *rule = policy_set_get(set, d->rule_number);

	switch ((enum policy_source)d->source) {
	case POLICY_SOURCE_DEFAULT:
		snprintf(buffer, size, "no rule or override sets %s for this VM",
			 policy_setting_to_string((int)setting));
		break;
	case POLICY_SOURCE_RULE:
		if (rule)
			snprintf(buffer, size, "rule %s (%s:%u) is the first that matches", d->rule,
				 rule->file, rule->line);
		else
			snprintf(buffer, size, "rule %s is the first that matches", d->rule);
		break;
	case POLICY_SOURCE_RUNTIME:
		snprintf(buffer, size, "set for this VM until cetd ends%s",
			 d->until_usec ? " or the time is over" : "");
		break;
	case POLICY_SOURCE_PERSISTENT:
		snprintf(buffer, size, "set for this VM%s",
			 d->until_usec ? " for a time" : " until it is cleared");
		break;
	case _POLICY_SOURCE_MAX:
		snprintf(buffer, size, "%s", "");
		break;
	}
}

static void advise_start(const struct feature *f, const struct vm *vm, char *buffer, size_t size)
{
	const struct cetd_identity *i = &vm->identity;

	if (!strncmp(i->unit, "machine-qemu", strlen("machine-qemu")))
		snprintf(buffer, size,
			 "add <feature policy='disable' name='%s'/> to the <cpu> of the domain and "
			 "start it anew",
			 f->qemu);
	else if (!strcmp(i->vmm, "qemu"))
		snprintf(buffer, size, "start it anew with -cpu …,-%s", f->qemu);
	else if (!strcmp(i->vmm, "firecracker"))
		snprintf(buffer, size,
			 "clear %s of CPUID leaf 0x7, subleaf 0 in its CPU template and start it "
			 "anew",
			 f->cpuid_bit);
	else
		snprintf(buffer, size,
			 "hide %s (CPUID leaf 0x7, subleaf 0, %s) in its VMM if that can, or boot "
			 "its kernel with %s",
			 f->name, f->cpuid_bit, f->parameter);
}

void policy_advice(const struct policy_verdict *v, enum policy_setting setting, const struct vm *vm,
		   char *buffer, size_t size)
{
	const struct model *m = vm->model;

	snprintf(buffer, size, "%s", "");
	switch ((enum cetd_effect)v->decisions[setting].effect) {
	case CETD_EFFECT_NEXT_START:
		advise_start(setting == POLICY_SETTING_IBT ? &ibt : &shstk, vm, buffer, size);
		break;
	case CETD_EFFECT_UNENFORCEABLE:
		snprintf(buffer, size, "boot a host kernel with kvm_cet_ops%s%s",
			 m->has_host && m->host.facts[CETD_FACT_ENFORCEMENT].reason[0] ? ": " : "",
			 m->has_host ? m->host.facts[CETD_FACT_ENFORCEMENT].reason : "");
		break;
	case CETD_EFFECT_MONITORED:
		snprintf(buffer, size, "set the mode of this VM to enforce");
		break;
	case CETD_EFFECT_IN_FORCE:
	case CETD_EFFECT_MOOT:
	case _CETD_EFFECT_MAX:
		break;
	}
}
