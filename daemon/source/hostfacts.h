/* SPDX-License-Identifier: GPL-2.0-only */
/* What can be read of a host without changing anything on it: kernel, CPU, KVM, our own rights. Quiet. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A module's boolean parameter. */
enum hostfacts_switch {
	HOSTFACTS_SWITCH_UNKNOWN, /* no such parameter, or it may not be read */
	HOSTFACTS_SWITCH_OFF,
	HOSTFACTS_SWITCH_ON,
};

struct hostfacts {
	char release[65];
	unsigned int major, minor; /* of release; 0, 0 where it cannot be read */

	char vendor[15];     /* "intel", "amd", "pvm", "none" */
	bool has_kvm_module; /* KVM is in this kernel, as a module or not */
	bool is_kvm_modular;
	int kvm_error;		 /* errno of opening or asking /dev/kvm, or 0 */
	bool kvm_shstk, kvm_ibt; /* offered to guests; where kvm_error is 0 */
	uint64_t kvm_xss;	 /* likewise, KVM's IA32_XSS */

	bool has_cpu; /* the CPU flags below were read */
	bool cpu_shstk, cpu_ibt, cpu_vmx, cpu_svm, cpu_hypervisor;
	bool is_cpu_intel;
	bool has_cpuid; /* the CPU was asked itself, past what the kernel makes of it */
	bool cpuid_shstk, cpuid_ibt;

	enum hostfacts_switch cet, ept, unrestricted_guest, smaller_maxphyaddr; /* kvm_intel */
	enum hostfacts_switch npt;						/* kvm_amd */
	int vmx_basic_error; /* errno of reading the MSR, or 0 */
	uint64_t vmx_basic;

	char lockdown[24]; /* "none", "integrity", "confidentiality", "" where it cannot be read */
	bool has_vmlinux_btf, has_kvm_btf;
	uint64_t capabilities; /* effective */
	bool sees_processes;   /* other processes are in /proc */
	bool has_own_pid_namespace;
};

/* root is "/", or a directory with the same files: then the CPU is not asked itself. Never fails. */
void hostfacts_read(const char *root, struct hostfacts *ret);

/* "6.12.95+deb13-amd64" → 6, 12. False for what does not start like a release. */
bool hostfacts_parse_release(const char *release, unsigned int *ret_major, unsigned int *ret_minor);
