// SPDX-License-Identifier: GPL-2.0-only
/* The events source under test. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "guest.h"
#include "live.h"
#include "util/macro.h"

static struct seen *live_seen(struct live *l, uint64_t key)
{
	for (size_t i = 0; i < ARRAY_SIZE(l->seen); i++)
		if (l->seen[i].key == key)
			return l->seen + i;
	return NULL;
}

/* The VM of a process that is watched makes its key known by its first counters. */
static void live_adopt(struct live *l, const struct cetd_counters_message *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(l->seen); i++)
		if (l->seen[i].tgid && l->seen[i].tgid == m->vm.tgid)
			l->seen[i].key = m->key;
}

static int on_message(void *userdata, const struct cetd_message *m)
{
	struct live *l = userdata;
	uint64_t key = 0;
	struct seen *s;

	l->n_messages++;
	if (l->sink_error)
		return l->sink_error;
	for (size_t i = 0; i < ARRAY_SIZE(l->seen); i++) {
		l->seen[i].is_settled = m->type == CETD_MESSAGE_SETTLED;
		if (m->type == CETD_MESSAGE_LOST)
			memcpy(&l->seen[i].lost, m->payload, sizeof(l->seen[i].lost));
	}
	if (m->type == CETD_MESSAGE_EVENT)
		key = ((const struct cetd_event *)m->payload)->key;
	else if (m->type != CETD_MESSAGE_SETTLED && m->type != CETD_MESSAGE_LOST)
		memcpy(&key, m->payload, sizeof(key)); /* first in all of them */
	if (m->type == CETD_MESSAGE_COUNTERS)
		live_adopt(l, m->payload);
	s = live_seen(l, key);
	if (!s)
		return 0;
	if (m->type == CETD_MESSAGE_COUNTERS) {
		s->vm = ((const struct cetd_counters_message *)m->payload)->vm;
		s->n_counters++;
	} else if (m->type == CETD_MESSAGE_HISTORY) {
		s->history = ((const struct cetd_history_message *)m->payload)->history;
	} else if (m->type == CETD_MESSAGE_EVENT) {
		s->last = *(const struct cetd_event *)m->payload;
		s->samples++;
	} else if (m->type == CETD_MESSAGE_VM_REMOVE) {
		s->n_removed++;
	}
	return 0;
}

void live_start(struct live *l)
{
	const struct events_params params = {.max_vms = 256, .samples_per_second = 200};
	const struct cetd_sink sink = {on_message, l};
	int r;

	if (!guest_possible()) {
		print_message("SKIP: no /dev/kvm: %s\n", strerror(errno));
		skip();
	}
	*l = (struct live){};
	strcpy(l->host.kvm_vendor, access("/sys/module/kvm_intel", F_OK) == 0 ? "intel"
				   : access("/sys/module/kvm_amd", F_OK) == 0 ? "amd"
									      : "pvm");
	assert_true(sd_event_new(&l->event) >= 0);
	r = events_new(l->event, &params, &sink, &l->host, &l->events);
	if (r == -EPERM || r == -ENOENT || r == -ENOSYS) {
		print_message("SKIP: %s: %s\n", l->host.facts[0].reason, strerror(-r));
		sd_event_unref(l->event);
		skip();
	}
	assert_int_equal(r, 0);
}

void live_stop(struct live *l)
{
	events_free(l->events);
	sd_event_unref(l->event);
}

uint64_t live_msr_total(const struct cetd_vm *vm)
{
	uint64_t n = 0;

	for (int m = 0; m < _CETD_MSR_MAX; m++)
		for (int op = 0; op < 2; op++)
			n += vm->counters.msr[m][op][0] + vm->counters.msr[m][op][1];
	return n;
}

void live_assert_exact(const struct live *l, uint64_t counted, uint64_t guests_own)
{
	uint64_t missed = l->seen[0].lost.lost[CETD_LOST_PROGRAM_BUSY];

	bool may_miss = false;

	for (uint32_t i = 0; i < l->host.n_causes; i++)
		may_miss |= !strcmp(l->host.causes[i].code, "tracefs_unavailable");
	if (!may_miss || missed == 0) {
		assert_int_equal(missed, 0);
		assert_int_equal(counted, guests_own);
		return;
	}
	print_message("%" PRIu64 " events passed over, program busy\n", missed);
	assert_in_range(counted, guests_own - missed, guests_own);
}

uint64_t live_now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

void live_run(struct live *l, uint64_t usec)
{
	uint64_t end = live_now_usec() + usec, now;

	while ((now = live_now_usec()) < end)
		assert_true(sd_event_run(l->event, end - now) >= 0);
}
