/* SPDX-License-Identifier: GPL-2.0-only */
/* What the test's BPF programs and its user space share; values are the kernel's (arch/x86/kvm/cet.h). */
#pragma once

#define DECIDE 1
#define IBT_OFF 2
#define HIDE_IBT 4
#define HIDE_SHSTK 8

enum action { DELIVER, DELAY, SUPPRESS, NR_ACTIONS };

#define VERDICT(action, delay_ns) ((action) | (unsigned long long)(delay_ns) << 8)

/* Counters: first one for each action of the tracepoint, then calls of the two callbacks. */
enum { COUNT_CP = NR_ACTIONS, COUNT_VCPU_POLICY, NR_COUNTS };

struct policy {
	__u64 flags;
	__u64 verdict;
	__u64 vcpus; /* which vCPUs get the verdict; faults of the others are delivered */
};

/* The context of grant: the VM's policy is to go away by itself after that time. */
struct lease_request {
	__u64 vm_id;
	__u64 ns;
};
