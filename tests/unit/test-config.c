// SPDX-License-Identifier: GPL-2.0-only
/* cetd.conf: what is taken, and for each refusal the file, the line, the key and what is valid. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "util/config.h"
#include "util/macro.h"

struct target {
	uint32_t number;
	char *word;
	char *inner;
	bool flag;
};

static bool is_short(const char *value)
{
	return strlen(value) < 5;
}

static const struct config_item items[] = {
	{"number", CONFIG_U32, offsetof(struct target, number), 1, 10, NULL, "a number"},
	{"word", CONFIG_STRING, offsetof(struct target, word), 0, 0, is_short, "a short word"},
	{"outer.inner", CONFIG_STRING, offsetof(struct target, inner), 0, 0, NULL, "a string"},
	{"flag", CONFIG_BOOL, offsetof(struct target, flag), 0, 0, NULL, "true or false"},
};

static char path[] = "/tmp/cetd-test-config-XXXXXX";

static int read_text(const char *text, size_t size, struct target *t, char **ret_message)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	fclose(f);
	return config_read(path, items, ARRAY_SIZE(items), t, ret_message);
}

static void test_accepted(void **state _unused_)
{
	static const char *const texts[] = {
		"{}",
		"{\"number\": 7}",
		"/* why */ {\"number\": 7, // here\n \"word\": \"abcd\"}\n",
		"{\"outer\": {\"inner\": \"x\"}, \"number\": 10}\n\n",
		"{\"number\": 1} // the end\n",
		"{\"flag\": true}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct target t = {.number = 7};
		char *message = NULL;

		assert_int_equal(read_text(texts[i], strlen(texts[i]), &t, &message), 0);
		assert_null(message);
		free(t.word);
		free(t.inner);
	}
}

static void test_refused(void **state _unused_)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"{\"number\": 0}", ":1: number is 0, valid is a number from 1 to 10"},
		{"{\n\n\"number\": 11}", ":3: number is 11, valid is a number from 1 to 10"},
		{"{\"number\": \"7\"}", ":1: number is \"7\", valid is a number from 1 to 10"},
		{"{\"number\": 7.5}", ":1: number is 7.5, valid is a number from 1 to 10"},
		{"{\"word\": \"abcde\"}", ":1: word is \"abcde\", valid is a short word"},
		{"{\"word\": \"a\\u0000\"}", ":1: word is \"a\\u0000\", valid is a short word"},
		{"{\"word\": null}", ":1: word is null, valid is a short word"},
		{"{\n // number\n \"numbre\": 7}", ":3: unknown key numbre, did you mean number?"},
		{"{\"zzzzzzzz\": 1}", ":1: unknown key zzzzzzzz (cetd --help-config"},
		{"{\"outer\": {\n\"iner\": \"\"}}",
		 ":2: unknown key outer.iner, did you mean outer.inner?"},
		{"{\"outer\": 5}", ":1: outer is 5, valid is an object"},
		{"{\"flag\": 1}", ":1: flag is 1, valid is true or false"},
		{"[]", ":1: the file must hold one JSON object"},
		{"", ":1: the file ends in the middle"},
		{"{\"number\": 7", "the file ends in the middle of an object"},
		{"{\n\"number\" 7}", ":2: not JSON:"},
		{"{} {}", ":1: something follows the end of the object"},
		{"{\"number\": 7}\n\nx", ":3: something follows the end of the object"},
		{"{\"word\": \"\xff\"}", ":1: not JSON:"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct target t = {.number = 7};
		_cleanup_(freep) char *message = NULL;
		int r = read_text(cases[i].text, strlen(cases[i].text), &t, &message);

		if (r != -EBADMSG || !message || strncmp(message, path, strlen(path)) ||
		    !strstr(message, cases[i].expected))
			fail_msg("case %zu: %d '%s', expected '%s'", i, r, message,
				 cases[i].expected);
		free(t.word);
		free(t.inner);
	}
}

static void test_nul_byte_is_refused(void **state _unused_)
{
	_cleanup_(freep) char *message = NULL;
	struct target t = {};

	assert_int_equal(read_text("{}\n\0x", 5, &t, &message), -EBADMSG);
	assert_non_null(strstr(message, ":2: holds a NUL byte"));
}

static void test_not_a_file_is_refused(void **state _unused_)
{
	_cleanup_(freep) char *message = NULL, *second = NULL;
	struct target t = {};

	assert_int_equal(config_read("/", items, ARRAY_SIZE(items), &t, &message), -EBADMSG);
	assert_non_null(strstr(message, "not a regular file"));
	assert_int_equal(config_read("/nonexistent", items, ARRAY_SIZE(items), &t, &second),
			 -ENOENT);
	assert_null(second);
}

static int setup(void **state _unused_)
{
	int fd = mkstemp(path);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int teardown(void **state _unused_)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nul_byte_is_refused),
		cmocka_unit_test(test_not_a_file_is_refused),
	};

	return cmocka_run_group_tests_name("config", tests, setup, teardown);
}
