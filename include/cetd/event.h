/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ABI between the BPF programs and the daemon: map keys, counters, fault records, samples.
 * Fixed-width types only; both sides are built from this file. BPF programs include vmlinux.h first.
 */
#pragma once

#ifndef __bpf__
#include <linux/types.h>
#endif

#define CETD_ABI_VERSION 2

/* The kind of a #CP, from bits 14:0 of its error code (SDM vol. 1, "Control-protection exception"). */
enum cetd_kind {
	CETD_KIND_NEAR_RET,  /* 1: near return to an address other than the shadow stack's */
	CETD_KIND_FAR_RET,   /* 2: far return or IRET, likewise */
	CETD_KIND_ENDBRANCH, /* 3: indirect branch to something other than ENDBR */
	CETD_KIND_RSTORSSP,  /* 4: bad shadow-stack restore token */
	CETD_KIND_SETSSBSY,  /* 5: bad or busy supervisor shadow-stack token */
	CETD_KIND_OTHER,     /* any other code */
	_CETD_KIND_MAX,
};

enum cetd_privilege {
	CETD_PRIVILEGE_SUPERVISOR, /* CPL 0 to 2 */
	CETD_PRIVILEGE_USER,	   /* CPL 3 */
	_CETD_PRIVILEGE_MAX,
};

/* The MSRs that CET state lives in; their indices are in cetd/names.h. */
enum cetd_msr {
	CETD_MSR_U_CET,
	CETD_MSR_S_CET,
	CETD_MSR_PL0_SSP,
	CETD_MSR_PL1_SSP,
	CETD_MSR_PL2_SSP,
	CETD_MSR_PL3_SSP,
	CETD_MSR_INT_SSP_TAB,
	CETD_MSR_XSS, /* counted only where bit 11 or 12 (CET_U, CET_S) is set */
	_CETD_MSR_MAX,
};

enum cetd_op {
	CETD_OP_READ,
	CETD_OP_WRITE,
	_CETD_OP_MAX,
};

enum cetd_result {
	CETD_RESULT_OK,
	CETD_RESULT_FAULT, /* the access raised #GP in the guest */
	_CETD_RESULT_MAX,
};

/* What was done with a #CP; the values are those of the kvm_cet_cp tracepoint. */
enum cetd_action {
	CETD_ACTION_DELIVER,
	CETD_ACTION_DELAY,
	CETD_ACTION_SUPPRESS,
	_CETD_ACTION_MAX,
};

enum cetd_event_type {
	CETD_EVENT_CP,	      /* hardware #CP, intercepted */
	CETD_EVENT_INJECTED,  /* #CP injected by the host */
	CETD_EVENT_MSR,	      /* guest access to a CET MSR */
	CETD_EVENT_CR4,	      /* guest write of CR4 that changes or asks for CR4.CET */
	CETD_EVENT_VMCS_LOAD, /* a vCPU's VMCS became current on a CPU */
	_CETD_EVENT_MAX,
};

/* What could not be kept, by reason. */
enum cetd_lost {
	CETD_LOST_RING_FULL, /* sample: ring buffer full */
	CETD_LOST_VMS_FULL, /* event: no room for another VM in the map, or none could be allocated */
	CETD_LOST_SAMPLE_BUDGET, /* sample: the VM had used up its share of this round */
	CETD_LOST_PROGRAM_BUSY,	 /* event: BPF was preempted on that CPU, Linux 7.x */
	_CETD_LOST_MAX,
};

/* Keys of the VM maps: the kernel's VM id where it has one, else the VMM's process with this bit set. */
#define CETD_KEY_TGID (1ULL << 63)

#define CETD_VCPU_UNKNOWN 0xffffffffU
#define CETD_CPL_UNKNOWN 0xff

/* struct cetd_vm's flags. */
#define CETD_VM_CR4_CET (1U << 0) /* the guest's latest write of CR4 that concerned CET set it */

#define CETD_FLAG_NESTED (1U << 0)  /* taken or accessed while L2 ran */
#define CETD_FLAG_HOST (1U << 1)    /* MSR access by the VMM, not by the guest */
#define CETD_FLAG_WRITE (1U << 2)   /* MSR: write; CR4: CET being set */
#define CETD_FLAG_FAULT (1U << 3)   /* MSR access raised #GP */
#define CETD_FLAG_ADDRESS (1U << 4) /* rip, ssp, cet and cpl are known */
#define CETD_FLAG_ENCLAVE (1U << 5) /* error code bit 15, ENCL */

/* One event: a sample in the ring buffer, or a record in a fault history. */
struct cetd_event {
	__u64 time_ns; /* CLOCK_MONOTONIC; 0 in samples of kinds that are not timed */
	__u64 key;     /* as in the VM maps */
	__u64 rip;  /* linear instruction pointer of the faulting branch's target or instruction */
	__u64 ssp;  /* guest shadow-stack pointer */
	__u64 cet;  /* IA32_S_CET below CPL 3, IA32_U_CET at CPL 3 */
	__u64 data; /* MSR: value; CR4: value; VMCS load: CPU in 31:0, previous CPU in 63:32;
			  fault history: position since the VM's first fault, from 1, written last */
	__u32 tid;
	__u32 vcpu;	  /* vCPU index, or CETD_VCPU_UNKNOWN */
	__u16 error_code; /* #CP: bits 14:0 and ENCL */
	__u8 type;
	__u8 kind; /* #CP only */
	__u8 cpl;  /* 0 to 3, or CETD_CPL_UNKNOWN */
	__u8 msr;  /* enum cetd_msr, MSR only */
	__u8 flags;
	__u8 action;
};

/* Exact counts since the VM's first event. */
struct cetd_counters {
	__u64 cp[_CETD_KIND_MAX][_CETD_PRIVILEGE_MAX];
	__u64 msr[_CETD_MSR_MAX][_CETD_OP_MAX][_CETD_RESULT_MAX]; /* by the guest */
	__u64 host_msr[_CETD_OP_MAX];				  /* by the VMM, all CET MSRs */
	__u64 cr4_cet[2];   /* CR4 writes: [0] clear CET, [1] set it */
	__u64 vmcs_load[2]; /* [0] vmcs01, [1] vmcs02 */
	__u64 injected;
	__u64 decision[2][_CETD_ACTION_MAX]; /* [0] would have, [1] did */
	__u64 samples_dropped;		     /* ring full or budget used up */
};

/* Value of the map `vms`: what the kernel knows of a VM. */
struct cetd_vm {
	struct cetd_counters counters;
	__u64 vm_id;	    /* 0: this kernel has none */
	__u64 first_ns;	    /* CLOCK_MONOTONIC of the first event */
	__u32 tgid;	    /* the VMM */
	__u32 flags;	    /* CETD_VM_… */
	__u32 sample_round; /* round of cetd_control that sample_count belongs to */
	__u32 sample_count;
};

#define CETD_HISTORY_FAULTS 64
#define CETD_HISTORY_RIPS 16 /* kept; the ten most frequent are shown */
#define CETD_TOP_RIPS 10

/*
 * A faulting address with its count, kept by the space-saving algorithm: count is at least the true
 * count and at most error too high.
 */
struct cetd_rip {
	__u64 rip;
	__u64 count;
	__u64 error;
};

/* A VM's latest faults and most frequent addresses. */
struct cetd_history {
	__u64 head; /* faults ever recorded: the newest is at (head - 1) % CETD_HISTORY_FAULTS */
	struct cetd_rip rips[CETD_HISTORY_RIPS];
	struct cetd_event faults[CETD_HISTORY_FAULTS];
};

/* Value of the map `histories`. No record lies across two cache lines. */
struct cetd_slot_history {
	__u64 unused[7];
	struct cetd_history history;
};

/*
 * Shared words in .bss, mapped by the daemon. `armed`: the next counted event takes it to 0 and wakes
 * the daemon, once; the daemon sets it again when things have gone quiet. `sample_mask`: which event
 * types are sampled, a bit each. `round` starts a new sample budget for every VM.
 */
struct cetd_control {
	__u32 armed;
	__u32 sample_mask;
	__u32 round;
	__u32 vms; /* entries in the map `vms` */
	__u64 lost[_CETD_LOST_MAX];
};

/* What bpf/scan.bpf.c writes for each file that a process has of a VM of its own. */
struct cetd_scan {
	__u64 vm; /* tells VMs that exist at the same time apart, 0: unknown; stays in daemon/source */
	__u64 vm_id; /* 0: this kernel has none */
	__u32 tgid;
	__u32 vcpu; /* a vCPU's file: its id; a VM's: CETD_VCPU_UNKNOWN */
};

_Static_assert(sizeof(struct cetd_scan) == 24, "scan record");
_Static_assert(sizeof(struct cetd_event) == 64, "ring sample");
_Static_assert(sizeof(struct cetd_counters) == 464, "counters");
_Static_assert(sizeof(struct cetd_vm) == 496, "at most 1 KiB a VM with what finds it");
_Static_assert(sizeof(struct cetd_history) == 8 + 16 * 24 + 64 * 64, "history");
_Static_assert(__builtin_offsetof(struct cetd_slot_history, history.faults) % 64 == 0,
	       "cache lines");
_Static_assert(sizeof(struct cetd_slot_history) % 64 == 0, "cache lines");
_Static_assert(__builtin_offsetof(struct cetd_event, error_code) == 56, "no padding");
_Static_assert(sizeof(struct cetd_control) == 16 + 8 * _CETD_LOST_MAX, "control");
