// SPDX-License-Identifier: GPL-2.0-only
/* Rules by the UUID, name or unit that they name literally. */
#include <errno.h>
#include <string.h>

#include "policy/index.h"
#include "util/macro.h"

struct entry {
	const char *text;
	const struct policy_rule *rule;
};

struct policy_index {
	struct entry
		*entries[POLICY_INDEX_KEYS + 1]; /* sorted by text and number; the last: any VM */
	size_t n[POLICY_INDEX_KEYS + 1];
};

#define ANY POLICY_INDEX_KEYS

/* The likeliest to tell VMs apart comes first. */
static const enum policy_match matches[POLICY_INDEX_KEYS] = {
	POLICY_MATCH_UUID,
	POLICY_MATCH_NAME,
	POLICY_MATCH_UNIT,
};

static const char *text_of(const struct vm *vm, size_t key)
{
	const struct cetd_identity *i = &vm->identity;

	switch (matches[key]) {
	case POLICY_MATCH_UUID:
		return i->uuid;
	case POLICY_MATCH_NAME:
		return i->name;
	default:
		return i->unit;
	}
}

/* A backslash counts as a glob too: fnmatch() takes it off. */
static bool is_literal(char **patterns)
{
	for (char **p = patterns; *p; p++)
		if (strpbrk(*p, "*?[\\"))
			return false;
	return true;
}

static size_t key_of(const struct policy_rule *rule)
{
	for (size_t k = 0; k < POLICY_INDEX_KEYS; k++)
		if (rule->patterns[matches[k]] && is_literal(rule->patterns[matches[k]]))
			return k;
	return ANY;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = strcmp(x->text, y->text);

	return r ? r : (x->rule->number > y->rule->number) - (x->rule->number < y->rule->number);
}

int policy_index_new(const struct policy_set *set, struct policy_index **ret)
{
	_cleanup_(policy_index_freep) struct policy_index *index = calloc(1, sizeof(*index));

	if (!index)
		return -ENOMEM;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t k = 0; k <= ANY && pass; k++) {
			index->entries[k] = calloc(index->n[k] + 1, sizeof(struct entry));
			if (!index->entries[k])
				return -ENOMEM;
			index->n[k] = 0;
		}
		for (size_t i = 0; i < set->n_rules; i++) {
			const struct policy_rule *rule = set->rules[i];
			static char *const nothing[] = {(char *)"", NULL};
			size_t k = key_of(rule);
			char *const *p = k == ANY ? nothing : rule->patterns[matches[k]];

			for (; *p; p++, index->n[k]++)
				if (pass)
					index->entries[k][index->n[k]] = (struct entry){*p, rule};
		}
	}
	for (size_t k = 0; k <= ANY; k++)
		qsort(index->entries[k], index->n[k], sizeof(struct entry), compare);
	*ret = take_ptr(index);
	return 0;
}

struct policy_index *policy_index_free(struct policy_index *index)
{
	for (size_t k = 0; index && k <= ANY; k++)
		free(index->entries[k]);
	free(index);
	return NULL;
}

/* The first entry that is not less than text. */
static size_t find(const struct policy_index *index, size_t key, const char *text)
{
	size_t low = 0, high = index->n[key];

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(index->entries[key][middle].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void policy_walk_init(struct policy_walk *w, const struct policy_index *index, const struct vm *vm)
{
	*w = (struct policy_walk){.index = index, .vm = vm};
	for (size_t k = 0; k < POLICY_INDEX_KEYS; k++)
		w->next[k] = find(index, k, text_of(vm, k));
}

static const struct policy_rule *peek(const struct policy_walk *w, size_t key)
{
	const struct entry *e = w->index->entries[key] + w->next[key];

	if (w->next[key] == w->index->n[key])
		return NULL;
	return key == ANY || !strcmp(e->text, text_of(w->vm, key)) ? e->rule : NULL;
}

const struct policy_rule *policy_walk_next(struct policy_walk *w)
{
	const struct policy_rule *best = NULL;

	for (size_t k = 0; k <= ANY; k++) {
		const struct policy_rule *rule = peek(w, k);

		if (rule && (!best || rule->number < best->number))
			best = rule;
	}
	/* The same text twice in a rule's list is the same rule twice. */
	for (size_t k = 0; k <= ANY && best; k++)
		while (peek(w, k) == best)
			w->next[k]++;
	return best;
}
