// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code of the programs for cetd's own tracepoints, on hooks that every kernel has: made-up faults by
 * BPF_PROG_TEST_RUN, and real vCPUs by kvm_emulate_insn.
 */
#include "vcpu.bpf.h"

char LICENSE[] SEC("license") = "GPL";

__u32 target_tgid;
__u64 calls;

/* what: error code in 31:0, CPL in 39:32, nested in 40, action in 55:48. */
SEC("raw_tp/kvm_msr")
int BPF_PROG(made_up_cp, __u64 key, __u64 what, __u64 rip, __u64 ssp, __u64 cet)
{
	struct fault f = {
		.rip = rip,
		.ssp = ssp,
		.cet = cet,
		.error_code = what,
		.vcpu = 7,
		.cpl = what >> 32,
		.is_nested = what >> 40 & 1,
		.action = what >> 48,
		.has_address = true,
	};
	struct subject s;

	if (!vm_get(&s, key))
		return 0;
	cp_count(&s, &f, bpf_get_current_pid_tgid());
	return 0;
}

SEC("tp_btf/kvm_emulate_insn")
int BPF_PROG(real_vcpu, struct kvm_vcpu___cetd *vcpu)
{
	if (bpf_get_current_pid_tgid() >> 32 != target_tgid)
		return 0;
	__sync_fetch_and_add(&calls, 1);
	vcpu_cp(vcpu, 3, 0x804, 0x1000, CETD_ACTION_DELIVER);
	vcpu_msr(vcpu, true, 0x6a2, 4, false, 0);
	vcpu_msr(vcpu, false, 0x6a2, 4, true, 0);
	vcpu_msr(vcpu, true, 0x10, 4, false, 0);
	vcpu_vmcs_load(vcpu, 1, -1, false);
	return 0;
}
