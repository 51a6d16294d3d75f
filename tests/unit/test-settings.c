// SPDX-License-Identifier: GPL-2.0-only
/* Which configuration is read: the file that was named, or the usual one while it is there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "settings.h"
#include "util/macro.h"

static char dir[] = "/tmp/cetd-test-settings-XXXXXX";
static char usual[64];

static void write_usual(const char *text)
{
	FILE *f = fopen(usual, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int load(const char *file, struct settings *s, const char **ret_file)
{
	_cleanup_(freep) char *message = NULL;

	return settings_load(file, usual, s, ret_file, &message);
}

/* As a daemon does at start and with each reload. */
static void test_the_usual_file_may_come_and_go(void **state _unused_)
{
	const char *file = "";
	struct settings s;

	unlink(usual);
	assert_int_equal(settings_init(&s), 0);
	assert_int_equal(load(NULL, &s, &file), 0);
	assert_null(file);
	assert_int_equal(s.max_vms, 4096);

	write_usual("{ \"max_vms\": 7 }");
	assert_int_equal(load(NULL, &s, &file), 0);
	assert_ptr_equal(file, usual);
	assert_int_equal(s.max_vms, 7);

	/* One that is wrong changes nothing. */
	write_usual("{ \"max_vms\": 0 }");
	file = "";
	assert_int_equal(load(NULL, &s, &file), -EBADMSG);
	assert_string_equal(file, "");
	assert_int_equal(s.max_vms, 7);

	unlink(usual);
	assert_int_equal(load(NULL, &s, &file), 0);
	assert_null(file);
	assert_int_equal(s.max_vms, 4096);
	settings_done(&s);
}

static void test_a_named_file_must_be_there(void **state _unused_)
{
	const char *file = "";
	struct settings s;

	write_usual("{ \"max_vms\": 7 }");
	assert_int_equal(settings_init(&s), 0);
	assert_int_equal(load("/nonexistent", &s, &file), -ENOENT);
	assert_string_equal(file, "");
	assert_int_equal(s.max_vms, 4096);
	settings_done(&s);
}

static int setup(void **state _unused_)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(usual, sizeof(usual), "%s/cetd.conf", dir);
	return 0;
}

static int teardown(void **state _unused_)
{
	unlink(usual);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_usual_file_may_come_and_go),
		cmocka_unit_test(test_a_named_file_must_be_there),
	};

	return cmocka_run_group_tests_name("settings", tests, setup, teardown);
}
