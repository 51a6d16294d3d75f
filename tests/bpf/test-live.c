// SPDX-License-Identifier: GPL-2.0-only
/*
 * The events source on this kernel, with real guests on /dev/kvm: its counts against the guests' own. Other
 * guests may run on the machine; only this test's are looked at.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "cetd/names.h"

#include "guest.h"
#include "live.h"
#include "tests/bpf/variant.skel.h"
#include "util/log.h"

static void test_counts_equal_the_guests_own(void **state)
{
	struct live l;
	int64_t n[2];
	pid_t pid[2];
	int fd[2];

	(void)state;
	live_start(&l);
	for (int i = 0; i < 2; i++) {
		pid[i] = guest_start("msr-loop", 1, 2, 3000 + 2000 * i, fd + i);
		assert_true(pid[i] > 0);
		l.seen[i].key = KEY(pid[i]);
	}
	for (int i = 0; i < 2; i++)
		n[i] = guest_report(fd[i]);
	live_run(&l, 1500 * USEC_PER_MSEC);
	for (int i = 0; i < 2; i++) {
		assert_true(n[i] > 6000);
		live_assert_exact(&l, live_msr_total(&l.seen[i].vm), n[i]);
		assert_int_equal(l.seen[i].vm.tgid, pid[i]);
		live_assert_exact(&l, l.seen[i].vm.counters.msr[CETD_MSR_S_CET][CETD_OP_WRITE][1],
				  2 * (3000 + 2000 * i));
		assert_true(l.seen[i].is_settled);
		assert_int_equal(l.seen[i].samples, 0);
		guest_stop(pid[i]);
	}
	live_stop(&l);
}

static void test_vms_of_one_process_share_its_key(void **state)
{
	struct live l;
	int64_t n;
	pid_t pid;
	int fd;

	(void)state;
	live_start(&l);
	pid = guest_start("msr-loop", 2, 1, 2000, &fd);
	assert_true(pid > 0);
	l.seen[0].key = KEY(pid);
	n = guest_report(fd);
	assert_true(n > 4000);
	assert_int_equal(events_refresh(l.events), 0);
	live_assert_exact(&l, live_msr_total(&l.seen[0].vm), n);
	guest_stop(pid);
	live_stop(&l);
}

/* Is there a second in which the source does nothing at all? Guests of others may disturb: a few tries. */
static bool live_sleeps(struct live *l)
{
	uint64_t n_messages;

	for (int i = 0; i < 5; i++) {
		live_run(l, 2500 * USEC_PER_MSEC); /* a wake-up, a round with news, one without */
		n_messages = l->n_messages;
		if (sd_event_run(l->event, USEC_PER_SEC) == 0)
			return true;
		if (l->n_messages == n_messages)
			print_message("woken without news\n");
	}
	return false;
}

static void test_idle_source_sleeps_and_wakes_at_the_first_event(void **state)
{
	uint64_t began;
	struct live l;
	pid_t pid;
	int fd;

	(void)state;
	live_start(&l);
	for (int round = 0; round < 2; round++) {
		assert_true(live_sleeps(&l));
		pid = guest_start("msr-loop", 1, 1, 500, &fd);
		l.seen[0] = (struct seen){.key = KEY(pid)};
		assert_true(guest_report(fd) > 0);
		for (began = live_now_usec(); !l.seen[0].n_counters;) {
			assert_true(sd_event_run(l.event, USEC_PER_SEC) >= 0);
			assert_true(live_now_usec() - began < 10 * USEC_PER_SEC);
		}
		guest_stop(pid);
	}
	live_stop(&l);
}

/* It would never send anything again. */
static void test_sink_that_fails_ends_the_loop(void **state)
{
	int level = log_get_max_level();
	struct live l;
	pid_t pid;
	int fd;

	(void)state;
	log_set_max_level(LOG_CRIT);
	live_start(&l);
	l.sink_error = -ENOMEM;
	pid = guest_start("msr-loop", 1, 1, 500, &fd);
	assert_true(pid > 0);
	assert_true(guest_report(fd) > 0);
	assert_true(sd_event_add_time_relative(l.event, NULL, CLOCK_MONOTONIC, 3 * USEC_PER_SEC, 1,
					       NULL, NULL) >= 0);
	assert_int_equal(sd_event_loop(l.event), -ENOMEM);
	guest_stop(pid);
	live_stop(&l);
	log_set_max_level(level);
}

static void test_samples_and_drops_make_up_the_count(void **state)
{
	struct live l;
	int64_t n;
	pid_t pid;
	int fd;

	(void)state;
	live_start(&l);
	events_set_sampling(l.events, 1U << CETD_EVENT_MSR);
	pid = guest_start("msr-loop", 1, 1, 20000, &fd);
	assert_true(pid > 0);
	l.seen[0].key = KEY(pid);
	live_run(&l, USEC_PER_SEC);
	n = guest_report(fd);
	live_run(&l, 1500 * USEC_PER_MSEC);
	live_assert_exact(&l, live_msr_total(&l.seen[0].vm), n);
	assert_true(l.seen[0].samples >= 20);
	assert_int_equal(l.seen[0].samples + l.seen[0].vm.counters.samples_dropped,
			 live_msr_total(&l.seen[0].vm));
	assert_int_equal(l.seen[0].last.type, CETD_EVENT_MSR);
	assert_int_equal(l.seen[0].last.vcpu, CETD_VCPU_UNKNOWN);
	assert_true(l.seen[0].last.flags & CETD_FLAG_FAULT);
	assert_true(l.seen[0].last.time_ns > 0);
	assert_true(l.seen[0].lost.lost[CETD_LOST_SAMPLE_BUDGET] >=
		    l.seen[0].vm.counters.samples_dropped);
	guest_stop(pid);
	live_stop(&l);
}

static void test_forgotten_vm_sends_its_last_and_leaves_the_map(void **state)
{
	uint32_t entries;
	struct live l;
	int64_t n;
	pid_t pid;
	int fd;

	(void)state;
	live_start(&l);
	pid = guest_start("msr-loop", 1, 1, 1000, &fd);
	l.seen[0].key = KEY(pid);
	n = guest_report(fd);
	guest_stop(pid); /* its end loads VMCSs, which are counted on some kernels */
	assert_int_equal(events_forget(l.events, KEY(pid)), 0);
	live_assert_exact(&l, live_msr_total(&l.seen[0].vm), n);
	entries = l.seen[0].lost.map_entries;
	assert_int_equal(events_forget(l.events, KEY(pid)), 0); /* twice does no harm */
	assert_int_equal(l.seen[0].lost.map_entries, entries);
	assert_int_equal(l.seen[0].n_counters, 1);
	live_stop(&l);
}

/* As when a process id comes round again. */
static void test_forgotten_key_starts_afresh(void **state)
{
	const uint64_t key = KEY(getpid());
	struct live l;

	(void)state;
	live_start(&l);
	l.seen[0].key = key;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(guest_inject(21, 3, false), 0);
		assert_int_equal(events_refresh(l.events), 0);
		assert_int_equal(l.seen[0].vm.counters.injected, 1);
		assert_int_equal(l.seen[0].history.head, 1);
		assert_int_equal(events_forget(l.events, key), 0);
	}
	assert_int_equal(l.seen[0].n_counters, 3);
	live_stop(&l);
}

static void test_injected_cp_is_counted_once(void **state)
{
	struct live l;

	(void)state;
	live_start(&l);
	l.seen[0].key = KEY(getpid());
	assert_int_equal(guest_inject(13, 0, false), 0);
	assert_int_equal(guest_inject(21, 3, true), 0);
	assert_int_equal(events_refresh(l.events), 0);
	assert_int_equal(l.seen[0].vm.counters.injected, 0);

	assert_int_equal(guest_inject(21, 3, false), 0);
	assert_int_equal(guest_inject(21, 1, false), 0);
	assert_int_equal(events_refresh(l.events), 0);
	assert_int_equal(l.seen[0].vm.counters.injected, 2);
	assert_int_equal(l.seen[0].history.head, 2);
	assert_int_equal(l.seen[0].history.faults[0].type, CETD_EVENT_INJECTED);
	assert_int_equal(l.seen[0].history.faults[0].error_code, 3);
	assert_int_equal(l.seen[0].history.faults[0].kind, CETD_KIND_ENDBRANCH);
	assert_int_equal(l.seen[0].history.faults[1].kind, CETD_KIND_NEAR_RET);
	live_stop(&l);
}

/* What the source says that it shows, it shows. */
static void test_facts_hold(void **state)
{
	struct live l;
	pid_t pid;
	int fd;

	(void)state;
	live_start(&l);
	for (int f = 0; f < _CETD_FACT_MAX; f++)
		print_message("%s: %s: %s\n", cetd_fact_to_string(f),
			      cetd_coverage_to_string(l.host.facts[f].state),
			      l.host.facts[f].reason);
	assert_int_not_equal(l.host.facts[CETD_FACT_CET_MSR].state, CETD_COVERAGE_UNOBSERVABLE);
	assert_int_not_equal(l.host.facts[CETD_FACT_INJECTED_CP].state, CETD_COVERAGE_UNOBSERVABLE);
	pid = guest_start("msr-loop", 1, 1, 200, &fd);
	l.seen[0].key = KEY(pid);
	assert_true(guest_report(fd) > 0);
	assert_int_equal(events_refresh(l.events), 0);
	if (l.host.facts[CETD_FACT_VMCS_LOAD].state != CETD_COVERAGE_UNOBSERVABLE)
		assert_true(l.seen[0].vm.counters.vmcs_load[0] > 0);
	else
		assert_int_equal(l.seen[0].vm.counters.vmcs_load[0], 0);
	/* The guest tries once to set CR4.CET; AMD's KVM may emulate that unseen, as it does on QEMU. */
	if (l.host.facts[CETD_FACT_CR4_CET].state == CETD_COVERAGE_UNOBSERVABLE)
		assert_int_equal(l.seen[0].vm.counters.cr4_cet[1], 0);
	else if (strcmp(l.host.kvm_vendor, "amd"))
		assert_int_equal(l.seen[0].vm.counters.cr4_cet[1], 1);
	else
		assert_in_range(l.seen[0].vm.counters.cr4_cet[1], 0, 1);
	guest_stop(pid);
	live_stop(&l);
}

static void test_patched_code_runs_on_real_vcpus(void **state)
{
	struct cetd_slot_history of_slot;
	const struct cetd_history *h = &of_slot.history;
	struct variant_bpf *skel;
	struct cetd_vm vm = {};
	struct bpf_link *link;
	uint64_t n, key;
	uint32_t slot;
	pid_t pid;
	int fd;

	(void)state;
	if (!guest_possible()) {
		print_message("SKIP: no /dev/kvm: %s\n", strerror(errno));
		skip();
	}
	skel = variant_bpf__open();
	assert_non_null(skel);
	if (variant_bpf__load(skel) < 0) {
		print_message("SKIP: no BPF, or no kvm_emulate_insn: %s\n", strerror(errno));
		variant_bpf__destroy(skel);
		skip();
	}
	link = bpf_program__attach(skel->progs.real_vcpu);
	assert_non_null(link);
	pid = guest_start("msr-loop", 1, 1, 5000, &fd);
	assert_true(pid > 0);
	skel->bss->target_tgid = pid;
	key = KEY(pid);
	assert_true(guest_report(fd) > 0);
	bpf_link__destroy(link);
	guest_stop(pid);
	n = skel->bss->calls;
	if (n == 0) {
		print_message("SKIP: this KVM emulated no instruction of the guest\n");
		variant_bpf__destroy(skel);
		skip();
	}
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.slots), &key, &slot), 0);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.vms), &slot, &vm), 0);
	assert_int_equal(vm.counters.cp[CETD_KIND_ENDBRANCH][CETD_PRIVILEGE_SUPERVISOR], n);
	assert_int_equal(vm.counters.decision[1][CETD_ACTION_DELIVER], n);
	assert_int_equal(vm.counters.msr[CETD_MSR_S_CET][CETD_OP_WRITE][CETD_RESULT_OK], n);
	assert_int_equal(vm.counters.host_msr[CETD_OP_READ], n);
	assert_int_equal(live_msr_total(&vm), n);
	assert_int_equal(vm.counters.vmcs_load[0], n);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(skel->maps.histories), &slot, &of_slot),
			 0);
	assert_int_equal(h->head, n);
	assert_int_equal(h->faults[0].vcpu, 0);
	assert_int_equal(h->faults[0].cet, 0x804);
	assert_int_equal(h->faults[0].ssp, 0x1000);
	variant_bpf__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_equal_the_guests_own),
		cmocka_unit_test(test_vms_of_one_process_share_its_key),
		cmocka_unit_test(test_idle_source_sleeps_and_wakes_at_the_first_event),
		cmocka_unit_test(test_sink_that_fails_ends_the_loop),
		cmocka_unit_test(test_samples_and_drops_make_up_the_count),
		cmocka_unit_test(test_forgotten_vm_sends_its_last_and_leaves_the_map),
		cmocka_unit_test(test_forgotten_key_starts_afresh),
		cmocka_unit_test(test_injected_cp_is_counted_once),
		cmocka_unit_test(test_facts_hold),
		cmocka_unit_test(test_patched_code_runs_on_real_vcpus),
	};

	if (getenv("V"))
		log_set_max_level(LOG_DEBUG);
	return cmocka_run_group_tests_name("bpf-live", tests, NULL, NULL);
}
