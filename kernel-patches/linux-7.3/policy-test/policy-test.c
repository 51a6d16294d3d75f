// SPDX-License-Identifier: GPL-2.0-only
// What a policy for guests' #CPs can do, what it cannot, and that nothing is left of it when it is gone.
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/types.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "guest.h"
#include "policy.h"
#include "vm.h"

#define ROUNDS 300
#define MS 1000000ULL

static struct {
	struct bpf_object *object;
	struct bpf_map *ops, *second_ops;
	struct bpf_link *link, *trace;
	int policies, counts, update;
	unsigned int passed, failed;
} t;

static bool expect(bool is_true, const char *what, unsigned int line)
{
	if (!is_true)
		printf("  line %u: not so: %s\n", line, what);
	return is_true;
}

#define EXPECT(what) expect(what, #what, __LINE__)

static void set_policy(uint64_t vm_id, uint64_t flags, uint64_t verdict)
{
	struct policy policy = { .flags = flags, .verdict = verdict };

	if (bpf_map_update_elem(t.policies, &vm_id, &policy, BPF_ANY))
		err(2, "map");
}

static uint64_t count(uint32_t what)
{
	uint64_t value = 0;

	bpf_map_lookup_elem(t.counts, &what, &value);
	return value;
}

static int update(uint64_t vm_id)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &vm_id, .ctx_size_in = sizeof(vm_id));

	if (bpf_prog_test_run_opts(t.update, &run))
		err(2, "update");
	return (int)run.retval;
}

static void attach(void)
{
	t.link = bpf_map__attach_struct_ops(t.ops);
	if (!t.link)
		err(2, "attaching the policy");
}

static void detach(void)
{
	bpf_link__destroy(t.link);
	t.link = NULL;
}

/* A policy for all VMs, attached, and no counts. */
static void begin(uint64_t flags, uint64_t verdict)
{
	uint64_t zero = 0;

	for (uint32_t i = 0; i < NR_COUNTS; i++)
		bpf_map_update_elem(t.counts, &i, &zero, BPF_ANY);
	set_policy(0, flags, verdict);
	attach();
}

/* Run a guest to its end: all of its rounds fault, or all of them go through. */
static struct vm *run(bool is_user, uint64_t rounds)
{
	struct vm *vm = vm_start(1, is_user, true, rounds);

	vm_join(vm);
	return vm;
}

static bool all_fault(const struct vm *vm, uint64_t rounds, enum action action)
{
	return EXPECT(vm_sum(vm, BLOCK_FAULTS) == rounds) & EXPECT(vm_sum(vm, BLOCK_PASSED) == 0) &
	       EXPECT(count(action) == rounds);
}

static bool test_deliver(void)
{
	struct vm *vm;
	bool ok;

	begin(DECIDE, DELIVER);
	vm = run(false, ROUNDS);
	ok = all_fault(vm, ROUNDS, DELIVER) & EXPECT(count(COUNT_CP) == ROUNDS) &
	     EXPECT(vm_stat(vm, "cet_cp") == ROUNDS) & EXPECT(vm_stat(vm, "cet_refused") == 0);
	vm_free(vm);
	return ok;
}

static bool test_ibt_off_supervisor(void)
{
	struct vm *vm;
	bool ok;

	begin(IBT_OFF, DELIVER);
	vm = run(false, ROUNDS);
	ok = EXPECT(vm_sum(vm, BLOCK_PASSED) == ROUNDS) & EXPECT(vm_sum(vm, BLOCK_FAULTS) == 0) &
	     EXPECT(vm_sum(vm, BLOCK_S_CET) == 4) & EXPECT(vm_s_cet(vm) == 4) &
	     EXPECT(vm_stat(vm, "cet_cp") == 0);
	vm_free(vm);
	return ok;
}

static bool test_ibt_off_user(void)
{
	struct vm *vm;
	bool ok;

	begin(IBT_OFF, DELIVER);
	vm = run(true, ROUNDS);
	ok = EXPECT(vm_sum(vm, BLOCK_PASSED) == ROUNDS) & EXPECT(vm_sum(vm, BLOCK_FAULTS) == 0) &
	     EXPECT(count(SUPPRESS) == ROUNDS) & EXPECT(vm_stat(vm, "cet_suppressed") == ROUNDS);
	vm_free(vm);
	return ok;
}

/* ->cp() has the last word, within what is possible. */
static bool test_deliver_despite_ibt_off(void)
{
	struct vm *vm;
	bool ok;

	begin(DECIDE | IBT_OFF, DELIVER);
	vm = run(true, ROUNDS);
	ok = all_fault(vm, ROUNDS, DELIVER) & EXPECT(vm_stat(vm, "cet_suppressed") == 0);
	vm_free(vm);
	return ok;
}

static bool test_refuse_suppress(void)
{
	struct vm *vm;
	bool ok;

	begin(DECIDE, SUPPRESS);
	vm = run(false, ROUNDS);
	ok = all_fault(vm, ROUNDS, DELIVER) & EXPECT(vm_stat(vm, "cet_refused") == ROUNDS);
	vm_free(vm);
	return ok;
}

static bool test_refuse_unknown(void)
{
	struct vm *vm;
	bool ok;

	begin(~(uint64_t)(HIDE_IBT | HIDE_SHSTK), ~0ULL);
	vm = run(true, ROUNDS);
	ok = all_fault(vm, ROUNDS, DELIVER) & EXPECT(vm_stat(vm, "cet_refused") == ROUNDS);
	vm_free(vm);
	return ok;
}

static bool test_delay(void)
{
	uint64_t start = now_ns();
	struct vm *vm;
	bool ok;

	begin(DECIDE, VERDICT(DELAY, 2 * MS));
	vm = run(false, 20);
	ok = all_fault(vm, 20, DELAY) & EXPECT(now_ns() - start >= 40 * MS) &
	     EXPECT(vm_stat(vm, "cet_delays") == 20) & EXPECT(vm_stat(vm, "cet_delay_ns") >= 40 * MS);
	vm_free(vm);
	return ok;
}

/* The longest delay is a second, whatever is asked for. */
static bool test_delay_is_clamped(void)
{
	uint64_t start = now_ns();
	struct vm *vm;
	bool ok;

	begin(DECIDE, VERDICT(DELAY, 1000000 * MS));
	vm = run(false, 1);
	ok = all_fault(vm, 1, DELAY) & EXPECT(now_ns() - start < 1500 * MS);
	vm_free(vm);
	return ok;
}

static bool test_kick_and_detach_end_delay(void)
{
	uint64_t start;
	struct vm *vm;
	bool ok;

	begin(DECIDE, VERDICT(DELAY, 900 * MS));
	vm = vm_start(1, false, true, ROUNDS);
	usleep(50000);
	ok = EXPECT(vm_kick_ns(vm) < 10 * MS) & EXPECT(vm_sum(vm, BLOCK_FAULTS) <= 1);
	start = now_ns();
	detach();
	vm_join(vm);
	ok &= EXPECT(now_ns() - start < 400 * MS) & EXPECT(vm_sum(vm, BLOCK_FAULTS) == ROUNDS);
	vm_free(vm);
	return ok;
}

/* Nothing is lost or invented when branch tracking goes off and on in mid-run, and in the end with the policy. */
static bool toggle(bool is_user)
{
	uint64_t faults, through;
	struct vm *vm;
	bool ok = true;

	begin(0, DELIVER);
	vm = vm_start(1, is_user, true, FOREVER);
	for (unsigned int i = 0; i < 8; i++) {
		set_policy(vm->id, i % 2 ? 0 : IBT_OFF, DELIVER);
		ok &= EXPECT(update(vm->id) == 0);
		usleep(3000);
		/* The guest's own, whatever the CPU has; its tracker may be waiting. */
		ok &= EXPECT((vm_s_cet(vm) & ~0x800ULL) == (is_user ? 0 : 4));
	}
	set_policy(vm->id, IBT_OFF, DELIVER);
	update(vm->id);
	usleep(3000);
	detach();
	usleep(3000);
	vm_stop(vm);
	faults = vm_sum(vm, BLOCK_FAULTS);
	through = vm_sum(vm, BLOCK_PASSED);
	ok &= EXPECT(faults > 0) & EXPECT(through > 0) & EXPECT(faults + through == vm_sum(vm, BLOCK_ROUNDS)) &
	      EXPECT(count(DELIVER) == faults) & EXPECT(count(SUPPRESS) <= through);
	if (is_user)
		ok &= EXPECT(count(SUPPRESS) == through);
	printf("  CPL %d: %llu faults, %llu branches let through\n", is_user ? 3 : 0, (unsigned long long)faults,
	       (unsigned long long)through);
	bpf_map_delete_elem(t.policies, &vm->id);
	vm_free(vm);
	return ok;
}

static bool test_toggle(void)
{
	bool ok = toggle(false);

	return toggle(true) & ok;
}

static bool test_two_vms(void)
{
	struct vm *off, *on;
	bool ok;

	begin(0, DELIVER);
	off = vm_start(1, false, true, FOREVER);
	on = vm_start(1, false, true, FOREVER);
	set_policy(off->id, IBT_OFF, DELIVER);
	ok = EXPECT(off->id != on->id) & EXPECT(update(off->id) == 0);
	usleep(20000);
	vm_stop(off);
	vm_stop(on);
	ok &= EXPECT(vm_sum(off, BLOCK_PASSED) > 0) & EXPECT(vm_sum(on, BLOCK_PASSED) == 0) &
	      EXPECT(vm_sum(on, BLOCK_FAULTS) == vm_sum(on, BLOCK_ROUNDS)) &
	      EXPECT(count(DELIVER) == vm_sum(on, BLOCK_FAULTS) + vm_sum(off, BLOCK_FAULTS));
	bpf_map_delete_elem(t.policies, &off->id);
	vm_free(off);
	vm_free(on);
	return ok;
}

static bool test_refusals(void)
{
	struct bpf_link *second;
	struct vm *vm;
	bool ok;

	begin(0, DELIVER);
	second = bpf_map__attach_struct_ops(t.second_ops);
	ok = EXPECT(!second) & EXPECT(errno == EBUSY) & EXPECT(update(~0ULL) == -ENOENT);
	bpf_link__destroy(second);
	vm = vm_start(1, false, false, 1);
	vm_join(vm);
	ok &= EXPECT(vm->vcpus[0].is_unexpected) & EXPECT(update(vm->id) == -EOPNOTSUPP);
	vm_free(vm);
	return ok;
}

/* Without CET in its CPUID, the guest's attempt to set CR4.CET is a #GP. */
static bool test_hide(void)
{
	struct vm *vm;
	bool ok;

	begin(HIDE_IBT | HIDE_SHSTK, DELIVER);
	vm = run(false, ROUNDS);
	ok = EXPECT(vm->vcpus[0].is_unexpected) & EXPECT(vm_sum(vm, BLOCK_ROUNDS) == 0);
	vm_free(vm);
	return ok;
}

static bool test_cycles(void)
{
	struct vm *vm;
	bool ok;

	begin(DECIDE, DELIVER);
	vm = vm_start(2, false, true, FOREVER);
	for (unsigned int i = 0; i < 1000; i++) {
		detach();
		attach();
	}
	usleep(20000);
	vm_stop(vm);
	ok = EXPECT(vm_sum(vm, BLOCK_FAULTS) == vm_sum(vm, BLOCK_ROUNDS)) &
	     EXPECT(count(DELIVER) == vm_sum(vm, BLOCK_FAULTS)) & EXPECT(count(COUNT_CP) > 0);
	printf("  %llu faults\n", (unsigned long long)vm_sum(vm, BLOCK_FAULTS));
	vm_free(vm);
	return ok;
}

static const struct {
	const char *name;
	bool (*run)(void);
} tests[] = {
	{ "deliver", test_deliver },
	{ "IBT off, supervisor", test_ibt_off_supervisor },
	{ "IBT off, user", test_ibt_off_user },
	{ "deliver despite IBT off", test_deliver_despite_ibt_off },
	{ "refuse to suppress", test_refuse_suppress },
	{ "refuse the unknown", test_refuse_unknown },
	{ "delay", test_delay },
	{ "delay is clamped", test_delay_is_clamped },
	{ "kick and detach end a delay", test_kick_and_detach_end_delay },
	{ "IBT off and on in mid-run", test_toggle },
	{ "two VMs, two policies", test_two_vms },
	{ "refusals", test_refusals },
	{ "hide CET", test_hide },
	{ "1000 policies under load", test_cycles },
};

static void load(const char *path)
{
	t.object = bpf_object__open(path);
	if (!t.object || bpf_object__load(t.object))
		err(2, "%s", path);
	t.ops = bpf_object__find_map_by_name(t.object, "ops");
	t.second_ops = bpf_object__find_map_by_name(t.object, "second_ops");
	t.policies = bpf_object__find_map_fd_by_name(t.object, "policies");
	t.counts = bpf_object__find_map_fd_by_name(t.object, "counts");
	t.update = bpf_program__fd(bpf_object__find_program_by_name(t.object, "update"));
	t.trace = bpf_program__attach(bpf_object__find_program_by_name(t.object, "on_cp"));
	if (!t.trace)
		err(2, "kvm_cet_cp");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	load(argc > 1 ? argv[1] : "policy.bpf.o");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		bool ok = tests[i].run();

		if (t.link)
			detach();
		printf("%s %s\n", ok ? "pass" : "fail", tests[i].name);
		*(ok ? &t.passed : &t.failed) += 1;
	}
	bpf_link__destroy(t.trace);
	bpf_object__close(t.object);
	printf("%u passed, %u failed, 0 skipped\n", t.passed, t.failed);
	return t.failed ? 1 : 0;
}
