// SPDX-License-Identifier: GPL-2.0-only
#include "hook.h"

#include <err.h>
#include <stdio.h>

#include <linux/types.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "policy.h"

struct hook hook;

void set_vcpu_policy(uint64_t vm_id, uint64_t vcpus, uint64_t flags, uint64_t verdict)
{
	struct policy policy = { .flags = flags, .verdict = verdict, .vcpus = vcpus };

	if (bpf_map_update_elem(hook.policies, &vm_id, &policy, BPF_ANY))
		err(2, "map");
}

void set_policy(uint64_t vm_id, uint64_t flags, uint64_t verdict)
{
	set_vcpu_policy(vm_id, ~0ULL, flags, verdict);
}

uint64_t count(uint32_t what)
{
	uint64_t value = 0;

	bpf_map_lookup_elem(hook.counts, &what, &value);
	return value;
}

int update(uint64_t vm_id)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &vm_id, .ctx_size_in = sizeof(vm_id));

	if (bpf_prog_test_run_opts(hook.update, &run))
		err(2, "update");
	return (int)run.retval;
}

int grant(uint64_t vm_id, uint64_t ns)
{
	struct lease_request request = { .vm_id = vm_id, .ns = ns };
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &request, .ctx_size_in = sizeof(request));

	if (bpf_prog_test_run_opts(hook.grant, &run))
		err(2, "grant");
	return (int)run.retval;
}

void attach(void)
{
	hook.link = bpf_map__attach_struct_ops(hook.ops);
	if (!hook.link)
		err(2, "attaching the policy");
}

void detach(void)
{
	bpf_link__destroy(hook.link);
	hook.link = NULL;
}

void reset_counts(void)
{
	uint64_t zero = 0;

	for (uint32_t i = 0; i < NR_COUNTS; i++)
		bpf_map_update_elem(hook.counts, &i, &zero, BPF_ANY);
}

void begin(uint64_t flags, uint64_t verdict)
{
	reset_counts();
	set_policy(0, flags, verdict);
	attach();
}

void set_trace(bool is_on)
{
	bpf_link__destroy(hook.trace);
	hook.trace = NULL;
	if (!is_on)
		return;
	hook.trace = bpf_program__attach(bpf_object__find_program_by_name(hook.object, "on_cp"));
	if (!hook.trace)
		err(2, "kvm_cet_cp");
}

/* Many short grace periods rather than few long ones, where a test attaches and detaches a lohook. */
void hurry_rcu(bool is_on)
{
	FILE *f = fopen("/sys/kernel/rcu_expedited", "we");

	if (f) {
		fprintf(f, "%d", is_on);
		fclose(f);
	}
}

void hook_load(const char *path)
{
	hook.object = bpf_object__open(path);
	if (!hook.object || bpf_object__load(hook.object))
		err(2, "%s", path);
	hook.ops = bpf_object__find_map_by_name(hook.object, "ops");
	hook.second_ops = bpf_object__find_map_by_name(hook.object, "second_ops");
	hook.policies = bpf_object__find_map_fd_by_name(hook.object, "policies");
	hook.counts = bpf_object__find_map_fd_by_name(hook.object, "counts");
	hook.update = bpf_program__fd(bpf_object__find_program_by_name(hook.object, "update"));
	hook.grant = bpf_program__fd(bpf_object__find_program_by_name(hook.object, "grant"));
	set_trace(true);
}

void hook_close(void)
{
	bpf_link__destroy(hook.trace);
	bpf_object__close(hook.object);
}
