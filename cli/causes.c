// SPDX-License-Identifier: GPL-2.0-only
/* The causes of control-protection faults, and which clues speak for and against each. */
#include <string.h>

#include "cetd/names.h"

#include "causes.h"

#define INJECTED _CETD_KIND_MAX

/* Intel SDM vol. 1, "Control-flow Enforcement Technology"; vol. 3, "Interrupt 21, Control Protection Exception". */
static const struct {
	const char *title, *meaning, *rip;
} kinds[] = {
	[CETD_KIND_NEAR_RET] =
		{"return to another place than the call came from",
		 "A RET was about to return to an address that is not the one which the CALL "
		 "left on the shadow stack. The return address on the ordinary stack and the "
		 "protected copy differ, so one of them was changed in between.",
		 "the RET that was stopped"},
	[CETD_KIND_FAR_RET] =
		{"far return or IRET to another place than it came from",
		 "A far RET or an IRET was about to return to an address, a code segment or a "
		 "shadow stack that does not match what the shadow stack says. The frame that "
		 "an interrupt or a far call had left was changed, or is not the latest one.",
		 "the far RET or IRET that was stopped"},
	[CETD_KIND_ENDBRANCH] =
		{"indirect branch to a place that is not marked for it",
		 "An indirect CALL or JMP went to an instruction that is not ENDBR64 (or "
		 "ENDBR32), while indirect branch tracking was on. Either the target is good "
		 "code that was built without the marks, or the pointer was wrong.",
		 "where the branch went to"},
	[CETD_KIND_RSTORSSP] =
		{"switch to a shadow stack without a valid token",
		 "RSTORSSP was to switch to another shadow stack, and did not find the token "
		 "that says that this stack is free and where its top is. Tokens are used up "
		 "by a switch: one that is used twice fails so.",
		 "the RSTORSSP that was stopped"},
	[CETD_KIND_SETSSBSY] =
		{"supervisor shadow stack that is in use or not valid",
		 "SETSSBSY was to take the supervisor shadow stack that IA32_PL0_SSP points to, "
		 "and its token was already marked busy or was none.",
		 "the SETSSBSY that was stopped"},
	[CETD_KIND_OTHER] =
		{"control-protection fault of an unknown kind",
		 "The error code is none that the architecture defined when cetctl was written.",
		 "the instruction or target at fault"},
};

static const char *const clues[_CLUE_MAX] = {
	[CLUE_SUPERVISOR] = "in the guest's kernel",
	[CLUE_USER] = "in a program of the guest",
	[CLUE_ONE_RIP] = "all at one address",
	[CLUE_MANY_RIPS] = "at many addresses",
	[CLUE_ONE_VCPU] = "all on one vCPU",
	[CLUE_MANY_VCPUS] = "on several vCPUs",
	[CLUE_ONCE] = "just once",
	[CLUE_STORM] = "ten a second or more",
	[CLUE_YOUNG] = "right after the VM was first seen",
	[CLUE_NESTED] = "in a nested guest",
	[CLUE_ENCLAVE] = "the error code says enclave",
	[CLUE_MODULE_AREA] = "the address is where Linux has modules and compiled BPF",
	[CLUE_KERNEL_IMAGE] = "the address is where Linux has its own image",
	[CLUE_FUNCTION_START] = "the target is the start of a function",
	[CLUE_FUNCTION_INSIDE] = "the target is inside a function",
};

const char *clue_to_string(int clue)
{
	return clue >= 0 && clue < _CLUE_MAX ? clues[clue] : NULL;
}

#define K(kind) (1U << CETD_KIND_##kind)
#define ANY_KIND ((1U << _CETD_KIND_MAX) - 1)
#define INJECTION (1U << INJECTED)

#define S CLUE_BIT(CLUE_SUPERVISOR)
#define U CLUE_BIT(CLUE_USER)

/*
 * A cause is thought of for its kinds where all clues of `needs` are there. Its weight is `base`, and for each
 * clue of a rule the rule's; only clues that raise it are told as reasons.
 */
static const struct {
	struct cause cause;
	unsigned int kinds, needs;
	int base;
	struct {
		enum clue clue;
		int weight;
	} rules[7];
} causes[] = {
	{{"nested_guest",
	  "Something inside a nested guest: this VM is a hypervisor, and the fault is its guest's.",
	  "Find the fault in the nested guest's own log; the VM's kernel has none.", NULL},
	 ANY_KIND,
	 CLUE_BIT(CLUE_NESTED),
	 90,
	 {{CLUE_NESTED, 20}}},
	{{"enclave",
	  "Code in an SGX enclave that was built without CET, or an enclave under attack.",
	  "Ask for the enclave's build flags; its code cannot be read from outside.", NULL},
	 ANY_KIND,
	 CLUE_BIT(CLUE_ENCLAVE),
	 80,
	 {{CLUE_ENCLAVE, 20}}},

	{{"module_without_endbr",
	  "A kernel module that was built without ENDBR64, often one from outside the kernel's "
	  "tree.",
	  "Find the module that holds the address, and rebuild it with the kernel's own flags "
	  "(-fcf-protection=branch, CONFIG_X86_KERNEL_IBT).",
	  "dmesg | grep -A2 'Missing ENDBR'; grep '(O' /proc/modules"},
	 K(ENDBRANCH),
	 S,
	 50,
	 {{CLUE_MODULE_AREA, 30},
	  {CLUE_KERNEL_IMAGE, -30},
	  {CLUE_ONE_RIP, 10},
	  {CLUE_FUNCTION_START, 20},
	  {CLUE_FUNCTION_INSIDE, -20}}},
	{{"assembly", "Hand-written assembly that is reached through a pointer and has no ENDBR64.",
	  "Look at the target: its first instruction has to be endbr64.",
	  "objdump -d --start-address={rip} --stop-address={rip_end} {file}"},
	 K(ENDBRANCH),
	 0,
	 38,
	 {{CLUE_KERNEL_IMAGE, 20},
	  {CLUE_ONE_RIP, 10},
	  {CLUE_FUNCTION_START, 15},
	  {CLUE_FUNCTION_INSIDE, -15}}},
	{{"sealed_function",
	  "A function of the kernel whose ENDBR64 was removed at boot since nobody was seen to "
	  "take its address, "
	  "and a live patch, probe or module calls it through a pointer.",
	  "Look for tools that patch the kernel, and whether the function is exported.",
	  "ls /sys/kernel/livepatch; cat /sys/kernel/debug/kprobes/list"},
	 K(ENDBRANCH),
	 S,
	 15,
	 {{CLUE_KERNEL_IMAGE, 20},
	  {CLUE_FUNCTION_START, 20},
	  {CLUE_ONE_RIP, 5},
	  {CLUE_MODULE_AREA, -20}}},
	{{"library_without_endbr",
	  "A program or library that was built without ENDBR64 in a process that has tracking on.",
	  "Find the file that holds the address, and rebuild it with -fcf-protection.",
	  "journalctl -k | grep 'control protection'; readelf -n FILE | grep IBT"},
	 K(ENDBRANCH),
	 U,
	 50,
	 {{CLUE_ONE_RIP, 10}, {CLUE_FUNCTION_START, 20}, {CLUE_FUNCTION_INSIDE, -20}}},
	{{"jit",
	  "Code that was generated at run time (a language's JIT, compiled BPF) without ENDBR64 "
	  "where branches go to.",
	  "See whether the addresses are in no file but in memory that is mapped executable; turn "
	  "the JIT off to try.",
	  "grep 'r-xp 00000000 00:00' /proc/PID/maps; sysctl net.core.bpf_jit_enable"},
	 K(ENDBRANCH) | K(NEAR_RET),
	 0,
	 22,
	 {{CLUE_MANY_RIPS, 30},
	  {CLUE_MODULE_AREA, 10},
	  {CLUE_KERNEL_IMAGE, -20},
	  {CLUE_ONE_RIP, -10},
	  {CLUE_FUNCTION_START, -10},
	  {CLUE_FUNCTION_INSIDE, -10}}},

	{{"rewritten_return",
	  "Code that changes return addresses on purpose: tracers, unwinders, exception handling, "
	  "hand-made context switches.",
	  "Look at what the function around the RET does to its caller's frame, and which tracers "
	  "are on.",
	  "cat /sys/kernel/tracing/current_tracer; cat /sys/kernel/debug/kprobes/list"},
	 K(NEAR_RET) | K(FAR_RET),
	 0,
	 45,
	 {{CLUE_ONE_RIP, 15}, {CLUE_MANY_VCPUS, 5}, {CLUE_STORM, 5}, {CLUE_ONCE, -10}}},
	{{"stack_switch",
	  "Coroutines, green threads or longjmp that switch the ordinary stack and not the shadow "
	  "stack.",
	  "Find the program, and whether its library of coroutines knows of shadow stacks (a libc "
	  "with SHSTK does).",
	  "journalctl -k | grep 'control protection'; readelf -n FILE | grep SHSTK"},
	 K(NEAR_RET) | K(RSTORSSP),
	 U,
	 40,
	 {{CLUE_MANY_RIPS, 10}, {CLUE_ONE_RIP, 5}, {CLUE_MANY_VCPUS, 5}}},
	{{"corruption", "A bug that writes over the stack, such as a buffer that overflows.",
	  "Have the fault again with a sanitizer or a debugger; keep the core.",
	  "coredumpctl info; dmesg | tail -50"},
	 K(NEAR_RET) | K(FAR_RET),
	 0,
	 30,
	 {{CLUE_ONCE, 10}, {CLUE_ONE_RIP, 5}}},
	{{"token_reused",
	  "A shadow-stack token that was used twice: two threads, or one after the other, switch "
	  "to the same stack.",
	  "Look at who owns the stack that the program switches to, and at races between its "
	  "threads.",
	  "journalctl -k | grep 'control protection'"},
	 K(RSTORSSP),
	 0,
	 50,
	 {{CLUE_MANY_VCPUS, 20}, {CLUE_ONE_RIP, 5}}},
	{{"busy_stack",
	  "Two vCPUs that use one supervisor shadow stack, or a stack that was left without "
	  "clearing its busy mark.",
	  "Look at how the guest's kernel gives a shadow stack to each CPU, and at CLRSSBSY on its "
	  "ways out.",
	  "dmesg | tail -50"},
	 K(SETSSBSY),
	 0,
	 50,
	 {{CLUE_MANY_VCPUS, 20}, {CLUE_STORM, 5}}},
	{{"bad_pl0_ssp",
	  "IA32_PL0_SSP that points to memory which is no shadow stack, or has no token at its "
	  "top.",
	  "Look at what the guest's kernel writes to the MSR.", "cetctl monitor {vm}"},
	 K(SETSSBSY),
	 0,
	 35,
	 {{CLUE_ONE_VCPU, 10}, {CLUE_YOUNG, 5}}},
	{{"migration",
	  "Shadow stacks that do not match the registers after a migration or a snapshot: the VMM "
	  "did not carry the guest's "
	  "SSP, or memory is older than the tokens.",
	  "See whether the VM was migrated or restored just before, and whether the VMM on both "
	  "hosts knows the guest's SSP.",
	  "journalctl -u {unit} --since -1h"},
	 K(NEAR_RET) | K(FAR_RET) | K(RSTORSSP) | K(SETSSBSY),
	 0,
	 15,
	 {{CLUE_YOUNG, 45}, {CLUE_MANY_VCPUS, 10}, {CLUE_MANY_RIPS, 5}, {CLUE_ONE_RIP, -5}}},
	{{"exploit",
	  "An attempt to take over control: return-oriented or jump-oriented programming, stopped "
	  "by the processor.",
	  "Take it as one until another cause is found: save the guest's memory before it is "
	  "restarted.",
	  "cetctl faults {vm}"},
	 K(NEAR_RET) | K(FAR_RET) | K(ENDBRANCH) | K(RSTORSSP),
	 0,
	 20,
	 {{CLUE_FUNCTION_INSIDE, 35},
	  {CLUE_MANY_RIPS, 15},
	  {CLUE_ONCE, 20},
	  {CLUE_STORM, -10},
	  {CLUE_YOUNG, -5},
	  {CLUE_FUNCTION_START, -10}}},
	{{"unknown",
	  "A processor that knows more kinds of faults than cetctl, or an exception with an error "
	  "code made by software.",
	  "Look the error code up in the latest Intel SDM, under control protection exception.",
	  "cetctl version"},
	 K(OTHER),
	 0,
	 40,
	 {{CLUE_ONCE, 1}}},

	{{"vmm_restore",
	  "The VMM put back an exception that was pending when the VM was saved: a migration, a "
	  "snapshot or a reset.",
	  "See what the VMM did at that time.", "journalctl -u {unit} --since -1h"},
	 INJECTION,
	 0,
	 50,
	 {{CLUE_ONCE, 20}, {CLUE_YOUNG, 20}, {CLUE_STORM, -30}}},
	{{"host_tool",
	  "A debugger, a fuzzer or a test on the host that injects exceptions through the VMM.",
	  "See who talks to the VMM: a gdb stub, a monitor socket, a test.",
	  "ss -xlp | grep pid={pid},"},
	 INJECTION,
	 0,
	 40,
	 {{CLUE_STORM, 30}, {CLUE_ONE_VCPU, 5}}},
};

static int find_kind(const char *kind)
{
	for (int k = 0; kind && k < _CETD_KIND_MAX; k++)
		if (!strcmp(cetd_kind_to_string(k), kind))
			return k;
	return -1;
}

const char *causes_title(const char *kind)
{
	int k = find_kind(kind);

	return k < 0 ? NULL : kinds[k].title;
}

const char *causes_meaning(const char *kind)
{
	int k = find_kind(kind);

	return k < 0 ? NULL : kinds[k].meaning;
}

const char *causes_rip(const char *kind)
{
	int k = find_kind(kind);

	return k < 0 ? NULL : kinds[k].rip;
}

size_t causes_rank(const char *kind, bool is_injected, unsigned int found,
		   struct ranked_cause ret[CAUSES_MAX])
{
	int k = is_injected ? INJECTED : find_kind(kind);
	size_t n = 0;

	for (size_t i = 0; k >= 0 && i < ARRAY_SIZE(causes); i++) {
		struct ranked_cause new = {&causes[i].cause, 0, causes[i].base};
		size_t at;

		if (!(causes[i].kinds >> k & 1) || (causes[i].needs & ~found))
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(causes[i].rules); j++) {
			if (!causes[i].rules[j].weight || !(found >> causes[i].rules[j].clue & 1))
				continue;
			new.weight += causes[i].rules[j].weight;
			if (causes[i].rules[j].weight > 0)
				new.clues |= CLUE_BIT(causes[i].rules[j].clue);
		}
		/* Insert behind what weighs as much; the lightest falls off. */
		for (at = n; at > 0 && ret[at - 1].weight < new.weight; at--)
			if (at < CAUSES_MAX)
				ret[at] = ret[at - 1];
		if (new.weight > 0 && at < CAUSES_MAX) {
			ret[at] = new;
			n += n < CAUSES_MAX;
		}
	}
	return n;
}
