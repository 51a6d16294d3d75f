/* SPDX-License-Identifier: GPL-2.0-only */
/* The BPF programs: which of them this kernel takes, loaded and attached. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cetd/stream.h"

/* In the order of bpf/cetd.bpf.c. */
enum program {
	PROGRAM_STOCK_MSR,
	PROGRAM_STOCK_CR,
	PROGRAM_STOCK_INJ_EXCEPTION,
	PROGRAM_STOCK_VMCS_LOAD,
	PROGRAM_PATCHED_CP,
	PROGRAM_PATCHED_MSR,
	PROGRAM_PATCHED_VMCS_LOAD,
	_PROGRAM_MAX,
};

/* What became of the programs, and what the kernel's types tell. */
struct programs_state {
	enum cetd_family family;
	int result
		[_PROGRAM_MAX]; /* 0: attached; 1: not of this family; -errno, -ENOENT: no such hook */
	bool has_vm_id;		/* struct kvm_arch has one */
	bool has_fault;		/* struct kvm_vcpu_arch keeps the latest #CP: rip, cpl, nested */
	bool has_cet_ops;	/* the enforcement hook */
	bool is_perf;		/* by perf's tracepoints: no event is passed over */
	bool is_preemptible;	/* raw tracepoints may pass over events, and are used */
};

struct cetd_bpf;

struct programs {
	struct cetd_bpf *skel; /* owned */
	struct cetd_vm
		*vms; /* the slots, max_vms of them, mapped; first_ns is 0 where none is in use */
	struct cetd_slot_history *histories; /* likewise */
	uint32_t max_vms;
	struct programs_state state;
	int pin_fd;		       /* of the directory of pins; -1: nothing is pinned */
	bool is_adopted;	       /* the maps are those of an earlier daemon */
	int program_fds[_PROGRAM_MAX]; /* of pinned programs; -1 */
};

struct programs_params {
	uint32_t max_vms;	/* pins of another size keep theirs */
	uint32_t sample_budget; /* a VM's samples in a round */
	const char *pin_dir;	/* in bpffs; NULL: pin nothing, everything goes with the daemon */
};

/*
 * Load and attach what the kernel has, or go on with what is pinned. Logging. -EPERM: the capabilities for BPF
 * are missing; -ENOENT: no BTF; -ENODEV: not one of KVM's tracepoints is there. ret->state is filled as far as
 * it was got to in any case. Where nothing can be pinned, that is logged, and is no failure.
 */
int programs_load(const struct programs_params *params, struct programs *ret);

/* What is pinned goes on. */
void programs_done(struct programs *p);

/* The BPF program's name: "stock_msr". is_perf: of the one for perf's tracepoint, where there is one. */
const char *program_name(enum program program, bool is_perf);

/* Events that no program looked at, since its run of an earlier one on that CPU had been preempted. */
uint64_t programs_missed(const struct programs *p);

/* See events_get_programs(). */
struct events_program;
unsigned int programs_stats(const struct programs *p, struct events_program *ret_programs);

/* The hook's name for people: "kvm_msr". */
const char *program_hook(enum program program);
