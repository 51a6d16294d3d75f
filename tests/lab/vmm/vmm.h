/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cetvmm: run small 64-bit guests on the KVM API and keep book of what they report.
 * Functions return 0 or -errno and print why; vm_free() accepts half-built objects.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

#define CP_KINDS 6 /* by error code, 0 for any other */

struct vm;

struct options {
	const char *guest;
	const char *name;
	const char *expect;
	unsigned int vcpus, vms;
	uint64_t count;
	unsigned int seconds, hold_seconds, linger_seconds, timeout_seconds;
	bool no_cet, json, rate, verbose, bounce;
};

/* What one vCPU's guest said, plus what the VMM found when asked to compare. */
struct report {
	uint64_t cp[CP_KINDS][4]; /* #CP by kind and CPL */
	uint64_t gp, ud, other;
	uint64_t last_rip, last_ssp, rounds, checks, migrations, injected;
	uint32_t last_fault, features, note, bench;
	uint32_t ticks[BENCHES];
	bool is_done;
	uint32_t failed_line; /* of the guest's source; 0 means success */
	char why[160];	      /* of a failure that the VMM found */
};

struct vcpu {
	struct vm *vm;
	unsigned int index;
	int fd;
	struct kvm_run *run;
	size_t run_bytes;
	unsigned int cpu; /* of --bounce */
	struct report report;
};

struct vm {
	const struct options *options;
	unsigned int index;
	int kvm_fd, fd;
	uint8_t *mem;
	struct vcpu vcpus[MAX_VCPUS];
};

/* vm.c */
int vm_new(const struct options *o, unsigned int index, struct vm *ret_vm);
int vm_load(struct vm *vm, const char *path);
void vm_done(struct vm *vm);
/* A second VM over the same memory, its vCPUs not yet set up beyond CPUID; for vcpu_move(). */
int vm_clone(const struct vm *vm, struct vm *ret_vm);
void *vm_param(struct vm *vm, unsigned int vcpu, unsigned int offset);

/* vcpu.c */
int vcpu_run(struct vcpu *v);
const char *cp_kind_to_string(unsigned int kind);

/* state.c */
/* Let KVM finish the OUT that made it exit, so that RIP is past it and state is whole. */
int vcpu_settle(struct vcpu *v);
int vcpu_move(struct vcpu *from, struct vcpu *to);
int vcpu_inject_cp(struct vcpu *v, uint32_t error_code);
int vcpu_get_msr(struct vcpu *v, uint32_t index, uint64_t *ret_value);
int vcpu_get_guest_ssp(struct vcpu *v, uint64_t *ret_ssp);

/* report.c */
void report_print(const struct options *o, const struct vm *vms, double seconds);
bool report_ok(const struct options *o, const struct vm *vms);

/* expect.c */
/* True if the reports of all vCPUs together are as --expect TEXT says; otherwise tell on stderr what differs. */
bool expect_met(const struct options *o, const struct vm *vms);
bool expect_valid(const char *text);
