// SPDX-License-Identifier: GPL-2.0-only
/* The VMs of a process from scan to scan: every change is told once, nothing is guessed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "source/tracker.h"
#include "util/macro.h"

#define PID 42
#define KEY (CETD_KEY_TGID | PID)

/* What was told, as text: "+KEY:id:attribution:n " and "-KEY ". */
static char told[1024];
static int result;

static int on_add(void *userdata, const struct cetd_identity *i)
{
	static const char attributions[] = "pia"; /* process, id, ambiguous */

	assert_ptr_equal(userdata, told);
	sprintf(told + strlen(told), "+%llu:%s:%c:%u ",
		(unsigned long long)(i->key & ~CETD_KEY_TGID), i->id, attributions[i->attribution],
		i->vms_in_process);
	assert_int_equal(!!(i->key & CETD_KEY_TGID), !i->vm_id);
	return result;
}

static int on_remove(void *userdata, uint64_t key)
{
	assert_ptr_equal(userdata, told);
	sprintf(told + strlen(told), "-%llu ", (unsigned long long)(key & ~CETD_KEY_TGID));
	return result;
}

static const struct tracker_ops ops = {.add = on_add, .remove = on_remove, .userdata = told};

static int setup(void **state)
{
	static struct tracker t;

	t = (struct tracker){.identity = {.pid = PID, .id = "web"}};
	*state = &t;
	*told = '\0';
	result = 0;
	return 0;
}

static int teardown(void **state)
{
	tracker_done(*state);
	return 0;
}

/* A VM a character: without ids "ab" are two VMs; "12" are two with these ids. */
static int update(struct tracker *t, const char *vms, bool was_destroyed)
{
	struct cetd_scan records[16];
	size_t n;

	for (n = 0; vms[n]; n++)
		records[n] = (struct cetd_scan){
			.vm = 0xffff888000000000 + (uint64_t)vms[n],
			.vm_id = vms[n] < 'a' ? (uint64_t)(vms[n] - '0') : 0,
			.tgid = PID,
		};
	*told = '\0';
	return tracker_update(t, records, n, was_destroyed, &ops);
}

static void expect(struct tracker *t, const char *vms, bool was_destroyed, const char *expected)
{
	int r = update(t, vms, was_destroyed);

	assert_string_equal(told, expected);
	assert_int_equal(r, *expected != '\0');
}

static void test_one_vm(void **state)
{
	expect(*state, "", false, "");
	expect(*state, "a", false, "+42:web:p:1 ");
	expect(*state, "a", false, "");
	assert_true(tracker_has_key(*state, KEY));
	assert_false(tracker_has_key(*state, KEY + 1));
	expect(*state, "", false, "-42 ");
	assert_false(tracker_has_key(*state, KEY));
	expect(*state, "a", false, "+42:web:p:1 ");
}

static void test_several_are_ambiguous(void **state)
{
	expect(*state, "ab", false, "+42:web:a:2 ");
	expect(*state, "abc", false, "+42:web:a:3 ");
	expect(*state, "bc", false, "+42:web:a:2 ");
	/* The counters are still those of all three. */
	expect(*state, "c", false, "+42:web:a:1 ");
	expect(*state, "", false, "-42 ");
	expect(*state, "d", false, "+42:web:p:1 ");
}

static void test_a_second_makes_it_ambiguous(void **state)
{
	expect(*state, "a", false, "+42:web:p:1 ");
	expect(*state, "ab", false, "+42:web:a:2 ");
}

static void test_another_vm_starts_afresh(void **state)
{
	expect(*state, "a", false, "+42:web:p:1 ");
	expect(*state, "b", false, "-42 +42:web:p:1 ");
	expect(*state, "cd", false, "-42 +42:web:a:2 ");
	expect(*state, "e", false, "-42 +42:web:p:1 ");
}

/* The kernel hands out the same address again. */
static void test_a_destroyed_vm_is_not_the_one_found_again(void **state)
{
	expect(*state, "a", false, "+42:web:p:1 ");
	expect(*state, "a", true, "-42 +42:web:p:1 ");
	expect(*state, "a", false, "");
	/* With several, one that ended leaves the others. */
	expect(*state, "ab", false, "+42:web:a:2 ");
	expect(*state, "ab", true, "");
	expect(*state, "b", true, "+42:web:a:1 ");
}

static void test_vm_ids_tell_them_apart(void **state)
{
	expect(*state, "12", false, "+1:web:i:2 +2:web-vm-2:i:2 ");
	assert_true(tracker_has_key(*state, 2));
	assert_false(tracker_has_key(*state, KEY));
	expect(*state, "123", false, "+1:web:i:3 +2:web-vm-2:i:3 +3:web-vm-3:i:3 ");
	/* Nobody else gets the id of one that is gone. */
	expect(*state, "23", false, "-1 +2:web-vm-2:i:2 +3:web-vm-3:i:2 ");
	expect(*state, "23", true, "");
	expect(*state, "4", true, "-2 -3 +4:web-vm-4:i:1 ");
	expect(*state, "", false, "-4 ");
}

static void test_ids_that_come_late(void **state)
{
	expect(*state, "a", false, "+42:web:p:1 ");
	expect(*state, "1", false, "-42 +1:web:i:1 ");
}

static void test_rename(void **state)
{
	struct tracker *t = *state;
	struct cetd_identity identity = {.pid = PID, .id = "other"};

	expect(t, "ab", false, "+42:web:a:2 ");
	*told = '\0';
	assert_int_equal(tracker_rename(t, &identity, &ops), 1);
	assert_string_equal(told, "+42:other:a:2 ");
	*told = '\0';
	assert_int_equal(tracker_rename(t, &identity, &ops), 0);
	assert_string_equal(told, "");
}

static void test_a_long_id_keeps_its_suffix(void **state)
{
	struct tracker *t = *state;

	memset(t->identity.id, 'n', sizeof(t->identity.id) - 1);
	update(t, "12", false);
	assert_non_null(strstr(told, "nnn-vm-2:"));
}

static void test_errors_are_passed_on(void **state)
{
	result = -EIO;
	assert_int_equal(update(*state, "a", false), -EIO);
	result = 0;
	update(*state, "", false);
	update(*state, "b", false);
	result = -EIO;
	assert_int_equal(update(*state, "", false), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_vm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_several_are_ambiguous, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_second_makes_it_ambiguous, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_vm_starts_afresh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_destroyed_vm_is_not_the_one_found_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_vm_ids_tell_them_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ids_that_come_late, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_long_id_keeps_its_suffix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors_are_passed_on, setup, teardown),
	};

	return cmocka_run_group_tests_name("tracker", tests, NULL, NULL);
}
