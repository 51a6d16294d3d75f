// SPDX-License-Identifier: GPL-2.0-only
/* What policies decide, on kernels without the hook, and at the time that the test says it is. */
#include "decide.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct made_up_fault {
	__u64 key, now_ns, rip;
	__u32 error_code, vcpu;
	__u8 cpl;
	__u8 reserved[7];
	__u64 verdict; /* what comes out */
};

SEC("syscall")
int made_up_cp(struct made_up_fault *f)
{
	f->verdict = decide(f->key, f->now_ns, FAULT(f->error_code, f->cpl, f->vcpu), f->rip);
	return 0;
}
