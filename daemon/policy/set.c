// SPDX-License-Identifier: GPL-2.0-only
/* Rules and sets of rules. */
#include <errno.h>
#include <string.h>

#include "policy/index.h"
#include "policy/policy.h"
#include "util/utf8.h"

#define DEFINE_TO_STRING(name, max, ...)                             \
	static const char *const name##_names[] = {__VA_ARGS__};     \
	_Static_assert(ARRAY_SIZE(name##_names) == (max), #name);    \
	const char *name##_to_string(int v)                          \
	{                                                            \
		return v >= 0 && v < (max) ? name##_names[v] : NULL; \
	}

DEFINE_TO_STRING(policy_setting, _POLICY_SETTING_MAX, "mode", "ibt", "shstk", "cp_rate", "record")
DEFINE_TO_STRING(policy_match, _POLICY_MATCH_MAX, "name", "uuid", "unit", "slice", "cgroup", "vmm",
		 "uses_cet")
DEFINE_TO_STRING(policy_lifetime, _POLICY_LIFETIME_MAX, "runtime", "persistent")
DEFINE_TO_STRING(policy_source, _POLICY_SOURCE_MAX, "default", "rule", "runtime", "persistent")

void policy_values_take(struct policy_values *to, const struct policy_values *from, int setting)
{
	switch (setting) {
	case POLICY_SETTING_MODE:
		to->mode = from->mode;
		break;
	case POLICY_SETTING_IBT:
		to->ibt = from->ibt;
		break;
	case POLICY_SETTING_SHSTK:
		to->shstk = from->shstk;
		break;
	case POLICY_SETTING_CP_RATE:
		to->n_rates = from->n_rates;
		memcpy(to->rates, from->rates, sizeof(to->rates));
		break;
	case POLICY_SETTING_RECORD:
		to->record = from->record;
		break;
	default: /* POLICY_FROZEN: to be set is all there is to it */
		break;
	}
	to->sets |= 1U << setting;
}

struct policy_rule *policy_rule_new(void)
{
	return calloc(1, sizeof(struct policy_rule));
}

struct policy_rule *policy_rule_free(struct policy_rule *rule)
{
	if (!rule)
		return NULL;
	for (int m = 0; m < _POLICY_MATCH_MAX; m++) {
		for (char **p = rule->patterns[m]; p && *p; p++)
			free(*p);
		free(rule->patterns[m]);
	}
	free(rule);
	return NULL;
}

struct policy_set *policy_set_new(void)
{
	return calloc(1, sizeof(struct policy_set));
}

struct policy_set *policy_set_free(struct policy_set *set)
{
	if (!set)
		return NULL;
	for (size_t i = 0; i < set->n_rules; i++)
		policy_rule_free(set->rules[i]);
	for (size_t i = 0; i < set->n_files; i++)
		free(set->files[i]);
	policy_index_free(set->index);
	free(set->rules);
	free(set->files);
	free(set);
	return NULL;
}

int policy_set_add(struct policy_set *set, struct policy_rule *rule)
{
	_cleanup_(policy_rule_freep) struct policy_rule *owned = rule;

	if (set->n_rules == POLICY_RULES_MAX)
		return -E2BIG;
	if (set->n_rules == set->n_allocated) {
		size_t n = set->n_allocated ? 2 * set->n_allocated : 16;
		struct policy_rule **rules = reallocarray(set->rules, n, sizeof(*rules));

		if (!rules)
			return -ENOMEM;
		set->rules = rules;
		set->n_allocated = n;
	}
	set->rules[set->n_rules++] = take_ptr(owned);
	rule->number = (uint32_t)set->n_rules;
	for (unsigned int i = 0; i < rule->values.n_rates; i++)
		rule->values.rates[i].rule = rule->number;
	return 0;
}

const char *policy_set_add_file(struct policy_set *set, const char *name)
{
	char **files = reallocarray(set->files, set->n_files + 1, sizeof(*files));

	if (!files)
		return NULL;
	set->files = files;
	files[set->n_files] = malloc(strlen(name) + 1);
	if (!files[set->n_files])
		return NULL;
	/* A file can be named with any bytes, and its name goes to terminals and onto the bus. */
	utf8_sanitize(name, files[set->n_files], strlen(name) + 1);
	return files[set->n_files++];
}

const struct policy_rule *policy_set_get(const struct policy_set *set, uint32_t number)
{
	return set && number && number <= set->n_rules ? set->rules[number - 1] : NULL;
}

static int compare_ids(const void *a, const void *b)
{
	const struct policy_rule *x = *(struct policy_rule *const *)a;
	const struct policy_rule *y = *(struct policy_rule *const *)b;
	int r = strcmp(x->id, y->id);

	return r ? r : (x->number > y->number) - (x->number < y->number);
}

/* An id that occurs twice would leave open whose effects carry it. */
static int check_ids(const struct policy_set *set, char **ret_message)
{
	_cleanup_(freep) struct policy_rule **sorted = calloc(set->n_rules + 1, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < set->n_rules; i++)
		sorted[i] = set->rules[i];
	qsort(sorted, set->n_rules, sizeof(*sorted), compare_ids);
	for (size_t i = 1; i < set->n_rules; i++) {
		const struct policy_rule *a = sorted[i - 1], *b = sorted[i];

		if (strcmp(a->id, b->id))
			continue;
		if (asprintf(ret_message,
			     "%s:%u: id is \"%s\", which is that of the rule at %s:%u; valid is an "
			     "id that no other rule has",
			     b->file, b->line, b->id, a->file, a->line) < 0)
			*ret_message = NULL;
		return -EBADMSG;
	}
	return 0;
}

int policy_set_finish(struct policy_set *set, char **ret_message)
{
	int r = check_ids(set, ret_message);

	return r < 0 ? r : policy_index_new(set, &set->index);
}
