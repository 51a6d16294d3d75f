// SPDX-License-Identifier: GPL-2.0-only
/* cli/text.c: nothing that comes from outside steers a terminal; times; the nearest word. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "text.h"

static void test_steering_is_escaped_and_text_is_not(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"web-1", "web-1"},
		{"", ""},
		{"\033[31m", "\\x1b[31m"},
		{"a\nb\tc\r", "a\\x0ab\\x09c\\x0d"},
		{"\177", "\\x7f"},
		{"\xc2\x9b", "\\x9b"},			      /* U+009B, CSI */
		{"\xc2\xa0", "\xc2\xa0"},		      /* U+00A0 is no control */
		{"\xe2\x80\xae", "\\u202e"},		      /* right-to-left override */
		{"\xe2\x80\xa7", "\xe2\x80\xa7"},	      /* U+2027 stands just before */
		{"\xe2\x81\xa6", "\\u2066"},		      /* isolate */
		{"\xe2\x80\xa8", "\\u2028"},		      /* line separator */
		{"\xef\xbb\xbf", "\\ufeff"},		      /* byte order mark */
		{"\xe3\x82\xa6", "\xe3\x82\xa6"},	      /* katakana */
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},     /* beyond the BMP */
		{"\xff", "\\xff"},			      /* never in UTF-8 */
		{"\x80x", "\\x80x"},			      /* continuation alone */
		{"\xc3", "\\xc3"},			      /* cut off */
		{"\xc0\x9b", "\\xc0\\x9b"},		      /* overlong ESC */
		{"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},	      /* overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},	      /* surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
		{"machine\\x2d1", "machine\\x2d1"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *s = text_clean(cases[i].in);

		assert_string_equal(s, cases[i].out);
		free(s);
	}
}

static void test_json_stays_the_same_json(void **state)
{
	static const char in[] = "{\n\t\"a\": \"\xc2\x9bx\x7f\xe2\x80\xae\"\n}";
	json_object *before = json_tokener_parse(in), *after;
	char *s = text_clean_json(in);

	(void)state;
	assert_string_equal(s, "{\n\t\"a\": \"\\u009bx\\u007f\\u202e\"\n}");
	after = json_tokener_parse(s);
	assert_true(json_object_equal(before, after));
	json_object_put(before);
	json_object_put(after);
	free(s);

	s = text_clean_json("\"\xff\"");
	assert_string_equal(s, "\"\\ufffd\"");
	free(s);
}

static void test_clip_counts_columns_not_bytes(void **state)
{
	(void)state;
	if (!setlocale(LC_ALL, "C.UTF-8"))
		skip();
	assert_int_equal(text_clip("abcdef", 4), 4);
	assert_int_equal(text_clip("abc", 4), 3);
	assert_int_equal(text_clip("abc", 0), 0);
	assert_int_equal(text_clip("\xe3\x82\xa6\xe3\x82\xa6", 3), 3); /* two columns each */
	assert_int_equal(text_clip("\xe3\x82\xa6\xe3\x82\xa6", 4), 6);
	assert_int_equal(text_clip("\033[31mab\033[0mcd", 3), strlen("\033[31mab\033[0mc"));
	assert_int_equal(text_clip("\033[31", 3), 0); /* no end: not a colour */
}

static void test_age(void **state)
{
	static const struct {
		uint64_t usec, now;
		const char *out;
	} cases[] = {
		{0, 5, "-"},
		{5000000, 5000000, "now"},
		{5000000, 5999999, "now"},
		{5000000, 6000000, "1s ago"},
		{5000000, 4000000, "now"}, /* clocks differ */
		{1000000, 61000000, "1min ago"},
		{1000000, 60999999, "59s ago"},
		{1000000, 3601000000, "1h ago"},
		{1000000, 86401000000 * 3, "3d ago"},
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		text_age(buf, sizeof(buf), cases[i].usec, cases[i].now);
		assert_string_equal(buf, cases[i].out);
	}
}

static void test_time(void **state)
{
	char buf[64];

	(void)state;
	setenv("TZ", "UTC", 1);
	text_time(buf, sizeof(buf), 1790000000000042, true);
	assert_string_equal(buf, "2026-09-21 14:13:20.000042");
	text_time(buf, sizeof(buf), 1790000000000042, false);
	assert_string_equal(buf, "2026-09-21 14:13:20");
	text_time(buf, sizeof(buf), 0, true);
	assert_string_equal(buf, "-");
}

static void test_distance(void **state)
{
	(void)state;
	assert_int_equal(text_distance("list", "list"), 0);
	assert_int_equal(text_distance("list", "LIST"), 0);
	assert_int_equal(text_distance("lsit", "list"), 1);
	assert_int_equal(text_distance("lst", "list"), 1);
	assert_int_equal(text_distance("listt", "list"), 1);
	assert_int_equal(text_distance("kitten", "sitting"), 3);
	assert_int_equal(text_distance("", "abc"), 3);
	assert_int_equal(text_distance("abc", ""), 3);
}

static void test_nearer_takes_the_near_only(void **state)
{
	unsigned int best = 64;

	(void)state;
	assert_false(text_is_nearer("xyzzy", "list", &best));
	assert_int_equal(best, 64);
	assert_true(text_is_nearer("lsit", "list", &best));
	assert_int_equal(best, 1);
	assert_false(text_is_nearer("lsit", "lisp", &best));
	best = 64;
	assert_true(text_is_nearer("mon", "monitor", &best)); /* a start of it */
	best = 64;
	assert_false(text_is_nearer("m", "monitor", &best));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steering_is_escaped_and_text_is_not),
		cmocka_unit_test(test_json_stays_the_same_json),
		cmocka_unit_test(test_clip_counts_columns_not_bytes),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_nearer_takes_the_near_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
