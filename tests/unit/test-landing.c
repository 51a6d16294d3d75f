// SPDX-License-Identifier: GPL-2.0-only
/* The landing page: what is shown, what is a dash, and names that would like to be markup. */
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

static char *render(const struct model *m)
{
	char *text = NULL;
	size_t size = 0;

	assert_int_equal(landing_render(m, &context, &text, &size), 0);
	assert_int_equal(strlen(text), size);
	return text;
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
	assert_non_null(strstr(text, "<td class=\"number\">60066</td><td class=\"number\">5019</td>"
				     "<td class=\"number\">15039</td>"
				     "<td class=\"number\">5016</td></tr>"));
	assert_int_equal(count(text, "<td class=\"number\">-</td>"), 0);
	model_free(m);
}

static void test_unobservable_facts_are_dashes(void **state)
{
	struct model *m = model_of(1, unobservable);
	_cleanup_(freep) char *text = render(m);

	(void)state;
	assert_int_equal(count(text, "<td class=\"number\">-</td>"), 4);
	assert_int_equal(count(text, "<td class=\"number\">"), 4);
	assert_int_equal(count(text, "<td>unobservable</td>"), _CETD_FACT_MAX);
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
	assert_null(strstr(text, "<script"));
	assert_non_null(strstr(text, "<td>&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;</td>"));
	assert_non_null(strstr(text, "<h1>cetd 1.2.3&lt;</h1>"));
	assert_non_null(strstr(text, "&lt;fact 0&gt; &amp; its &quot;reason&quot;"));
	model_free(m);
}

static void test_rows_are_bounded(void **state)
{
	struct model *m = model_of(LANDING_VMS_MAX, observed);
	_cleanup_(freep) char *all = render(m), *cut = NULL;

	(void)state;
	assert_int_equal(count(all, "<td>qemu</td>"), LANDING_VMS_MAX);
	assert_null(strstr(all, "more; the metrics"));
	model_free(m);

	m = model_of(LANDING_VMS_MAX + 3, observed);
	cut = render(m);
	assert_int_equal(count(cut, "<td>qemu</td>"), LANDING_VMS_MAX);
	assert_non_null(strstr(cut, "<p>And 3 more; the metrics"));
	model_free(m);
}

static void test_says_none_and_replayed(void **state)
{
	struct model *m = model_of(0, observed);
	_cleanup_(freep) char *live = render(m), *replayed = NULL;

	(void)state;
	assert_non_null(strstr(live, "<p>None.</p>"));
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
		cmocka_unit_test(test_rows_are_bounded),
		cmocka_unit_test(test_says_none_and_replayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
