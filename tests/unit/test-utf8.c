// SPDX-License-Identifier: GPL-2.0-only
/* UTF-8 validation and clean-up, and "did you mean". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/macro.h"
#include "util/nearest.h"
#include "util/utf8.h"

static void test_utf8(void **state _unused_)
{
	static const struct {
		const char *good, *bad;
	} cases[] = {
		{"plain", "\x80"},
		{"\xc3\xbc", "\xc3"},
		{"\xc2\x80", "\xc1\xbf"},		  /* overlong */
		{"\xe0\xa0\x80", "\xe0\x9f\xbf"},	  /* overlong */
		{"\xed\x9f\xbf", "\xed\xa0\x80"},	  /* surrogate */
		{"\xf0\x90\x80\x80", "\xf0\x8f\xbf\xbf"}, /* overlong */
		{"\xf4\x8f\xbf\xbd", "\xf4\x90\x80\x80"}, /* above U+10FFFF */
		{"\xef\xbf\xbd", "\xef\xbf\xbe"},	  /* noncharacters, which sd-bus refuses */
		{"\xef\xb7\x8f", "\xef\xb7\x90"},
		{"\xef\xb7\xb0", "\xef\xb7\xaf"},
		{"\xf0\x9f\xbf\xbd", "\xf0\x9f\xbf\xbf"},
		{"\xf0\xaf\xbe\xbf", "\xf4\x8f\xbf\xbf"},
		{"\xe2\x82\xac", "\xe2\x82"}, /* cut off */
		{"", "\xff"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(utf8_is_valid(cases[i].good, strlen(cases[i].good) + 1));
		assert_false(utf8_is_valid(cases[i].bad, strlen(cases[i].bad) + 1));
	}
	assert_false(utf8_is_valid("abc", 3)); /* no NUL */
}

static void test_clean(void **state _unused_)
{
	static const struct {
		const char *good, *bad;
	} cases[] = {
		{"plain", "a\nb"},
		{"t\xc3\xbcr", "\x1b[31m"},
		{"\xc2\xa0", "\xc2\x9b"}, /* C1 ends at U+009F */
		{"\xe2\x82\x9b", "\x7f"}, /* 0x9b inside of a character is none */
		{"", "\xff"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(utf8_is_clean(cases[i].good, strlen(cases[i].good) + 1));
		assert_false(utf8_is_clean(cases[i].bad, strlen(cases[i].bad) + 1));
	}
	assert_false(utf8_is_clean("abc", 3)); /* no NUL */
}

static void test_sanitize(void **state _unused_)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"plain", "plain"},
		{"t\xc3\xbcr", "t\xc3\xbcr"},
		{"a\x1b[31mb", "a?[31mb"},
		{"a\nb\x7f", "a?b?"},
		{"\xc2\x9b", "?"}, /* CSI as C1 control */
		{"\xff\xfe", "??"},
		{"a\xef\xbf\xbe", "a???"},	/* U+FFFE */
		{"1234567\xc3\xbc", "1234567"}, /* cut at a character's boundary */
		{"123456789", "12345678"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char out[9];

		utf8_sanitize(cases[i].text, out, sizeof(out));
		assert_string_equal(out, cases[i].expected);
		assert_true(utf8_is_clean(out, sizeof(out)));
	}
}

static void test_nearest(void **state _unused_)
{
	static const char *const words[] = {"status", "list", "show", "faults"};

	assert_string_equal(nearest_word("stauts", words, 4), "status");
	assert_string_equal(nearest_word("lst", words, 4), "list");
	assert_string_equal(nearest_word("fault", words, 4), "faults");
	assert_null(nearest_word("unrelated", words, 4));
	assert_null(nearest_word("", words, 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_sanitize),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
