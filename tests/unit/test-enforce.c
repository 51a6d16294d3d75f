// SPDX-License-Identifier: GPL-2.0-only
/* The dry-run backend, and what becomes of pins that another cetd left. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include <cmocka.h>

#include "enforce/enforce.h"
#include "enforce/layout.h"
#include "util/log.h"
#include "util/macro.h"

static void test_layouts(void **state)
{
	static const struct {
		struct layout found;
		enum layout_verdict verdict;
	} cases[] = {
		{{.version = 3, .object = 7}, LAYOUT_SAME},
		{{.version = 3, .object = 8}, LAYOUT_OTHER_PROGRAMS},
		{{.version = 2, .object = 7}, LAYOUT_OLDER},
		{{.version = 0, .object = 0}, LAYOUT_OLDER},
		{{.version = 4, .object = 7}, LAYOUT_NEWER},
		{{.version = UINT32_MAX, .object = 8}, LAYOUT_NEWER},
	};
	const struct layout wanted = {.version = 3, .object = 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(layout_compare(&cases[i].found, &wanted), cases[i].verdict);
}

static void test_dry_run_keeps_what_it_is_told(void **state)
{
	struct cetd_policy policy = {.generation = 4, .mode = CETD_MODE_ENFORCE, .n_rates = 1}, got;
	struct cetd_policy_control control = {.lapsed = 1};
	struct cetd_policy_state kept;
	struct enforcer *e;
	uint64_t key = 0;

	(void)state;
	log_set_max_level(LOG_ERR);
	assert_int_equal(enforce_dry_run_new(&e), 0);
	assert_int_equal(e->ops->next(e, &key), -ENOENT);
	assert_int_equal(e->ops->get_policy(e, 1, &got), -ENOENT);
	assert_int_equal(e->ops->apply(e, 1, &policy), 0);
	policy.mode = CETD_MODE_MONITOR;
	assert_int_equal(e->ops->apply(e, 2, &policy), 0);
	assert_int_equal(e->ops->get_policy(e, 1, &got), 0);
	assert_int_equal(got.mode, CETD_MODE_ENFORCE);
	assert_int_equal(e->ops->next(e, &key), 0);
	assert_int_equal(key, 1);
	assert_int_equal(e->ops->next(e, &key), 0);
	assert_int_equal(key, 2);
	assert_int_equal(e->ops->next(e, &key), -ENOENT);
	/* It counts nothing, and does not say that it counted 0. */
	assert_int_equal(e->ops->get_state(e, 1, &kept), -EOPNOTSUPP);
	e->ops->drain(e);
	e->ops->set_lease(e, 1);
	e->ops->get_control(e, &control);
	assert_int_equal(control.lapsed, 0);
	assert_int_equal(e->ops->apply(e, 1, NULL), 0);
	assert_int_equal(e->ops->apply(e, 1, NULL), 0);
	assert_int_equal(e->ops->get_policy(e, 1, &got), -ENOENT);
	assert_int_equal(e->ops->get_policy(e, 2, &got), 0);
	enforcer_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_dry_run_keeps_what_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
