// SPDX-License-Identifier: GPL-2.0-only
// Hold the sum of all reports against a list such as "cet endbranch@0=1 near_ret@3=2 gp=0".

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm.h"

struct wanted {
	bool cet, no_cet, has_gp, has_ud;
	uint64_t cp[CP_KINDS][4], gp, ud;
};

static bool parse_word(char *word, struct wanted *w)
{
	char *equals = strchr(word, '='), *at = strchr(word, '@'), *end;
	unsigned long long n;

	if (!strcmp(word, "cet"))
		return w->cet = true;
	if (!strcmp(word, "no-cet"))
		return w->no_cet = true;
	if (!equals)
		return false;
	n = strtoull(equals + 1, &end, 10);
	if (end == equals + 1 || *end)
		return false;
	*equals = '\0';
	if (!strcmp(word, "gp")) {
		w->has_gp = true;
		w->gp = n;
		return true;
	}
	if (!strcmp(word, "ud")) {
		w->has_ud = true;
		w->ud = n;
		return true;
	}
	if (!at || at[1] < '0' || at[1] > '3' || at[2])
		return false;
	*at = '\0';
	for (unsigned int kind = 0; kind < CP_KINDS; kind++) {
		if (strcmp(word, cp_kind_to_string(kind)))
			continue;
		w->cp[kind][at[1] - '0'] = n;
		return true;
	}
	return false;
}

static bool parse(const char *text, struct wanted *ret_wanted)
{
	struct wanted w = {};
	char *copy = strdup(text), *save = NULL;
	bool ok = copy != NULL;

	for (char *word = copy ? strtok_r(copy, " ,", &save) : NULL; word && ok;
	     word = strtok_r(NULL, " ,", &save))
		ok = parse_word(word, &w);
	free(copy);
	*ret_wanted = w;
	return ok;
}

bool expect_valid(const char *text)
{
	struct wanted w;

	if (parse(text, &w))
		return true;
	fprintf(stderr, "cetvmm: --expect '%s': words are cet, no-cet, gp=N, ud=N, KIND@CPL=N\n",
		text);
	return false;
}

static bool same(const char *what, uint64_t found, uint64_t wanted)
{
	if (found == wanted)
		return true;
	fprintf(stderr, "cetvmm: expected %" PRIu64 " %s, the guests saw %" PRIu64 "\n", wanted,
		what, found);
	return false;
}

bool expect_met(const struct options *o, const struct vm *vms)
{
	struct report sum = {};
	struct wanted w;
	bool ok = parse(o->expect, &w);
	char what[40];

	for (unsigned int i = 0; i < o->vms * o->vcpus; i++) {
		const struct report *r = &vms[i / o->vcpus].vcpus[i % o->vcpus].report;

		for (unsigned int kind = 0; kind < CP_KINDS; kind++) {
			for (unsigned int cpl = 0; cpl < 4; cpl++)
				sum.cp[kind][cpl] += r->cp[kind][cpl];
		}
		sum.gp += r->gp;
		sum.ud += r->ud;
		sum.features |= r->features & (FEATURE_SHSTK | FEATURE_IBT);
	}
	for (unsigned int kind = 0; kind < CP_KINDS; kind++) {
		for (unsigned int cpl = 0; cpl < 4; cpl++) {
			snprintf(what, sizeof(what), "#CP %s at CPL %u", cp_kind_to_string(kind),
				 cpl);
			ok = same(what, sum.cp[kind][cpl], w.cp[kind][cpl]) && ok;
		}
	}
	if (w.has_gp)
		ok = same("#GP", sum.gp, w.gp) && ok;
	if (w.has_ud)
		ok = same("#UD", sum.ud, w.ud) && ok;
	if (w.cet && sum.features != (FEATURE_SHSTK | FEATURE_IBT)) {
		fprintf(stderr, "cetvmm: expected a guest with SHSTK and IBT\n");
		ok = false;
	}
	if (w.no_cet && sum.features) {
		fprintf(stderr, "cetvmm: expected a guest without CET\n");
		ok = false;
	}
	return ok;
}
