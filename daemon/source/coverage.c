// SPDX-License-Identifier: GPL-2.0-only
/* The facts, each by its own rule. What KVM intercepts is told by vendor, version and whether guests have CET. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "source/coverage.h"
#include "source/source.h"

struct view {
	const struct programs_state *state;
	struct cetd_host *host;
	bool is_intel, is_amd, is_pvm;
	bool owns_cr4_cet; /* guests write CR4.CET without an exit */
};

/* VMX lets guests own CR4.CET since CET virtualization was merged (6.18). */
static bool kernel_gives_cr4_cet(const char *release)
{
	unsigned int major = 0, minor = 0;

	return sscanf(release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 18));
}

/* Is the program attached? If not, the fact is unobservable, with the reason. */
static bool has_program(struct view *v, enum cetd_fact fact, enum program program)
{
	int r = v->state->result[program];
	const char *hook = program_hook(program);

	if (r == 0)
		return true;
	if (r == -ENOENT || r > 0)
		host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE, "this kernel has no %s",
			      hook);
	else if (r == -EPERM)
		host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE,
			      "the kernel refuses a program on %s: %s", hook, strerror(-r));
	else
		host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE,
			      "a program on %s could not be loaded: %s", hook, strerror(-r));
	return false;
}

static void fill_hardware_cp(struct view *v)
{
	enum cetd_fact fact = CETD_FACT_HARDWARE_CP;

	if (v->state->family != CETD_FAMILY_PATCHED) {
		if (v->host->guest_cet == CETD_GUEST_CET_OFF)
			host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE,
				      "KVM gives guests no CET here, so none can raise a #CP");
		else
			host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE,
				      "this kernel's KVM does not intercept #CP: guests handle "
				      "theirs unseen");
		return;
	}
	if (!has_program(v, fact, PROGRAM_PATCHED_CP))
		return;
	if (v->is_amd)
		host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE,
			      "KVM intercepts #CP on Intel processors only");
	else if (v->host->guest_cet == CETD_GUEST_CET_OFF)
		host_set_fact(v->host, fact, CETD_COVERAGE_OBSERVED,
			      "every #CP would be seen, but KVM gives guests no CET here");
	else if (!v->state->has_fault)
		host_set_fact(
			v->host, fact, CETD_COVERAGE_PARTIAL,
			"every #CP is counted, but this kernel keeps neither its RIP nor its CPL");
	else
		host_set_fact(v->host, fact, CETD_COVERAGE_OBSERVED,
			      "every #CP of a guest is intercepted and counted");
}

static void fill_injected_cp(struct view *v)
{
	if (has_program(v, CETD_FACT_INJECTED_CP, PROGRAM_STOCK_INJ_EXCEPTION))
		host_set_fact(v->host, CETD_FACT_INJECTED_CP, CETD_COVERAGE_PARTIAL,
			      "each #CP queued for a guest is counted, but not one that a VMM "
			      "restores as "
			      "already under way: that looks like a delivery that was interrupted");
}

static void fill_cet_msr(struct view *v)
{
	enum cetd_fact fact = CETD_FACT_CET_MSR;

	if (!has_program(v, fact,
			 v->state->family == CETD_FAMILY_PATCHED ? PROGRAM_PATCHED_MSR
								 : PROGRAM_STOCK_MSR))
		return;
	if (v->host->guest_cet == CETD_GUEST_CET_OFF)
		host_set_fact(
			v->host, fact, CETD_COVERAGE_OBSERVED,
			"attempts only: KVM gives guests no CET here, so each access ends in #GP");
	else if (v->host->guest_cet == CETD_GUEST_CET_ON)
		/* kvm_cet_msr leaves IA32_XSS out, and kvm_msr does not say whose it is. */
		host_set_fact(v->host, fact, CETD_COVERAGE_PARTIAL,
			      "KVM sees INT_SSP_TAB%s; guests reach U_CET, S_CET and PL0_SSP to "
			      "PL3_SSP directly, unseen",
			      v->state->family == CETD_FAMILY_PATCHED ? ""
								      : " and the CET bits of XSS");
	else
		host_set_fact(v->host, fact, CETD_COVERAGE_PARTIAL,
			      "accesses that KVM intercepts are counted; it is not known whether "
			      "guests have "
			      "CET here, and reach most of its MSRs directly");
}

static void fill_cr4_cet(struct view *v)
{
	enum cetd_fact fact = CETD_FACT_CR4_CET;

	if (!has_program(v, fact, PROGRAM_STOCK_CR))
		return;
	if (v->is_pvm)
		host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE,
			      "this KVM (%s) never calls kvm_cr for a guest's write of CR4",
			      v->host->kvm_vendor);
	else if (v->is_amd)
		/* svm.c, cr_interception(): the emulator's writes are not traced. */
		host_set_fact(v->host, fact, CETD_COVERAGE_PARTIAL,
			      "writes of CR4 are counted where the processor has decode assists "
			      "and KVM need "
			      "not emulate them");
	else if (v->host->guest_cet == CETD_GUEST_CET_OFF)
		host_set_fact(v->host, fact, CETD_COVERAGE_OBSERVED,
			      "attempts only: KVM gives guests no CET here, so setting CR4.CET "
			      "ends in #GP");
	else if (v->is_intel && v->owns_cr4_cet)
		host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE,
			      "guests write CR4.CET without an exit on Intel since Linux 6.18");
	else if (v->host->guest_cet == CETD_GUEST_CET_UNKNOWN)
		host_set_fact(v->host, fact, CETD_COVERAGE_PARTIAL,
			      "writes that KVM intercepts are counted; it is not known whether "
			      "guests have CET "
			      "here");
	else
		host_set_fact(v->host, fact, CETD_COVERAGE_OBSERVED,
			      "every write of CR4 with CET set, and its clearing, is counted");
}

static void fill_vmcs_load(struct view *v)
{
	enum cetd_fact fact = CETD_FACT_VMCS_LOAD;

	if (!v->is_intel && *v->host->kvm_vendor && strcmp(v->host->kvm_vendor, "none")) {
		host_set_fact(v->host, fact, CETD_COVERAGE_UNOBSERVABLE,
			      "a VMCS is Intel VMX's, and KVM here is %s", v->host->kvm_vendor);
		return;
	}
	if (v->state->family == CETD_FAMILY_PATCHED) {
		if (has_program(v, fact, PROGRAM_PATCHED_VMCS_LOAD))
			host_set_fact(v->host, fact, CETD_COVERAGE_OBSERVED,
				      "every load of another VMCS is counted");
	} else if (has_program(v, fact, PROGRAM_STOCK_VMCS_LOAD)) {
		host_set_fact(v->host, fact, CETD_COVERAGE_PARTIAL,
			      "calls of vmx_vcpu_load_vmcs() are counted, whether or not the VMCS "
			      "was another "
			      "one");
	}
}

static void fill_enforcement(struct view *v)
{
	if (v->state->has_cet_ops)
		host_set_fact(v->host, CETD_FACT_ENFORCEMENT, CETD_COVERAGE_PARTIAL,
			      "this kernel has the kvm_cet_ops hook, but cetd has nothing attached "
			      "to it");
	else
		host_set_fact(v->host, CETD_FACT_ENFORCEMENT, CETD_COVERAGE_UNOBSERVABLE,
			      "this kernel has no kvm_cet_ops hook");
}

static void add_causes(struct view *v)
{
	const struct programs_state *s = v->state;

	for (int i = 0; i < _PROGRAM_MAX; i++) {
		int r = s->result[i];

		if (r >= 0 || r == -ENOENT)
			continue;
		if (i == PROGRAM_STOCK_VMCS_LOAD)
			host_add_cause(
				v->host, "fentry_refused",
				"Nothing but the count of VMCS loads needs fentry; a kernel with "
				"CONFIG_FUNCTION_TRACER and no restriction on it gives it.",
				"The kernel refuses fentry on %s: %s.", program_hook(i),
				strerror(-r));
		else if (r == -EPERM)
			host_add_cause(v->host, "program_refused",
				       "Give cetd CAP_BPF and CAP_PERFMON; where kvm is a module "
				       "and the kernel "
				       "has cetd's patches, CAP_SYS_ADMIN too, to read the "
				       "module's types.",
				       "The kernel refuses the program on %s: %s.", program_hook(i),
				       strerror(-r));
		else
			host_add_cause(v->host, "program_failed",
				       "Run cetd with --log-level=debug and report what the "
				       "verifier says.",
				       "The program on %s does not load: %s.", program_hook(i),
				       strerror(-r));
	}
	if (s->result[PROGRAM_STOCK_INJ_EXCEPTION] == -ENOENT)
		host_add_cause(v->host, "kvm_not_loaded",
			       "Load kvm_intel or kvm_amd, then restart cetd.",
			       "KVM's tracepoints are not there.");
	if (s->is_preemptible)
		host_add_cause(v->host, "tracefs_unavailable",
			       "Mount tracefs on /sys/kernel/tracing and let cetd read it; until "
			       "then look at "
			       "the events lost to program_busy.",
			       "Since Linux 7.0 perf's tracepoints miss the fewest events, and "
			       "they are not to be had.");
	if (s->family == CETD_FAMILY_STOCK)
		host_add_cause(
			v->host, "kernel_not_patched",
			"Boot a kernel with cetd's patches (kernel-patches/) to see every #CP.",
			"This kernel has none of cetd's tracepoints.");
}

void coverage_fill(const struct programs_state *state, struct cetd_host *host)
{
	struct view v = {
		.state = state,
		.host = host,
		.is_intel = !strcmp(host->kvm_vendor, "intel"),
		.is_amd = !strcmp(host->kvm_vendor, "amd"),
		.is_pvm = !strcmp(host->kvm_vendor, "pvm"),
		.owns_cr4_cet = kernel_gives_cr4_cet(host->kernel_release),
	};

	host->family = state->family;
	fill_hardware_cp(&v);
	fill_injected_cp(&v);
	fill_cet_msr(&v);
	fill_cr4_cet(&v);
	fill_vmcs_load(&v);
	fill_enforcement(&v);
	add_causes(&v);
}

void coverage_fill_failed(int error, struct cetd_host *host)
{
	const char *reason;

	switch (error < 0 ? -error : error) {
	case EPERM:
		reason = "cetd may not use BPF here";
		host_add_cause(
			host, "missing_capability",
			"Run cetd as root or with CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN before "
			"Linux 5.8), outside containers that filter bpf(2).",
			"The kernel does not let cetd load BPF programs: %s.", strerror(EPERM));
		break;
	case ENOENT:
	case ESRCH:
		reason = "this kernel has no BTF";
		host_add_cause(host, "missing_btf", "Boot a kernel with CONFIG_DEBUG_INFO_BTF=y.",
			       "There are no kernel types in /sys/kernel/btf/vmlinux.");
		break;
	case ENOSYS:
		reason = "this kernel has no BPF";
		host_add_cause(host, "missing_bpf", "Boot a kernel with CONFIG_BPF_SYSCALL=y.",
			       "The kernel has no bpf system call.");
		break;
	case ENODEV:
		reason = "KVM's tracepoints are not there";
		host_add_cause(host, "kvm_not_loaded",
			       "Load kvm_intel or kvm_amd, then restart cetd.",
			       "KVM's tracepoints are not there.");
		break;
	default:
		reason = "cetd's BPF programs could not be loaded";
		host_add_cause(host, "program_failed",
			       "Run cetd with --log-level=debug and report what the verifier says.",
			       "The BPF programs do not load: %s.",
			       strerror(error < 0 ? -error : error));
	}
	host->family = CETD_FAMILY_NONE;
	for (int i = 0; i < _CETD_FACT_MAX; i++)
		host_set_fact(host, i, CETD_COVERAGE_UNOBSERVABLE, "%s", reason);
}
