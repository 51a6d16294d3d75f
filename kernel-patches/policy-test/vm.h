/* SPDX-License-Identifier: GPL-2.0-only */
/* The VM that the policy test runs: guest.S on up to two vCPUs, each with a thread. Failures end the program. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_VCPUS 2
#define FOREVER UINT64_MAX

struct vcpu {
	struct vm *vm;
	int fd;
	struct kvm_run *run;
	pthread_t thread;
	volatile bool is_paused, is_waiting, is_unexpected, is_done;
	volatile uint64_t back_ns; /* when KVM_RUN last came back for a signal */
};

struct vm {
	int fd;
	uint64_t id;
	uint8_t *mem;
	unsigned int nr_vcpus;
	size_t run_bytes; /* of each vCPU's mapping, which would keep the VM alive */
	struct vcpu vcpus[MAX_VCPUS];
};

uint64_t now_ns(void);
struct vm *vm_start(unsigned int nr_vcpus, bool is_user, bool has_cet, uint64_t rounds);
void vm_end(struct vm *vm, unsigned int i); /* have one vCPU's guest end */
void vm_stop(struct vm *vm);		    /* have all of them end, and wait for it */
void vm_join(struct vm *vm);
void vm_free(struct vm *vm);
uint64_t vm_differences(void); /* faults of VMs freed since the last call that were not as they should be */
struct vm *vm_move(struct vm *from); /* into a new VM, with the state that a migration carries; frees the old one */
uint64_t vm_get(const struct vm *vm, unsigned int i, unsigned int offset); /* of the block of one vCPU */
uint64_t vm_sum(const struct vm *vm, unsigned int offset);		   /* of all of them */
uint64_t vm_stat(const struct vm *vm, const char *name);
uint64_t vm_s_cet(struct vm *vm);   /* as KVM_GET_MSRS has it, also in mid-run */
void vm_set_s_cet(struct vm *vm, uint64_t value);
uint64_t vm_kick_ns(struct vm *vm); /* how long the first vCPU takes to leave KVM_RUN */
