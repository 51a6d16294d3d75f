// SPDX-License-Identifier: GPL-2.0-only
/* Events that wait for their VM: passed on after it is found, before it goes, or when their time is over. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "source/held.h"
#include "util/macro.h"

#define ROOM (HELD_EVENTS_MAX + 2)

/* What arrived: an event is its data, another message its type, negative. */
struct arrivals {
	uint64_t found; /* the one VM that is */
	int64_t list[ROOM];
	size_t n;
	int result;
};

struct fixture {
	sd_event *event;
	struct arrivals arrivals;
	struct held *held;
};

static int arrive(void *userdata, const struct cetd_message *m)
{
	struct arrivals *a = userdata;
	const struct cetd_event *event = m->payload;

	assert_true(a->n < ROOM);
	a->list[a->n++] = m->type == CETD_MESSAGE_EVENT ? (int64_t)event->data : -(int64_t)m->type;
	return a->result;
}

static bool is_found(void *userdata, uint64_t key)
{
	return ((struct arrivals *)userdata)->found == key;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct cetd_sink next = {arrive, &f->arrivals};

	assert_non_null(f);
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(held_new(f->event, &next, is_found, &f->held), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	held_free(f->held);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static int send_event(struct fixture *f, uint64_t key, uint64_t data)
{
	const struct cetd_event event = {.key = key, .data = data, .type = CETD_EVENT_MSR};
	const struct cetd_message m = {CETD_MESSAGE_EVENT, sizeof(event), 1, &event};

	return held_send(f->held, &m);
}

static int send_add(struct fixture *f, uint64_t key)
{
	const struct cetd_identity identity = {.key = key};
	const struct cetd_message m = {CETD_MESSAGE_VM_ADD, sizeof(identity), 1, &identity};

	f->arrivals.found = key;
	return held_send(f->held, &m);
}

static int send_remove(struct fixture *f, uint64_t key)
{
	const __u64 payload = key;
	const struct cetd_message m = {CETD_MESSAGE_VM_REMOVE, sizeof(payload), 1, &payload};

	return held_send(f->held, &m);
}

#define assert_arrived(f, ...)                                                       \
	do {                                                                         \
		const int64_t expected[] = {__VA_ARGS__};                            \
                                                                                     \
		assert_int_equal((f)->arrivals.n, ARRAY_SIZE(expected));             \
		assert_memory_equal((f)->arrivals.list, expected, sizeof(expected)); \
	} while (0)

static void test_events_of_a_vm_that_is_found_pass(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(send_add(f, 7), 0);
	assert_int_equal(send_event(f, 7, 1), 0);
	assert_arrived(f, -CETD_MESSAGE_VM_ADD, 1);
}

static void test_others_wait_until_it_is(void **state)
{
	struct fixture *f = *state;

	send_event(f, 7, 1);
	send_event(f, 8, 2);
	send_event(f, 7, 3);
	assert_int_equal(f->arrivals.n, 0);
	assert_int_equal(send_add(f, 7), 0);
	assert_arrived(f, -CETD_MESSAGE_VM_ADD, 1, 3);
	assert_int_equal(send_add(f, 8), 0);
	assert_arrived(f, -CETD_MESSAGE_VM_ADD, 1, 3, -CETD_MESSAGE_VM_ADD, 2);
}

static void test_or_until_it_has_gone(void **state)
{
	struct fixture *f = *state;

	send_event(f, 7, 1);
	send_event(f, 8, 2);
	assert_int_equal(send_remove(f, 7), 0);
	assert_arrived(f, 1, -CETD_MESSAGE_VM_REMOVE);
}

static void test_or_until_the_time_is_over(void **state)
{
	struct fixture *f = *state;

	send_event(f, 7, 1);
	assert_int_equal(held_expire(f->held, 1), 0);
	assert_int_equal(f->arrivals.n, 0);
	assert_int_equal(held_expire(f->held, UINT64_MAX), 0);
	assert_arrived(f, 1);
	assert_int_equal(held_expire(f->held, UINT64_MAX), 0);
	assert_arrived(f, 1);
}

static void test_or_until_there_are_too_many(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < HELD_EVENTS_MAX; i++)
		assert_int_equal(send_event(f, 7, i), 0);
	assert_int_equal(f->arrivals.n, 0);
	assert_int_equal(send_event(f, 7, HELD_EVENTS_MAX), 0);
	assert_int_equal(f->arrivals.n, HELD_EVENTS_MAX);
	for (int64_t i = 0; i < HELD_EVENTS_MAX; i++)
		assert_int_equal(f->arrivals.list[i], i);
	send_add(f, 7);
	assert_int_equal(f->arrivals.n, ROOM);
	assert_int_equal(f->arrivals.list[ROOM - 1], HELD_EVENTS_MAX);
}

static void test_other_messages_pass(void **state)
{
	struct fixture *f = *state;
	const struct cetd_message m = {.type = CETD_MESSAGE_SETTLED};

	send_event(f, 7, 1);
	assert_int_equal(held_send(f->held, &m), 0);
	assert_arrived(f, -CETD_MESSAGE_SETTLED);
}

static void test_failure_of_the_sink_is_told_of(void **state)
{
	struct fixture *f = *state;

	send_event(f, 7, 1);
	send_event(f, 7, 2);
	f->arrivals.result = -ENOMEM;
	assert_int_equal(send_remove(f, 7), -ENOMEM);
	assert_arrived(f, 1);
	f->arrivals.result = 0;
	assert_int_equal(send_remove(f, 7), 0);
	assert_arrived(f, 1, 2, -CETD_MESSAGE_VM_REMOVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_events_of_a_vm_that_is_found_pass, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_others_wait_until_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_or_until_it_has_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_or_until_the_time_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_or_until_there_are_too_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_messages_pass, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failure_of_the_sink_is_told_of, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
