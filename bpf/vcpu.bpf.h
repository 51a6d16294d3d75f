/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs on cetd's own tracepoints do; these pass the vCPU first. Apart from the programs, so that
 * tests can hang the same code on a tracepoint that every kernel has.
 */
#pragma once

#include "handle.bpf.h"

static __always_inline int vcpu_cp(struct kvm_vcpu___cetd *vcpu, __u32 error_code, __u64 cet,
				   __u64 ssp, __u32 action)
{
	struct fault f = {
		.ssp = ssp,
		.cet = cet,
		.error_code = error_code,
		.action = action,
		.cpl = CETD_CPL_UNKNOWN,
	};
	struct subject s;

	/* Since 6.12.107 the verifier takes a tracepoint's pointers for possibly NULL. */
	if (!vcpu || !vm_get(&s, key_of_vcpu(vcpu)))
		return 0;
	f.vcpu = vcpu->vcpu_id;
	if (bpf_core_field_exists(vcpu->arch.cet.fault.rip)) {
		f.rip = vcpu->arch.cet.fault.rip;
		f.cpl = vcpu->arch.cet.fault.cpl;
		f.is_nested = vcpu->arch.cet.fault.nested;
		f.has_address = true;
	}
	return handle_cp(&s, &f);
}

static __always_inline int vcpu_msr(struct kvm_vcpu___cetd *vcpu, bool is_write, __u32 index,
				    __u64 data, bool is_host, int error)
{
	struct access a = {
		.data = data,
		.msr = msr_of(index, data),
		.is_write = is_write,
		.has_faulted = error,
		.is_host = is_host,
	};
	struct subject s;

	if (!vcpu || a.msr == _CETD_MSR_MAX || !vm_get(&s, key_of_vcpu(vcpu)))
		return 0;
	a.vcpu = vcpu->vcpu_id;
	a.is_nested = vcpu->arch.hflags & HF_GUEST_MASK;
	msr_count(&s, &a);
	return 0;
}

static __always_inline int vcpu_vmcs_load(struct kvm_vcpu___cetd *vcpu, int cpu, int prev_cpu,
					  bool is_nested)
{
	struct subject s;

	if (!vcpu || !vm_get(&s, key_of_vcpu(vcpu)))
		return 0;
	return handle_vmcs_load(&s, vcpu->vcpu_id, cpu, prev_cpu, is_nested);
}
