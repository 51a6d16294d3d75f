// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the scan read a VM's id where the kernel has one? On a kernel without ids: its BTF is given another
 * name for a number of the VM that can be set, so that the program takes that for the id.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/kvm.h>

#include "cetd/event.h"

#include "util/macro.h"

#include "scan.skel.h"

#define STAND_IN "n_requested_mmu_pages" /* struct kvm_arch, unsigned long: KVM_SET_NR_MMU_PAGES */
#define FIRST 1000
#define SECOND 2000

static char path[] = "/tmp/cetd-test-btf-XXXXXX";

/* The kernel's BTF with the field renamed; where it has none by that name, -ENOENT. */
static int write_btf(void)
{
	_cleanup_(freep) char *data = NULL;
	_cleanup_(fclosep) FILE *in = fopen("/sys/kernel/btf/vmlinux", "re");
	_cleanup_(fclosep) FILE *out = NULL;
	size_t size, limit = 64 << 20;
	char *field;
	int fd;

	data = malloc(limit);
	if (!in || !data)
		return -errno;
	size = fread(data, 1, limit, in);
	field = memmem(data, size, "\0" STAND_IN, sizeof("\0" STAND_IN));
	if (!field)
		return -ENOENT;
	memcpy(field + 1, "vm_id", sizeof("vm_id"));
	fd = mkstemp(path);
	out = fd < 0 ? NULL : fdopen(fd, "we");
	return out && fwrite(data, 1, size, out) == size ? 0 : -EIO;
}

static int make_vm(int kvm, unsigned long id)
{
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);

	if (vm < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0 || ioctl(vm, KVM_SET_NR_MMU_PAGES, id) < 0)
		return -errno;
	return vm;
}

/* Read what the program writes; returns how many records are of this process. */
static int scan(struct cetd_scan *records, int max)
{
	DECLARE_LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = path);
	struct scan_bpf *skel = scan_bpf__open_opts(&opts);
	struct bpf_link *link;
	struct cetd_scan record;
	int fd, n = 0;

	if (!skel || scan_bpf__load(skel) < 0)
		return -errno;
	link = bpf_program__attach_iter(skel->progs.scan_files, NULL);
	fd = link ? bpf_iter_create(bpf_link__fd(link)) : -1;
	if (fd < 0)
		return -errno;
	while (read(fd, &record, sizeof(record)) == sizeof(record))
		if (record.tgid == (__u32)getpid() && n < max)
			records[n++] = record;
	close(fd);
	bpf_link__destroy(link);
	scan_bpf__destroy(skel);
	return n;
}

static int run(void)
{
	struct cetd_scan records[8];
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), n, count[2] = {0, 0};

	if (make_vm(kvm, FIRST) < 0 || make_vm(kvm, SECOND) < 0) {
		printf("not ok scan: VM ids are read: no VMs: %s\n", strerror(errno));
		return 1;
	}
	n = scan(records, ARRAY_SIZE(records));
	for (int i = 0; i < n; i++) {
		count[0] += records[i].vm_id == FIRST;
		count[1] += records[i].vm_id == SECOND;
	}
	/* A file of the VM and one of its vCPU, each. */
	if (n == 4 && count[0] == 2 && count[1] == 2) {
		printf("ok scan: VM ids are read\n");
		return 0;
	}
	printf("not ok scan: VM ids are read: %d records, %d and %d with the ids\n", n, count[0],
	       count[1]);
	return 1;
}

int main(void)
{
	int r;

	if (geteuid() != 0 || access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("skip scan: VM ids are read: needs root and /dev/kvm\n");
		return 0;
	}
	r = write_btf();
	if (r == -ENOENT) {
		printf("skip scan: VM ids are read: KVM is not in vmlinux's BTF\n");
		return 0;
	}
	r = r < 0 ? 1 : run();
	unlink(path);
	return r;
}
