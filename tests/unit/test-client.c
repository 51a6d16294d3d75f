// SPDX-License-Identifier: GPL-2.0-only
/* Who has to go when too many HTTP clients are there; a socketpair stands for each connection. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "export/client.h"
#include "util/macro.h"

#define N 8

struct scene {
	struct metrics_http stats;
	struct clients clients;
	struct client *c[N];
	int near_end[N], far_end[N];
	unsigned int n;
};

static void scene_add(struct scene *s, const char *peer, uint64_t now_usec)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int pair[2];

	assert_true(s->n < N);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	s->near_end[s->n] = pair[0];
	s->far_end[s->n] = pair[1];
	if (peer)
		assert_int_equal(inet_pton(AF_INET, peer, &in.sin_addr), 1);
	s->c[s->n] =
		client_add(&s->clients, pair[0], peer ? (struct sockaddr *)&in : NULL, now_usec);
	assert_non_null(s->c[s->n]);
	s->n++;
}

/* Shut down for real: the far end reads end of file at once, while a live one has nothing to read. */
static bool is_cut(const struct scene *s, unsigned int i)
{
	char byte;

	assert_int_equal(recv(s->far_end[i], &byte, 1, MSG_DONTWAIT) == 0, s->c[i]->is_cut);
	return s->c[i]->is_cut;
}

static struct scene *scene_new(unsigned int max, unsigned int max_per_peer)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->clients.stats = &s->stats;
	s->clients.max = max;
	s->clients.max_per_peer = max_per_peer;
	return s;
}

static void scene_free(struct scene *s)
{
	for (unsigned int i = 0; i < s->n; i++) {
		client_remove(s->c[i]);
		close(s->near_end[i]);
		close(s->far_end[i]);
	}
	assert_null(s->clients.first);
	assert_null(s->clients.last);
	assert_int_equal(s->clients.n_sending, 0);
	assert_int_equal(s->stats.connections, 0);
	assert_int_equal(s->stats.accepted, s->n);
	free(s);
}

static void test_one_too_many_cuts_the_oldest(void **state)
{
	struct scene *s = scene_new(3, 3);

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		scene_add(s, NULL, i);
	for (unsigned int i = 0; i < 3; i++)
		assert_false(is_cut(s, i));
	scene_add(s, NULL, 3);
	assert_true(is_cut(s, 0));
	assert_false(is_cut(s, 1));
	scene_add(s, NULL, 4);
	assert_true(is_cut(s, 1));
	assert_false(is_cut(s, 2));
	assert_int_equal(s->stats.dropped[METRICS_HTTP_DROP_EVICTED], 2);
	scene_free(s);
}

static void test_an_answer_makes_young_again(void **state)
{
	struct scene *s = scene_new(2, 2);

	(void)state;
	scene_add(s, NULL, 0);
	scene_add(s, NULL, 1);
	client_end_request(s->c[0], 2);
	scene_add(s, NULL, 3);
	assert_false(is_cut(s, 0));
	assert_true(is_cut(s, 1));
	scene_free(s);
}

static void test_a_crowd_from_one_address_cuts_its_own(void **state)
{
	struct scene *s = scene_new(8, 2);

	(void)state;
	scene_add(s, "192.0.2.1", 0);
	scene_add(s, "192.0.2.2", 1);
	scene_add(s, "192.0.2.2", 2);
	scene_add(s, "192.0.2.2", 3);
	assert_false(is_cut(s, 0));
	assert_true(is_cut(s, 1));
	assert_false(is_cut(s, 2));
	assert_false(is_cut(s, 3));
	scene_free(s);
}

static void test_deadlines(void **state)
{
	struct scene *s = scene_new(8, 8);

	(void)state;
	assert_int_equal(clients_oldest_usec(&s->clients), UINT64_MAX);
	scene_add(s, NULL, 10);
	scene_add(s, NULL, 20);
	assert_int_equal(clients_oldest_usec(&s->clients), 10);
	clients_cut_before(&s->clients, 9);
	assert_false(is_cut(s, 0));
	clients_cut_before(&s->clients, 10);
	assert_true(is_cut(s, 0));
	assert_false(is_cut(s, 1));
	assert_int_equal(clients_oldest_usec(&s->clients), 20);
	assert_int_equal(s->stats.dropped[METRICS_HTTP_DROP_DEADLINE], 1);
	scene_free(s);
}

static void test_slowest_reader_makes_room(void **state)
{
	struct scene *s = scene_new(8, 8);

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		scene_add(s, NULL, i);
	clients_cut_slowest(&s->clients); /* nobody is being sent anything */
	for (unsigned int i = 0; i < 3; i++)
		assert_false(is_cut(s, i));
	client_begin_sending(s->c[1]);
	client_begin_sending(s->c[2]);
	assert_int_equal(s->clients.n_sending, 2);
	clients_cut_slowest(&s->clients);
	assert_false(is_cut(s, 0));
	assert_true(is_cut(s, 1));
	assert_false(is_cut(s, 2));
	client_end_request(s->c[2], 5);
	assert_int_equal(s->clients.n_sending, 1);
	scene_free(s);
}

static void test_the_unserved_are_counted(void **state)
{
	struct scene *s = scene_new(8, 8);

	(void)state;
	scene_add(s, NULL, 0);
	scene_add(s, NULL, 1);
	scene_add(s, NULL, 2);
	s->c[0]->has_served = true;
	client_cut(s->c[1], METRICS_HTTP_DROP_DEADLINE);
	client_cut(s->c[1], METRICS_HTTP_DROP_EVICTED);
	for (unsigned int i = 0; i < 3; i++)
		s->c[i] = client_remove(s->c[i]);
	assert_int_equal(s->stats.dropped[METRICS_HTTP_DROP_NO_REQUEST], 1);
	assert_int_equal(s->stats.dropped[METRICS_HTTP_DROP_DEADLINE], 1);
	assert_int_equal(s->stats.dropped[METRICS_HTTP_DROP_EVICTED], 0);
	scene_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_too_many_cuts_the_oldest),
		cmocka_unit_test(test_an_answer_makes_young_again),
		cmocka_unit_test(test_a_crowd_from_one_address_cuts_its_own),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_slowest_reader_makes_room),
		cmocka_unit_test(test_the_unserved_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
