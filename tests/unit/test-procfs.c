// SPDX-License-Identifier: GPL-2.0-only
/* /proc/PID: its numbers, and the test's own process. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/procfs.h"
#include "util/macro.h"

#define REST " S 1 2 3 4 -1 5 6 7 8 9 10 11 12 13 14 15 16 17 "

static void test_pids(void **state _unused_)
{
	static const struct {
		const char *text;
		int result;
	} samples[] = {
		{"1", 1},	 {"4194304", 4194304}, {"", -EINVAL},
		{"0", -EINVAL},	 {"01", -EINVAL},      {"-1", -EINVAL},
		{"1x", -EINVAL}, {"self", -EINVAL},    {"4294967297", -EINVAL},
		{" 1", -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		uint32_t pid = 77;
		int r = procfs_parse_pid(samples[i].text, &pid);

		if ((r < 0 ? r : (int)pid) != samples[i].result)
			fail_msg("'%s': %d, %u", samples[i].text, r, pid);
	}
}

static void test_start_times(void **state _unused_)
{
	static const struct {
		const char *stat;
		int result; /* or the time */
	} samples[] = {
		{"12 (comm)" REST "4711 19", 4711},
		{"12 (a b) c)" REST "4711 19", 4711},
		{"12 (x) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 99 1)" REST "4711 19", 4711},
		{"12 (comm)" REST "x", -EBADMSG},
		{"12 (comm)" REST, -EBADMSG},
		{"12 (comm) S 1 2 3", -EBADMSG},
		{"12 comm" REST "4711", -EBADMSG},
		{"", -EBADMSG},
	};

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		uint64_t ticks = 77;
		int r = procfs_parse_start_time(samples[i].stat, &ticks);

		if ((r < 0 ? r : (int)ticks) != samples[i].result)
			fail_msg("'%s': %d, %d", samples[i].stat, r, (int)ticks);
	}
}

static void test_own_process(void **state _unused_)
{
	uint32_t pid = (uint32_t)getpid(), tgid = 0;
	_cleanup_(closep) int dir = procfs_open(pid);
	uint64_t a = 0, b = 0;
	unsigned int vms = 77;
	char text[64];

	assert_true(dir >= 0);
	assert_int_equal(procfs_start_time(dir, &a), 0);
	assert_int_equal(procfs_start_time(dir, &b), 0);
	assert_true(a > 0 && a == b);
	assert_int_equal(procfs_find_tgid(pid, &tgid), 0);
	assert_int_equal(tgid, pid);
	assert_int_equal(procfs_count_vms(pid, &vms), 0);
	assert_int_equal(vms, 0);
	assert_int_equal(procfs_read(dir, "comm", text, 5), 4); /* cut, with its NUL */
	assert_string_equal(text, "test");
	assert_int_equal(procfs_read(dir, "nosuch", text, sizeof(text)), -ENOENT);
	assert_true(procfs_read_link(dir, "exe", text, 2) == 1 && !strcmp(text, "/"));
}

static void test_no_process(void **state _unused_)
{
	unsigned int vms;
	uint32_t tgid;

	/* PID_MAX_LIMIT is not a pid itself. */
	assert_int_equal(procfs_open(4194304), -ENOENT);
	assert_int_equal(procfs_find_tgid(4194304, &tgid), -ENOENT);
	assert_int_equal(procfs_count_vms(4194304, &vms), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pids),
		cmocka_unit_test(test_start_times),
		cmocka_unit_test(test_own_process),
		cmocka_unit_test(test_no_process),
	};

	return cmocka_run_group_tests_name("procfs", tests, NULL, NULL);
}
