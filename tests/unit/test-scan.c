// SPDX-License-Identifier: GPL-2.0-only
/* The records of a scan: sorted, one a VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/scan.h"
#include "util/macro.h"

static void test_files_of_a_vm_are_one_record(void **state _unused_)
{
	struct cetd_scan records[] = {
		{.vm = 200, .tgid = 9, .vcpu = 0},
		{.vm = 100, .tgid = 9, .vcpu = 1},
		{.vm = 100, .tgid = 9, .vcpu = CETD_VCPU_UNKNOWN},
		{.vm = 100, .tgid = 9, .vcpu = 0},
		{.vm = 100, .tgid = 8, .vcpu = 0},
	};

	assert_int_equal(scan_normalize(records, ARRAY_SIZE(records)), 3);
	assert_int_equal(records[0].tgid, 8);
	assert_int_equal(records[1].tgid, 9);
	assert_int_equal(records[1].vm, 100);
	assert_int_equal(records[2].vm, 200);
	for (int i = 0; i < 3; i++)
		assert_int_equal(records[i].vcpu, CETD_VCPU_UNKNOWN);
}

static void test_vms_are_sorted_by_id(void **state _unused_)
{
	struct cetd_scan records[] = {
		{.vm = 100, .vm_id = 5, .tgid = 9},
		{.vm = 300, .vm_id = 2, .tgid = 9},
		{.vm = 200, .vm_id = 5, .tgid = 9}, /* the same id, another VM: kept */
	};

	assert_int_equal(scan_normalize(records, ARRAY_SIZE(records)), 3);
	assert_int_equal(records[0].vm_id, 2);
	assert_int_equal(records[1].vm, 100);
	assert_int_equal(records[2].vm, 200);
}

static void test_nothing(void **state _unused_)
{
	assert_int_equal(scan_normalize(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_of_a_vm_are_one_record),
		cmocka_unit_test(test_vms_are_sorted_by_id),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
