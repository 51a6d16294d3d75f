// SPDX-License-Identifier: GPL-2.0-only
// cetview: print what KVM tells and allows user space about CET, to be compared between kernels.

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MSR_XSS 0xda0
#define SSP_MSR 0x4b564dff /* KVM's own index of the SSP */
#define REG(size, type, index) \
	(0x2000000000000000 | (uint64_t)(size) << 52 | (uint64_t)(type) << 32 | (index))
#define CR0_WP 0x10000
#define CR4_CET 0x800000

typedef struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[256];
} cpuid_list;

static int kvm, vm, vcpu;
static const char *model;

static void die(const char *what)
{
	fprintf(stderr, "cetview: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct kvm_cpuid_entry2 *leaf(cpuid_list *list, uint32_t function, uint32_t index)
{
	for (unsigned int i = 0; i < list->head.nent; i++) {
		if (list->entries[i].function == function && list->entries[i].index == index)
			return list->entries + i;
	}
	fprintf(stderr, "cetview: no CPUID %#x.%u\n", function, index);
	exit(1);
}

static void get_cpuid(int fd, unsigned long request, cpuid_list *ret_list)
{
	memset(ret_list, 0, sizeof(*ret_list));
	ret_list->head.nent = ARRAY_SIZE(ret_list->entries);
	if (ioctl(fd, request, ret_list) < 0)
		die("CPUID");
}

static int access_msr(int fd, unsigned long request, uint32_t index, uint64_t *value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = {.head.nmsrs = 1, .entry = {.index = index, .data = *value}};
	int r = ioctl(fd, request, &msr);

	*value = msr.entry.data;
	return r;
}

static void view_system(void)
{
	static struct {
		struct kvm_msr_list head;
		uint32_t index[4096];
	} msrs = {.head.nmsrs = 4096};
	uint64_t basic = 0, exit_controls = 0, entry_controls = 0;
	cpuid_list cpuid;

	get_cpuid(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	printf("cpuid shstk %d ibt %d xss %#x\n", leaf(&cpuid, 7, 0)->ecx >> 7 & 1,
	       leaf(&cpuid, 7, 0)->edx >> 20 & 1, leaf(&cpuid, 0xd, 1)->ecx);
	for (unsigned int i = 11; i <= 12; i++) {
		struct kvm_cpuid_entry2 *e = leaf(&cpuid, 0xd, i);

		printf("cpuid 0xd.%u %#x %#x %#x %#x\n", i, e->eax, e->ebx, e->ecx, e->edx);
	}
	printf("one_reg %d\n", ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ONE_REG));
	if (ioctl(kvm, KVM_GET_MSR_INDEX_LIST, &msrs) < 0)
		die("KVM_GET_MSR_INDEX_LIST");
	for (unsigned int i = 0; i < msrs.head.nmsrs; i++) {
		uint32_t index = msrs.index[i];

		if ((index >= 0x6a0 && index <= 0x6a8) || index == MSR_XSS || index == SSP_MSR)
			printf("listed %#x\n", index);
	}
	access_msr(kvm, KVM_GET_MSRS, 0x480, &basic);
	access_msr(kvm, KVM_GET_MSRS, 0x48f, &exit_controls);
	access_msr(kvm, KVM_GET_MSRS, 0x490, &entry_controls);
	printf("vmx any_errcode %d exit_load_cet %d entry_load_cet %d\n", (int)(basic >> 56 & 1),
	       (int)(exit_controls >> 60 & 1), (int)(entry_controls >> 52 & 1));
}

static void vcpu_new(uint32_t no_ecx7, uint32_t no_edx7, uint32_t no_eaxd, uint32_t no_edx81)
{
	cpuid_list cpuid;

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	get_cpuid(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	leaf(&cpuid, 7, 0)->ecx &= ~no_ecx7;
	leaf(&cpuid, 7, 0)->edx &= ~no_edx7;
	leaf(&cpuid, 0xd, 1)->eax &= ~no_eaxd;
	leaf(&cpuid, 0x80000001, 0)->edx &= ~no_edx81;
	if (vcpu < 0 || ioctl(vcpu, KVM_SET_CPUID2, &cpuid) < 0)
		die("vCPU");
}

/* One line: the values that the MSR takes and then has; one that changes in another way is marked. */
static void view_msr(const char *what, uint32_t index, const uint64_t *values, size_t n)
{
	printf("%s %s %#x takes", model, what, index);
	for (size_t i = 0; i < n; i++) {
		uint64_t zero = 0, value = values[i], now = 0;
		int r;

		access_msr(vcpu, KVM_SET_MSRS, index, &zero);
		r = access_msr(vcpu, KVM_SET_MSRS, index, &value);
		if (access_msr(vcpu, KVM_GET_MSRS, index, &now) != 1)
			printf(" unreadable");
		if (r == 1 || now != 0)
			printf("%s%#llx", now == values[i] ? " " : " !",
			       (unsigned long long)values[i]);
	}
	access_msr(vcpu, KVM_SET_MSRS, index, &(uint64_t){0});
	printf("\n");
}

static void view_msrs(void)
{
	static const uint64_t values[] = {0,
					  1,
					  2,
					  3,
					  4,
					  8,
					  0x10,
					  0x20,
					  0x40,
					  0x80,
					  0x100,
					  0x200,
					  0x400,
					  0x800,
					  0xc00,
					  0x4000,
					  0x7fffffffc000,
					  0xffffffffffffc000};
	/* The base of the legacy bitmap: mainline wants two more of its bits to be zero. */
	static const uint64_t bitmaps[] = {0x1000, 0x2000, 0x7ffffffff000};
	static const uint64_t not_canonical[] = {0x800000000000};
	static const uint64_t xss[] = {0, 1, 0x100, 0x800, 0x1000, 0x1800, 0x2000, 0x3800};
	static const uint32_t ssps[] = {0x6a4, 0x6a5, 0x6a6, 0x6a7, 0x6a8, SSP_MSR};

	for (uint32_t index = 0x6a0; index <= 0x6a2; index += 2) {
		view_msr("msr", index, values, ARRAY_SIZE(values));
		view_msr("bitmap", index, bitmaps, ARRAY_SIZE(bitmaps));
	}
	for (size_t i = 0; i < ARRAY_SIZE(ssps); i++) {
		if (ssps[i] == SSP_MSR &&
		    access_msr(vcpu, KVM_GET_MSRS, SSP_MSR, &(uint64_t){0}) != 1)
			continue;
		view_msr("msr", ssps[i], values, ARRAY_SIZE(values));
		view_msr("not-canonical", ssps[i], not_canonical, 1);
	}
	view_msr("msr", MSR_XSS, xss, ARRAY_SIZE(xss));
}

static void view_registers(void)
{
	static const uint64_t ids[] = {
		REG(3, 3, 0),	   REG(3, 3, 1),       REG(2, 3, 0),	 REG(3, 4, 0),
		REG(3, 0, 0),	   REG(3, 2, SSP_MSR), REG(3, 2, 0x6a0), REG(3, 2, 0x6a8),
		REG(3, 2, 0x1234), REG(3, 0x103, 0),
	};
	struct {
		struct kvm_reg_list head;
		uint64_t id;
	} list = {};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		uint64_t value = 8, now = 0;
		struct kvm_one_reg set = {ids[i], (uintptr_t)&value},
				   get = {ids[i], (uintptr_t)&now};
		bool is_set = ioctl(vcpu, KVM_SET_ONE_REG, &set) == 0;
		int set_errno = is_set ? 0 : errno;
		bool is_got = ioctl(vcpu, KVM_GET_ONE_REG, &get) == 0;

		printf("%s reg %#llx set %d get %d value %llu\n", model, (unsigned long long)ids[i],
		       set_errno, is_got ? 0 : errno, (unsigned long long)now);
	}
	r = ioctl(vcpu, KVM_GET_REG_LIST, &list) < 0 ? errno : 0;
	printf("%s reg_list for none %d, there are %d", model, r, (int)list.head.n);
	list.head.n = 1;
	r = ioctl(vcpu, KVM_GET_REG_LIST, &list) < 0 ? errno : 0;
	printf(", for one %d, %#llx\n", r, (unsigned long long)list.id);
}

static void view_cr4(void)
{
	struct kvm_sregs old, sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &old) < 0)
		die("KVM_GET_SREGS");
	for (int wp = 0; wp < 2; wp++) {
		sregs = old;
		sregs.cr0 = (old.cr0 & ~(uint64_t)CR0_WP) | (wp ? CR0_WP : 0);
		sregs.cr4 |= CR4_CET;
		printf("%s sregs cet wp %d: %d\n", model, wp,
		       ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 ? errno : 0);
	}
	(void)ioctl(vcpu, KVM_SET_SREGS, &old);
}

static void view_xss_size(void)
{
	cpuid_list cpuid;

	for (uint64_t xss = 0; xss <= 0x1800; xss += 0x1800) {
		access_msr(vcpu, KVM_SET_MSRS, MSR_XSS, &(uint64_t){xss});
		get_cpuid(vcpu, KVM_GET_CPUID2, &cpuid);
		printf("%s xss %#llx size %u\n", model, (unsigned long long)xss,
		       leaf(&cpuid, 0xd, 1)->ebx);
	}
}

/* CR4.CET without CR0.WP is for VM-Entry to refuse. */
static void view_entry(void)
{
	int bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	struct kvm_run *run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	struct kvm_sregs sregs;

	if (run == MAP_FAILED || ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		die("vCPU state");
	sregs.cr4 |= CR4_CET;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_RUN, 0) < 0)
		die("running with CR4.CET");
	printf("entry with cet and no wp: exit %u, %#llx\n", run->exit_reason,
	       (unsigned long long)run->fail_entry.hardware_entry_failure_reason);
}

int main(void)
{
	static const struct {
		const char *name;
		uint32_t ecx7, edx7, eaxd, edx81; /* what its CPUID lacks */
	} models[] = {
		{"both", 0, 0, 0, 0},		{"ibt", 1 << 7, 0, 0, 0},
		{"shstk", 0, 1 << 20, 0, 0},	{"neither", 1 << 7, 1 << 20, 0, 0},
		{"no-xsaves", 0, 0, 1 << 3, 0}, {"no-lm", 0, 0, 0, 1 << 29},
	};

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		die("/dev/kvm");
	view_system();
	for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
		model = models[i].name;
		vcpu_new(models[i].ecx7, models[i].edx7, models[i].eaxd, models[i].edx81);
		view_msrs();
		view_registers();
		view_cr4();
		view_xss_size();
		if (i == 0)
			view_entry();
		close(vcpu);
		close(vm);
	}
	return 0;
}
