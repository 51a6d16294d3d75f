/* SPDX-License-Identifier: GPL-2.0-only */
/* What is done about each kind of event, whatever hook told of it. The programs only fetch the arguments. */
#pragma once

#include "access.bpf.h"
#include "fault.bpf.h"
#include "vmcs.bpf.h"

#define DF_VECTOR 8 /* what a #CP becomes if it meets another fault */
#define CP_VECTOR 21

static __always_inline int handle_msr(__u32 is_write, __u32 index, __u64 data, bool has_faulted)
{
	__u32 msr = msr_of(index, data);
	struct subject s;

	if (msr == _CETD_MSR_MAX || !vm_get(&s, key_of_process()))
		return 0;
	msr_count(&s, &(struct access){
			      .data = data,
			      .msr = msr,
			      .vcpu = CETD_VCPU_UNKNOWN,
			      .is_write = is_write,
			      .has_faulted = has_faulted,
		      });
	return 0;
}

static __always_inline int handle_cr(__u32 is_write, __u32 cr, __u64 value)
{
	struct subject s;
	__u64 key;

	if (cr != 4 || !is_write)
		return 0;
	if (!(value & CR4_CET) && !*(volatile __u32 *)&cr4_seen)
		return 0;
	key = key_of_thread(thread_find());
	if (value & CR4_CET ? !vm_get(&s, key) : !vm_find(&s, key))
		return 0;
	cr4_count(&s, value);
	return 0;
}

/*
 * Also called for a hardware #CP that was intercepted and is now given to the guest: that one is counted
 * already. `is_again`: the exception was on its way already when something else came between.
 */
static __always_inline int handle_inj_exception(__u32 vector, bool has_error_code, __u32 error_code,
						bool is_again)
{
	struct thread *t;
	struct subject s;

	if (vector != CP_VECTOR && (!is_patched || vector != DF_VECTOR))
		return 0;
	t = thread_find();
	if (is_patched && thread_take_fault(t))
		return 0;
	if (vector != CP_VECTOR || is_again || !vm_get(&s, key_of_thread(t)))
		return 0;
	injected_count(&s, has_error_code ? error_code : 0);
	return 0;
}

/* A hardware #CP. What is delivered, if later, comes by kvm_inj_exception too: note that. */
static __always_inline int handle_cp(const struct subject *s, const struct fault *f)
{
	__u32 tid = bpf_get_current_pid_tgid();

	if (f->action != CETD_ACTION_SUPPRESS)
		thread_expect_fault(s->key, tid);
	cp_count(s, f, tid);
	return 0;
}

static __always_inline int handle_vmcs_load(const struct subject *s, __u32 vcpu, int cpu,
					    int prev_cpu, bool is_nested)
{
	thread_get(s->key);
	vmcs_load_count(s, vcpu, cpu, prev_cpu, is_nested);
	return 0;
}
