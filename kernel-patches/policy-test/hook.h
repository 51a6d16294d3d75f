/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy under test: loaded, attached, told what to do, and what came of it. What fails here ends the test. */
#ifndef HOOK_H
#define HOOK_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_link;
struct bpf_map;
struct bpf_object;

extern struct hook {
	struct bpf_object *object;
	struct bpf_map *ops, *second_ops;
	struct bpf_link *link, *trace;
	int policies, counts, update, grant;
} hook;

void hook_load(const char *path);
void hook_close(void);

void attach(void);
void detach(void);

/* Of a VM, or of all with id 0; vcpus is a bit for each vCPU that the verdict is for. */
void set_vcpu_policy(uint64_t vm_id, uint64_t vcpus, uint64_t flags, uint64_t verdict);
void set_policy(uint64_t vm_id, uint64_t flags, uint64_t verdict);

/* bpf_kvm_cet_update(). */
int update(uint64_t vm_id);

/* The VM's policy ends after so many nanoseconds. */
int grant(uint64_t vm_id, uint64_t ns);

uint64_t count(uint32_t what);
void reset_counts(void);

/* A policy for all VMs, attached, and no counts. */
void begin(uint64_t flags, uint64_t verdict);

void set_trace(bool is_on);

/* Many short grace periods rather than few long ones, where a test attaches and detaches a lot. */
void hurry_rcu(bool is_on);

#endif
