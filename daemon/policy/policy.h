/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which settings hold for a VM, by which rule and with what effect. Pure: no I/O, no clock, no logging; the time
 * is handed in. Quiet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cetd/policy.h"

#include "model/model.h"
#include "util/macro.h"

/* What a rule or an override can set, each by itself. */
enum policy_setting {
	POLICY_SETTING_MODE,
	POLICY_SETTING_IBT,
	POLICY_SETTING_SHSTK,
	POLICY_SETTING_CP_RATE, /* all rates together */
	POLICY_SETTING_RECORD,
	_POLICY_SETTING_MAX,
	_POLICY_SETTING_INVALID = -22,
};

/* NULL outside the enum: "mode", "ibt", "shstk", "cp_rate", "record". */
const char *policy_setting_to_string(int setting);

#define POLICY_ID_SIZE 64

/* The settings' values; which are set is in `sets`, a bit per enum policy_setting. */
struct policy_values {
	uint32_t sets;
	uint8_t mode;  /* enum cetd_mode */
	uint8_t ibt;   /* enum cetd_ibt */
	uint8_t shstk; /* enum cetd_shstk */
	uint8_t n_rates;
	bool record; /* write each fault that is sampled to the log */
	struct cetd_rate rates[CETD_POLICY_RATES_MAX];
};

/* Take one setting over, and that it is set. */
void policy_values_take(struct policy_values *to, const struct policy_values *from, int setting);

/* Which VMs a rule is for: all that is given must match, several values of one key are alternatives. */
enum policy_match {
	POLICY_MATCH_NAME,   /* glob on the name */
	POLICY_MATCH_UUID,   /* exact; patterns are lower case with dashes */
	POLICY_MATCH_UNIT,   /* glob on the systemd unit */
	POLICY_MATCH_SLICE,  /* glob on any slice of the cgroup path */
	POLICY_MATCH_CGROUP, /* glob on the cgroup path; a match of a parent is one of the child */
	POLICY_MATCH_VMM,    /* exact: "qemu" and so on */
	POLICY_MATCH_USES_CET, /* "yes", "attempted", "unknown" */
	_POLICY_MATCH_MAX,
};

const char *policy_match_to_string(int match);

struct policy_rule {
	char id[POLICY_ID_SIZE];
	const char *file; /* as given to policy_parse(), owned by the set */
	unsigned int line;
	uint32_t number;		    /* in the set, from 1; in struct cetd_rate as `rule` */
	char **patterns[_POLICY_MATCH_MAX]; /* NULL-terminated, owned; NULL: anything */
	struct policy_values values;
};

struct policy_index;

/* All rules in force, in the order of their files' names and in them. */
struct policy_set {
	struct policy_rule **rules; /* owned */
	size_t n_rules, n_allocated;
	char **files; /* owned */
	size_t n_files;
	struct policy_index *index; /* owned; which rules a VM is looked up in at all */
};

#define POLICY_RULES_MAX 65536

/* Fill a set file by file with policy_parse() of policy/parse.h, then finish it; only then it is of use. */
struct policy_set *policy_set_new(void);
struct policy_set *policy_set_free(struct policy_set *set);

/* -ENOMEM, -E2BIG for more than POLICY_RULES_MAX rules. Takes rule over, also on failure. */
int policy_set_add(struct policy_set *set, struct policy_rule *rule);

/* The name as it can be shown, as long as the set lives; NULL: out of memory. */
const char *policy_set_add_file(struct policy_set *set, const char *name);

/* 0, -EBADMSG and a message if two rules have the same id, -ENOMEM. */
int policy_set_finish(struct policy_set *set, char **ret_message);

struct policy_rule *policy_rule_new(void);
struct policy_rule *policy_rule_free(struct policy_rule *rule);

/* The rule of a number, or NULL. */
const struct policy_rule *policy_set_get(const struct policy_set *set, uint32_t number);

bool policy_rule_matches(const struct policy_rule *rule, const struct vm *vm);
DEFINE_CLEANUP(struct policy_set *, policy_set_free)
DEFINE_CLEANUP(struct policy_rule *, policy_rule_free)

/* An override lasts as long as the daemon, or is stored. Where both set something the first wins. */
enum policy_lifetime {
	POLICY_RUNTIME,
	POLICY_PERSISTENT,
	_POLICY_LIFETIME_MAX,
};

const char *policy_lifetime_to_string(int lifetime); /* "runtime", "persistent" */

/* What only an override can say of a VM: that it is frozen. A bit in its `sets`, like a setting. */
#define POLICY_FROZEN _POLICY_SETTING_MAX
#define POLICY_OVERRIDABLE_MAX (_POLICY_SETTING_MAX + 1)
#define POLICY_OVERRIDABLE_ALL ((1U << POLICY_OVERRIDABLE_MAX) - 1)

struct policy_layer {
	struct policy_values values;
	uint64_t until_usec[POLICY_OVERRIDABLE_MAX]; /* CLOCK_REALTIME; 0: until it is cleared */
};

/* It is set, and its time is over. */
static inline bool policy_layer_has_ended(const struct policy_layer *layer, int setting,
					  uint64_t now_usec)
{
	return layer->values.sets & 1U << setting && layer->until_usec[setting] &&
	       layer->until_usec[setting] <= now_usec;
}

/* What an operator set for one VM; wins over all rules. */
struct policy_override {
	struct policy_layer layers[_POLICY_LIFETIME_MAX];
};

/* Take over what values sets; until_usec 0: no end. */
void policy_override_set(struct policy_override *o, enum policy_lifetime lifetime,
			 const struct policy_values *values, uint64_t until_usec);

/* Drop settings, a bit each, from lifetimes, a bit each. Returns the lifetimes that lost something. */
uint32_t policy_override_clear(struct policy_override *o, uint32_t lifetimes, uint32_t settings);

/* Drop what has ended by now. Returns the lifetimes that lost something. */
uint32_t policy_override_expire(struct policy_override *o, uint64_t now_usec);

/* When the next setting ends; 0: none will. */
uint64_t policy_override_next_usec(const struct policy_override *o);

bool policy_override_is_empty(const struct policy_override *o);

enum policy_source {
	POLICY_SOURCE_DEFAULT,
	POLICY_SOURCE_RULE,
	POLICY_SOURCE_RUNTIME,	  /* override, until the daemon ends */
	POLICY_SOURCE_PERSISTENT, /* override that is stored */
	_POLICY_SOURCE_MAX,
};

const char *policy_source_to_string(int source); /* "default", "rule", "runtime", "persistent" */

/* Where a setting's value comes from and what becomes of it. */
struct policy_decision {
	uint8_t source;		   /* enum policy_source */
	uint8_t effect;		   /* enum cetd_effect */
	char rule[POLICY_ID_SIZE]; /* "" unless source is RULE */
	uint32_t rule_number;	   /* 0 unless source is RULE */
	uint64_t until_usec;	   /* of an override; 0: none */
};

/* Everything that holds for a VM. All values are set. Compares by policy_verdict_equal(). */
struct policy_verdict {
	struct policy_values values;
	struct policy_decision decisions[_POLICY_SETTING_MAX];
	bool is_frozen; /* an override has it frozen; not how it is: others freeze VMs, too */
};

/*
 * The settings of vm at now_usec (CLOCK_REALTIME). set and override may be NULL. What the kernel can do is
 * taken from vm->model->host. Overrides that have ended are ignored. Never fails: without rules everything
 * is as if there were no policies: monitor, keep, keep, no rates, no record.
 */
void policy_evaluate(const struct policy_set *set, const struct policy_override *override,
		     const struct vm *vm, uint64_t now_usec, struct policy_verdict *ret);

bool policy_verdict_equal(const struct policy_verdict *a, const struct policy_verdict *b);

/* Does the verdict ask for anything, in either mode? If not, the VM needs no entry in the kernel's maps. */
bool policy_verdict_is_plain(const struct policy_verdict *v);

/* The values that hold now, all set: what is not in force is as if nobody had asked for it. And those that
 * will hold from the VM's next start. */
void policy_verdict_effective(const struct policy_verdict *v, struct policy_values *ret);
void policy_verdict_pending(const struct policy_verdict *v, struct policy_values *ret);

/* The parameters for the kernel; generation is the previous one's, and goes up where the rates differ from
 * those of previous (NULL: none). */
void policy_verdict_to_kernel(const struct policy_verdict *v, const struct cetd_policy *previous,
			      struct cetd_policy *ret);

/* One sentence each, for people: where a setting comes from, and what to do to have it take effect ("" where
 * there is nothing to do). Cut to size. */
void policy_reason(const struct policy_set *set, const struct policy_verdict *v,
		   enum policy_setting setting, char *buffer, size_t size);
void policy_advice(const struct policy_verdict *v, enum policy_setting setting, const struct vm *vm,
		   char *buffer, size_t size);
