// SPDX-License-Identifier: GPL-2.0-only
/* Which format a client gets for what it says it accepts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "export/accept.h"
#include "util/macro.h"

#define OM METRICS_FORMAT_OPENMETRICS
#define TEXT METRICS_FORMAT_TEXT

/* Pairs: what gets OpenMetrics, and something close to it that does not. */
static const struct {
	const char *header;
	enum metrics_format format;
} cases[] = {
	/* Prometheus 2.42 and 3 */
	{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
	 "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
	 OM},
	{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
	 "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;"
	 "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
	 OM},
	{"text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT},
	/* curl and a browser */
	{"*/*", TEXT},
	{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT},
	{"", TEXT},
	{"image/png", TEXT},
	/* by name only */
	{"application/openmetrics-text", OM},
	{"application/*", TEXT},
	{"APPLICATION/OpenMetrics-Text", OM},
	{"application/openmetrics-text2", TEXT},
	{"application/openmetrics", TEXT},
	/* versions */
	{"application/openmetrics-text; version=1.0.0", OM},
	{"application/openmetrics-text; version=\"1.0.0\"", OM},
	{"application/openmetrics-text; Version = 1.0.0 ; charset=utf-8", OM},
	{"application/openmetrics-text; version=0.0.1", TEXT},
	{"application/openmetrics-text; version=2.0.0", TEXT},
	{"application/openmetrics-text; version=", TEXT},
	/* weights */
	{"application/openmetrics-text;q=0.5,text/plain;q=0.4", OM},
	{"application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT},
	{"application/openmetrics-text;q=0.5,text/plain;q=0.5", OM},
	{"application/openmetrics-text;q=0.001", OM},
	{"application/openmetrics-text;q=0", TEXT},
	{"application/openmetrics-text;q=0.000", TEXT},
	{"application/openmetrics-text;q=1.000", OM},
	{"application/openmetrics-text;q=1.001", TEXT},
	{"application/openmetrics-text;q=0.0001", TEXT},
	{"application/openmetrics-text;q=2", TEXT},
	{"application/openmetrics-text;q=-1", TEXT},
	{"application/openmetrics-text;q=", TEXT},
	{"application/openmetrics-text;q=x", TEXT},
	{"application/openmetrics-text;Q=0.7", OM},
	/* the most specific range counts for the older text */
	{"application/openmetrics-text;q=0.5,text/plain;q=0.4,*/*;q=0.9", OM},
	{"application/openmetrics-text;q=0.5,*/*;q=0.9", TEXT},
	{"application/openmetrics-text;q=0.5,text/*;q=0.4,*/*;q=0.9", OM},
	{"application/openmetrics-text;q=0.5,text/plain;version=1.0.0;q=0.9", OM},
	/* quotes hide separators */
	{"a/b;x=\",application/openmetrics-text,\"", TEXT},
	{"a/b;x=\",\\\",\",application/openmetrics-text", OM},
	{"a/b;x=\"unclosed,application/openmetrics-text", TEXT},
	/* junk around */
	{" , ,;, application/openmetrics-text ,", OM},
	{";;;===,,,", TEXT},
	{"application/openmetrics-text text/plain", TEXT},
};

static void test_formats_are_chosen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct accept a;

		accept_init(&a);
		accept_add(&a, cases[i].header);
		if (accept_choose(&a) != cases[i].format)
			fail_msg("wrong format for %s", cases[i].header);
	}
}

static void test_no_header_is_text(void **state)
{
	struct accept a;

	(void)state;
	accept_init(&a);
	assert_int_equal(accept_choose(&a), TEXT);
}

static void test_headers_add_up(void **state)
{
	struct accept a;

	(void)state;
	accept_init(&a);
	accept_add(&a, "application/openmetrics-text;q=0.5");
	assert_int_equal(accept_choose(&a), OM);
	accept_add(&a, "text/plain;q=0.8");
	assert_int_equal(accept_choose(&a), TEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats_are_chosen),
		cmocka_unit_test(test_no_header_is_text),
		cmocka_unit_test(test_headers_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
