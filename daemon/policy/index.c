// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules by what their patterns begin with before the first special character. Lists are sorted by the length of
 * that, then its bytes, then the rules' order: the rules of one beginning are a run.
 */
#include <errno.h>
#include <string.h>

#include "policy/index.h"
#include "util/macro.h"

#define SPECIAL "*?[\\" /* a backslash counts: fnmatch() takes it off */

struct entry {
	const char *text; /* its first `size` bytes */
	size_t size;
	const struct policy_rule *rule;
};

struct list {
	struct entry *entries;
	const struct policy_rule **rules; /* of the entries, in the same order */
	size_t n;
};

/* What a rule is found by, the likeliest to tell VMs apart first. */
enum {
	BY_UUID,
	BY_NAME,
	BY_UNIT,
	BY_NAME_BEGINNING, /* also of rules that say nothing of it: "" */
	BY_UNIT_BEGINNING,
	_BY_MAX,
};

static const enum policy_match matches[_BY_MAX] = {
	POLICY_MATCH_UUID, POLICY_MATCH_NAME, POLICY_MATCH_UNIT,
	POLICY_MATCH_NAME, POLICY_MATCH_UNIT,
};

struct policy_index {
	struct list lists[_BY_MAX];
};

static const char *text_of(const struct vm *vm, int by)
{
	const struct cetd_identity *i = &vm->identity;

	switch (matches[by]) {
	case POLICY_MATCH_UUID:
		return i->uuid;
	case POLICY_MATCH_NAME:
		return i->name;
	default:
		return i->unit;
	}
}

static bool all_literal(char **patterns)
{
	for (char **p = patterns; *p; p++)
		if (strpbrk(*p, SPECIAL))
			return false;
	return true;
}

static bool all_have_beginning(char **patterns)
{
	for (char **p = patterns; *p; p++)
		if (!**p || strchr(SPECIAL, **p))
			return false;
	return true;
}

static int key_of(const struct policy_rule *rule)
{
	for (int by = 0; by < _BY_MAX; by++) {
		char **patterns = rule->patterns[matches[by]];

		if (patterns &&
		    (by < BY_NAME_BEGINNING ? all_literal(patterns) : all_have_beginning(patterns)))
			return by;
	}
	return BY_NAME_BEGINNING;
}

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	r = memcmp(x->text, y->text, x->size);
	return r ? r : (x->rule->number > y->rule->number) - (x->rule->number < y->rule->number);
}

/* Add the rule to its list, or only count what there is to add. */
static void add(struct policy_index *index, const struct policy_rule *rule, bool is_count)
{
	static char *nothing[] = {(char *)"", NULL};
	int by = key_of(rule);
	struct list *l = index->lists + by;
	char **p = rule->patterns[matches[by]];

	/* What it says of the name begins with anything, if it says something. */
	if (by == BY_NAME_BEGINNING && (!p || !all_have_beginning(p)))
		p = nothing;
	for (; *p; p++, l->n++)
		if (!is_count)
			l->entries[l->n] = (struct entry){*p, strcspn(*p, SPECIAL), rule};
}

int policy_index_new(const struct policy_set *set, struct policy_index **ret)
{
	_cleanup_(policy_index_freep) struct policy_index *index = calloc(1, sizeof(*index));

	if (!index)
		return -ENOMEM;
	for (size_t i = 0; i < set->n_rules; i++)
		add(index, set->rules[i], true);
	for (int by = 0; by < _BY_MAX; by++) {
		struct list *l = index->lists + by;

		l->entries = calloc(l->n + 1, sizeof(*l->entries));
		l->rules = calloc(l->n + 1, sizeof(struct policy_rule *));
		if (!l->entries || !l->rules)
			return -ENOMEM;
		l->n = 0;
	}
	for (size_t i = 0; i < set->n_rules; i++)
		add(index, set->rules[i], false);
	for (int by = 0; by < _BY_MAX; by++) {
		struct list *l = index->lists + by;

		qsort(l->entries, l->n, sizeof(*l->entries), compare);
		for (size_t i = 0; i < l->n; i++)
			l->rules[i] = l->entries[i].rule;
	}
	*ret = take_ptr(index);
	return 0;
}

struct policy_index *policy_index_free(struct policy_index *index)
{
	for (int by = 0; index && by < _BY_MAX; by++) {
		free(index->lists[by].entries);
		free(index->lists[by].rules);
	}
	free(index);
	return NULL;
}

/* The first entry from `from` on that is not less than text, or with is_after, that is greater. Any text of a size
 * is NULL. */
static size_t find(const struct list *l, size_t from, const char *text, size_t size, bool is_after)
{
	size_t low = from, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct entry *e = l->entries + middle;
		int r = e->size != size ? (e->size < size ? -1 : 1)
			: text		? memcmp(e->text, text, size)
					: 0;

		if (r < 0 || (is_after && r == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Add the run of the rules found by this text; returns where the next one may be. */
static size_t add_run(struct policy_walk *w, const struct list *l, size_t from, const char *text,
		      size_t size)
{
	size_t first = find(l, from, text, size, false);
	size_t end = find(l, first, text, size, true);

	if (first < end && w->n < ARRAY_SIZE(w->runs))
		w->runs[w->n++] = (struct policy_run){l->rules + first, l->rules + end};
	return end;
}

void policy_walk_init(struct policy_walk *w, const struct policy_index *index, const struct vm *vm)
{
	w->n = 0;
	for (int by = 0; by < _BY_MAX; by++) {
		const struct list *l = index->lists + by;
		const char *text = text_of(vm, by);
		size_t size = strlen(text), at = 0;

		if (by < BY_NAME_BEGINNING) {
			add_run(w, l, 0, text, size);
			continue;
		}
		/* Only the lengths that there are: from one entry to the first that is longer than those. */
		while (at < l->n && l->entries[at].size <= size) {
			size_t length = l->entries[at].size;

			add_run(w, l, at, text, length);
			at = find(l, at, NULL, length + 1, false);
		}
	}
}

const struct policy_rule *policy_walk_next(struct policy_walk *w)
{
	const struct policy_rule *best = NULL;

	for (size_t i = 0; i < w->n; i++) {
		const struct policy_run *r = w->runs + i;

		if (r->next < r->end && (!best || (*r->next)->number < best->number))
			best = *r->next;
	}
	/* The same beginning twice in a rule's list is the same rule twice. */
	for (size_t i = 0; i < w->n && best; i++)
		while (w->runs[i].next < w->runs[i].end && *w->runs[i].next == best)
			w->runs[i].next++;
	return best;
}
