// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs, one a hook. Stock kernels: kvm_msr, kvm_cr, kvm_inj_exception, and vmx_vcpu_load_vmcs() where
 * fentry is to be had. Kernels with cetd's patches: kvm_cet_cp, kvm_cet_msr, kvm_cet_vmcs_load, and of the
 * stock ones kvm_cr and kvm_inj_exception. The daemon picks; what the kernel lacks is not loaded.
 */
#include "vcpu.bpf.h"

#define DF_VECTOR 8 /* what a #CP becomes if it meets another fault */
#define CP_VECTOR 21

char LICENSE[] SEC("license") = "GPL";

/* Raw tracepoints for what passes no pointers: they need neither module BTF nor the right to read it. */

SEC("raw_tp/kvm_msr")
int BPF_PROG(stock_msr, __u32 is_write, __u32 index, __u64 data, bool has_faulted)
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

SEC("raw_tp/kvm_cr")
int BPF_PROG(stock_cr, __u32 is_write, __u32 cr, __u64 value)
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
SEC("raw_tp/kvm_inj_exception")
int BPF_PROG(stock_inj_exception, __u32 vector, bool has_error_code, __u32 error_code,
	     bool is_again)
{
	struct thread *t;
	struct subject s;

	if (vector != CP_VECTOR && (!is_patched || vector != DF_VECTOR))
		return 0;
	t = thread_find();
	if (t && t->has_fault) {
		t->has_fault = 0;
		return 0;
	}
	if (vector != CP_VECTOR || is_again || !vm_get(&s, key_of_thread(t)))
		return 0;
	injected_count(&s, has_error_code ? error_code : 0);
	return 0;
}

/* Counts calls: a superset of the loads of another VMCS. */
SEC("fentry/vmx_vcpu_load_vmcs")
int BPF_PROG(stock_vmcs_load, struct kvm_vcpu___cetd *vcpu, int cpu)
{
	struct subject s;

	if (!vm_get(&s, key_of_process()))
		return 0;
	vmcs_load_count(&s, CETD_VCPU_UNKNOWN, cpu, -1, vcpu_uses_vmcs02(vcpu));
	return 0;
}

SEC("tp_btf/kvm_cet_cp")
int BPF_PROG(patched_cp, struct kvm_vcpu___cetd *vcpu, __u32 error_code, __u64 cet, __u64 ssp,
	     __u32 action)
{
	return vcpu_cp(vcpu, error_code, cet, ssp, action);
}

SEC("tp_btf/kvm_cet_msr")
int BPF_PROG(patched_msr, struct kvm_vcpu___cetd *vcpu, bool is_write, __u32 index, __u64 data,
	     bool is_host, int error)
{
	return vcpu_msr(vcpu, is_write, index, data, is_host, error);
}

SEC("tp_btf/kvm_cet_vmcs_load")
int BPF_PROG(patched_vmcs_load, struct kvm_vcpu___cetd *vcpu, int cpu, int prev_cpu, bool is_nested)
{
	return vcpu_vmcs_load(vcpu, cpu, prev_cpu, is_nested);
}
