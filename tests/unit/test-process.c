// SPDX-License-Identifier: GPL-2.0-only
/* /proc/PID/stat, and the figures of a process that surely runs: this one. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/process.h"
#include "util/macro.h"

#define AFTER_COMM                                                                \
	" S 1 7 7 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 1 0 12345 40960000 500 " \
	"18446744073709551615 "                                                   \
	"1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"

static void test_stat_is_parsed(void **state)
{
	static const char *const texts[] = {
		"7 (cetd)" AFTER_COMM,
		"7 (a b) (c)" AFTER_COMM,
		"7 () S 1 2 3)" AFTER_COMM,
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct process_stats s = {.open_fds = 9};
		uint64_t start = 0;

		assert_int_equal(process_stats_parse(texts[i], 100, 4096, &s, &start), 0);
		assert_int_equal(s.cpu_ns, 3 * NSEC_PER_SEC);
		assert_int_equal(s.virtual_bytes, 40960000);
		assert_int_equal(s.resident_bytes, 500 * 4096);
		assert_int_equal(start, 12345);
		assert_int_equal(s.open_fds, 9);
	}
}

static void test_bad_stat_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"7 cetd S 1 7 7 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 1 0 12345 40960000 500",
		"7 (cetd)",
		"7 (cetd) S 1 7 7 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 1 0 12345 40960000",
		"7 (cetd) S 1 7 7 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 1 0 12345 40960000 -5",
		"7 (cetd) S 1 7 7 0 -1 4194560 900 0 3 0 x 50 0 0 20 0 1 0 12345 40960000 500",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct process_stats s = {.cpu_ns = 1};
		uint64_t start = 2;

		assert_int_equal(process_stats_parse(texts[i], 100, 4096, &s, &start), -EBADMSG);
		assert_int_equal(s.cpu_ns, 1);
		assert_int_equal(start, 2);
	}
}

static void test_own_figures(void **state)
{
	struct process_stats s = {0}, again;

	(void)state;
	assert_int_equal(process_stats_read(&s), 0);
	assert_true(s.resident_bytes > 0);
	assert_true(s.virtual_bytes >= s.resident_bytes);
	assert_true(s.start_usec > 1500000000 * USEC_PER_SEC);
	assert_true(s.open_fds >= 1);
	assert_true(s.max_fds >= s.open_fds);

	again = s;
	assert_int_equal(process_stats_read(&again), 0);
	assert_int_equal(again.start_usec, s.start_usec);
}

static void test_open_files_are_counted(void **state)
{
	struct process_stats before = {0}, after = {0};
	int fd;

	(void)state;
	assert_int_equal(process_stats_read(&before), 0);
	fd = dup(1);
	assert_true(fd >= 0);
	assert_int_equal(process_stats_read(&after), 0);
	close(fd);
	assert_int_equal(after.open_fds, before.open_fds + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat_is_parsed),
		cmocka_unit_test(test_bad_stat_is_refused),
		cmocka_unit_test(test_own_figures),
		cmocka_unit_test(test_open_files_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
