// SPDX-License-Identifier: GPL-2.0-only
/*
 * The BPF programs on this kernel, one event at a time by BPF_PROG_TEST_RUN: what counts, what is filtered,
 * what happens at each limit. The programs for cetd's own tracepoints run as their variants (variant.bpf.c).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "cetd/event.h"

#include "cetd.skel.h"
#include "tests/bpf/variant.skel.h"
#include "util/macro.h"

#define KEY_SELF (CETD_KEY_TGID | (uint64_t)getpid())

/* Skips the test, with the reason, where this process may not load BPF programs. */
static void require_bpf(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "probe", 8, 8, 1, &opts);

	if (!getenv("V")) /* V=1 shows the verifier's log */
		libbpf_set_print(NULL);
	if (fd < 0) {
		print_message("SKIP: BPF is not to be had here: %s\n", strerror(errno));
		skip();
	}
	close(fd);
}

/* The stock programs, loaded but attached to nothing. */
static struct cetd_bpf *stock_new(void)
{
	struct cetd_bpf *skel;
	struct bpf_program *p;

	require_bpf();
	skel = cetd_bpf__open();
	assert_non_null(skel);
	bpf_object__for_each_program (p, skel->obj)
		bpf_program__set_autoload(p, p == skel->progs.stock_msr ||
						     p == skel->progs.stock_cr ||
						     p == skel->progs.stock_inj_exception);
	assert_int_equal(cetd_bpf__load(skel), 0);
	return skel;
}

struct limits {
	uint32_t max_vms, sample_budget;
};

static struct variant_bpf *variant_new(struct limits l)
{
	struct variant_bpf *skel;

	require_bpf();
	skel = variant_bpf__open();
	assert_non_null(skel);
	bpf_program__set_autoload(skel->progs.real_vcpu, false);
	skel->rodata->max_vms = l.max_vms ?: 64;
	bpf_map__set_max_entries(skel->maps.vms, l.max_vms ?: 64);
	bpf_map__set_max_entries(skel->maps.slots, l.max_vms ?: 64);
	bpf_map__set_max_entries(skel->maps.free_slots, l.max_vms ?: 64);
	bpf_map__set_max_entries(skel->maps.histories, l.max_vms ?: 64);
	skel->rodata->sample_budget = l.sample_budget ?: 10;
	assert_int_equal(variant_bpf__load(skel), 0);
	return skel;
}

static int run(const struct bpf_program *p, const uint64_t *args, size_t bytes)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = args, .ctx_size_in = bytes);

	return bpf_prog_test_run_opts(bpf_program__fd(p), &opts);
}

#define RUN(program, ...) \
	assert_int_equal( \
		run(program, (uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__})), 0)

struct made_up {
	uint64_t key, rip;
	uint32_t error_code;
	uint8_t cpl, is_nested, action;
};

static void fault(struct variant_bpf *skel, struct made_up m)
{
	RUN(skel->progs.made_up_cp, m.key ?: 1,
	    m.error_code | (uint64_t)m.cpl << 32 | (uint64_t)m.is_nested << 40 |
		    (uint64_t)m.action << 48,
	    m.rip, m.rip + 1, m.rip + 2);
}

static bool history_lookup(const struct bpf_map *slots, const struct bpf_map *histories,
			   uint64_t key, struct cetd_history *ret)
{
	struct cetd_slot_history value;
	uint32_t slot;

	if (bpf_map_lookup_elem(bpf_map__fd(slots), &key, &slot) < 0 ||
	    bpf_map_lookup_elem(bpf_map__fd(histories), &slot, &value) < 0)
		return false;
	*ret = value.history;
	return true;
}

static bool lookup(const struct bpf_map *slots, const struct bpf_map *vms, uint64_t key,
		   struct cetd_vm *ret)
{
	uint32_t slot;

	return bpf_map_lookup_elem(bpf_map__fd(slots), &key, &slot) == 0 &&
	       bpf_map_lookup_elem(bpf_map__fd(vms), &slot, ret) == 0;
}

#define vm_lookup(skel, key, ret) lookup((skel)->maps.slots, (skel)->maps.vms, key, ret)

static uint64_t sum(const void *p, size_t bytes)
{
	const uint64_t *v = p;
	uint64_t n = 0;

	for (size_t i = 0; i < bytes / sizeof(*v); i++)
		n += v[i];
	return n;
}

static void test_msr_counts_in_its_own_cell_and_no_other(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t data;
		int msr; /* -1: none of ours */
	} table[] = {
		{0x69f, 0, -1},
		{0x6a0, 0, CETD_MSR_U_CET},
		{0x6a1, 0, -1},
		{0x6a2, 0, CETD_MSR_S_CET},
		{0x6a3, 0, -1},
		{0x6a4, 0, CETD_MSR_PL0_SSP},
		{0x6a5, 0, CETD_MSR_PL1_SSP},
		{0x6a6, 0, CETD_MSR_PL2_SSP},
		{0x6a7, 0, CETD_MSR_PL3_SSP},
		{0x6a8, 0, CETD_MSR_INT_SSP_TAB},
		{0x6a9, 0, -1},
		{0x10, 0x1800, -1},
		{0xda0, 1 << 11, CETD_MSR_XSS},
		{0xda0, 1 << 12, CETD_MSR_XSS},
		{0xda0, 0x1fff & ~0x1800, -1},
		{0xda1, 0x1800, -1},
		{0x800006a2, 0, -1},
	};
	struct cetd_bpf *skel = stock_new();
	struct cetd_counters expected = {};
	struct cetd_vm vm = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		for (int op = 0; op < 2; op++)
			for (int fails = 0; fails < 2; fails++) {
				bool is_known = vm_lookup(skel, KEY_SELF, &vm);

				RUN(skel->progs.stock_msr, op, table[i].index, table[i].data,
				    fails);
				if (table[i].msr >= 0)
					expected.msr[table[i].msr][op][fails]++;
				else /* nor does it make a VM known */
					assert_int_equal(is_known, vm_lookup(skel, KEY_SELF, &vm));
			}
	assert_true(vm_lookup(skel, KEY_SELF, &vm));
	/* XSS has two rows. */
	assert_int_equal(expected.msr[CETD_MSR_XSS][1][1], 2);
	assert_memory_equal(&vm.counters, &expected, sizeof(expected));
	assert_int_equal(vm.tgid, getpid());
	assert_int_equal(vm.vm_id, 0);
	assert_true(vm.first_ns > 0);
	assert_int_equal(skel->bss->control.vms, 1);
	cetd_bpf__destroy(skel);
}

static void test_cr4_clear_counts_only_after_a_set(void **state)
{
	const uint64_t cet = 1 << 23, pge = 1 << 7;
	struct cetd_bpf *skel = stock_new();
	struct cetd_vm vm = {};

	(void)state;
	RUN(skel->progs.stock_cr, 1, 4, pge);
	RUN(skel->progs.stock_cr, 0, 4, cet);
	RUN(skel->progs.stock_cr, 1, 3, cet);
	RUN(skel->progs.stock_cr, 1, 0, cet);
	assert_false(vm_lookup(skel, KEY_SELF, &vm));

	RUN(skel->progs.stock_cr, 1, 4, cet | pge);
	RUN(skel->progs.stock_cr, 1, 4, cet);
	RUN(skel->progs.stock_cr, 1, 4, pge);
	RUN(skel->progs.stock_cr, 1, 4, 0);
	assert_true(vm_lookup(skel, KEY_SELF, &vm));
	assert_int_equal(vm.counters.cr4_cet[1], 2);
	assert_int_equal(vm.counters.cr4_cet[0], 1);
	cetd_bpf__destroy(skel);
}

static void test_injection_of_another_vector_or_again_does_not_count(void **state)
{
	struct cetd_bpf *skel = stock_new();
	struct cetd_history h = {};
	struct cetd_vm vm = {};
	uint64_t key = KEY_SELF;

	(void)state;
	RUN(skel->progs.stock_inj_exception, 13, 1, 3, 0);
	RUN(skel->progs.stock_inj_exception, 20, 1, 3, 0);
	RUN(skel->progs.stock_inj_exception, 8, 1, 0, 0);
	RUN(skel->progs.stock_inj_exception, 21, 1, 3, 1);
	assert_false(vm_lookup(skel, key, &vm));

	RUN(skel->progs.stock_inj_exception, 21, 1, 3, 0);
	assert_true(vm_lookup(skel, key, &vm));
	assert_int_equal(vm.counters.injected, 1);
	assert_int_equal(sum(vm.counters.cp, sizeof(vm.counters.cp)), 0);
	assert_true(history_lookup(skel->maps.slots, skel->maps.histories, key, &h));
	assert_int_equal(h.head, 1);
	assert_int_equal(h.faults[0].type, CETD_EVENT_INJECTED);
	assert_int_equal(h.faults[0].kind, CETD_KIND_ENDBRANCH);
	assert_int_equal(h.faults[0].error_code, 3);
	assert_int_equal(h.faults[0].flags & CETD_FLAG_ADDRESS, 0);
	assert_int_equal(h.faults[0].cpl, CETD_CPL_UNKNOWN);
	assert_int_equal(h.rips[0].count, 0);
	cetd_bpf__destroy(skel);
}

static void test_fault_counts_by_kind_and_privilege(void **state)
{
	static const struct {
		uint32_t error_code;
		int kind, flags;
	} table[] = {
		{0, CETD_KIND_OTHER, 0},
		{1, CETD_KIND_NEAR_RET, 0},
		{2, CETD_KIND_FAR_RET, 0},
		{3, CETD_KIND_ENDBRANCH, 0},
		{4, CETD_KIND_RSTORSSP, 0},
		{5, CETD_KIND_SETSSBSY, 0},
		{6, CETD_KIND_OTHER, 0},
		{0x7fff, CETD_KIND_OTHER, 0},
		{0x8003, CETD_KIND_ENDBRANCH, CETD_FLAG_ENCLAVE},
		{0x8000, CETD_KIND_OTHER, CETD_FLAG_ENCLAVE},
	};
	struct variant_bpf *skel = variant_new((struct limits){});
	struct cetd_counters expected = {};
	struct cetd_vm vm = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		for (uint8_t cpl = 0; cpl < 4; cpl++) {
			uint8_t action = (i + cpl) % _CETD_ACTION_MAX;

			fault(skel, (struct made_up){.error_code = table[i].error_code,
						     .cpl = cpl,
						     .action = action});
			expected.cp[table[i].kind][cpl == 3]++;
			expected.decision[1][action]++;
		}
	assert_true(vm_lookup(skel, 1, &vm));
	assert_memory_equal(&vm.counters, &expected, sizeof(expected));
	assert_int_equal(vm.vm_id, 1);

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct cetd_history h;
		uint64_t key = 100 + i;

		fault(skel, (struct made_up){.key = key, .error_code = table[i].error_code});
		assert_true(history_lookup(skel->maps.slots, skel->maps.histories, key, &h));
		assert_int_equal(h.faults[0].kind, table[i].kind);
		assert_int_equal(h.faults[0].error_code, table[i].error_code);
		assert_int_equal(h.faults[0].flags, CETD_FLAG_ADDRESS | table[i].flags);
	}
	variant_bpf__destroy(skel);
}

static void test_history_keeps_the_last_64_in_order(void **state)
{
	struct variant_bpf *skel = variant_new((struct limits){});
	struct cetd_history h;
	uint64_t key = 1, n = 150;

	(void)state;
	for (uint64_t i = 1; i <= n; i++)
		fault(skel, (struct made_up){
				    .rip = i * 16, .error_code = 1, .cpl = 3, .is_nested = i & 1});
	assert_true(history_lookup(skel->maps.slots, skel->maps.histories, key, &h));
	assert_int_equal(h.head, n);
	for (uint64_t i = n - CETD_HISTORY_FAULTS + 1; i <= n; i++) {
		const struct cetd_event *f = h.faults + (i - 1) % CETD_HISTORY_FAULTS;
		const struct cetd_event *before = h.faults + (i - 2) % CETD_HISTORY_FAULTS;

		assert_int_equal(f->data, i);
		assert_int_equal(f->rip, i * 16);
		assert_int_equal(f->ssp, i * 16 + 1);
		assert_int_equal(f->cet, i * 16 + 2);
		assert_int_equal(f->vcpu, 7);
		assert_int_equal(f->cpl, 3);
		assert_int_equal(f->key, 1);
		assert_int_equal(f->tid, gettid());
		assert_int_equal(f->flags & CETD_FLAG_NESTED, i & 1 ? CETD_FLAG_NESTED : 0);
		if (before->data == i - 1)
			assert_true(f->time_ns >= before->time_ns && before->time_ns > 0);
	}
	variant_bpf__destroy(skel);
}

/* Address i faults i times, in an order that mixes them; 40 addresses compete for 16 slots. */
static void test_frequent_rips_are_found_with_their_error(void **state)
{
	struct variant_bpf *skel = variant_new((struct limits){});
	struct cetd_history h;
	uint64_t key = 1, total = 0, in_table = 0, min_count = UINT64_MAX;

	(void)state;
	for (uint64_t round = 1; round <= 40; round++)
		for (uint64_t i = round; i <= 40; i++, total++)
			fault(skel, (struct made_up){.rip = i, .error_code = 3});
	for (int i = 0; i < 500; i++, total++)
		fault(skel, (struct made_up){.rip = 1000, .error_code = 3});

	assert_true(history_lookup(skel->maps.slots, skel->maps.histories, key, &h));
	for (int i = 0; i < CETD_HISTORY_RIPS; i++) {
		uint64_t truth = h.rips[i].rip == 1000 ? 500 : h.rips[i].rip;

		assert_true(h.rips[i].count >= truth);
		assert_true(h.rips[i].count - h.rips[i].error <= truth);
		in_table += h.rips[i].count;
		min_count = MIN(min_count, h.rips[i].count);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(h.rips[i].rip, h.rips[k].rip);
	}
	/* Space-saving keeps the sum, and everything more frequent than the lowest count. */
	assert_int_equal(in_table, total);
	for (uint64_t rip = min_count + 1; rip <= 40; rip++) {
		bool is_there = false;

		for (int i = 0; i < CETD_HISTORY_RIPS; i++)
			is_there |= h.rips[i].rip == rip;
		assert_true(is_there);
	}
	variant_bpf__destroy(skel);
}

static void test_full_vm_map_is_counted_and_keeps_its_vms(void **state)
{
	struct variant_bpf *skel = variant_new((struct limits){.max_vms = 4});
	struct cetd_vm vm = {};

	(void)state;
	for (int round = 0; round < 3; round++)
		for (uint64_t key = 1; key <= 6; key++)
			fault(skel, (struct made_up){.key = key, .error_code = 1});
	for (uint64_t key = 1; key <= 4; key++) {
		assert_true(vm_lookup(skel, key, &vm));
		assert_int_equal(vm.counters.cp[CETD_KIND_NEAR_RET][0], 3);
	}
	assert_false(vm_lookup(skel, 5, &vm));
	assert_false(vm_lookup(skel, 6, &vm));
	assert_int_equal(skel->bss->control.lost[CETD_LOST_VMS_FULL], 6);
	assert_int_equal(skel->bss->control.vms, 4);
	variant_bpf__destroy(skel);
}

/* Keys that share an entry of `recent`, a process and a VM id of the same number among them. */
static void test_keys_that_collide_stay_apart(void **state)
{
	static const uint64_t keys[] = {5, CETD_KEY_TGID | 5, 5 + 2048, 5 + 4096,
					CETD_KEY_TGID | 2053};
	struct variant_bpf *skel = variant_new((struct limits){});
	struct cetd_vm vm;

	(void)state;
	assert_int_equal(ARRAY_SIZE(skel->bss->recent), 2048);
	for (int round = 0; round < 10; round++)
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			for (size_t n = 0; n <= i; n++)
				fault(skel, (struct made_up){.key = keys[i], .error_code = 1});
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		assert_true(vm_lookup(skel, keys[i], &vm));
		assert_int_equal(vm.counters.cp[CETD_KIND_NEAR_RET][0], 10 * (i + 1));
		assert_int_equal(vm.vm_id, keys[i] & CETD_KEY_TGID ? 0 : keys[i]);
	}
	variant_bpf__destroy(skel);
}

struct samples {
	struct ring_buffer *ring;
	unsigned int n;
	struct cetd_event last;
};

static int on_sample(void *userdata, void *data, size_t size)
{
	struct samples *s = userdata;

	assert_int_equal(size, sizeof(s->last));
	memcpy(&s->last, data, size);
	s->n++;
	return 0;
}

static struct ring_buffer *ring_of(const struct bpf_map *map, struct samples *s)
{
	s->ring = ring_buffer__new(bpf_map__fd(map), on_sample, s, NULL);
	assert_non_null(s->ring);
	return s->ring;
}

static void test_full_ring_is_counted(void **state)
{
	struct variant_bpf *skel = variant_new((struct limits){.sample_budget = 1000000});
	struct samples s = {};
	struct cetd_vm vm;
	unsigned int n = 6000;

	(void)state;
	ring_of(skel->maps.samples, &s);
	skel->bss->control.sample_mask = 1U << CETD_EVENT_CP;
	for (unsigned int i = 0; i < n; i++)
		fault(skel, (struct made_up){.error_code = 1});
	assert_true(vm_lookup(skel, 1, &vm));
	ring_buffer__consume(s.ring);
	assert_true(s.n > 1000 && s.n < n);
	assert_int_equal(skel->bss->control.lost[CETD_LOST_RING_FULL], n - s.n);
	assert_int_equal(vm.counters.samples_dropped, n - s.n);
	assert_int_equal(vm.counters.cp[CETD_KIND_NEAR_RET][0], n);
	ring_buffer__free(s.ring);
	variant_bpf__destroy(skel);
}

static void test_sample_budget_is_per_vm_and_round(void **state)
{
	struct variant_bpf *skel = variant_new((struct limits){.sample_budget = 10});
	struct samples s = {};
	struct cetd_vm vm;

	(void)state;
	ring_of(skel->maps.samples, &s);
	skel->bss->control.sample_mask = 1U << CETD_EVENT_CP;
	for (int i = 0; i < 25; i++)
		fault(skel, (struct made_up){.key = 1, .error_code = 1});
	for (int i = 0; i < 5; i++)
		fault(skel, (struct made_up){.key = 2, .error_code = 1});
	ring_buffer__consume(s.ring);
	assert_int_equal(s.n, 15);
	assert_int_equal(skel->bss->control.lost[CETD_LOST_SAMPLE_BUDGET], 15);
	assert_true(vm_lookup(skel, 1, &vm));
	assert_int_equal(vm.counters.samples_dropped, 15);
	assert_true(vm_lookup(skel, 2, &vm));
	assert_int_equal(vm.counters.samples_dropped, 0);

	skel->bss->control.round++;
	for (int i = 0; i < 12; i++)
		fault(skel, (struct made_up){.key = 1, .error_code = 1});
	ring_buffer__consume(s.ring);
	assert_int_equal(s.n, 25);
	ring_buffer__free(s.ring);
	variant_bpf__destroy(skel);
}

static bool is_woken(const struct samples *s)
{
	struct epoll_event event;

	return epoll_wait(ring_buffer__epoll_fd(s->ring), &event, 1, 0) > 0;
}

static void test_only_the_first_event_wakes(void **state)
{
	struct variant_bpf *skel = variant_new((struct limits){});
	struct samples s = {};

	(void)state;
	ring_of(skel->maps.samples, &s);
	fault(skel, (struct made_up){.error_code = 1});
	assert_int_equal(ring_buffer__consume(s.ring), 0); /* not armed, no sampling */

	skel->bss->control.armed = 1;
	fault(skel, (struct made_up){.error_code = 3, .rip = 0x1234});
	assert_int_equal(skel->bss->control.armed, 0);
	assert_true(is_woken(&s));
	for (int i = 0; i < 5; i++)
		fault(skel, (struct made_up){.error_code = 3});
	ring_buffer__consume(s.ring);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.last.rip, 0x1234);
	assert_false(is_woken(&s));
	ring_buffer__free(s.ring);
	variant_bpf__destroy(skel);
}

static void test_wake_that_finds_the_ring_full_stays_armed(void **state)
{
	struct variant_bpf *skel = variant_new((struct limits){.sample_budget = 1000000});
	struct samples s = {};

	(void)state;
	ring_of(skel->maps.samples, &s);
	skel->bss->control.sample_mask = 1U << CETD_EVENT_CP;
	for (unsigned int i = 0; i < 6000; i++)
		fault(skel, (struct made_up){.error_code = 1});
	skel->bss->control.armed = 1;
	fault(skel, (struct made_up){.error_code = 1});
	assert_int_equal(skel->bss->control.armed, 1);
	ring_buffer__consume(s.ring);
	fault(skel, (struct made_up){.error_code = 1});
	assert_int_equal(skel->bss->control.armed, 0);
	ring_buffer__free(s.ring);
	variant_bpf__destroy(skel);
}

#define PARALLEL 20000

static void *many_faults(void *userdata)
{
	for (int i = 0; i < PARALLEL; i++)
		fault(userdata, (struct made_up){.rip = i % 8, .error_code = 3, .cpl = 3});
	return NULL;
}

static void test_two_cpus_lose_no_count(void **state)
{
	struct variant_bpf *skel = variant_new((struct limits){});
	struct cetd_history h;
	struct cetd_vm vm;
	pthread_t threads[2];
	uint64_t key = 1, n = 0;

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(threads + i, NULL, many_faults, skel), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(vm_lookup(skel, key, &vm));
	assert_int_equal(vm.counters.cp[CETD_KIND_ENDBRANCH][CETD_PRIVILEGE_USER], 2 * PARALLEL);
	assert_int_equal(skel->bss->control.vms, 1);
	assert_true(history_lookup(skel->maps.slots, skel->maps.histories, key, &h));
	assert_int_equal(h.head, 2 * PARALLEL);
	for (int i = 0; i < CETD_HISTORY_RIPS; i++)
		n += h.rips[i].count;
	assert_int_equal(n, 2 * PARALLEL);
	variant_bpf__destroy(skel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msr_counts_in_its_own_cell_and_no_other),
		cmocka_unit_test(test_cr4_clear_counts_only_after_a_set),
		cmocka_unit_test(test_injection_of_another_vector_or_again_does_not_count),
		cmocka_unit_test(test_fault_counts_by_kind_and_privilege),
		cmocka_unit_test(test_history_keeps_the_last_64_in_order),
		cmocka_unit_test(test_frequent_rips_are_found_with_their_error),
		cmocka_unit_test(test_full_vm_map_is_counted_and_keeps_its_vms),
		cmocka_unit_test(test_keys_that_collide_stay_apart),
		cmocka_unit_test(test_full_ring_is_counted),
		cmocka_unit_test(test_sample_budget_is_per_vm_and_round),
		cmocka_unit_test(test_only_the_first_event_wakes),
		cmocka_unit_test(test_wake_that_finds_the_ring_full_stays_armed),
		cmocka_unit_test(test_two_cpus_lose_no_count),
	};

	return cmocka_run_group_tests_name("bpf-programs", tests, NULL, NULL);
}
