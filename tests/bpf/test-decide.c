// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mechanism of policies in this kernel: made-up faults at made-up times through the code that runs behind the
 * hook. No clock and no sleep: hours pass between two calls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "cetd/policy.h"

#include "policy/storms.h"
#include "tests/bpf/decide.skel.h"
#include "util/macro.h"

#define KEY 7ULL
#define S NSEC_PER_SEC
#define ACTION(verdict) ((verdict) & 0xff)
#define DELAY(verdict) ((verdict) >> 8)

/* As in decide.bpf.c. */
struct made_up_fault {
	uint64_t key, now_ns, rip;
	uint32_t error_code, vcpu;
	uint8_t cpl;
	uint8_t reserved[7];
	uint64_t verdict;
};

static struct decide_bpf *skel;
static uint64_t now = 1000 * S;

static int load(void **state)
{
	(void)state;
	if (!getenv("V"))
		libbpf_set_print(NULL);
	skel = decide_bpf__open_and_load();
	if (!skel)
		print_message("SKIP: BPF is not to be had here: %s\n", strerror(errno));
	return 0;
}

static int unload(void **state)
{
	(void)state;
	decide_bpf__destroy(skel);
	return 0;
}

static const struct cetd_rate per_second = {
	.interval_ns = S,
	.quiet_ns = 10 * S,
	.min_delay_ns = NSEC_PER_MSEC,
	.max_delay_ns = 100 * NSEC_PER_MSEC,
	.limit = 5,
	.burst = 5,
	.kinds = CETD_KINDS_ALL,
	.privileges = CETD_PRIVILEGES_ALL,
	.then = CETD_THEN_THROTTLE,
};

static struct cetd_policy policy_of(enum cetd_mode mode, const struct cetd_rate *rate)
{
	struct cetd_policy p = {.generation = 1, .mode = (uint8_t)mode};

	if (rate) {
		p.n_rates = 1;
		p.rates[0] = *rate;
	}
	return p;
}

/* Put a policy in force for the VM, with a state as new. */
static void begin(struct cetd_policy p)
{
	static const struct cetd_policy_state zero;
	uint64_t key = KEY;

	if (!skel)
		skip();
	now += 3600 * S;
	skel->bss->control = (struct cetd_policy_control){};
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.policies), &key, &p, BPF_ANY),
			 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(skel->maps.states), &key, &zero, BPF_ANY),
			 0);
}

static uint64_t fault(uint32_t error_code, uint8_t cpl)
{
	struct made_up_fault f = {.key = KEY, .now_ns = now, .rip = 0x1000, .cpl = cpl};
	/* What comes out is in it as well. */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &f, .ctx_size_in = sizeof(f));

	f.error_code = error_code;
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.made_up_cp), &opts), 0);
	return f.verdict;
}

static struct cetd_policy_state state(void)
{
	struct cetd_policy_state s;
	uint64_t key = KEY;

	assert_int_equal(
		bpf_map_lookup_elem_flags(bpf_map__fd(skel->maps.states), &key, &s, BPF_F_LOCK), 0);
	return s;
}

static struct cetd_storm messages[64];
static unsigned int n_messages;

static int on_message(void *userdata, void *data, size_t size)
{
	(void)userdata;
	assert_int_equal(size, sizeof(*messages));
	assert_true(n_messages < ARRAY_SIZE(messages));
	memcpy(messages + n_messages++, data, size);
	return 0;
}

static void read_messages(void)
{
	struct ring_buffer *ring =
		ring_buffer__new(bpf_map__fd(skel->maps.storms), on_message, NULL, NULL);

	assert_non_null(ring);
	n_messages = 0;
	ring_buffer__consume(ring);
	ring_buffer__free(ring);
}

/* A vCPU that faults as soon as it may: what gets through is the limit. */
static void test_throttle(void **arg)
{
	unsigned int n = 0;
	uint64_t end, verdict;

	(void)arg;
	begin(policy_of(CETD_MODE_ENFORCE, &per_second));
	for (int i = 0; i < 5; i++)
		assert_int_equal(fault(3, 0), CETD_ACTION_DELIVER);
	verdict = fault(3, 0);
	assert_int_equal(ACTION(verdict), CETD_ACTION_DELAY);
	assert_int_equal(DELAY(verdict), NSEC_PER_MSEC);
	now += DELAY(verdict);
	assert_int_equal(DELAY(fault(3, 0)), 2 * NSEC_PER_MSEC);
	/* The first interval pays for the burst. */
	for (end = now + S; now < end;)
		now += DELAY(fault(3, 0)) ?: 1000;
	for (end = now + 60 * S; now < end; n++)
		now += DELAY(fault(3, 0)) ?: 1000;
	/* 100 ms at most: no slower than 10 a second, however far below that the limit is. */
	assert_in_range(n, 5 * 60, 10 * 60 + 1);
	assert_int_equal(state().storms[CETD_MODE_ENFORCE][CETD_THEN_THROTTLE], 1);
	assert_true(state().delayed_ns > 55 * S);
}

static void test_monitor_changes_nothing(void **arg)
{
	(void)arg;
	begin(policy_of(CETD_MODE_MONITOR, &per_second));
	for (int i = 0; i < 20; i++)
		assert_int_equal(fault(3, 0), CETD_ACTION_DELIVER);
	assert_int_equal(state().decision[0][CETD_ACTION_DELIVER], 5);
	assert_int_equal(state().decision[0][CETD_ACTION_DELAY], 15);
	assert_int_equal(state().decision[1][CETD_ACTION_DELIVER], 20);
	assert_int_equal(state().delayed_ns, 0);
	assert_int_equal(state().storms[CETD_MODE_MONITOR][CETD_THEN_THROTTLE], 1);
}

static void test_storm_messages(void **arg)
{
	uint64_t began;

	(void)arg;
	begin(policy_of(CETD_MODE_ENFORCE, &per_second));
	read_messages();
	for (int i = 0; i < 5; i++)
		fault(3, 0);
	began = now;
	for (int i = 0; i < 4; i++)
		fault(3, 3);
	read_messages();
	assert_int_equal(n_messages, 1);
	assert_int_equal(messages[0].type, CETD_STORM_STARTED);
	assert_int_equal(messages[0].since_ns, began);
	assert_int_equal(messages[0].rip, 0x1000);
	assert_int_equal(messages[0].cpl, 3);
	assert_int_equal(messages[0].over, 1);
	/* Quiet for long enough: the next fault tells which storm has ended, and is none itself. */
	now += 3600 * S;
	assert_int_equal(fault(3, 0), CETD_ACTION_DELIVER);
	read_messages();
	assert_int_equal(n_messages, 1);
	assert_int_equal(messages[0].type, CETD_STORM_ENDED);
	assert_int_equal(messages[0].since_ns, began);
	assert_int_equal(messages[0].over, 4);
}

/* No fault is allowed at all: the first is held, for as long as it takes to freeze the VM. */
static void test_limit_zero(void **arg)
{
	struct cetd_rate r = per_second;
	uint64_t verdict;

	(void)arg;
	r.limit = r.burst = 0;
	r.kinds = 1U << CETD_KIND_NEAR_RET;
	r.privileges = 1U << CETD_PRIVILEGE_USER;
	r.then = CETD_THEN_FREEZE;
	r.max_delay_ns = S;
	begin(policy_of(CETD_MODE_ENFORCE, &r));
	read_messages();
	assert_int_equal(fault(1, 0), CETD_ACTION_DELIVER);
	assert_int_equal(fault(3, 3), CETD_ACTION_DELIVER);
	read_messages();
	assert_int_equal(n_messages, 0);
	verdict = fault(1, 3);
	assert_int_equal(ACTION(verdict), CETD_ACTION_DELAY);
	assert_int_equal(DELAY(verdict), S);
	read_messages();
	assert_int_equal(n_messages, 1);
	assert_int_equal(messages[0].then, CETD_THEN_FREEZE);
	/* Also the first one after a storm. */
	now += 3600 * S;
	assert_int_equal(ACTION(fault(1, 3)), CETD_ACTION_DELAY);
	read_messages();
	assert_int_equal(n_messages, 2);
}

static void test_ibt_off(void **arg)
{
	struct cetd_policy p = policy_of(CETD_MODE_ENFORCE, &per_second);

	(void)arg;
	p.flags = CETD_POLICY_IBT_OFF;
	begin(p);
	for (int i = 0; i < 20; i++)
		assert_int_equal(fault(3, 0), CETD_ACTION_SUPPRESS);
	assert_int_equal(state().buckets[0].over, 0);
	/* Neither an enclave's nor another kind. */
	assert_int_equal(fault(0x8003, 3), CETD_ACTION_DELIVER);
	assert_int_equal(fault(1, 3), CETD_ACTION_DELIVER);
	p.mode = CETD_MODE_MONITOR;
	p.generation = 2;
	begin(p);
	assert_int_equal(fault(3, 0), CETD_ACTION_DELIVER);
	assert_int_equal(state().decision[0][CETD_ACTION_SUPPRESS], 1);
	assert_int_equal(state().decision[1][CETD_ACTION_DELIVER], 1);
}

/* The dead-man: nobody renews the lease, and from its end on every fault is delivered at once. */
static void test_lease(void **arg)
{
	struct cetd_policy p = policy_of(CETD_MODE_ENFORCE, &per_second);

	(void)arg;
	p.flags = CETD_POLICY_IBT_OFF;
	begin(p);
	skel->bss->control.lease_ns = now + 600 * S;
	for (int i = 0; i < 10; i++)
		fault(1, 0);
	assert_int_equal(ACTION(fault(1, 0)), CETD_ACTION_DELAY);
	assert_int_equal(fault(3, 0), CETD_ACTION_SUPPRESS);
	now += 600 * S - 1;
	assert_int_equal(fault(3, 0), CETD_ACTION_SUPPRESS);
	assert_int_equal(skel->bss->control.lapsed, 0);
	now += 1;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(fault(3, 0), CETD_ACTION_DELIVER);
		assert_int_equal(fault(1, 0), CETD_ACTION_DELIVER);
	}
	assert_int_equal(skel->bss->control.lapsed, 40);
	/* A daemon is back: policies hold as before. */
	skel->bss->control.lease_ns = now + 600 * S;
	assert_int_equal(fault(3, 0), CETD_ACTION_SUPPRESS);
	assert_int_equal(skel->bss->control.lapsed, 40);
}

static void test_no_policy(void **arg)
{
	uint64_t key = KEY;

	(void)arg;
	begin(policy_of(CETD_MODE_ENFORCE, &per_second));
	bpf_map_delete_elem(bpf_map__fd(skel->maps.policies), &key);
	for (int i = 0; i < 20; i++)
		assert_int_equal(fault(3, 0), CETD_ACTION_DELIVER);
}

/* As many rates as there can be, each for its own faults. */
static void test_all_rates(void **arg)
{
	struct cetd_policy p = policy_of(CETD_MODE_ENFORCE, NULL);

	(void)arg;
	p.n_rates = CETD_POLICY_RATES_MAX;
	for (int i = 0; i < CETD_POLICY_RATES_MAX; i++) {
		p.rates[i] = per_second;
		p.rates[i].limit = p.rates[i].burst = 0;
		p.rates[i].then = CETD_THEN_ALERT;
		p.rates[i].kinds = (uint8_t)(1U << (i % _CETD_KIND_MAX));
	}
	begin(p);
	read_messages();
	for (uint32_t code = 1; code <= 5; code++)
		assert_int_equal(fault(code, 0), CETD_ACTION_DELIVER);
	read_messages();
	for (int i = 0; i < CETD_POLICY_RATES_MAX; i++)
		assert_int_equal(state().buckets[i].over, i % _CETD_KIND_MAX < 5);
	assert_in_range(n_messages, 5, CETD_POLICY_RATES_MAX);
}

/* Nobody reads: messages are lost and counted, the state is exact all the same. */
static void test_full_ring(void **arg)
{
	struct cetd_rate r = per_second;
	uint64_t storms;

	(void)arg;
	r.limit = r.burst = 0;
	r.then = CETD_THEN_ALERT;
	begin(policy_of(CETD_MODE_ENFORCE, &r));
	read_messages();
	for (int i = 0; i < 2000; i++, now += 11 * S)
		fault(3, 0);
	storms = state().storms[CETD_MODE_ENFORCE][CETD_THEN_ALERT];
	assert_int_equal(storms, 2000);
	assert_true(skel->bss->control.storms_lost > 1000);
	assert_true(skel->bss->control.storms_lost < 4000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_monitor_changes_nothing),
		cmocka_unit_test(test_storm_messages),
		cmocka_unit_test(test_limit_zero),
		cmocka_unit_test(test_ibt_off),
		cmocka_unit_test(test_lease),
		cmocka_unit_test(test_no_policy),
		cmocka_unit_test(test_all_rates),
		cmocka_unit_test(test_full_ring),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
