// SPDX-License-Identifier: GPL-2.0-only
/*
 * On a kernel with cetd's patches and guests that have CET: every #CP by kind and privilege, its address and its
 * shadow-stack pointer, against what the guests' own handlers saw. Anywhere else these are skipped, and say so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest.h"
#include "live.h"
#include "util/log.h"
#include "util/macro.h"

static void patched_start(struct live *l)
{
	live_start(l);
	if (l->host.family == CETD_FAMILY_PATCHED)
		return;
	print_message("SKIP: this kernel has no kvm_cet_cp\n");
	live_stop(l);
	skip();
}

/* Run the guest, and compare all that both sides counted. */
static void run_guest(struct live *l, const char *guest, unsigned int vms, unsigned int vcpus,
		      unsigned int count, struct guest_counts *ret)
{
	pid_t pid;
	int fd;

	memset(l->seen, 0, sizeof(l->seen));
	pid = guest_start(guest, vms, vcpus, count, &fd);
	assert_true(pid > 0);
	l->seen[0].tgid = pid;
	if (guest_counts(fd, ret) < 0) {
		print_message("%s: the guest failed\n", guest);
		fail();
	}
	assert_int_equal(events_refresh(l->events), 0);
	guest_stop(pid);
}

static uint64_t total(const struct guest_counts *c)
{
	uint64_t n = 0;

	for (int kind = 0; kind < _CETD_KIND_MAX; kind++)
		n += c->cp[kind][0] + c->cp[kind][1];
	return n;
}

static void test_each_kind_is_counted_as_the_guest_counts_it(void **state)
{
	static const struct {
		const char *guest;
		unsigned int count;
	} table[] = {
		{"ibt-cpl0", 1}, {"ibt-cpl3", 1}, {"near-ret", 1},     {"far-ret", 1},
		{"rstorssp", 1}, {"setssbsy", 1}, {"same-fault", 300}, {"storm", 2000},
	};
	struct guest_counts c;
	struct live l;

	(void)state;
	patched_start(&l);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		const struct seen *s = l.seen;
		const struct cetd_event *newest;
		uint64_t delivered = 0;

		run_guest(&l, table[i].guest, 1, 1, table[i].count, &c);
		print_message("%s: %ju faults by the guest\n", table[i].guest,
			      (uintmax_t)total(&c));
		assert_true(total(&c) >= 1);
		for (int kind = 0; kind < _CETD_KIND_MAX; kind++)
			for (int p = 0; p < _CETD_PRIVILEGE_MAX; p++)
				live_assert_exact(&l, s->vm.counters.cp[kind][p], c.cp[kind][p]);
		delivered = s->vm.counters.decision[1][CETD_ACTION_DELIVER];
		live_assert_exact(&l, delivered, total(&c));
		/* Their way back into the guest is no injection by the host. */
		assert_int_equal(s->vm.counters.injected, 0);
		assert_true(s->vm.vm_id > 0);
		assert_int_equal(s->key, s->vm.vm_id);

		live_assert_exact(&l, s->history.head, total(&c));
		newest = s->history.faults + (s->history.head - 1) % CETD_HISTORY_FAULTS;
		assert_int_equal(newest->data, s->history.head);
		assert_true(newest->flags & CETD_FLAG_ADDRESS);
		assert_int_equal(newest->vcpu, 0);
		assert_in_range(newest->cpl, 0, 3);
	}
	live_stop(&l);
}

static void test_address_and_ssp_are_those_that_the_handler_saw(void **state)
{
	static const char *const guests[] = {"ibt-cpl0", "ibt-cpl3", "near-ret"};
	struct guest_counts c;
	struct live l;

	(void)state;
	patched_start(&l);
	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		const struct cetd_history *h = &l.seen[0].history;
		const struct cetd_event *newest;

		run_guest(&l, guests[i], 1, 1, 1, &c);
		newest = h->faults + (h->head - 1) % CETD_HISTORY_FAULTS;
		assert_int_equal(newest->rip, c.last_rip);
		if (c.last_ssp)
			assert_int_equal(newest->ssp, c.last_ssp);
	}
	live_stop(&l);
}

static void test_vms_of_one_process_are_told_apart(void **state)
{
	struct guest_counts c;
	struct live l;

	(void)state;
	patched_start(&l);
	/* Two VMs do the same: one of them, whichever reported last, has half of the faults. */
	run_guest(&l, "storm", 2, 1, 500, &c);
	assert_true(total(&c) >= 1000);
	live_assert_exact(&l, l.seen[0].vm.counters.cp[CETD_KIND_ENDBRANCH][0], total(&c) / 2);
	live_stop(&l);
}

static void test_msr_and_vmcs_loads_are_seen(void **state)
{
	struct guest_counts c;
	struct live l;

	(void)state;
	patched_start(&l);
	run_guest(&l, "ibt-cpl0", 1, 1, 1, &c);
	assert_true(l.seen[0].vm.counters.vmcs_load[0] >= 1);
	run_guest(&l, "msr-loop", 1, 1, 640, &c);
	/* Ten rounds of every MSR; of these kvm_cet_msr tells of INT_SSP_TAB, written and read. */
	assert_int_equal(l.seen[0].vm.counters.msr[CETD_MSR_INT_SSP_TAB][CETD_OP_WRITE][0], 10);
	assert_int_equal(l.seen[0].vm.counters.msr[CETD_MSR_INT_SSP_TAB][CETD_OP_READ][0], 10);
	live_stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind_is_counted_as_the_guest_counts_it),
		cmocka_unit_test(test_address_and_ssp_are_those_that_the_handler_saw),
		cmocka_unit_test(test_vms_of_one_process_are_told_apart),
		cmocka_unit_test(test_msr_and_vmcs_loads_are_seen),
	};

	if (getenv("V"))
		log_set_max_level(LOG_DEBUG);
	return cmocka_run_group_tests_name("bpf-patched", tests, NULL, NULL);
}
