// SPDX-License-Identifier: GPL-2.0-only
/* Numbers and escapes of the exported text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "export/text.h"
#include "util/macro.h"

static void assert_takes(struct text *t, const char *expected)
{
	_cleanup_(freep) char *s = NULL;
	size_t size;

	assert_int_equal(text_take(t, &s, &size), 0);
	assert_string_equal(s, expected);
	assert_int_equal(size, strlen(expected));
}

static void test_u64(void **state)
{
	struct text t = {0};

	(void)state;
	text_u64(&t, 0);
	text_puts(&t, " ");
	text_u64(&t, 1234567890);
	text_puts(&t, " ");
	text_u64(&t, UINT64_MAX);
	assert_takes(&t, "0 1234567890 18446744073709551615");
}

static void test_seconds(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0"},
		{1, "0.000000001"},
		{100000000, "0.1"},
		{999999999, "0.999999999"},
		{1000000000, "1"},
		{1010000000, "1.01"},
		{1700000000123456000, "1700000000.123456"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct text t = {0};

		text_seconds(&t, cases[i].ns);
		assert_takes(&t, cases[i].text);
	}
}

static const struct {
	const char *raw, *label, *html;
} escapes[] = {
	{"", "", ""},
	{"plain", "plain", "plain"},
	{"a\"b", "a\\\"b", "a&quot;b"},
	{"a\\b", "a\\\\b", "a\\b"},
	{"a\nb", "a\\nb", "a\nb"},
	{"<b>&'</b>", "<b>&'</b>", "&lt;b&gt;&amp;&#39;&lt;/b&gt;"},
	{"} 1\ncetd_vms 9", "} 1\\ncetd_vms 9", "} 1\ncetd_vms 9"},
	{"gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7", "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7",
	 "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xa7"},
	/* cut short, overlong, a surrogate, beyond Unicode, a stray continuation */
	{"\xc3", "\xef\xbf\xbd", "\xef\xbf\xbd"},
	{"\xe2\x82x", "\xef\xbf\xbd\xef\xbf\xbdx", "\xef\xbf\xbd\xef\xbf\xbdx"},
	{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd", "\xef\xbf\xbd\xef\xbf\xbd"},
	{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
	 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
	{"\xf5", "\xef\xbf\xbd", "\xef\xbf\xbd"},
	{"\x80z", "\xef\xbf\xbdz", "\xef\xbf\xbdz"},
	{"\x1b[2J", "\x1b[2J", "\xef\xbf\xbd[2J"},
};

static void test_label_value_escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++) {
		struct text t = {0};

		text_label_value(&t, escapes[i].raw);
		assert_takes(&t, escapes[i].label);
	}
}

static void test_html_escapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++) {
		struct text t = {0};

		text_html(&t, escapes[i].raw);
		assert_takes(&t, escapes[i].html);
	}
}

static void test_grows(void **state)
{
	static char big[10000];
	struct text t = {0};
	_cleanup_(freep) char *s = NULL;
	size_t size;

	(void)state;
	memset(big, 'x', sizeof(big));
	for (int i = 0; i < 10; i++) {
		text_append(&t, big, sizeof(big));
		text_append(&t, "|", 1);
	}
	assert_int_equal(text_take(&t, &s, &size), 0);
	assert_int_equal(size, 10 * (sizeof(big) + 1));
	for (size_t i = 0; i < size; i++)
		assert_int_equal(s[i], i % (sizeof(big) + 1) == sizeof(big) ? '|' : 'x');
	assert_int_equal(s[size], 0);
}

static void test_take_leaves_empty(void **state)
{
	struct text t = {0};

	(void)state;
	text_puts(&t, "one");
	assert_takes(&t, "one");
	assert_takes(&t, "");
}

static void test_failure_is_remembered(void **state)
{
	struct text t = {.has_failed = true};
	char *s = NULL;
	size_t size;

	(void)state;
	text_puts(&t, "one");
	assert_int_equal(text_take(&t, &s, &size), -ENOMEM);
	assert_null(s);
	assert_false(t.has_failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_label_value_escapes),
		cmocka_unit_test(test_html_escapes),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_take_leaves_empty),
		cmocka_unit_test(test_failure_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
