/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The messages that flow from daemon/source to daemon/model. The live kernel, a recording and a test
 * all speak this; a recording is these structs, framed (daemon/source/recording.h).
 */
#pragma once

#include "cetd/event.h"

#define CETD_STREAM_VERSION 1

/* What an operator may want to know of a host, each with how far this kernel shows it. */
enum cetd_fact {
	CETD_FACT_HARDWARE_CP,
	CETD_FACT_INJECTED_CP,
	CETD_FACT_CET_MSR,
	CETD_FACT_CR4_CET,
	CETD_FACT_VMCS_LOAD,
	CETD_FACT_ENFORCEMENT,
	_CETD_FACT_MAX,
};

enum cetd_coverage {
	CETD_COVERAGE_UNOBSERVABLE,
	CETD_COVERAGE_PARTIAL,
	CETD_COVERAGE_OBSERVED,
	_CETD_COVERAGE_MAX,
};

/* Which tracepoints the programs hang on. */
enum cetd_family {
	CETD_FAMILY_NONE,    /* nothing could be attached */
	CETD_FAMILY_STOCK,   /* kvm_msr, kvm_cr, kvm_inj_exception */
	CETD_FAMILY_PATCHED, /* kvm_cet_cp, kvm_cet_msr, kvm_cet_vmcs_load */
	_CETD_FAMILY_MAX,
};

/* Whether KVM offers CET to guests on this host (KVM_GET_SUPPORTED_CPUID, leaf 7: SHSTK or IBT). */
enum cetd_guest_cet {
	CETD_GUEST_CET_UNKNOWN,
	CETD_GUEST_CET_OFF,
	CETD_GUEST_CET_ON,
	_CETD_GUEST_CET_MAX,
};

enum cetd_attribution {
	CETD_ATTRIBUTION_PROCESS, /* one VM in the process: the process is the VM */
	CETD_ATTRIBUTION_VM_ID,	  /* by the kernel's VM id */
	CETD_ATTRIBUTION_AMBIGUOUS, /* several VMs in the process, no VM id: counts are of all of them */
	_CETD_ATTRIBUTION_MAX,
};

struct cetd_fact_coverage {
	__u32 state; /* enum cetd_coverage */
	char reason[252];
};

/* Why guest CET is off, or why something is not seen; code is a stable word such as "kernel_too_old". */
struct cetd_cause {
	char code[32];
	char text[192];	  /* what was found */
	char advice[288]; /* what to do about it */
};

#define CETD_CAUSES_MAX 16

/* CETD_MESSAGE_HOST: what the probe found. Sent first, and again when it changes. */
struct cetd_host {
	char kernel_release[65]; /* uname -r */
	char kvm_vendor[15];	 /* "intel", "amd", "pvm", "none" */
	__u32 family;		 /* enum cetd_family */
	__u32 guest_cet;	 /* enum cetd_guest_cet */
	__u32 map_capacity;	 /* VMs that the maps hold */
	__u32 n_causes;
	__u64 realtime_offset_ns; /* CLOCK_REALTIME - CLOCK_MONOTONIC */
	struct cetd_fact_coverage facts[_CETD_FACT_MAX];
	struct cetd_cause causes[CETD_CAUSES_MAX];
};

/* CETD_MESSAGE_VM_ADD: a VM was found, or more is known of it. Strings are UTF-8 without control
 * characters, NUL-terminated. */
struct cetd_identity {
	__u64 key;
	__u64 vm_id;	      /* 0: this kernel has none */
	__u32 pid;	      /* tgid of the VMM */
	__u32 attribution;    /* enum cetd_attribution */
	__u32 vms_in_process; /* at least 1 */
	__u32 reserved;
	char id[64];	/* stable: UUID where there is one; unique among live VMs */
	char name[128]; /* for people; "pid-N" where nothing better is known */
	char uuid[40];	/* lower case with dashes, or "" */
	char unit[128]; /* systemd unit, or "" */
	char vmm[24]; /* "qemu", "cloud-hypervisor", "firecracker", "crosvm", "libkrun", or the comm */
	char cgroup[256];
};

enum cetd_message_type {
	CETD_MESSAGE_HOST = 1,	/* struct cetd_host */
	CETD_MESSAGE_VM_ADD,	/* struct cetd_identity */
	CETD_MESSAGE_VM_REMOVE, /* __u64 key, after the last counters of the VM */
	CETD_MESSAGE_COUNTERS,	/* struct cetd_counters_message */
	CETD_MESSAGE_HISTORY,	/* struct cetd_history_message */
	CETD_MESSAGE_EVENT,	/* struct cetd_event */
	CETD_MESSAGE_LOST,	/* struct cetd_lost_message */
	CETD_MESSAGE_SETTLED, /* no payload: a round of messages is complete, views may be refreshed */
	_CETD_MESSAGE_MAX,
};

struct cetd_counters_message {
	__u64 key;
	struct cetd_vm vm;
};

struct cetd_history_message {
	__u64 key;
	struct cetd_history history;
};

/* Absolute values since the source started. */
struct cetd_lost_message {
	__u64 lost[_CETD_LOST_MAX];
	__u32 map_entries;
	__u32 reserved;
};

/* A message on its way; payload is owned by the sender and valid for the duration of the call. */
struct cetd_message {
	__u32 type;    /* enum cetd_message_type */
	__u32 size;    /* bytes of payload, as the type demands */
	__u64 time_ns; /* CLOCK_MONOTONIC of the sender */
	const void *payload;
};

/* Where a source sends to. Returns 0, or a negative errno that ends the source. */
struct cetd_sink {
	int (*send)(void *userdata, const struct cetd_message *message);
	void *userdata;
};

_Static_assert(sizeof(struct cetd_fact_coverage) == 256, "coverage");
_Static_assert(sizeof(struct cetd_cause) == 512, "cause");
_Static_assert(sizeof(struct cetd_host) == 80 + 24 + 6 * 256 + 16 * 512, "host");
_Static_assert(sizeof(struct cetd_identity) == 32 + 64 + 128 + 40 + 128 + 24 + 256, "identity");
_Static_assert(sizeof(struct cetd_counters_message) == 504, "counters message");
_Static_assert(sizeof(struct cetd_lost_message) == 8 * _CETD_LOST_MAX + 8, "lost message");
