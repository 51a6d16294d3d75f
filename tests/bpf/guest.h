/* SPDX-License-Identifier: GPL-2.0-only */
/* Running cetvmm as a child, and a VM of the test's own that gets exceptions injected. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Is /dev/kvm to be had? Otherwise errno says why not. */
bool guest_possible(void);

/* Start cetvmm with that guest; it ends with its guests. */
pid_t guest_start(const char *guest, unsigned int vms, unsigned int vcpus, unsigned int count,
		  int *ret_stdout);

/* What the vCPUs of a child did by their own count, summed. */
struct guest_counts {
	unsigned int vcpus;
	uint64_t gp;	   /* #GP */
	uint64_t cp[6][2]; /* #CP by enum cetd_kind and enum cetd_privilege */
	uint64_t last_rip, last_ssp;
};

/* Read the child's report. Blocks until it has reported; -EIO where a guest failed. */
int guest_counts(int fd, struct guest_counts *ret);

/* Of msr-loop: how many accesses to CET MSRs, all of which fault where guests have no CET. */
int64_t guest_report(int fd);

/* End the child and reap it. */
void guest_stop(pid_t pid);

/* One injection of vector into a fresh VM of this process: queued, or as if restored after a migration. */
int guest_inject(uint8_t vector, uint32_t error_code, bool is_restored);
