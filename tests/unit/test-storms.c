// SPDX-License-Identifier: GPL-2.0-only
/* Storms: whatever the kernel tells or keeps, in whatever order, each start and each end is told once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cetd/ratelimit.h"

#include "policy/storms.h"
#include "util/macro.h"

#define KEY 7
#define S NSEC_PER_SEC

struct told {
	struct storm storms[64];
	unsigned int n, starts, ends;
};

static void on_told(void *userdata, const struct storms_vm *vm, const struct storm *t)
{
	struct told *told = userdata;

	assert_int_equal(vm->key, KEY);
	assert_true(told->n < ARRAY_SIZE(told->storms));
	told->storms[told->n++] = *t;
	if (t->ended_ns)
		told->ends++;
	else
		told->starts++;
}

static const struct cetd_policy one_rate = {
	.generation = 1,
	.mode = CETD_MODE_ENFORCE,
	.n_rates = 1,
	.rates = {{
		.interval_ns = S,
		.quiet_ns = 10 * S,
		.limit = 1,
		.burst = 1,
		.kinds = CETD_KINDS_ALL,
		.privileges = CETD_PRIVILEGES_ALL,
		.then = CETD_THEN_FREEZE,
	}},
};

static struct storms *start(struct told *told, bool is_known)
{
	struct storms *s;

	*told = (struct told){};
	assert_int_equal(storms_new(on_told, told, &s), 0);
	assert_int_equal(storms_set_policy(s, KEY, &one_rate, is_known, NULL, 1 * S), 0);
	return s;
}

static struct cetd_storm message(enum cetd_storm_type type, uint64_t since_ns, uint64_t time_ns)
{
	return (struct cetd_storm){
		.type = (uint8_t)type,
		.key = KEY,
		.since_ns = since_ns,
		.time_ns = time_ns,
		.over = type == CETD_STORM_STARTED ? 1 : 5,
		.rip = 0x1000,
		.generation = 1,
		.then = CETD_THEN_FREEZE,
		.mode = CETD_MODE_ENFORCE,
	};
}

static void take(struct storms *s, enum cetd_storm_type type, uint64_t since_ns, uint64_t time_ns)
{
	struct cetd_storm m = message(type, since_ns, time_ns);

	storms_take_message(s, &m);
}

static struct cetd_policy_state state(uint64_t storm_ns, uint64_t over_ns, uint64_t over)
{
	struct cetd_policy_state x = {.generation = 1};

	x.buckets[0].storm_ns = storm_ns;
	x.buckets[0].over_ns = over_ns;
	x.buckets[0].storm_over = over;
	return x;
}

static void take_state(struct storms *s, uint64_t storm_ns, uint64_t over_ns, uint64_t over,
		       uint64_t now_ns)
{
	struct cetd_policy_state x = state(storm_ns, over_ns, over);

	storms_take_state(s, KEY, &x, now_ns);
}

/* The kernel tells of the start; the end shows by the clock. */
static void test_end_by_time(void **arg)
{
	struct told told;
	struct storms *s = start(&told, true);

	(void)arg;
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	assert_int_equal(told.starts, 1);
	assert_int_equal(told.storms[0].since_ns, 20 * S);
	assert_int_equal(told.storms[0].rip, 0x1000);
	assert_int_equal(storms_next_ns(s), 30 * S);
	take_state(s, 20 * S, 25 * S, 100, 30 * S);
	assert_int_equal(told.ends, 0);
	assert_int_equal(storms_count_active(storms_find(s, KEY)), 1);
	assert_int_equal(storms_next_ns(s), 35 * S);
	take_state(s, 20 * S, 25 * S, 100, 35 * S);
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.storms[1].over, 100);
	assert_int_equal(told.storms[1].ended_ns, 35 * S);
	assert_int_equal(told.storms[1].end, STORM_END_QUIET);
	assert_int_equal(storms_next_ns(s), 0);
	/* The state stays so until the next fault, which the kernel then tells of. */
	take_state(s, 20 * S, 25 * S, 100, 50 * S);
	take(s, CETD_STORM_ENDED, 20 * S, 60 * S);
	assert_int_equal(told.n, 2);
	take(s, CETD_STORM_STARTED, 60 * S, 60 * S);
	assert_int_equal(told.starts, 2);
	storms_free(s);
}

static void test_end_by_the_kernel(void **arg)
{
	struct told told;
	struct storms *s = start(&told, true);

	(void)arg;
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	take(s, CETD_STORM_ENDED, 20 * S, 40 * S);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.storms[1].over, 5);
	take(s, CETD_STORM_ENDED, 20 * S, 40 * S);
	take_state(s, 0, 25 * S, 5, 41 * S);
	assert_int_equal(told.n, 2);
	storms_free(s);
}

/* The state is read before the kernel's message is. */
static void test_state_first(void **arg)
{
	struct told told;
	struct storms *s = start(&told, true);

	(void)arg;
	take_state(s, 20 * S, 21 * S, 3, 22 * S);
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	assert_int_equal(told.starts, 1);
	assert_int_equal(told.ends, 0);
	storms_free(s);
}

/* Messages that found no room: the state tells, and the next storm's beginning is the end of the one before. */
static void test_lost_messages(void **arg)
{
	struct told told;
	struct storms *s = start(&told, true);

	(void)arg;
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	take(s, CETD_STORM_STARTED, 50 * S, 50 * S);
	assert_int_equal(told.starts, 2);
	assert_int_equal(told.ends, 1);
	take_state(s, 90 * S, 91 * S, 2, 92 * S);
	assert_int_equal(told.starts, 3);
	assert_int_equal(told.ends, 2);
	take(s, CETD_STORM_ENDED, 200 * S, 220 * S);
	assert_int_equal(told.starts, 4);
	assert_int_equal(told.ends, 4);
	storms_free(s);
}

static void test_policy_changes(void **arg)
{
	struct cetd_policy other = one_rate;
	struct told told;
	struct storms *s = start(&told, true);

	(void)arg;
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	/* The same rates from another rule are the same. */
	other.rates[0].rule = 9;
	storms_set_policy(s, KEY, &other, true, NULL, 25 * S);
	assert_int_equal(told.ends, 0);
	other.generation = 2;
	storms_set_policy(s, KEY, &other, true, NULL, 26 * S);
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.storms[1].end, STORM_END_POLICY);
	/* Buckets of the old rates say nothing, and a message of theirs that comes late is a storm that is over. */
	take_state(s, 20 * S, 27 * S, 9, 27 * S);
	assert_int_equal(told.n, 2);
	take(s, CETD_STORM_STARTED, 25 * S + 1, 25 * S + 1);
	assert_int_equal(told.starts, 2);
	assert_int_equal(told.ends, 2);
	storms_remove(s, KEY, STORM_END_VM, 30 * S);
	assert_int_equal(told.n, 4);
	assert_null(storms_find(s, KEY));
	storms_free(s);
}

static void test_vm_ends(void **arg)
{
	struct told told;
	struct storms *s = start(&told, true);

	(void)arg;
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	storms_remove(s, KEY, STORM_END_VM, 30 * S);
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.storms[1].end, STORM_END_VM);
	take(s, CETD_STORM_ENDED, 20 * S, 40 * S);
	assert_int_equal(told.n, 2);
	storms_free(s);
}

/* What happens before it is known who the VM is, is told then. */
static void test_unknown_vm(void **arg)
{
	struct told told;
	struct storms *s = start(&told, false);

	(void)arg;
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	take(s, CETD_STORM_ENDED, 20 * S, 40 * S);
	assert_int_equal(told.n, 0);
	storms_set_policy(s, KEY, &one_rate, true, NULL, 41 * S);
	assert_int_equal(told.starts, 1);
	assert_int_equal(told.ends, 1);
	assert_int_equal(told.storms[0].ended_ns, 0);
	storms_free(s);
}

static struct storms *start_again(struct told *told)
{
	struct cetd_policy_state found = state(20 * S, 25 * S, 8);
	struct storms *s;

	*told = (struct told){};
	assert_int_equal(storms_new(on_told, told, &s), 0);
	assert_int_equal(storms_set_policy(s, KEY, &one_rate, false, &found, 26 * S), 0);
	storms_set_policy(s, KEY, &one_rate, true, NULL, 27 * S);
	assert_int_equal(told->n, 0);
	return s;
}

/* The daemon was restarted in a storm that the one before has told of: only the end is told. */
static void test_restart(void **arg)
{
	struct told told;
	struct storms *s = start_again(&told);

	(void)arg;
	assert_int_equal(storms_count_active(storms_find(s, KEY)), 1);
	assert_int_equal(storms_next_ns(s), 35 * S);
	take_state(s, 20 * S, 25 * S, 8, 35 * S);
	assert_int_equal(told.starts, 0);
	assert_int_equal(told.ends, 1);
	storms_free(s);
}

/* It began while there was no daemon: the kernel's message is still there. */
static void test_restart_before_start_was_told(void **arg)
{
	struct told told;
	struct storms *s = start_again(&told);

	(void)arg;
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	take(s, CETD_STORM_STARTED, 20 * S, 20 * S);
	assert_int_equal(told.starts, 1);
	storms_free(s);
}

static void test_bad_messages(void **arg)
{
	struct cetd_storm m = message(CETD_STORM_STARTED, 20 * S, 20 * S);
	struct told told;
	struct storms *s = start(&told, true);

	(void)arg;
	m.key = KEY + 1;
	storms_take_message(s, &m);
	m = message(CETD_STORM_STARTED, 20 * S, 20 * S);
	m.rate = CETD_POLICY_RATES_MAX;
	storms_take_message(s, &m);
	m = message(CETD_STORM_STARTED, 0, 20 * S);
	storms_take_message(s, &m);
	assert_int_equal(told.n, 0);
	m = message(CETD_STORM_STARTED, 20 * S, 20 * S);
	m.then = 200;
	m.mode = 200;
	storms_take_message(s, &m);
	assert_int_equal(told.storms[0].then, CETD_THEN_ALERT);
	assert_int_equal(told.storms[0].mode, CETD_MODE_MONITOR);
	storms_free(s);
}

/*
 * Random faults through the kernel's own code; the daemon hears of some messages, and reads the state now and then.
 * However that falls, starts and ends alternate, and what is told of was a storm.
 */
static void test_random(void **arg)
{
	uint64_t seed = 20261120, now = 100 * S;

	(void)arg;
	for (int round = 0; round < 2000; round++) {
		struct cetd_policy_state k = {};
		struct told told;
		struct storms *s = start(&told, true);

		for (int i = 0; i < 40; i++) {
			struct cetd_fault_verdict v;
			struct cetd_bucket before;

			seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
			now += (seed >> 33) % (seed & 1 << 20 ? S / 4 : 15 * S);
			if (seed >> 60 < 4) {
				storms_take_state(s, KEY, &k, now);
				continue;
			}
			cetd_policy_begin(&one_rate, &k, 0, &v);
			before = k.buckets[0];
			cetd_policy_rate(&one_rate, &k, 0, 0, 0, now, &v);
			if (v.ended && seed >> 56 & 3) /* one in four is lost */
				take(s, CETD_STORM_ENDED, before.storm_ns, now);
			if (v.started && seed >> 58 & 3)
				take(s, CETD_STORM_STARTED, now, now);
		}
		storms_remove(s, KEY, STORM_END_VM, now);
		assert_int_equal(told.starts, told.ends);
		for (unsigned int i = 0; i < told.n; i += 2) {
			assert_int_equal(told.storms[i].ended_ns, 0);
			assert_int_not_equal(told.storms[i + 1].ended_ns, 0);
			assert_int_equal(told.storms[i].since_ns, told.storms[i + 1].since_ns);
			assert_true(i == 0 ||
				    told.storms[i].since_ns > told.storms[i - 2].since_ns);
		}
		storms_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_by_time),
		cmocka_unit_test(test_end_by_the_kernel),
		cmocka_unit_test(test_state_first),
		cmocka_unit_test(test_lost_messages),
		cmocka_unit_test(test_policy_changes),
		cmocka_unit_test(test_vm_ends),
		cmocka_unit_test(test_unknown_vm),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_before_start_was_told),
		cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
