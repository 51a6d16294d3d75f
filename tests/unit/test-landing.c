// SPDX-License-Identifier: GPL-2.0-only
/* The landing page: what is shown, what is a dash, and names that would like to be markup. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/sample-model.h"
#include "export/landing.h"

static const enum cetd_coverage observed[_CETD_FACT_MAX] = {
	CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED,
	CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED};
static const enum cetd_coverage unobservable[_CETD_FACT_MAX] = {0};
static const struct metrics_context context = {.version = "1.2.3<"};

static struct model *model_of(unsigned int n, const enum cetd_coverage states[_CETD_FACT_MAX])
{
	struct model *m;

	assert_int_equal(model_new(n + 1, &m), 0);
	assert_int_equal(sample_host(m, states, CETD_FAMILY_STOCK), 0);
	for (unsigned int i = 0; i < n; i++) {
		struct cetd_identity id = sample_identity(i);

		assert_int_equal(sample_vm(m, &id), 0);
		assert_int_equal(sample_counters(m, id.key, 5000), 0);
	}
	return m;
}

static char *render_page(const struct model *m, unsigned int page)
{
	char *text = NULL;
	size_t size = 0;

	assert_int_equal(landing_render(m, &context, page, &text, &size), 0);
	assert_int_equal(strlen(text), size);
	return text;
}

static char *render(const struct model *m)
{
	return render_page(m, 1);
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

static void test_observed_facts_are_numbers(void **state)
{
	struct model *m = model_of(1, observed);
	_cleanup_(freep) char *text = render(m);

	(void)state;
	/* 12 kinds from 5000 on; MSRs 5012 to 5014; CR4 5016; injected 5019 */
	assert_non_null(strstr(text,
			       "<td class=\"number\">60,066</td>"
			       "<td class=\"trend\" data-count=\"60066\"></td>"
			       "<td class=\"number\">-</td>"
			       "<td class=\"number\">5,019</td><td class=\"number\">15,039</td>"
			       "<td class=\"number\">5,016</td><td>yes</td>"));
	assert_non_null(strstr(text, "<dt>#CP</dt><dd>60,066</dd><dd class=\"trend\" "
				     "data-key=\"#CP\" data-count=\"60066\"></dd>"));
	assert_non_null(strstr(text, "<th scope=\"row\">near_ret</th><td class=\"number\">5,000"
				     "</td><td class=\"number\">5,001</td><td class=\"number\">"
				     "10,001</td><td class=\"trend\" data-count=\"10001\">"));
	/* Storms: nothing can be enforced here. */
	assert_int_equal(count(text, "<td class=\"number\">-</td>"), 1);
	model_free(m);
}

static void test_unobservable_facts_are_dashes(void **state)
{
	struct model *m = model_of(1, unobservable);
	_cleanup_(freep) char *text = render(m);

	(void)state;
	/* Of the VM five, of each kind three; the VM's use of CET is told by what was counted. */
	assert_int_equal(count(text, "<td class=\"number\">-</td>"), 5 + 3 * _CETD_KIND_MAX);
	assert_int_equal(count(text, "<td class=\"number\">"), 5 + 3 * _CETD_KIND_MAX);
	/* Nothing to draw but what cetd itself has lost. */
	assert_int_equal(count(text, " data-count="), 1);
	assert_int_equal(count(text, "<dd>-</dd>"), 5);
	assert_int_equal(count(text, ">unobservable</td>"), _CETD_FACT_MAX);
	model_free(m);
}

static void test_names_are_escaped(void **state)
{
	struct model *m = model_of(0, observed);
	struct cetd_identity id = sample_identity(1);
	_cleanup_(freep) char *text = NULL;

	(void)state;
	strcpy(id.name, "<script>alert(\"x\")</script>");
	assert_int_equal(sample_vm(m, &id), 0);
	text = render(m);
	assert_int_equal(count(text, "<script"), 1);
	assert_non_null(
		strstr(text, "<bdi>&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;</bdi>"));
	assert_non_null(strstr(text, "<small>1.2.3&lt;</small></h1>"));
	assert_non_null(strstr(text, "&lt;fact 0&gt; &amp; its &quot;reason&quot;"));
	model_free(m);
}

/* The page that holds as much of an enemy as a page can. */
static void test_pages_are_bounded(void **state)
{
	struct model *m = model_of(0, observed);
	_cleanup_(freep) char *text = NULL;

	(void)state;
	m->max_vms = 4096;
	for (unsigned int i = 0; i < 4096; i++) {
		struct cetd_identity id = sample_identity(i);

		memset(id.name, '"', sizeof(id.name) - 1);
		memset(id.unit, '"', sizeof(id.unit) - 1);
		assert_int_equal(sample_vm(m, &id), 0);
	}
	text = render(m);
	assert_int_equal(count(text, "<td>qemu</td>"), LANDING_VMS_MAX);
	assert_in_range(strlen(text), 1, 256 * 1024);
	assert_non_null(strstr(
		text, ">1 to 100 of 4096, those with storms and the most #CP first</caption>"));
	assert_non_null(strstr(text, "<li>Previous</li>"));
	assert_non_null(strstr(text, "<li aria-current=\"page\">Page 1 of 41</li>"
				     "<li><a href=\"?page=2\">Next</a></li>"
				     "<li><a href=\"?page=41\">Last</a></li>"));
	model_free(m);
}

static void test_pages_that_are_not_there(void **state)
{
	static const struct {
		unsigned int page;
		const char *expected;
	} cases[] = {
		{0, ">1 to 100 of 203, "},   {1, ">1 to 100 of 203, "},
		{2, ">101 to 200 of 203, "}, {3, ">201 to 203 of 203, "},
		{4, ">201 to 203 of 203, "}, {UINT_MAX, ">201 to 203 of 203, "},
	};
	struct model *m = model_of(203, observed);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *text = render_page(m, cases[i].page);

		assert_non_null(strstr(text, cases[i].expected));
	}
	model_free(m);
}

static void test_those_that_fault_come_first(void **state)
{
	struct model *m = model_of(5, observed);
	struct cetd_counters_message c = sample_make_counters(CETD_KEY_TGID | 1003, 5000);
	_cleanup_(freep) char *text = NULL;

	(void)state;
	c.vm.counters.cp[CETD_KIND_OTHER][CETD_PRIVILEGE_USER]++;
	assert_int_equal(sample_send(m, CETD_MESSAGE_COUNTERS, sizeof(c), &c), 0);
	text = render(m);
	assert_true(strstr(text, "<bdi>vm-3</bdi>") < strstr(text, "<bdi>vm-0</bdi>"));
	assert_true(strstr(text, "<bdi>vm-0</bdi>") < strstr(text, "<bdi>vm-1</bdi>"));
	assert_true(strstr(text, "<bdi>vm-2</bdi>") < strstr(text, "<bdi>vm-4</bdi>"));
	model_free(m);
}

static void no_tell(void *userdata, const struct storms_vm *vm, const struct storm *storm)
{
	(void)userdata;
	(void)vm;
	(void)storm;
}

static void test_storms(void **state)
{
	const struct cetd_policy policy = {
		.generation = 1,
		.n_rates = 1,
		.rates = {{.interval_ns = NSEC_PER_SEC, .quiet_ns = NSEC_PER_SEC, .limit = 1}}};
	struct cetd_policy_state kernel = {.generation = 1, .storms[CETD_MODE_MONITOR] = {7}};
	struct model *m = model_of(3, observed);
	struct metrics_context with = context;
	_cleanup_(freep) char *text = NULL;
	struct storms *storms;
	size_t size;

	(void)state;
	assert_int_equal(storms_new(no_tell, NULL, &storms), 0);
	assert_int_equal(storms_set_policy(storms, CETD_KEY_TGID | 1001, &policy, true, &kernel,
					   SAMPLE_START_NS),
			 0);
	kernel.buckets[0].storm_ns = SAMPLE_START_NS;
	kernel.storms[CETD_MODE_MONITOR][CETD_THEN_ALERT] = 1234;
	assert_int_equal(storms_set_policy(storms, CETD_KEY_TGID | 1002, &policy, true, &kernel,
					   SAMPLE_START_NS),
			 0);
	with.storms = storms;
	assert_int_equal(landing_render(m, &with, 1, &text, &size), 0);
	assert_non_null(strstr(text, "<dt>storms now</dt><dd>1</dd>"));
	assert_non_null(
		strstr(text, "<td class=\"number storm\"><strong>now</strong>, 1,234</td>"));
	assert_non_null(strstr(text, "</td><td class=\"number\">7</td><td"));
	assert_true(strstr(text, "<bdi>vm-2</bdi>") < strstr(text, "<bdi>vm-0</bdi>"));
	storms_free(storms);
	model_free(m);
}

static void test_says_none_and_replayed(void **state)
{
	struct model *m = model_of(0, observed);
	_cleanup_(freep) char *live = render(m), *replayed = NULL;

	(void)state;
	assert_non_null(strstr(live, ">None</caption>"));
	assert_null(strstr(live, "Replayed"));
	m->is_replayed = true;
	replayed = render(m);
	assert_non_null(strstr(replayed, "Replayed"));
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_observed_facts_are_numbers),
		cmocka_unit_test(test_unobservable_facts_are_dashes),
		cmocka_unit_test(test_names_are_escaped),
		cmocka_unit_test(test_pages_are_bounded),
		cmocka_unit_test(test_pages_that_are_not_there),
		cmocka_unit_test(test_those_that_fault_come_first),
		cmocka_unit_test(test_storms),
		cmocka_unit_test(test_says_none_and_replayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
