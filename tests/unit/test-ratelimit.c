// SPDX-License-Identifier: GPL-2.0-only
/*
 * Token buckets, delays and storms: the integer arithmetic of cetd/ratelimit.h against a slow model that knows
 * nothing of it, over random events. CETD_TEST_SEED=N for other events than always.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cetd/ratelimit.h"
#include "util/macro.h"

static uint64_t seed = 20261120;

/* xorshift64*: the same events on every machine. */
static uint64_t random_u64(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 2685821657736338717ULL;
}

static uint64_t random_below(uint64_t n)
{
	return random_u64() % n;
}

/*
 * The reference: tokens in 128 bits, as fractions of interval_ns, worked out from the time of the last change by
 * the definition, one nanosecond's worth limit / interval; storms from the list of what was over.
 */
struct reference {
	__int128 parts; /* tokens × interval_ns */
	uint64_t at_ns;
	bool is_used, has_storm;
	uint64_t last_over_ns;
	unsigned int over_in_storm;
	uint64_t storms, over;
};

struct outcome {
	bool is_over, has_started, has_ended;
	uint64_t delay_ns;
};

static struct outcome reference_fault(struct reference *m, const struct cetd_rate *r,
				      uint64_t now_ns, bool is_enforced)
{
	const __int128 full = (__int128)r->burst * r->interval_ns;
	const __int128 floor = -(__int128)r->limit * r->interval_ns;
	struct outcome o = {};

	if (!m->is_used)
		m->parts = full;
	else if (now_ns > m->at_ns)
		m->parts += (__int128)(now_ns - m->at_ns) * r->limit;
	m->parts = MIN(m->parts, full);
	m->at_ns = m->is_used ? MAX(m->at_ns, now_ns) : now_ns;
	m->is_used = true;

	if (m->has_storm && now_ns > m->last_over_ns && now_ns - m->last_over_ns >= r->quiet_ns) {
		o.has_ended = true;
		m->has_storm = false;
		if (r->burst)
			m->parts = MAX(m->parts, (__int128)r->interval_ns);
	}
	if (m->parts >= (__int128)r->interval_ns) {
		m->parts -= r->interval_ns;
		return o;
	}

	o.is_over = true;
	o.has_started = !m->has_storm;
	if (o.has_started) {
		m->has_storm = true;
		m->over_in_storm = 0;
		m->storms++;
	}
	m->over++;
	m->last_over_ns = MAX(m->last_over_ns, now_ns);
	if (r->then == CETD_THEN_THROTTLE) {
		o.delay_ns = r->min_delay_ns;
		for (unsigned int i = 0; i < m->over_in_storm && o.delay_ns < r->max_delay_ns; i++)
			o.delay_ns *= 2;
		o.delay_ns = MIN(o.delay_ns, r->max_delay_ns);
	} else if (r->then != CETD_THEN_ALERT) {
		o.delay_ns = r->max_delay_ns;
	}
	m->over_in_storm++;
	if (is_enforced && o.delay_ns)
		m->parts = MAX(m->parts - (__int128)r->interval_ns, floor);
	return o;
}

/* As the parser lets through, of all magnitudes. */
static struct cetd_rate random_rate(void)
{
	struct cetd_rate r = {.kinds = CETD_KINDS_ALL, .privileges = CETD_PRIVILEGES_ALL};

	r.interval_ns = 1 + random_below(CETD_POLICY_INTERVAL_MAX_NS >> random_below(42));
	r.limit = (uint32_t)random_below(1 + (CETD_POLICY_COUNT_MAX >> random_below(21)));
	if (!random_below(8))
		r.limit = 0;
	r.burst = r.limit ? 1 + (uint32_t)random_below(CETD_POLICY_COUNT_MAX >> random_below(20))
			  : 0;
	r.then = (uint8_t)random_below(_CETD_THEN_MAX);
	if (r.then != CETD_THEN_ALERT)
		r.max_delay_ns = 1 + random_below(CETD_POLICY_DELAY_MAX_NS >> random_below(29));
	if (r.then == CETD_THEN_THROTTLE)
		r.min_delay_ns = 1 + random_below(r.max_delay_ns);
	r.quiet_ns = MAX(r.interval_ns, 2 * r.max_delay_ns) + random_below(r.interval_ns);
	return r;
}

/* Bursts, steps near the refill of a token, long silences, and now and then a clock that is a little behind. */
static uint64_t random_step(uint64_t now_ns, const struct cetd_rate *r)
{
	switch (random_below(16)) {
	case 0:
		return now_ns - MIN(now_ns - 1, random_below(1000));
	case 1:
		return now_ns + r->quiet_ns + random_below(3) - 1;
	case 2:
		return now_ns + random_below(3 * r->interval_ns);
	case 3:
	case 4:
	case 5:
		return now_ns + r->interval_ns / (r->limit ?: 1) + random_below(3) - (now_ns > 1);
	case 6:
	case 7:
		return now_ns + 1 + random_below(r->interval_ns / (r->limit ?: 1) * 2 + 2);
	default:
		return now_ns + random_below(3);
	}
}

static void test_bucket_equals_the_reference(void **state _unused_)
{
	unsigned int n_over = 0, n_ended = 0, n_passed = 0;

	print_message("seed %llu\n", (unsigned long long)seed);
	for (int round = 0; round < 1000; round++) {
		struct cetd_rate r = random_rate();
		struct cetd_bucket b = {};
		struct reference m = {};
		uint64_t now_ns = 1 + random_below(1ULL << 40);
		bool is_enforced = random_below(2);

		for (int event = 0; event < 500; event++) {
			uint64_t delay_ns = 0;
			__u32 result =
				cetd_rate_fault(&r, &b, now_ns, is_enforced, (__u64 *)&delay_ns);
			struct outcome o = reference_fault(&m, &r, now_ns, is_enforced);

			if (!(result & CETD_RATE_OVER) != !o.is_over ||
			    !(result & CETD_RATE_STARTED) != !o.has_started ||
			    !(result & CETD_RATE_ENDED) != !o.has_ended || delay_ns != o.delay_ns ||
			    b.storms != m.storms || b.over != m.over)
				fail_msg("round %d, event %d at %llu: result %u, delay %llu; the "
					 "reference says over %d, started %d, ended %d, delay %llu",
					 round, event, (unsigned long long)now_ns, result,
					 (unsigned long long)delay_ns, o.is_over, o.has_started,
					 o.has_ended, (unsigned long long)o.delay_ns);
			n_over += o.is_over;
			n_ended += o.has_ended;
			n_passed += !o.is_over;
			now_ns = random_step(now_ns, &r);
		}
	}
	/* Events that never get anywhere would prove nothing. */
	assert_true(n_over > 50000);
	assert_true(n_passed > 50000);
	assert_true(n_ended > 1000);
}

/* Over any stretch of time no more is let through than the bucket held and what flowed in since. */
static void test_never_more_than_burst_and_limit(void **state _unused_)
{
	for (int round = 0; round < 300; round++) {
		struct cetd_rate r = random_rate();
		struct cetd_bucket b = {};
		uint64_t start_ns = 1000, now_ns = start_ns, passed = 0;

		r.quiet_ns = UINT64_MAX; /* the end of a storm gives a token away */
		for (int event = 0; event < 500; event++) {
			uint64_t delay_ns, next_ns;

			if (!(cetd_rate_fault(&r, &b, now_ns, true, (__u64 *)&delay_ns) &
			      CETD_RATE_OVER))
				passed++;
			assert_true((__int128)passed * r.interval_ns <=
				    (__int128)r.burst * r.interval_ns +
					    (__int128)(now_ns - start_ns) * r.limit);
			next_ns = now_ns + random_below(r.interval_ns / (r.limit ?: 1) + 2);
			now_ns = next_ns;
		}
	}
}

/* One vCPU in a loop of faults, which waits as it is told to: from the second interval on, the limit holds. */
static void test_a_loop_is_throttled_to_the_limit(void **state _unused_)
{
	static const struct {
		uint32_t limit, interval_ms, max_delay_ms;
	} cases[] = {{100, 1000, 1000}, {100, 1000, 100},  {10, 1000, 1000}, {5, 1000, 500},
		     {1000, 1000, 20},	{60, 60000, 1000}, {1, 1000, 1000}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cetd_rate r = {.interval_ns = cases[i].interval_ms * NSEC_PER_MSEC,
				      .limit = cases[i].limit,
				      .burst = cases[i].limit,
				      .min_delay_ns = NSEC_PER_MSEC,
				      .max_delay_ns = cases[i].max_delay_ms * NSEC_PER_MSEC,
				      .quiet_ns = 120 * NSEC_PER_SEC,
				      .then = CETD_THEN_THROTTLE};
		struct cetd_bucket b = {};
		uint64_t now_ns = 1, faults = 0, in_first = 0, end_ns = 1 + 20 * r.interval_ns;
		uint64_t begun = 0;

		while (now_ns < end_ns) {
			uint64_t delay_ns = 0;
			__u32 result = cetd_rate_fault(&r, &b, now_ns, true, (__u64 *)&delay_ns);

			begun += !!(result & CETD_RATE_STARTED);
			assert_false(result & CETD_RATE_ENDED);
			faults++;
			in_first += now_ns <= r.interval_ns;
			now_ns += delay_ns + 20000; /* 50 000 faults a second if nobody minds */
		}
		assert_int_equal(begun, 1);
		/* The first interval has the burst, the limit, and as many delays as it takes to double. */
		if (in_first > 2 * r.limit + 12)
			fail_msg("case %zu: %llu faults in the first interval, limit %u", i,
				 (unsigned long long)in_first, r.limit);
		/* Then the limit, to a fault an interval. */
		if (faults - in_first > 19ULL * r.limit + 19)
			fail_msg("case %zu: %llu faults in 19 intervals, limit %u", i,
				 (unsigned long long)(faults - in_first), r.limit);
		assert_true(faults - in_first > 19ULL * r.limit / 2);
	}
}

/* A storm ends once, by itself, and a lone fault afterwards is no new one. */
static void test_a_storm_ends_after_quiet(void **state _unused_)
{
	const struct cetd_rate r = {.interval_ns = NSEC_PER_SEC,
				    .limit = 2,
				    .burst = 2,
				    .quiet_ns = 5 * NSEC_PER_SEC,
				    .min_delay_ns = 10 * NSEC_PER_MSEC,
				    .max_delay_ns = 100 * NSEC_PER_MSEC,
				    .then = CETD_THEN_THROTTLE};
	static const uint64_t delays_ms[] = {10, 20, 40, 80, 100, 100};
	struct cetd_bucket b = {};
	uint64_t delay_ns = 0, now_ns = 1;

	assert_int_equal(cetd_rate_fault(&r, &b, now_ns, false, (__u64 *)&delay_ns), 0);
	assert_int_equal(cetd_rate_fault(&r, &b, now_ns, false, (__u64 *)&delay_ns), 0);
	assert_false(cetd_storm_is_over(&r, &b, UINT64_MAX));
	for (size_t i = 0; i < ARRAY_SIZE(delays_ms); i++) {
		assert_int_equal(cetd_rate_fault(&r, &b, now_ns, false, (__u64 *)&delay_ns),
				 CETD_RATE_OVER | (i ? 0 : CETD_RATE_STARTED));
		assert_int_equal(delay_ns, delays_ms[i] * NSEC_PER_MSEC);
	}
	assert_false(cetd_storm_is_over(&r, &b, now_ns + r.quiet_ns - 1));
	assert_true(cetd_storm_is_over(&r, &b, now_ns + r.quiet_ns));
	now_ns += r.quiet_ns;
	assert_int_equal(cetd_rate_fault(&r, &b, now_ns, false, (__u64 *)&delay_ns),
			 CETD_RATE_ENDED);
	assert_false(cetd_storm_is_over(&r, &b, UINT64_MAX));
	assert_int_equal(b.storms, 1);
}

static void test_limit_zero_acts_on_the_first(void **state _unused_)
{
	const struct cetd_rate r = {.interval_ns = NSEC_PER_SEC,
				    .quiet_ns = 2 * NSEC_PER_SEC,
				    .max_delay_ns = NSEC_PER_SEC,
				    .then = CETD_THEN_FREEZE};
	struct cetd_bucket b = {};
	uint64_t delay_ns = 0;

	assert_int_equal(cetd_rate_fault(&r, &b, 5, true, (__u64 *)&delay_ns),
			 CETD_RATE_OVER | CETD_RATE_STARTED);
	assert_int_equal(delay_ns, NSEC_PER_SEC);
	assert_int_equal(cetd_rate_fault(&r, &b, 6, true, (__u64 *)&delay_ns), CETD_RATE_OVER);
	assert_int_equal(cetd_rate_fault(&r, &b, 6 + 2 * NSEC_PER_SEC, true, (__u64 *)&delay_ns),
			 CETD_RATE_OVER | CETD_RATE_STARTED | CETD_RATE_ENDED);
}

static void fill(void *target, size_t size, bool may_be_small)
{
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t bits = random_u64() >> (may_be_small ? random_below(64) : 0);

		memcpy((char *)target + i, &bits, 8);
	}
}

/* Any bits at all: no trap (run with UndefinedBehaviorSanitizer), and never a longer delay than the kernel's. */
static void test_nothing_overflows(void **state _unused_)
{
	for (int round = 0; round < 200000; round++) {
		struct cetd_policy p;
		struct cetd_policy_state s;
		struct cetd_fault_verdict v;
		uint64_t now_ns = random_u64() >> random_below(64);

		fill(&p, sizeof(p), true);
		fill(&s, sizeof(s), false);
		if (random_below(2))
			s.generation = p.generation;
		cetd_policy_begin(&p, &s, (int)random_below(2), &v);
		for (__u32 i = 0; i < CETD_POLICY_RATES_MAX; i++)
			cetd_policy_rate(&p, &s, i, (__u32)random_below(_CETD_KIND_MAX),
					 (__u32)random_below(2), now_ns, &v);
		cetd_policy_end(&p, &s, &v);
		assert_true(v.delay_ns <= CETD_POLICY_DELAY_MAX_NS);
		assert_true(v.action < _CETD_ACTION_MAX);
	}
}

static struct cetd_fault_verdict fault(const struct cetd_policy *p, struct cetd_policy_state *s,
				       __u32 kind, __u32 privilege, int may_suppress,
				       uint64_t now_ns)
{
	struct cetd_fault_verdict v;

	cetd_policy_begin(p, s, may_suppress, &v);
	for (__u32 i = 0; i < CETD_POLICY_RATES_MAX; i++)
		cetd_policy_rate(p, s, i, kind, privilege, now_ns, &v);
	cetd_policy_end(p, s, &v);
	return v;
}

static struct cetd_policy two_rates(enum cetd_mode mode)
{
	struct cetd_policy p = {.generation = 1, .mode = (__u8)mode, .n_rates = 2};

	p.rates[0] = (struct cetd_rate){.interval_ns = NSEC_PER_SEC,
					.limit = 1,
					.burst = 1,
					.quiet_ns = 10 * NSEC_PER_SEC,
					.min_delay_ns = NSEC_PER_MSEC,
					.max_delay_ns = 4 * NSEC_PER_MSEC,
					.kinds = CETD_KINDS_ALL,
					.privileges = CETD_PRIVILEGES_ALL,
					.then = CETD_THEN_THROTTLE};
	p.rates[1] = p.rates[0];
	p.rates[1].limit = p.rates[1].burst = 0;
	p.rates[1].kinds = 1U << CETD_KIND_NEAR_RET;
	p.rates[1].privileges = 1U << CETD_PRIVILEGE_USER;
	p.rates[1].max_delay_ns = NSEC_PER_SEC;
	p.rates[1].then = CETD_THEN_FREEZE;
	return p;
}

static void test_rates_apply_to_their_faults(void **state _unused_)
{
	const struct cetd_policy p = two_rates(CETD_MODE_ENFORCE);
	struct cetd_policy_state s = {};
	struct cetd_fault_verdict v;

	v = fault(&p, &s, CETD_KIND_NEAR_RET, CETD_PRIVILEGE_SUPERVISOR, 0, 1);
	assert_int_equal(v.over, 0);
	assert_int_equal(v.action, CETD_ACTION_DELIVER);
	v = fault(&p, &s, CETD_KIND_ENDBRANCH, CETD_PRIVILEGE_USER, 0, 1);
	assert_int_equal(v.over, 1);
	assert_int_equal(v.started, 1);
	assert_int_equal(v.delay_ns, NSEC_PER_MSEC);
	v = fault(&p, &s, CETD_KIND_NEAR_RET, CETD_PRIVILEGE_USER, 0, 1);
	assert_int_equal(v.over, 3);
	assert_int_equal(v.started, 2);
	assert_int_equal(v.delay_ns, NSEC_PER_SEC);
	assert_int_equal(s.decision[0][CETD_ACTION_DELIVER], 1);
	assert_int_equal(s.decision[0][CETD_ACTION_DELAY], 2);
	assert_int_equal(s.decision[1][CETD_ACTION_DELAY], 2);
	assert_int_equal(s.storms[1][CETD_THEN_THROTTLE], 1);
	assert_int_equal(s.storms[1][CETD_THEN_FREEZE], 1);
	assert_int_equal(s.delayed_ns, NSEC_PER_MSEC + NSEC_PER_SEC);
}

static void test_monitor_counts_what_it_would_do(void **state _unused_)
{
	struct cetd_policy p = two_rates(CETD_MODE_MONITOR);
	struct cetd_policy_state s = {};

	p.flags = CETD_POLICY_IBT_OFF;
	fault(&p, &s, CETD_KIND_NEAR_RET, CETD_PRIVILEGE_USER, 0, 1);
	fault(&p, &s, CETD_KIND_ENDBRANCH, CETD_PRIVILEGE_USER, 1, 2);
	assert_int_equal(s.decision[0][CETD_ACTION_DELAY], 1);
	assert_int_equal(s.decision[0][CETD_ACTION_SUPPRESS], 1);
	assert_int_equal(s.decision[1][CETD_ACTION_DELIVER], 2);
	assert_int_equal(s.decision[1][CETD_ACTION_DELAY], 0);
	assert_int_equal(s.decision[1][CETD_ACTION_SUPPRESS], 0);
	assert_int_equal(s.delayed_ns, 0);
	assert_int_equal(s.storms[0][CETD_THEN_FREEZE], 1);
	assert_int_equal(s.storms[1][CETD_THEN_FREEZE], 0);
}

static void test_suppressed_faults_are_not_limited(void **state _unused_)
{
	struct cetd_policy p = two_rates(CETD_MODE_ENFORCE);
	struct cetd_policy_state s = {};
	struct cetd_fault_verdict v;

	p.flags = CETD_POLICY_IBT_OFF;
	for (int i = 0; i < 10; i++) {
		v = fault(&p, &s, CETD_KIND_ENDBRANCH, CETD_PRIVILEGE_USER, 1, 1);
		assert_int_equal(v.action, CETD_ACTION_SUPPRESS);
		assert_int_equal(v.over, 0);
	}
	/* One that cannot be suppressed is delivered, as a first fault is. */
	v = fault(&p, &s, CETD_KIND_ENDBRANCH, CETD_PRIVILEGE_USER, 0, 1);
	assert_int_equal(v.action, CETD_ACTION_DELIVER);
}

static void test_another_generation_starts_anew(void **state _unused_)
{
	struct cetd_policy p = two_rates(CETD_MODE_ENFORCE);
	struct cetd_policy_state s = {};

	for (int i = 0; i < 3; i++)
		fault(&p, &s, CETD_KIND_ENDBRANCH, CETD_PRIVILEGE_USER, 0, 1);
	assert_int_equal(s.buckets[0].over, 2);
	p.generation++;
	assert_int_equal(fault(&p, &s, CETD_KIND_ENDBRANCH, CETD_PRIVILEGE_USER, 0, 1).over, 0);
	assert_int_equal(s.decision[0][CETD_ACTION_DELAY], 2);
	assert_int_equal(s.storms[1][CETD_THEN_THROTTLE], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bucket_equals_the_reference),
		cmocka_unit_test(test_never_more_than_burst_and_limit),
		cmocka_unit_test(test_a_loop_is_throttled_to_the_limit),
		cmocka_unit_test(test_a_storm_ends_after_quiet),
		cmocka_unit_test(test_limit_zero_acts_on_the_first),
		cmocka_unit_test(test_nothing_overflows),
		cmocka_unit_test(test_rates_apply_to_their_faults),
		cmocka_unit_test(test_monitor_counts_what_it_would_do),
		cmocka_unit_test(test_suppressed_faults_are_not_limited),
		cmocka_unit_test(test_another_generation_starts_anew),
	};
	const char *text = getenv("CETD_TEST_SEED");

	if (text && strtoull(text, NULL, 0))
		seed = strtoull(text, NULL, 0);
	return cmocka_run_group_tests_name("ratelimit", tests, NULL, NULL);
}
