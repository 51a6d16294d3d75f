// SPDX-License-Identifier: GPL-2.0-only
/* Reasons to scan: gathered, tried again, given up, never more than there is room for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "source/requests.h"
#include "util/macro.h"

struct answers {
	bool satisfied;
	unsigned int given_up;
	int result;
};

static bool is_satisfied(void *userdata, const struct request *request _unused_)
{
	return ((struct answers *)userdata)->satisfied;
}

static int give_up(void *userdata, const struct request *request _unused_)
{
	struct answers *a = userdata;

	a->given_up++;
	return a->result;
}

static int settle(struct requests *r, uint64_t now_ns, struct answers *a)
{
	return requests_settle(r, now_ns, is_satisfied, give_up, a);
}

static void test_the_earliest_counts(void **state _unused_)
{
	struct requests r = {0};

	requests_add(&r, &(struct request){.pid = 1}, 100);
	requests_add(&r, &(struct request){.pid = 2}, 50);
	requests_add(&r, &(struct request){.pid = 3}, 80);
	assert_int_equal(r.due_ns, 50);
	assert_int_equal(r.n, 3);
}

static void test_the_same_reason_is_kept_once(void **state _unused_)
{
	struct requests r = {0};

	for (int i = 0; i < 1000; i++)
		requests_add(&r, &(struct request){.pid = 1, .is_create = true, .n_before = 2}, 1);
	assert_int_equal(r.n, 1);
	requests_add(&r, &(struct request){.pid = 1}, 1);
	requests_add(&r, &(struct request){.pid = 1, .key = 7}, 1);
	requests_add(&r, &(struct request){.pid = 2, .key = 7}, 1);
	assert_int_equal(r.n, 4);
	/* The first count stands. */
	requests_add(&r, &(struct request){.pid = 1, .is_create = true, .n_before = 3}, 1);
	assert_int_equal(r.list[0].n_before, 2);
}

static void test_when_everything_is_scanned(void **state _unused_)
{
	struct requests r = {0};

	assert_false(requests_need_all(&r));
	for (uint32_t pid = 1; pid <= REQUESTS_SINGLE_MAX; pid++)
		requests_add(&r, &(struct request){.pid = pid}, 1);
	assert_false(requests_need_all(&r));
	requests_add(&r, &(struct request){.pid = 99}, 1);
	assert_true(requests_need_all(&r));

	memset(&r, 0, sizeof(r));
	requests_add(&r, &(struct request){.key = 7}, 1);
	assert_true(requests_need_all(&r));

	memset(&r, 0, sizeof(r));
	requests_add_all(&r, 9);
	assert_true(requests_need_all(&r));
	assert_int_equal(r.due_ns, 9);
	assert_int_equal(settle(&r, 10, &(struct answers){0}), 0);
	assert_false(requests_need_all(&r));
	assert_int_equal(r.due_ns, 0);
}

static void test_too_many_turn_into_a_full_scan(void **state _unused_)
{
	struct requests r = {0};

	for (uint32_t pid = 1; pid <= REQUESTS_MAX + 100; pid++)
		requests_add(&r, &(struct request){.pid = pid}, 1);
	assert_int_equal(r.n, REQUESTS_MAX);
	assert_true(r.want_all);
}

static void test_satisfied_ones_go(void **state _unused_)
{
	struct requests r = {0};
	struct answers a = {.satisfied = true};

	requests_add(&r, &(struct request){.pid = 1}, 1);
	assert_int_equal(settle(&r, 10, &a), 0);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.due_ns, 0);
	assert_int_equal(a.given_up, 0);
}

static void test_others_are_tried_later_and_later(void **state _unused_)
{
	struct requests r = {0};
	struct answers a = {0};
	uint64_t waited = 0;

	requests_add(&r, &(struct request){.pid = 1}, 1);
	for (int try = 1; try < REQUESTS_TRIES_MAX; try++) {
		assert_int_equal(settle(&r, 1000, &a), 0);
		assert_int_equal(r.n, 1);
		assert_true(r.due_ns - 1000 > waited);
		waited = r.due_ns - 1000;
		assert_int_equal(a.given_up, 0);
	}
	assert_int_equal(settle(&r, 1000, &a), 0);
	assert_int_equal(a.given_up, 1);
	assert_int_equal(r.n, 0);
	assert_int_equal(r.due_ns, 0);
}

static void test_a_new_reason_starts_the_tries_anew(void **state _unused_)
{
	struct requests r = {0};
	struct answers a = {0};

	requests_add(&r, &(struct request){.pid = 1}, 1);
	for (int i = 0; i < 20; i++) {
		settle(&r, 1000, &a);
		requests_add(&r, &(struct request){.pid = 1}, 1);
	}
	assert_int_equal(a.given_up, 0);
}

static void test_errors_are_passed_on(void **state _unused_)
{
	struct requests r = {0};
	struct answers a = {.result = -EIO};
	int last = 0;

	requests_add(&r, &(struct request){.pid = 1}, 1);
	for (int i = 0; i < REQUESTS_TRIES_MAX; i++)
		last = settle(&r, 1, &a);
	assert_int_equal(last, -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_earliest_counts),
		cmocka_unit_test(test_the_same_reason_is_kept_once),
		cmocka_unit_test(test_when_everything_is_scanned),
		cmocka_unit_test(test_too_many_turn_into_a_full_scan),
		cmocka_unit_test(test_satisfied_ones_go),
		cmocka_unit_test(test_others_are_tried_later_and_later),
		cmocka_unit_test(test_a_new_reason_starts_the_tries_anew),
		cmocka_unit_test(test_errors_are_passed_on),
	};

	return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
