// SPDX-License-Identifier: GPL-2.0-only
/* The index of rules: what it finds, in its order, is what looking at every rule finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/index.h"

static uint64_t seed = 20261120;

static unsigned int below(unsigned int n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(seed >> 33) % n;
}

/* Few letters, so that much of it is alike. */
static void random_text(char *text, unsigned int max, const char *letters)
{
	unsigned int n = below(max);

	for (unsigned int i = 0; i < n; i++)
		text[i] = letters[below((unsigned int)strlen(letters))];
	text[n] = '\0';
}

static char **random_patterns(const char *letters)
{
	unsigned int n = 1 + below(3);
	char **patterns = calloc(n + 1, sizeof(*patterns)), text[8];

	assert_non_null(patterns);
	for (unsigned int i = 0; i < n; i++) {
		random_text(text, sizeof(text), letters);
		patterns[i] = strdup(text);
		assert_non_null(patterns[i]);
	}
	return patterns;
}

static struct policy_set *random_set(unsigned int n)
{
	struct policy_set *set = policy_set_new();
	char *message;

	assert_non_null(set);
	for (unsigned int i = 0; i < n; i++) {
		struct policy_rule *rule = policy_rule_new();

		assert_non_null(rule);
		snprintf(rule->id, sizeof(rule->id), "rule-%u", i);
		rule->file = policy_set_add_file(set, "test");
		if (below(4))
			rule->patterns[POLICY_MATCH_NAME] = random_patterns("abab*?\\");
		if (!below(4))
			rule->patterns[POLICY_MATCH_UNIT] = random_patterns("abababab*[");
		if (!below(8))
			rule->patterns[POLICY_MATCH_UUID] = random_patterns("ab");
		assert_int_equal(policy_set_add(set, rule), 0);
	}
	assert_int_equal(policy_set_finish(set, &message), 0);
	return set;
}

static void test_finds_what_matches(void **state)
{
	unsigned int matches = 0;

	(void)state;
	for (int round = 0; round < 100; round++) {
		struct policy_set *set = random_set(below(80));

		for (int i = 0; i < 50; i++) {
			const struct policy_rule *found;
			struct policy_walk walk;
			struct vm vm = {};
			size_t n = 0;

			random_text(vm.identity.name, 8, "ab");
			random_text(vm.identity.unit, 8, "ab");
			random_text(vm.identity.uuid, 8, "ab");
			policy_walk_init(&walk, set->index, &vm);
			while ((found = policy_walk_next(&walk))) {
				/* Each that it leaves out does not match, and they come in order. */
				assert_true(found->number > n);
				for (; n < found->number - 1; n++)
					assert_false(policy_rule_matches(set->rules[n], &vm));
				assert_ptr_equal(found, set->rules[n++]);
				matches += policy_rule_matches(found, &vm);
			}
			for (; n < set->n_rules; n++)
				assert_false(policy_rule_matches(set->rules[n], &vm));
		}
		policy_set_free(set);
	}
	assert_true(matches > 1000);
}

/* A beginning of every length that a name can have. */
static void test_longest_names(void **state)
{
	struct policy_set *set = policy_set_new();
	const struct policy_rule *found;
	struct policy_walk walk;
	struct vm vm = {};
	size_t n = 0;
	char *message;

	(void)state;
	memset(vm.identity.name, 'a', sizeof(vm.identity.name) - 1);
	memset(vm.identity.unit, 'a', sizeof(vm.identity.unit) - 1);
	for (size_t i = 0; i < 2 * sizeof(vm.identity.name); i++) {
		struct policy_rule *rule = policy_rule_new();
		char *pattern = calloc(1, sizeof(vm.identity.name) + 2);
		char **patterns = calloc(2, sizeof(*patterns));

		assert_true(rule && pattern && patterns);
		memset(pattern, 'a', i / 2);
		pattern[i / 2] = '*';
		patterns[0] = pattern;
		snprintf(rule->id, sizeof(rule->id), "rule-%zu", i);
		rule->patterns[i % 2 ? POLICY_MATCH_NAME : POLICY_MATCH_UNIT] = patterns;
		assert_int_equal(policy_set_add(set, rule), 0);
	}
	assert_int_equal(policy_set_finish(set, &message), 0);
	policy_walk_init(&walk, set->index, &vm);
	while ((found = policy_walk_next(&walk)))
		n += policy_rule_matches(found, &vm);
	assert_int_equal(n, 2 * sizeof(vm.identity.name));
	policy_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_what_matches),
		cmocka_unit_test(test_longest_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
