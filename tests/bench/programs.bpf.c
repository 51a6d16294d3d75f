// SPDX-License-Identifier: GPL-2.0-only
/* What `make bench` measures beside cetd's own programs: nothing at all, and a full fault record. */
#include "vcpu.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* How many addresses fault: few find their slot in the table of frequent ones, many fight for it. */
const volatile __u64 addresses = 1;
__u64 turn;

SEC("raw_tp/kvm_msr")
int BPF_PROG(empty_msr)
{
	return 0;
}

SEC("raw_tp/kvm_inj_exception")
int BPF_PROG(empty_inj_exception)
{
	return 0;
}

/* Any access to an MSR stands for a #CP. */
SEC("raw_tp/kvm_msr")
int BPF_PROG(fault_record, __u32 is_write, __u32 index, __u64 data)
{
	__u64 rip = 0xffffffff81000000 + turn++ * 0x9e37 % addresses * 16;
	struct fault f = {
		.rip = rip,
		.ssp = rip,
		.cet = data,
		.error_code = 3,
		.vcpu = is_write,
		.cpl = index & 3,
		.has_address = true,
	};
	struct subject s;

	return vm_get(&s, key_of_process()) ? handle_cp(&s, &f) : 0;
}
