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
#include "hook.h"
#include "policy.h"
#include "vm.h"

#define ROUNDS 300
#define MANY 100000
#define MS 1000000ULL

static bool expect(bool is_true, const char *what, unsigned int line)
{
	if (!is_true)
		printf("  line %u: not so: %s\n", line, what);
	return is_true;
}

#define EXPECT(what) expect(what, #what, __LINE__)

static void wait_for_rounds(const struct vm *vm)
{
	uint64_t rounds = vm_sum(vm, BLOCK_ROUNDS);

	while (vm_sum(vm, BLOCK_ROUNDS) == rounds)
		usleep(100);
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

/* A VMM's kick interrupts a delay, the end of the policy ends it: by detaching it, or for the one VM. */
static bool test_end_of_delay(bool is_detached)
{
	uint64_t start, kick_ns;
	struct vm *vm;
	bool ok;

	begin(DECIDE, VERDICT(DELAY, 900 * MS));
	vm = vm_start(1, false, true, ROUNDS);
	usleep(50000);
	kick_ns = vm_kick_ns(vm);
	printf("  kicked out within %llu us\n", (unsigned long long)kick_ns / 1000);
	ok = EXPECT(kick_ns < 10 * MS) & EXPECT(vm_sum(vm, BLOCK_FAULTS) <= 1);
	start = now_ns();
	if (is_detached) {
		detach();
	} else {
		set_policy(vm->id, 0, DELIVER);
		ok &= EXPECT(update(vm->id) == 0);
	}
	vm_join(vm);
	ok &= EXPECT(now_ns() - start < 400 * MS) & EXPECT(vm_sum(vm, BLOCK_FAULTS) == ROUNDS);
	bpf_map_delete_elem(hook.policies, &vm->id);
	vm_free(vm);
	return ok;
}

static bool test_kick_and_detach_end_delay(void)
{
	return test_end_of_delay(true);
}

static bool test_kick_and_update_end_delay(void)
{
	return test_end_of_delay(false);
}

static uint64_t rounds_in_30_ms(const struct vm *vm, unsigned int i)
{
	uint64_t rounds = vm_get(vm, i, BLOCK_ROUNDS), start = now_ns();

	usleep(30000);
	return (vm_get(vm, i, BLOCK_ROUNDS) - rounds) * 30 * MS / (now_ns() - start);
}

/* One vCPU is held up: the other one of its VM, and another VM, run as fast as when it is gone. */
static bool test_neighbours(void)
{
	uint64_t delayed, sibling, neighbour, alone;
	struct vm *vm, *other;
	bool ok;

	begin(DECIDE, DELIVER);
	vm = vm_start(2, false, true, FOREVER);
	set_vcpu_policy(vm->id, 1, DECIDE, VERDICT(DELAY, 900 * MS));
	while (!vm_get(vm, 1, BLOCK_ROUNDS))
		usleep(100);
	usleep(5000);
	delayed = vm_get(vm, 0, BLOCK_ROUNDS);
	sibling = rounds_in_30_ms(vm, 1);
	vm_end(vm, 1);
	other = vm_start(1, false, true, FOREVER);
	wait_for_rounds(other);
	neighbour = rounds_in_30_ms(other, 0);
	ok = EXPECT(vm_get(vm, 0, BLOCK_ROUNDS) <= delayed + 1);

	set_policy(vm->id, DECIDE, DELIVER);
	detach();
	attach();
	vm_stop(vm);
	alone = rounds_in_30_ms(other, 0);
	printf("  rounds in 30 ms: %llu beside a delayed vCPU of its VM, %llu beside one of another VM, %llu alone\n",
	       (unsigned long long)sibling, (unsigned long long)neighbour, (unsigned long long)alone);
	ok &= EXPECT(sibling >= alone * 95 / 100) & EXPECT(neighbour >= alone * 95 / 100);
	vm_stop(other);
	bpf_map_delete_elem(hook.policies, &vm->id);
	vm_free(vm);
	vm_free(other);
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
	wait_for_rounds(vm);
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
	bpf_map_delete_elem(hook.policies, &vm->id);
	vm_free(vm);
	return ok;
}

static bool test_toggle(void)
{
	bool ok = toggle(false);

	return toggle(true) & ok;
}

/* The guest that moves while branch tracking is off takes its own S_CET along. */
static bool test_move(void)
{
	struct vm *vm;
	bool ok;

	begin(IBT_OFF, DELIVER);
	vm = vm_start(1, false, true, FOREVER);
	wait_for_rounds(vm);
	ok = EXPECT(vm_s_cet(vm) == 4);
	vm = vm_move(vm);
	wait_for_rounds(vm);
	ok &= EXPECT(vm_s_cet(vm) == 4) & EXPECT(vm_sum(vm, BLOCK_FAULTS) == 0);
	vm_set_s_cet(vm, 4 | 0x800);
	ok &= EXPECT(vm_s_cet(vm) == 4);
	wait_for_rounds(vm);
	ok &= EXPECT(vm_sum(vm, BLOCK_FAULTS) == 0);
	set_policy(0, 0, DELIVER);
	vm = vm_move(vm);
	wait_for_rounds(vm);
	vm_stop(vm);
	ok &= EXPECT(vm_sum(vm, BLOCK_FAULTS) > 0) & EXPECT(vm_sum(vm, BLOCK_S_CET) == 4) &
	      EXPECT(vm_sum(vm, BLOCK_FAULTS) + vm_sum(vm, BLOCK_PASSED) == vm_sum(vm, BLOCK_ROUNDS)) &
	      EXPECT(count(DELIVER) == vm_sum(vm, BLOCK_FAULTS));
	vm_free(vm);
	return ok;
}

/* IBT is back when its time is over, with nobody in user space to say so. */
static bool test_lease(void)
{
	uint64_t faults;
	struct vm *vm;
	bool ok;

	begin(0, DELIVER);
	vm = vm_start(1, false, true, FOREVER);
	set_policy(vm->id, IBT_OFF, DELIVER);
	ok = EXPECT(update(vm->id) == 0);
	wait_for_rounds(vm);
	faults = vm_sum(vm, BLOCK_FAULTS);
	ok &= EXPECT(grant(vm->id, 20 * MS) == 0);
	wait_for_rounds(vm);
	ok &= EXPECT(vm_sum(vm, BLOCK_FAULTS) == faults);
	usleep(60000);
	vm_stop(vm);
	ok &= EXPECT(vm_sum(vm, BLOCK_FAULTS) > faults) &
	      EXPECT(vm_sum(vm, BLOCK_FAULTS) + vm_sum(vm, BLOCK_PASSED) == vm_sum(vm, BLOCK_ROUNDS));
	vm_free(vm);
	return ok;
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
	bpf_map_delete_elem(hook.policies, &off->id);
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
	second = bpf_map__attach_struct_ops(hook.second_ops);
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

/* Every fault is an event, and no event is more than one fault. */
static bool count_many(bool is_user)
{
	struct vm *vm;
	bool ok;

	reset_counts();
	vm = vm_start(2, is_user, true, MANY / 2);
	vm_join(vm);
	ok = all_fault(vm, MANY, DELIVER) & EXPECT(vm_stat(vm, "cet_cp") == MANY);
	vm_free(vm);
	return ok;
}

static bool test_many(void)
{
	return count_many(false) & count_many(true);
}

/* The guest cannot tell that it is being watched now and then. */
static bool test_toggle_trace(void)
{
	struct vm *vm;
	bool ok;

	reset_counts();
	vm = vm_start(2, false, true, FOREVER);
	hurry_rcu(true);
	for (unsigned int i = 0; i < 40; i++) {
		set_trace(i % 2);
		usleep(1000);
	}
	hurry_rcu(false);
	vm_stop(vm);
	ok = EXPECT(vm_sum(vm, BLOCK_FAULTS) == vm_sum(vm, BLOCK_ROUNDS)) & EXPECT(vm_sum(vm, BLOCK_PASSED) == 0) &
	     EXPECT(!vm->vcpus[0].is_unexpected && !vm->vcpus[1].is_unexpected) &
	     EXPECT(count(DELIVER) > 0) & EXPECT(count(DELIVER) < vm_sum(vm, BLOCK_FAULTS)) &
	     EXPECT(count(DELIVER) <= vm_stat(vm, "cet_cp"));
	printf("  %llu faults, %llu seen\n", (unsigned long long)vm_sum(vm, BLOCK_FAULTS),
	       (unsigned long long)count(DELIVER));
	vm_free(vm);
	return ok;
}

/* On one CPU the guests leave little time for it. */
static bool test_cycles(void)
{
	unsigned int cycles = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 1000 : 100;
	struct vm *vm;
	bool ok;

	begin(DECIDE, DELIVER);
	vm = vm_start(2, false, true, FOREVER);
	hurry_rcu(true);
	for (unsigned int i = 0; i < cycles; i++) {
		detach();
		attach();
	}
	hurry_rcu(false);
	usleep(20000);
	vm_stop(vm);
	ok = EXPECT(vm_sum(vm, BLOCK_FAULTS) == vm_sum(vm, BLOCK_ROUNDS)) &
	     EXPECT(count(DELIVER) == vm_sum(vm, BLOCK_FAULTS)) & EXPECT(count(COUNT_CP) > 0);
	printf("  %u policies, %llu faults\n", cycles, (unsigned long long)vm_sum(vm, BLOCK_FAULTS));
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
	{ "a kick interrupts, detaching ends a delay", test_kick_and_detach_end_delay },
	{ "so does an update of the VM", test_kick_and_update_end_delay },
	{ "neighbours are not slowed", test_neighbours },
	{ "IBT off and on in mid-run", test_toggle },
	{ "move with IBT off", test_move },
	{ "a lease ends without a daemon", test_lease },
	{ "two VMs, two policies", test_two_vms },
	{ "refusals", test_refusals },
	{ "hide CET", test_hide },
	{ "100000 faults of two vCPUs", test_many },
	{ "tracing goes on and off", test_toggle_trace },
	{ "policies come and go under load", test_cycles },
};

int main(int argc, char **argv)
{
	unsigned int passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	hook_load(argc > 1 ? argv[1] : "policy.bpf.o");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		bool ok = tests[i].run();

		/* Whatever was on or off, guests found no difference between one fault and another. */
		ok &= EXPECT(vm_differences() == 0);
		if (hook.link)
			detach();
		printf("%s %s\n", ok ? "pass" : "fail", tests[i].name);
		*(ok ? &passed : &failed) += 1;
	}
	hook_close();
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
