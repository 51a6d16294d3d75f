// SPDX-License-Identifier: GPL-2.0-only
/* What a daemon does about the pins that it finds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/pins.h"
#include "util/pinned.h"

static struct pins_layout layout(void)
{
	struct pins_layout l = {
		.version = PINS_LAYOUT_VERSION,
		.abi = CETD_ABI_VERSION,
		.object = 42,
		.max_vms = 4096,
		.sample_budget = 100,
		.family = CETD_FAMILY_STOCK,
	};

	l.result[PROGRAM_STOCK_VMCS_LOAD] = -ENOENT;
	for (int i = PROGRAM_PATCHED_CP; i < _PROGRAM_MAX; i++)
		l.result[i] = 1;
	return l;
}

static enum pins_verdict judge(const struct pins_layout *found)
{
	struct pins_layout wanted = layout();
	enum pins_verdict verdict;
	const char *reason;

	verdict = pins_judge(found, &wanted, &reason);
	assert_int_equal(!reason, verdict == PINS_NONE || verdict == PINS_ADOPT);
	return verdict;
}

static void test_nothing_found_is_no_verdict(void **state)
{
	(void)state;
	assert_int_equal(judge(NULL), PINS_NONE);
}

static void test_the_same_is_adopted(void **state)
{
	struct pins_layout l = layout();

	(void)state;
	assert_int_equal(judge(&l), PINS_ADOPT);
	strcpy(l.cetd, "9.9");
	assert_int_equal(judge(&l), PINS_ADOPT);
}

static void test_another_size_is_adopted_and_nonsense_is_not(void **state)
{
	struct pins_layout l = layout();

	(void)state;
	l.max_vms = 64;
	assert_int_equal(judge(&l), PINS_ADOPT);
	l.max_vms = 0;
	assert_int_equal(judge(&l), PINS_REPLACE_ALL);
	l.max_vms = 65537;
	assert_int_equal(judge(&l), PINS_REPLACE_ALL);
}

static void test_other_programs_go_on_the_same_maps(void **state)
{
	struct pins_layout l;

	(void)state;
	l = layout();
	l.object++;
	assert_int_equal(judge(&l), PINS_REPLACE_PROGRAMS);
	l = layout();
	l.sample_budget++;
	assert_int_equal(judge(&l), PINS_REPLACE_PROGRAMS);
	l = layout();
	l.family = CETD_FAMILY_PATCHED;
	assert_int_equal(judge(&l), PINS_REPLACE_PROGRAMS);
}

static void test_another_layout_is_replaced(void **state)
{
	struct pins_layout l;

	(void)state;
	l = layout();
	l.version++;
	assert_int_equal(judge(&l), PINS_REPLACE_ALL);
	l = layout();
	l.abi++;
	assert_int_equal(judge(&l), PINS_REPLACE_ALL);
	memset(&l, 0, sizeof(l));
	assert_int_equal(judge(&l), PINS_REPLACE_ALL);
}

/* What the kernel refused once it refuses again; a hook that came is used. */
static void test_hooks_that_came_or_went_replace_the_programs(void **state)
{
	struct pins_layout found = layout(), wanted = layout();
	const char *reason;

	(void)state;
	found.result[PROGRAM_STOCK_MSR] = -EPERM;
	assert_int_equal(judge(&found), PINS_ADOPT);
	found.result[PROGRAM_STOCK_MSR] = -ENOENT;
	assert_int_equal(judge(&found), PINS_REPLACE_PROGRAMS);

	found = layout();
	wanted.result[PROGRAM_STOCK_VMCS_LOAD] = 0;
	assert_int_equal(pins_judge(&found, &wanted, &reason), PINS_REPLACE_PROGRAMS);
	found.result[PROGRAM_STOCK_VMCS_LOAD] = 0;
	assert_int_equal(pins_judge(&found, &wanted, &reason), PINS_ADOPT);
	wanted.result[PROGRAM_STOCK_VMCS_LOAD] = -ENOENT;
	assert_int_equal(pins_judge(&found, &wanted, &reason), PINS_REPLACE_PROGRAMS);
}

static void test_objects_differ_by_one_byte(void **state)
{
	(void)state;
	assert_int_equal(pinned_id("abc", 3), pinned_id("abc", 3));
	assert_int_not_equal(pinned_id("abc", 3), pinned_id("abd", 3));
	assert_int_not_equal(pinned_id("abc", 3), pinned_id("abc", 4));
	assert_int_not_equal(pinned_id("abc", 3), pinned_id("abc", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_found_is_no_verdict),
		cmocka_unit_test(test_the_same_is_adopted),
		cmocka_unit_test(test_another_size_is_adopted_and_nonsense_is_not),
		cmocka_unit_test(test_other_programs_go_on_the_same_maps),
		cmocka_unit_test(test_another_layout_is_replaced),
		cmocka_unit_test(test_hooks_that_came_or_went_replace_the_programs),
		cmocka_unit_test(test_objects_differ_by_one_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
