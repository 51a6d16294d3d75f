// SPDX-License-Identifier: GPL-2.0-only
/* What is said to be seen, by kernel, vendor and the programs' fate. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/coverage.h"

#define STOCK CETD_FAMILY_STOCK
#define PATCHED CETD_FAMILY_PATCHED
#define OFF CETD_GUEST_CET_OFF
#define ON CETD_GUEST_CET_ON
#define UNKNOWN CETD_GUEST_CET_UNKNOWN

/* Facts as letters, in the order of enum cetd_fact: o(bserved), p(artial), u(nobservable). */
static const struct row {
	const char *release, *vendor;
	enum cetd_family family;
	enum cetd_guest_cet guest_cet;
	int vmcs_load; /* result of the stock program */
	bool has_cet_ops;
	const char *facts;
} table[] = {
	{"6.1.0-30-amd64", "intel", STOCK, OFF, 0, false, "upoopu"},
	{"6.12.95+deb13-amd64", "intel", STOCK, OFF, 0, false, "upoopu"},
	{"6.12.95+deb13-amd64", "intel", STOCK, OFF, -EPERM, false, "upoouu"},
	{"6.12.95+deb13-amd64", "intel", STOCK, OFF, -ENOENT, false, "upoouu"},
	{"6.12.95+deb13-amd64", "amd", STOCK, OFF, -ENOENT, false, "upopuu"},
	{"6.18.44", "pvm", STOCK, OFF, -ENOENT, false, "upouuu"},
	{"7.3.4", "intel", STOCK, ON, 0, false, "uppupu"},
	{"6.18.0", "intel", STOCK, ON, 0, false, "uppupu"},
	{"6.17.9", "intel", STOCK, ON, 0, false, "uppopu"},
	{"7.3.4", "amd", STOCK, ON, -ENOENT, false, "upppuu"},
	{"7.3.4", "intel", STOCK, OFF, 0, false, "upoopu"},
	{"7.3.4", "intel", STOCK, UNKNOWN, 0, false, "uppupu"},
	{"6.12.95", "intel", STOCK, UNKNOWN, 0, false, "uppppu"},
	{"7.3.4-cetd", "intel", PATCHED, ON, 1, true, "oppuop"},
	{"7.3.4-cetd", "intel", PATCHED, ON, 1, false, "oppuou"},
	{"6.12.95-cetd", "intel", PATCHED, ON, 1, true, "oppoop"},
	{"6.12.95-cetd", "amd", PATCHED, ON, 1, true, "upppup"},
	{"7.3.4-cetd", "intel", PATCHED, OFF, 1, true, "opooop"},
};

static void state_init(struct programs_state *s, const struct row *row)
{
	bool is_patched = row->family == PATCHED;

	*s = (struct programs_state){
		.family = row->family,
		.has_vm_id = is_patched,
		.has_fault = is_patched,
		.has_cet_ops = row->has_cet_ops,
	};
	s->result[PROGRAM_STOCK_MSR] = is_patched;
	s->result[PROGRAM_STOCK_VMCS_LOAD] = row->vmcs_load;
	for (int i = PROGRAM_PATCHED_CP; i < _PROGRAM_MAX; i++)
		s->result[i] = !is_patched;
}

static void host_init(struct cetd_host *h, const struct row *row)
{
	memset(h, 0, sizeof(*h));
	strcpy(h->kernel_release, row->release);
	strcpy(h->kvm_vendor, row->vendor);
	h->guest_cet = row->guest_cet;
}

static void test_facts_by_kernel_and_vendor(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		char facts[_CETD_FACT_MAX + 1] = "";
		struct programs_state s;
		struct cetd_host h;

		state_init(&s, table + i);
		host_init(&h, table + i);
		coverage_fill(&s, &h);
		for (int f = 0; f < _CETD_FACT_MAX; f++) {
			facts[f] = "upo"[h.facts[f].state];
			assert_true(*h.facts[f].reason);
			assert_true(strlen(h.facts[f].reason) < sizeof(h.facts[f].reason) - 1);
		}
		if (strcmp(facts, table[i].facts))
			print_message("row %zu (%s %s)\n", i, table[i].release, table[i].vendor);
		assert_string_equal(facts, table[i].facts);
		assert_int_equal(h.family, table[i].family);
	}
}

static bool has_cause(const struct cetd_host *h, const char *code)
{
	for (uint32_t i = 0; i < h->n_causes; i++)
		if (!strcmp(h->causes[i].code, code))
			return true;
	return false;
}

static void test_refused_program_is_a_cause_and_not_a_fact_seen(void **state)
{
	struct programs_state s;
	struct cetd_host h;

	(void)state;
	state_init(&s, table);
	host_init(&h, table);
	coverage_fill(&s, &h);
	assert_false(has_cause(&h, "program_refused"));
	assert_true(has_cause(&h, "kernel_not_patched"));

	s.result[PROGRAM_STOCK_MSR] = -EPERM;
	s.result[PROGRAM_STOCK_VMCS_LOAD] = -EPERM;
	host_init(&h, table);
	coverage_fill(&s, &h);
	assert_true(has_cause(&h, "program_refused"));
	assert_true(has_cause(&h, "fentry_refused"));
	assert_int_equal(h.facts[CETD_FACT_CET_MSR].state, CETD_COVERAGE_UNOBSERVABLE);
	assert_non_null(strstr(h.facts[CETD_FACT_CET_MSR].reason, "kvm_msr"));
}

static void test_patched_kernel_is_not_told_to_get_patches(void **state)
{
	const struct row row = {"7.3.4", "intel", PATCHED, ON, 1, true, ""};
	struct programs_state s;
	struct cetd_host h;

	(void)state;
	state_init(&s, &row);
	host_init(&h, &row);
	coverage_fill(&s, &h);
	assert_false(has_cause(&h, "kernel_not_patched"));

	s.has_fault = false;
	coverage_fill(&s, &h);
	assert_int_equal(h.facts[CETD_FACT_HARDWARE_CP].state, CETD_COVERAGE_PARTIAL);
}

static void test_failed_load_says_why_for_every_fact(void **state)
{
	static const struct {
		int error;
		const char *code;
	} errors[] = {
		{-EPERM, "missing_capability"}, {-ENOENT, "missing_btf"},
		{-ESRCH, "missing_btf"},	{-ENOSYS, "missing_bpf"},
		{-ENODEV, "kvm_not_loaded"},	{-EINVAL, "program_failed"},
		{-EACCES, "program_failed"}, /* the verifier's no */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		struct cetd_host h;

		host_init(&h, table);
		coverage_fill_failed(errors[i].error, &h);
		assert_int_equal(h.n_causes, 1);
		assert_string_equal(h.causes[0].code, errors[i].code);
		assert_int_equal(h.family, CETD_FAMILY_NONE);
		for (int f = 0; f < _CETD_FACT_MAX; f++) {
			assert_int_equal(h.facts[f].state, CETD_COVERAGE_UNOBSERVABLE);
			assert_true(*h.facts[f].reason);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_facts_by_kernel_and_vendor),
		cmocka_unit_test(test_refused_program_is_a_cause_and_not_a_fact_seen),
		cmocka_unit_test(test_patched_kernel_is_not_told_to_get_patches),
		cmocka_unit_test(test_failed_load_says_why_for_every_fact),
	};

	return cmocka_run_group_tests_name("coverage", tests, NULL, NULL);
}
