// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs, one a hook. Stock kernels: kvm_msr, kvm_cr, kvm_inj_exception, and vmx_vcpu_load_vmcs() where
 * fentry is to be had. Kernels with cetd's patches: kvm_cet_cp, kvm_cet_msr, kvm_cet_vmcs_load, and of the
 * stock ones kvm_cr and kvm_inj_exception. The daemon picks; what the kernel lacks is not loaded.
 */
#include "vcpu.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Raw tracepoints for what passes no pointers: they need neither module BTF nor the right to read it. */

SEC("raw_tp/kvm_msr")
int BPF_PROG(stock_msr, __u32 is_write, __u32 index, __u64 data, bool has_faulted)
{
	return handle_msr(is_write, index, data, has_faulted);
}

SEC("raw_tp/kvm_cr")
int BPF_PROG(stock_cr, __u32 is_write, __u32 cr, __u64 value)
{
	return handle_cr(is_write, cr, value);
}

SEC("raw_tp/kvm_inj_exception")
int BPF_PROG(stock_inj_exception, __u32 vector, bool has_error_code, __u32 error_code,
	     bool is_again)
{
	return handle_inj_exception(vector, has_error_code, error_code, is_again);
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

/*
 * The same by perf's tracepoints, for Linux 7 and later: there a raw tracepoint's program may be preempted, and
 * passes over what happens on its CPU until it goes on. perf keeps preemption off, at the price of writing the
 * event's record first.
 */

SEC("tp/kvm/kvm_msr")
int perf_msr(struct trace_event_raw_kvm_msr___cetd *r)
{
	return handle_msr(r->write, r->ecx, r->data, r->exception);
}

SEC("tp/kvm/kvm_cr")
int perf_cr(struct trace_event_raw_kvm_cr___cetd *r)
{
	return handle_cr(r->rw, r->cr, r->val);
}

SEC("tp/kvm/kvm_inj_exception")
int perf_inj_exception(struct trace_event_raw_kvm_inj_exception___cetd *r)
{
	return handle_inj_exception(r->exception, r->has_error, r->error_code, r->reinjected);
}

SEC("tp/kvm/kvm_cet_cp")
int perf_cet_cp(struct trace_event_raw_kvm_cet_cp___cetd *r)
{
	struct fault f = {
		.rip = r->rip,
		.ssp = r->ssp,
		.cet = r->cet,
		.error_code = r->code | (r->encl ? CP_ENCL : 0),
		.vcpu = r->vcpu_id,
		.cpl = r->cpl,
		.action = r->action,
		.is_nested = r->nested,
		.has_address = true,
	};
	struct subject s;

	return vm_get(&s, r->vm_id ?: key_of_process()) ? handle_cp(&s, &f) : 0;
}

SEC("tp/kvm/kvm_cet_msr")
int perf_cet_msr(struct trace_event_raw_kvm_cet_msr___cetd *r)
{
	struct access a = {
		.data = r->data,
		.msr = msr_of(r->index, r->data),
		.vcpu = r->vcpu_id,
		.is_write = r->write,
		.has_faulted = r->err,
		.is_host = r->host,
	};
	struct subject s;

	if (a.msr == _CETD_MSR_MAX || !vm_get(&s, r->vm_id ?: key_of_process()))
		return 0;
	msr_count(&s, &a);
	return 0;
}

SEC("tp/kvm/kvm_cet_vmcs_load")
int perf_cet_vmcs_load(struct trace_event_raw_kvm_cet_vmcs_load___cetd *r)
{
	struct subject s;

	if (!vm_get(&s, r->vm_id ?: key_of_process()))
		return 0;
	return handle_vmcs_load(&s, r->vcpu_id, r->cpu, r->prev_cpu, r->nested);
}
