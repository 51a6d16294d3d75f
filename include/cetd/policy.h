/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ABI between the daemon, which decides what holds for a VM, and the BPF programs, which see to it:
 * parameters (written by the daemon), state (kept in the kernel), storms (told to the daemon). Everything is
 * pinned and outlives the daemon: CETD_POLICY_ABI_VERSION changes with the meaning or layout of anything here.
 */
#pragma once

#include "cetd/event.h"

#ifndef __bpf__
#include <linux/bpf.h>
#endif

#define CETD_POLICY_ABI_VERSION 2

#define CETD_POLICY_RATES_MAX 8
#define CETD_POLICY_ACTIONS \
	4 /* room for enum cetd_action, a power of two so that a mask bounds an index */
#define CETD_POLICY_DELAY_MAX_NS 1000000000ULL /* the kernel's: kvm_cet_ops, KVM_CET_MAX_DELAY_NS */
#define CETD_POLICY_INTERVAL_MAX_NS 3600000000000ULL /* 1 h */
#define CETD_POLICY_COUNT_MAX 1000000U /* of a limit and a burst; times 1 h it fits 62 bits */

enum cetd_mode {
	CETD_MODE_MONITOR, /* decide and count what would have been done, deliver every fault at once */
	CETD_MODE_ENFORCE,
	_CETD_MODE_MAX,
};

enum cetd_ibt {
	CETD_IBT_KEEP,
	CETD_IBT_OFF,
	_CETD_IBT_MAX,
};

enum cetd_shstk {
	CETD_SHSTK_KEEP,
	CETD_SHSTK_HIDE, /* from the VM's next start; shadow stacks are never taken from a running guest */
	_CETD_SHSTK_MAX,
};

/* What is done when faults come faster than a rate allows. In rising order: the strongest wins. */
enum cetd_then {
	CETD_THEN_ALERT,    /* tell, and nothing else */
	CETD_THEN_THROTTLE, /* delay each fault over the rate, twice as long each time */
	CETD_THEN_FREEZE, /* hold the vCPU for max_delay_ns; the daemon freezes the VM meanwhile */
	CETD_THEN_TERMINATE, /* likewise, and the daemon ends the VM */
	_CETD_THEN_MAX,
};

/* What became of a setting. */
enum cetd_effect {
	CETD_EFFECT_IN_FORCE,  /* holds now; also where nothing had to be done */
	CETD_EFFECT_MONITORED, /* would be done, but the mode is monitor */
	CETD_EFFECT_NEXT_START, /* holds once the VM has been started with the change that is named */
	CETD_EFFECT_UNENFORCEABLE, /* this kernel cannot */
	CETD_EFFECT_MOOT,	   /* the host gives guests no CET: there is nothing to act on */
	_CETD_EFFECT_MAX,
};

/* struct cetd_policy's flags, obeyed in enforce mode only. */
#define CETD_POLICY_IBT_OFF \
	(1U << 0) /* KVM_CET_POLICY_IBT_OFF: missing ENDBRANCHes are suppressed */
#define CETD_POLICY_HIDE_IBT \
	(1U << 1) /* KVM_CET_POLICY_HIDE_IBT: works before the vCPU first runs */
#define CETD_POLICY_HIDE_SHSTK (1U << 2) /* KVM_CET_POLICY_HIDE_SHSTK: likewise */

#define CETD_KINDS_ALL ((1U << _CETD_KIND_MAX) - 1)
#define CETD_PRIVILEGES_ALL ((1U << _CETD_PRIVILEGE_MAX) - 1)

/*
 * At most `limit` faults in `interval_ns`, on the average, and up to `burst` at once: a token bucket of depth
 * burst. A limit of 0 makes the first fault one too many. A storm begins with the first fault over the rate and
 * ends when there has been none for `quiet_ns`.
 */
struct cetd_rate {
	__u64 interval_ns; /* 1 to CETD_POLICY_INTERVAL_MAX_NS */
	__u64 quiet_ns;	   /* at least interval_ns and 2 * max_delay_ns */
	__u64 min_delay_ns;
	__u64 max_delay_ns; /* at most CETD_POLICY_DELAY_MAX_NS */
	__u32 limit;	    /* at most CETD_POLICY_COUNT_MAX */
	__u32 burst;	    /* likewise; at least 1 unless limit is 0 */
	__u32 rule;	    /* the daemon's number of the rule it comes from, carried into storms */
	__u8 kinds;	    /* a bit per enum cetd_kind */
	__u8 privileges;    /* a bit per enum cetd_privilege */
	__u8 then;	    /* enum cetd_then */
	__u8 reserved;
};

/* A VM's parameters. Key: as in the VM maps. Replaced as a whole, written by the daemon only. */
struct cetd_policy {
	__u32 generation; /* changes with the rates: buckets of another one start anew */
	__u8 mode;	  /* enum cetd_mode */
	__u8 flags;	  /* CETD_POLICY_… */
	__u8 n_rates;
	__u8 reserved;
	struct cetd_rate rates[CETD_POLICY_RATES_MAX];
};

/* What is kept of a rate. All zero: a full bucket, no storm. Times are CLOCK_MONOTONIC, never 0 once set. */
struct cetd_bucket {
	__s64 credit; /* limit × ns: a fault costs interval_ns. Negative: faults that were delayed, not paid for */
	__u64 refilled_ns; /* when credit was right; 0: never used */
	__u64 delay_ns;	   /* of the next fault over the rate */
	__u64 storm_ns;	   /* since when there is a storm; 0: there is none */
	__u64 over_ns;	   /* of the latest fault over the rate; 0: none yet */
	__u64 storm_over;  /* faults over the rate in this storm, or in the latest */
	__u64 storms;	   /* begun, ever */
	__u64 over;	   /* faults over the rate, ever */
};

/*
 * A VM's state. Key as above; made by the daemon along with the parameters, then touched by BPF only, under
 * the lock. Counters go on through every change of policy and every restart of the daemon.
 */
struct cetd_policy_state {
	struct bpf_spin_lock lock;
	__u32 generation;			/* that the buckets belong to */
	__u64 decision[2][CETD_POLICY_ACTIONS]; /* [0] would have, in either mode; [1] did */
	__u64 delayed_ns;		 /* asked for, all delays together; only of what was done */
	__u64 storms[2][_CETD_THEN_MAX]; /* [0] in monitor mode, [1] in enforce mode */
	struct cetd_bucket buckets[CETD_POLICY_RATES_MAX];
};

/* Of the whole host; one entry. */
struct cetd_policy_control {
	__u32 abi_version; /* CETD_POLICY_ABI_VERSION of who made the maps */
	__u32 reserved;
	__u64 lease_ns; /* the dead-man: from this CLOCK_MONOTONIC on, every fault is delivered; 0: never */
	__u64 lapsed;	   /* faults that were delivered because the lease was over */
	__u64 storms_lost; /* struct cetd_storm that found no room in the ring buffer */
};

enum cetd_storm_type {
	CETD_STORM_STARTED,
	CETD_STORM_ENDED, /* noticed at a later fault; the daemon finds most ends by itself, see policy/storms.h */
	_CETD_STORM_MAX,
};

/* Told through a ring buffer, with a wakeup. */
struct cetd_storm {
	__u64 time_ns;
	__u64 key;
	__u64 since_ns; /* of the storm: with key and rate, its name */
	__u64 over;	/* faults over the rate in it so far */
	__u64 rip;	/* of the fault at which this was noticed, as vcpu, error_code and cpl */
	__u32 rule;	/* as in struct cetd_rate */
	__u32 generation;
	__u32 vcpu;
	__u16 error_code;
	__u8 rate; /* index */
	__u8 type; /* enum cetd_storm_type */
	__u8 then; /* enum cetd_then */
	__u8 mode; /* enum cetd_mode */
	__u8 cpl;  /* 0 to 3, or CETD_CPL_UNKNOWN */
	__u8 reserved[5];
};

_Static_assert(sizeof(struct cetd_rate) == 48, "rate");
_Static_assert(sizeof(struct cetd_policy) == 8 + 48 * CETD_POLICY_RATES_MAX, "policy");
_Static_assert(sizeof(struct cetd_bucket) == 64, "bucket");
_Static_assert(sizeof(struct cetd_policy_state) == 8 + 64 + 8 + 64 + 64 * CETD_POLICY_RATES_MAX,
	       "state");
_Static_assert(__builtin_offsetof(struct cetd_policy_state, buckets) == 144, "state, no padding");
_Static_assert(sizeof(struct cetd_policy_control) == 32, "policy control");
_Static_assert(_CETD_ACTION_MAX <= CETD_POLICY_ACTIONS, "room for the actions");
_Static_assert(sizeof(struct cetd_storm) == 64, "storm");
