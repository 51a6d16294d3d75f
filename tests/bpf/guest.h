/* SPDX-License-Identifier: GPL-2.0-only */
/* Running cetvmm as a child, and a VM of the test's own that gets exceptions injected. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Is /dev/kvm to be had? Otherwise errno says why not. */
bool guest_possible(void);

/* Start $BUILD/cetvmm with the msr-loop guest; the VMs stay until the child is ended. */
pid_t guest_start(unsigned int vms, unsigned int vcpus, unsigned int count, int *ret_stdout);

/* Read the child's JSON report: how many accesses to CET MSRs all its vCPUs did, by their own count. Blocks until
 * it has reported; -EIO where a guest failed. */
int64_t guest_report(int fd);

/* End the child and reap it. */
void guest_stop(pid_t pid);

/* One injection of vector into a fresh VM of this process: queued, or as if restored after a migration. */
int guest_inject(uint8_t vector, uint32_t error_code, bool is_restored);
