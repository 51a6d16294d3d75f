// SPDX-License-Identifier: GPL-2.0-only
/* Find the VMs that exist: walk every process's files for KVM's, without symbol addresses. */
#include "compat.bpf.h"

#include "cetd/event.h"

#define ANON_INODE_FS_MAGIC 0x09041934 /* linux/magic.h */

char _license[] SEC("license") = "GPL";

/* The start of a file's name, zero-padded, comparable without a loop. */
union name {
	char text[16];
	u64 words[2];
};

static __always_inline bool is_vm_name(const union name *name)
{
	return name->words[0] == *(const u64 *)"kvm-vm\0";
}

static __always_inline bool is_vcpu_name(const union name *name)
{
	return name->words[0] == *(const u64 *)"kvm-vcpu" && name->text[8] == ':';
}

/* Which VM it is; false for a VM of another process, such as one whose fd was passed on. Without KVM's
 * types (module BTF that may not be read) neither can be told. */
static __always_inline bool describe(struct task_struct *task, struct file *file, bool is_vcpu,
				     struct cetd_scan *scan)
{
	struct kvm_vcpu___cetd *vcpu = file->private_data;
	struct kvm___cetd *kvm = file->private_data;

	if (!bpf_core_type_exists(struct kvm___cetd) ||
	    !bpf_core_type_exists(struct kvm_vcpu___cetd))
		return true;

	if (is_vcpu) {
		kvm = BPF_CORE_READ(vcpu, kvm);
		scan->vcpu = BPF_CORE_READ(vcpu, vcpu_id);
	}
	if (bpf_core_field_exists(kvm->arch.vm_id))
		scan->vm_id = BPF_CORE_READ(kvm, arch.vm_id);
	scan->vm = (u64)kvm;
	return BPF_CORE_READ(kvm, mm) == task->mm;
}

SEC("iter/task_file")
int scan_files(struct bpf_iter__task_file *ctx)
{
	struct cetd_scan scan = {.vcpu = CETD_VCPU_UNKNOWN};
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	union name name = {};
	bool is_vcpu;

	if (!task || !file)
		return 0;

	/* Anybody can name a file kvm-vm; only the kernel makes one on this file system. */
	if (file->f_inode->i_sb->s_magic != ANON_INODE_FS_MAGIC)
		return 0;

	bpf_probe_read_kernel_str(name.text, sizeof(name.text),
				  BPF_CORE_READ(file, f_path.dentry, d_name.name));
	is_vcpu = is_vcpu_name(&name);
	if (!is_vcpu && !is_vm_name(&name))
		return 0;

	scan.tgid = task->tgid;
	if (describe(task, file, is_vcpu, &scan))
		bpf_seq_write(ctx->meta->seq, &scan, sizeof(scan));
	return 0;
}
