// SPDX-License-Identifier: GPL-2.0-only
/* The causes for which guests get no CET or we see none of it, each with what to do about it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/capability.h>

#include "source/probe.h"
#include "source/source.h"
#include "util/clock.h"
#include "util/macro.h"
#include "util/utf8.h"

#define VMX_BASIC_NO_HW_ERRCODE (1ULL << 56) /* SDM vol. 3, appendix A.1: #CP may be injected */
#define XSS_CET ((1ULL << 11) | (1ULL << 12))
#define FIRST_MAJOR 6 /* Linux 6.18 brought CET to guests */
#define FIRST_MINOR 18

static bool cpu_has_cet(const struct hostfacts *f)
{
	return f->cpu_shstk || f->cpu_ibt;
}

/* The parameter came with CET: on a patched kernel it tells more than the version. */
static bool is_kernel_too_old(const struct hostfacts *f)
{
	if (!f->major || f->cet != HOSTFACTS_SWITCH_UNKNOWN)
		return false;
	return f->major < FIRST_MAJOR || (f->major == FIRST_MAJOR && f->minor < FIRST_MINOR);
}

static enum cetd_guest_cet judge_guest_cet(const struct hostfacts *f)
{
	if (!f->kvm_error)
		return f->kvm_shstk || f->kvm_ibt ? CETD_GUEST_CET_ON : CETD_GUEST_CET_OFF;
	/* KVM could not be asked. What rules CET out all the same: */
	if (!f->has_kvm_module && f->kvm_error == ENOENT)
		return CETD_GUEST_CET_OFF;
	if (!strcmp(f->vendor, "pvm") || (f->has_cpu && !cpu_has_cet(f)) ||
	    (!strcmp(f->vendor, "intel") && is_kernel_too_old(f)))
		return CETD_GUEST_CET_OFF;
	return CETD_GUEST_CET_UNKNOWN;
}

static void explain_kvm(const struct hostfacts *f, struct cetd_host *host)
{
	if (f->kvm_error == ENOENT && f->has_kvm_module && strcmp(f->vendor, "none"))
		host_add_cause(host, "kvm_hidden",
			       "Let cetd see the device: in its unit, DeviceAllow=/dev/kvm rw and "
			       "no PrivateDevices=; in a container, pass /dev/kvm in. VMs are seen "
			       "without it, only this probe knows less.",
			       "KVM is there, but cetd has no /dev/kvm.");
	else if (f->kvm_error == ENOENT && f->has_cpu && !f->cpu_vmx && !f->cpu_svm)
		host_add_cause(host, "virtualization_off",
			       "Enable VT-x or AMD-V in the firmware setup; if this host is a VM "
			       "itself, enable nested virtualization for it on the host below.",
			       "The CPU shows neither VMX nor SVM, and there is no /dev/kvm.");
	else if (f->kvm_error == ENOENT)
		host_add_cause(host, "kvm_absent",
			       "Load KVM: modprobe kvm_intel (or kvm_amd). If that fails, its "
			       "message in dmesg says why.",
			       "There is no /dev/kvm: KVM is not loaded.");
	else if (f->kvm_error == EACCES || f->kvm_error == EPERM)
		host_add_cause(
			host, "kvm_no_permission",
			"Run cetd as root, or with the group that owns /dev/kvm "
			"(SupplementaryGroups=kvm); in a unit, DeviceAllow=/dev/kvm rw.",
			"cetd may not open /dev/kvm, so KVM cannot be asked what it offers.");
	else if (f->kvm_error)
		host_add_cause(host, "kvm_unusable",
			       "See what dmesg says about kvm, and reload the module.",
			       "/dev/kvm does not answer as KVM does (%s).",
			       strerror(f->kvm_error));
}

static void explain_cpu(const struct hostfacts *f, struct cetd_host *host)
{
	if (!strcmp(f->vendor, "pvm"))
		host_add_cause(
			host, "pvm",
			"Run VMs that need CET on a host with VT-x or AMD-V and kvm_intel or "
			"kvm_amd. cetd still shows what guests here try to do with CET.",
			"KVM works by software here (kvm_pvm): its CPUs have no CET.");
	if (!f->has_cpu || cpu_has_cet(f))
		return;
	if (f->has_cpuid && (f->cpuid_shstk || f->cpuid_ibt))
		host_add_cause(
			host, "cpu_cet_disabled",
			"Remove ibt=off, nousershstk and clearcpuid= from the kernel command "
			"line, and use a kernel with CONFIG_X86_USER_SHADOW_STACK and "
			"CONFIG_X86_KERNEL_IBT.",
			"The CPU has CET (SHSTK %s, IBT %s), but this kernel does not use it.",
			f->cpuid_shstk ? "yes" : "no", f->cpuid_ibt ? "yes" : "no");
	else if (f->cpu_hypervisor)
		host_add_cause(
			host, "nested",
			"On the host below, use a kernel that gives guests CET, and a CPU "
			"model with SHSTK and IBT (such as host passthrough) for this VM.",
			"This host is a VM itself, and its CPU shows neither SHSTK nor IBT.");
	else
		host_add_cause(host, "cpu_no_cet",
			       "CET takes Intel Tiger Lake, Sapphire Rapids or later, or AMD Zen 3 "
			       "or later (shadow stacks only). On such a CPU, update the firmware "
			       "and look for a CET switch in its setup.",
			       "The CPU shows neither SHSTK nor IBT.");
}

static void explain_intel(const struct hostfacts *f, struct cetd_host *host)
{
	/* The module clears the parameter itself where the CPU lacks CET. */
	if (f->cet == HOSTFACTS_SWITCH_OFF && cpu_has_cet(f))
		host_add_cause(
			host, "kvm_intel_cet_off",
			"Remove cet=0 from the options of kvm_intel (/etc/modprobe.d, kernel "
			"command line) and reload it. If nobody set it, the CPU's VMX cannot "
			"load CET state: then a host below must pass that on.",
			"The parameter cet of kvm_intel is off.");
	if (f->ept == HOSTFACTS_SWITCH_OFF)
		host_add_cause(host, "ept_off",
			       "Remove ept=0 from the options of kvm_intel and reload it.",
			       "EPT is off (parameter ept of kvm_intel); CET needs it.");
	else if (f->unrestricted_guest == HOSTFACTS_SWITCH_OFF)
		host_add_cause(host, "unrestricted_guest_off",
			       "Remove unrestricted_guest=0 from the options of kvm_intel and "
			       "reload it.",
			       "Unrestricted guest is off (parameter of kvm_intel): KVM would have "
			       "to emulate code, and it does not emulate CET.");
	if (f->smaller_maxphyaddr == HOSTFACTS_SWITCH_ON && f->ept != HOSTFACTS_SWITCH_OFF)
		host_add_cause(
			host, "smaller_maxphyaddr",
			"Remove allow_smaller_maxphyaddr=1 from the options of kvm_intel and "
			"reload it.",
			"The parameter allow_smaller_maxphyaddr of kvm_intel is on, and that "
			"excludes shadow stacks.");
	if (!cpu_has_cet(f))
		return;
	if (f->vmx_basic_error)
		host_add_cause(
			host, "vmx_basic_unknown",
			"modprobe msr and run cetctl probe as root again, or: "
			"rdmsr -p 0 -f 56:56 0x480 (1 is what CET needs).",
			"Whether VMX can inject a #CP (VMX_BASIC bit 56) is unknown: the MSR "
			"cannot be read (%s).",
			strerror(f->vmx_basic_error));
	else if (!(f->vmx_basic & VMX_BASIC_NO_HW_ERRCODE))
		host_add_cause(host, "vmx_basic_bit56",
			       "Update the CPU's microcode or firmware; if this host is a VM, the "
			       "hypervisor below must show the bit.",
			       "VMX_BASIC bit 56 is clear (0x%llx): VMX cannot inject a #CP.",
			       (unsigned long long)f->vmx_basic);
}

static void explain_off(const struct hostfacts *f, struct cetd_host *host)
{
	explain_kvm(f, host);
	explain_cpu(f, host);
	if (is_kernel_too_old(f))
		host_add_cause(host, "kernel_too_old",
			       "Use Linux 6.18 or later, or build this kernel with the series in "
			       "kernel-patches/ (6.12 LTS). Until then cetd shows what guests try.",
			       "Linux %s gives guests no CET.", host->kernel_release);
	if (!strcmp(f->vendor, "intel"))
		explain_intel(f, host);
	if (!strcmp(f->vendor, "amd") && f->npt == HOSTFACTS_SWITCH_OFF)
		host_add_cause(host, "npt_off",
			       "Remove npt=0 from the options of kvm_amd and reload it.",
			       "Nested paging is off (parameter npt of kvm_amd); CET needs it.");
	if (!host->n_causes)
		host_add_cause(host, "unexplained",
			       "See what dmesg says about kvm and CET, and report it with the "
			       "output of cetctl probe --json.",
			       "KVM offers guests neither SHSTK nor IBT, and no reason was found.");
}

/* Guests get CET, but not all of it. */
static void explain_partial(const struct hostfacts *f, struct cetd_host *host)
{
	if (f->kvm_shstk && !f->kvm_ibt && !strcmp(f->vendor, "amd"))
		host_add_cause(
			host, "amd_no_ibt",
			"Nothing to do: guests have shadow stacks, and there are no endbranch "
			"faults to be seen.",
			"AMD CPUs have shadow stacks but no IBT.");
	else if (!f->kvm_ibt)
		host_add_cause(host, "ibt_missing",
			       "Remove ibt=off from the kernel command line, and use a kernel with "
			       "CONFIG_X86_KERNEL_IBT.",
			       "KVM offers guests shadow stacks, but no IBT.");
	else if (!f->kvm_shstk)
		host_add_cause(
			host, "shstk_missing",
			"Use a kernel with CONFIG_X86_USER_SHADOW_STACK, without nousershstk "
			"on its command line; the parameter allow_smaller_maxphyaddr of "
			"kvm_intel must be off.",
			"KVM offers guests IBT, but no shadow stacks.");
	if ((f->kvm_xss & XSS_CET) != XSS_CET)
		host_add_cause(host, "xss_incomplete",
			       "Update the kernel: KVM should offer both or none of CET's XSAVE "
			       "components.",
			       "KVM offers CET without both of its XSAVE components (XSS 0x%llx): "
			       "VMMs will refuse to use it.",
			       (unsigned long long)f->kvm_xss);
}

static bool has_capability(const struct hostfacts *f, int capability)
{
	return f->capabilities & (1ULL << capability | 1ULL << CAP_SYS_ADMIN);
}

static void explain_rights(const struct hostfacts *f, struct cetd_host *host)
{
	const char *missing = NULL;

	if (!has_capability(f, CAP_BPF))
		missing = has_capability(f, CAP_PERFMON) ? "CAP_BPF" : "CAP_BPF and CAP_PERFMON";
	else if (!has_capability(f, CAP_PERFMON))
		missing = "CAP_PERFMON";
	if (missing)
		host_add_cause(host, "capability_missing",
			       "Run cetd as root, or give its unit AmbientCapabilities=CAP_BPF "
			       "CAP_PERFMON. In a container, add them there.",
			       "cetd lacks %s: it cannot load its programs.", missing);
	else if (f->is_kvm_modular && !(f->capabilities & 1ULL << CAP_SYS_ADMIN))
		host_add_cause(
			host, "module_btf_capability",
			"Give cetd's unit CAP_SYS_ADMIN too (AmbientCapabilities=), or use a "
			"kernel with KVM built in.",
			"KVM is a module, and its BTF may be read with CAP_SYS_ADMIN only: "
			"some programs may not load.");
}

/* What keeps cetd from seeing, whatever guests get. */
static void explain_blindness(const struct hostfacts *f, struct cetd_host *host)
{
	explain_rights(f, host);
	if (!f->has_vmlinux_btf)
		host_add_cause(host, "btf_missing",
			       "Use a kernel with CONFIG_DEBUG_INFO_BTF=y (distributions' kernels "
			       "have it), and let cetd see /sys/kernel/btf.",
			       "There is no /sys/kernel/btf/vmlinux: BPF programs cannot be fitted "
			       "to this kernel.");
	else if (f->is_kvm_modular && !f->has_kvm_btf)
		host_add_cause(host, "kvm_btf_missing",
			       "Use a kernel with CONFIG_DEBUG_INFO_BTF_MODULES=y.",
			       "KVM is a module without BTF (/sys/kernel/btf/kvm): its events and "
			       "several VMs in one process cannot be told apart.");
	if (!strcmp(f->lockdown, "confidentiality"))
		host_add_cause(host, "lockdown",
			       "Boot with lockdown=integrity at most: that keeps the kernel from "
			       "being changed, and BPF programs may read.",
			       "Kernel lockdown is at confidentiality: BPF programs may not read "
			       "kernel memory.");
	if (f->has_own_pid_namespace)
		host_add_cause(
			host, "pid_namespace",
			"Run cetd in the host's PID namespace (for a container: --pid=host).",
			"cetd runs in a PID namespace of its own: the kernel's process ids "
			"mean other processes here. VMs get no names, and are known by their "
			"events only.");
	if (!f->sees_processes)
		host_add_cause(host, "proc_hidden",
			       "Mount /proc without hidepid= for cetd: in its unit, no "
			       "ProtectProc= and no ProcSubset=.",
			       "Other processes are hidden in /proc: VMs get no names.");
}

void probe_judge(const struct hostfacts *facts, struct cetd_host *host)
{
	utf8_sanitize(facts->release, host->kernel_release, sizeof(host->kernel_release));
	snprintf(host->kvm_vendor, sizeof(host->kvm_vendor), "%s", facts->vendor);
	host->guest_cet = judge_guest_cet(facts);
	if (host->guest_cet == CETD_GUEST_CET_ON)
		explain_partial(facts, host);
	else
		explain_off(facts, host);
	explain_blindness(facts, host);
}

uint64_t probe_realtime_offset_ns(void)
{
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

void probe_host(const char *root, struct cetd_host *ret)
{
	struct hostfacts facts;

	hostfacts_read(root, &facts);
	probe_judge(&facts, ret);
	ret->realtime_offset_ns = probe_realtime_offset_ns();
}
