// SPDX-License-Identifier: GPL-2.0-only
/*
 * cli/diagnose.c and what it is made of: clues, the order of causes, commands, and the whole text for typical VMs
 * against golden files; CETD_GOLDEN_UPDATE=1 rewrites them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "advice.h"
#include "causes.h"
#include "diagnose.h"
#include "doc.h"
#include "explain.h"
#include "finding.h"
#include "symfile.h"

#define GOLDEN "tests/unit/golden/explain/"
#define RECORD(type, kind, usec, cpl, vcpu, rip, nested, code)                               \
	"{\"type\":\"" type "\",\"kind\":\"" kind "\",\"time_usec\":" #usec ",\"cpl\":" #cpl \
	",\"vcpu\":" #vcpu ",\"rip\":" rip ",\"nested\":" #nested ",\"error_code\":" #code   \
	",\"action\":\"deliver\"}"
#define CP(kind, usec, cpl, vcpu, rip) \
	RECORD("control_protection", kind, usec, cpl, vcpu, "\"" rip "\"", false, 3)

static json_object *parse(const char *text)
{
	json_object *o = json_tokener_parse(text);

	assert_non_null(o);
	return o;
}

static unsigned int bits(const int *clues)
{
	unsigned int set = 0;

	for (; *clues >= 0; clues++)
		set |= CLUE_BIT(*clues);
	return set;
}

/* What is asked of the first finding: the clues that must be there; all of `others` must not. */
static void test_clues(void **state)
{
	static const struct {
		const char *vm, *faults;
		uint64_t since_usec;
		int clues[6], others[6];
	} cases[] = {
		{"{\"control_protection\":{\"endbranch\":{\"user\":1}}}",
		 "[" CP("endbranch", 5000000, 3, 0, "0x1") "]",
		 0,
		 {CLUE_USER, CLUE_ONCE, -1},
		 {CLUE_SUPERVISOR, CLUE_ONE_RIP, CLUE_ONE_VCPU, CLUE_STORM, CLUE_YOUNG, -1}},
		/* A single record of many faults is not "once". */
		{"{\"control_protection\":{\"endbranch\":{\"user\":2}}}",
		 "[" CP("endbranch", 5000000, 3, 0, "0x1") "]",
		 4000000,
		 {CLUE_USER, -1},
		 {CLUE_ONCE, CLUE_YOUNG, -1}},
		/* Young only where its coming was seen, and not half a minute later. */
		{"{\"control_protection\":{\"endbranch\":{\"user\":1}}}",
		 "[" CP("endbranch", 5000000, 3, 0, "0x1") "]",
		 4000000,
		 {CLUE_YOUNG, -1},
		 {-1}},
		{"{\"control_protection\":{\"endbranch\":{\"user\":1}}}",
		 "[" CP("endbranch", 34000000, 3, 0, "0x1") "]",
		 4000000,
		 {CLUE_ONCE, -1},
		 {CLUE_YOUNG, -1}},
		{"{}",
		 "[" CP("endbranch", 5100000, 2, 0, "0xffffffffc0000000") "," CP(
			 "endbranch", 5000000, 2, 0, "0xffffffffc0000000") "]",
		 0,
		 {CLUE_SUPERVISOR, CLUE_ONE_RIP, CLUE_ONE_VCPU, CLUE_STORM, CLUE_MODULE_AREA, -1},
		 {CLUE_MANY_RIPS, CLUE_MANY_VCPUS, CLUE_KERNEL_IMAGE, CLUE_ONCE, -1}},
		/* Just below ten a second, one byte below the modules. */
		{"{}",
		 "[" CP("endbranch", 5100001, 0, 1, "0xffffffffbfffffff") "," CP(
			 "endbranch", 5000000, 0, 0, "0xffffffffbfffffff") "]",
		 0,
		 {CLUE_MANY_VCPUS, CLUE_KERNEL_IMAGE, -1},
		 {CLUE_STORM, CLUE_ONE_VCPU, CLUE_MODULE_AREA, -1}},
		{"{}",
		 "[" CP("near_ret", 4, 3, 0, "0x1") "," CP("near_ret", 3, 3, 0, "0x2") "," CP(
			 "near_ret", 2, 3, 0, "0x3") "," CP("near_ret", 1, 3, 0, "0x4") "]",
		 0,
		 {CLUE_MANY_RIPS, -1},
		 {CLUE_ONE_RIP, -1}},
		{"{}",
		 "[" CP("near_ret", 3, 3, 0, "0x1") "," CP("near_ret", 2, 3, 0, "0x2") "," CP(
			 "near_ret", 1, 3, 0, "0x3") "]",
		 0,
		 {CLUE_ONE_VCPU, -1},
		 {CLUE_ONE_RIP, CLUE_MANY_RIPS, -1}},
		{"{}",
		 "[" RECORD("control_protection", "near_ret", 1, 0, 0, "\"0x1\"", true, 32769) "]",
		 0,
		 {CLUE_NESTED, CLUE_ENCLAVE, -1},
		 {-1}},
		/* Not all of them: no reason to look elsewhere for the others. */
		{"{}",
		 "[" RECORD("control_protection", "near_ret", 2, 0, 0, "\"0x1\"", true,
			    32769) "," CP("near_ret", 1, 0, 0, "0x1") "]",
		 0,
		 {CLUE_ONE_RIP, -1},
		 {CLUE_NESTED, CLUE_ENCLAVE, -1}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_object *vm = parse(cases[i].vm), *faults = parse(cases[i].faults);
		struct findings all;
		unsigned int clues;

		findings_collect(vm, faults, &all);
		assert_int_equal(all.n, 1);
		clues = finding_clues(all.list, cases[i].since_usec, NULL);
		if ((clues & bits(cases[i].clues)) != bits(cases[i].clues) ||
		    (clues & bits(cases[i].others)))
			fail_msg("case %zu: clues 0x%x", i, clues);
		json_object_put(vm);
		json_object_put(faults);
	}
}

static void test_symbols_tell_the_start_of_a_function_from_its_inside(void **state)
{
	static const struct {
		const char *kind, *rip;
		int clue;
	} cases[] = {
		{"endbranch", "0x401000", CLUE_FUNCTION_START},
		{"endbranch", "0x401001", CLUE_FUNCTION_INSIDE},
		{"endbranch", "0x400fff", -1},
		{"near_ret", "0x401000", -1}, /* RIP is no target */
	};
	struct symbols *s = NULL;
	const char *expected;
	unsigned int line;
	char *map = strdup("401000 T f\n");

	(void)state;
	assert_int_equal(symfile_parse(map, strlen(map), &s, &line, &expected), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_object *vm = parse("{}"),
			    *faults = parse("[" CP("endbranch", 1, 3, 0, "") "]");
		json_object *f = json_object_array_get_idx(faults, 0);
		struct findings all;
		unsigned int clues;

		json_object_object_add(f, "kind", json_object_new_string(cases[i].kind));
		json_object_object_add(f, "rip", json_object_new_string(cases[i].rip));
		findings_collect(vm, faults, &all);
		clues = finding_clues(all.list, 0, s) &
			(CLUE_BIT(CLUE_FUNCTION_START) | CLUE_BIT(CLUE_FUNCTION_INSIDE));
		assert_int_equal(clues, cases[i].clue < 0 ? 0 : CLUE_BIT(cases[i].clue));
		json_object_put(vm);
		json_object_put(faults);
	}
	symbols_free(s);
}

static size_t position(const char *kind, bool is_injected, const int *clues, const char *id)
{
	struct ranked_cause ranked[CAUSES_MAX];
	size_t n = causes_rank(kind, is_injected, bits(clues), ranked);

	for (size_t i = 0; i + 1 < n; i++)
		assert_true(ranked[i].weight >= ranked[i + 1].weight);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(ranked[i].cause->id, id))
			return i;
	return SIZE_MAX;
}

/* The same fault with another clue has another order: each pair is a case and its twin. */
static void test_order_follows_the_clues(void **state)
{
	static const struct {
		const char *kind;
		bool is_injected;
		int clues[5];
		const char *first, *before, *after; /* NULL: not asked */
	} cases[] = {
		{"endbranch",
		 false,
		 {CLUE_SUPERVISOR, CLUE_MODULE_AREA, -1},
		 "module_without_endbr",
		 NULL,
		 NULL},
		{"endbranch",
		 false,
		 {CLUE_SUPERVISOR, CLUE_KERNEL_IMAGE, -1},
		 "assembly",
		 "sealed_function",
		 "module_without_endbr"},
		{"endbranch",
		 false,
		 {CLUE_USER, CLUE_ONE_RIP, -1},
		 "library_without_endbr",
		 "library_without_endbr",
		 "jit"},
		{"endbranch",
		 false,
		 {CLUE_USER, CLUE_MANY_RIPS, -1},
		 "jit",
		 "jit",
		 "library_without_endbr"},
		{"endbranch",
		 false,
		 {CLUE_USER, CLUE_FUNCTION_INSIDE, CLUE_ONCE, -1},
		 "exploit",
		 NULL,
		 NULL},
		{"endbranch",
		 false,
		 {CLUE_USER, CLUE_FUNCTION_START, CLUE_ONCE, -1},
		 "library_without_endbr",
		 "assembly",
		 "exploit"},
		{"near_ret",
		 false,
		 {CLUE_USER, CLUE_ONE_RIP, -1},
		 "rewritten_return",
		 "rewritten_return",
		 "migration"},
		{"near_ret",
		 false,
		 {CLUE_USER, CLUE_YOUNG, CLUE_MANY_VCPUS, -1},
		 "migration",
		 "migration",
		 "rewritten_return"},
		{"near_ret", false, {CLUE_SUPERVISOR, CLUE_ONCE, -1}, NULL, "exploit", "migration"},
		{"rstorssp",
		 false,
		 {CLUE_USER, CLUE_MANY_VCPUS, -1},
		 "token_reused",
		 "token_reused",
		 "migration"},
		{"rstorssp",
		 false,
		 {CLUE_USER, CLUE_MANY_VCPUS, CLUE_YOUNG, -1},
		 NULL,
		 "migration",
		 "stack_switch"},
		{"setssbsy",
		 false,
		 {CLUE_SUPERVISOR, CLUE_MANY_VCPUS, -1},
		 "busy_stack",
		 "busy_stack",
		 "bad_pl0_ssp"},
		{"setssbsy", false, {CLUE_SUPERVISOR, CLUE_NESTED, -1}, "nested_guest", NULL, NULL},
		{"far_ret", false, {CLUE_SUPERVISOR, CLUE_ENCLAVE, -1}, "enclave", NULL, NULL},
		{"other", false, {-1}, "unknown", NULL, NULL},
		{"endbranch", true, {CLUE_ONCE, -1}, "vmm_restore", "vmm_restore", "host_tool"},
		{"endbranch", true, {CLUE_STORM, -1}, "host_tool", "host_tool", "vmm_restore"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *kind = cases[i].kind;
		bool is_injected = cases[i].is_injected;

		if (cases[i].first && position(kind, is_injected, cases[i].clues, cases[i].first))
			fail_msg("case %zu: %s is not first", i, cases[i].first);
		if (cases[i].before &&
		    position(kind, is_injected, cases[i].clues, cases[i].before) >=
			    position(kind, is_injected, cases[i].clues, cases[i].after))
			fail_msg("case %zu: %s is not before %s", i, cases[i].before,
				 cases[i].after);
	}
}

/* A cause of the guest's kernel is none of its programs', nor of what the host injects; kinds without causes are not. */
static void test_causes_belong_to_kind_and_privilege(void **state)
{
	static const int user[] = {CLUE_USER, -1}, supervisor[] = {CLUE_SUPERVISOR, -1};
	struct ranked_cause ranked[CAUSES_MAX];

	(void)state;
	assert_int_equal(position("endbranch", false, user, "module_without_endbr"), SIZE_MAX);
	assert_int_not_equal(position("endbranch", false, supervisor, "module_without_endbr"),
			     SIZE_MAX);
	assert_int_equal(position("endbranch", true, supervisor, "module_without_endbr"), SIZE_MAX);
	assert_int_equal(position("near_ret", false, supervisor, "stack_switch"), SIZE_MAX);
	assert_int_not_equal(position("near_ret", false, user, "stack_switch"), SIZE_MAX);
	assert_int_equal(causes_rank("nonsense", false, 0, ranked), 0);
	assert_null(causes_meaning("nonsense"));
	for (int k = 0; k < _CETD_KIND_MAX; k++) {
		const char *kind = (const char *[]){"near_ret", "far_ret",  "endbranch",
						    "rstorssp", "setssbsy", "other"}[k];

		assert_non_null(causes_meaning(kind));
		for (unsigned int clues = 0; clues < CLUE_BIT(_CLUE_MAX); clues++) {
			size_t n = causes_rank(kind, false, clues, ranked);

			assert_in_range(n, 1, CAUSES_MAX);
		}
	}
}

static void test_findings(void **state)
{
	json_object *vm =
		parse("{\"control_protection\":{\"near_ret\":{\"user\":3,\"supervisor\":0},"
		      "\"endbranch\":{\"user\":9007199254740993}},"
		      "\"injected_control_protection\":5}");
	json_object *faults = parse("[" CP("near_ret", 7, 3, 2, "0x5") "," RECORD(
		"injected", "endbranch", 6, null, null, "null", false, 3) "," CP("near_ret", 5, 3,
										 1, "0x5") "]");
	struct findings all;

	(void)state;
	findings_collect(vm, faults, &all);
	assert_int_equal(all.n, 3);
	assert_string_equal(all.list[0].kind, "endbranch");
	assert_int_equal(all.list[0].count, 9007199254740993);
	assert_int_equal(all.list[0].n, 0);
	assert_string_equal(all.list[1].kind, "near_ret");
	assert_int_equal(all.list[1].n_rips, 1);
	assert_int_equal(all.list[1].rips[0].count, 2);
	assert_int_equal(all.list[1].n_vcpus, 2);
	assert_int_equal(all.list[1].vcpus[0], 1);
	assert_int_equal(all.list[1].first_usec, 5);
	assert_int_equal(all.list[1].last_usec, 7);
	assert_false(finding_is_complete(all.list + 1));
	assert_true(all.list[2].is_injected);
	assert_int_equal(finding_count(all.list + 2), 5);
	json_object_put(vm);
	json_object_put(faults);
}

/* Data of other types than expected is left out, and every report can still be printed. */
static void test_odd_data(void **state)
{
	static const char *const odd[] = {
		"null",
		"5",
		"[]",
		"{}",
		"\"x\"",
		"[1,null,\"x\",[],{}]",
		"[{\"type\":\"control_protection\"}]",
		"[{\"type\":\"control_protection\",\"kind\":[],\"cpl\":99,\"rip\":\"x\",\"vcpu\":-"
		"1}]",
		"{\"control_protection\":[],\"decisions\":7,\"policy\":[],\"unit\":5,\"pid\":"
		"\"x\"}",
		"{\"host\":{\"coverage\":[],\"causes\":[1,{}]},\"now_usec\":\"x\"}",
	};
	const struct options options = {.has_legend = true};
	size_t n = ARRAY_SIZE(odd);

	(void)state;
	for (size_t i = 0; i < n * n * n; i++) {
		json_object *daemon = json_tokener_parse(odd[i % n]);
		json_object *vm = json_tokener_parse(odd[i / n % n]);
		json_object *faults = json_tokener_parse(odd[i / n / n]);
		const struct diagnosis_input in = {daemon, vm, faults, faults, "x", NULL, NULL};
		json_object *report = diagnose(&in);
		_cleanup_(fclosep) FILE *f = fopen("/dev/null", "we");

		assert_non_null(report);
		explain_print(f, &options, report);
		json_object_put(report);
		json_object_put(daemon);
		json_object_put(vm);
		json_object_put(faults);
	}
}

static void test_commands_are_safe_to_paste(void **state)
{
	static const struct {
		const char *name, *id, *unit, *pattern, *command;
	} cases[] = {
		{"web-1", "i", NULL, "cetctl faults {vm}", "cetctl faults web-1"},
		{"a b", "i", NULL, "cetctl faults {vm}", "cetctl faults i"},
		{"$(reboot)", "-x", NULL, "cetctl faults {vm}", "cetctl faults pid-7"},
		{"\033[2J", "`x`", NULL, "cetctl faults {vm}", "cetctl faults pid-7"},
		{"x", "i", "a.scope", "u {unit} end", "u a.scope end"},
		{"x", "i", "a\\x2d';reboot;'.scope", "u {unit}",
		 "u 'a\\x2d'\\'';reboot;'\\''.scope'"},
		{"x", "i", "-f", "u {unit}", "u '-f'"},
		{"x", "i", NULL, "u {unit}", NULL},
		{"x", "i", NULL, "at {rip} to {rip_end}", "at 0x10 to 0x20"},
		{"x", "i", NULL, "in {file}", "in FILE"},
		{"x", "i", NULL, "p {pid},", "p 7,"},
		{"x", "i", NULL, "{nonsense}", NULL},
		{"x", "i", NULL, NULL, NULL},
	};
	const uint64_t rip = 0x10;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_object *vm = parse("{\"pid\":7}");
		const struct diagnosis_input in = {.vm = vm, .name = cases[i].name};
		char *command;

		json_object_object_add(vm, "id", json_object_new_string(cases[i].id));
		if (cases[i].unit)
			json_object_object_add(vm, "unit", json_object_new_string(cases[i].unit));
		command = advice_command(&in, cases[i].pattern, &rip);
		if (cases[i].command)
			assert_string_equal(command, cases[i].command);
		else
			assert_null(command);
		free(command);
		json_object_put(vm);
	}
}

static void assert_golden(const char *name, const char *text)
{
	_cleanup_(freep) char *golden = calloc(1, 1 << 20), *path = NULL;
	_cleanup_(fclosep) FILE *f = NULL;

	assert_true(asprintf(&path, GOLDEN "%s.txt", name) > 0);
	if (getenv("CETD_GOLDEN_UPDATE")) {
		f = fopen(path, "we");
		assert_non_null(f);
		fputs(text, f);
		return;
	}
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s: cannot be read; run from the top of the tree", path);
	assert_true(fread(golden, 1, (1 << 20) - 1, f) > 0);
	assert_string_equal(text, golden);
}

static struct symbols *load_symbols(json_object *o, const uint64_t *rips, size_t n)
{
	const char *map = doc_text(o, "symbols"), *expected;
	struct symbols *s = NULL;
	unsigned int line;
	char *copy;

	if (!map)
		return NULL;
	copy = strdup(map);
	assert_int_equal(symfile_parse(copy, strlen(copy), &s, &line, &expected), 0);
	assert_int_equal(symbols_set_offset(s, doc_text(o, "kaslr"), rips, n), CETCTL_OK);
	return s;
}

static void test_text_is_golden(void **state)
{
	static const char *const names[] = {"module", "inside", "program", "restored", "nested",
					    "nobody", "quiet",	"blind",   "injected", "movable"};
	const struct options options = {.has_legend = true};

	(void)state;
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(freep) char *path = NULL, *text = NULL;
		struct diagnosis_input in = {.name = "web-1", .symbol_file = "kallsyms"};
		json_object *o, *report;
		struct symbols *s;
		uint64_t rip;
		size_t size;
		FILE *f;

		assert_true(asprintf(&path, GOLDEN "%s.json", names[i]) > 0);
		o = json_object_from_file(path);
		if (!o)
			fail_msg("%s: cannot be read; run from the top of the tree", path);
		in.daemon = doc_get(o, "daemon");
		in.vm = doc_get(o, "vm");
		in.faults = doc_get(o, "faults");
		in.rips = doc_get(o, "rips");
		rip = strtoull(
			doc_text(in.rips ? json_object_array_get_idx(in.rips, 0) : NULL, "rip")
				?: "0",
			NULL, 0);
		in.symbols = s = load_symbols(o, &rip, 1);
		report = diagnose(&in);
		f = open_memstream(&text, &size);
		explain_print(f, &options, report);
		fclose(f);
		assert_golden(names[i], text);
		json_object_put(report);
		json_object_put(o);
		symbols_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clues),
		cmocka_unit_test(test_symbols_tell_the_start_of_a_function_from_its_inside),
		cmocka_unit_test(test_order_follows_the_clues),
		cmocka_unit_test(test_causes_belong_to_kind_and_privilege),
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_odd_data),
		cmocka_unit_test(test_commands_are_safe_to_paste),
		cmocka_unit_test(test_text_is_golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
