// SPDX-License-Identifier: GPL-2.0-only
// Build a VM whose vCPUs start in 64-bit mode at CPL 0 on the flat map of abi.h.

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm.h"

#define PTE_P 0x1
#define PTE_W 0x2
#define PTE_U 0x4
#define PTE_A 0x20
#define PTE_D 0x40
#define PTE_PS 0x80

static int fail(const char *what)
{
	int r = -errno;

	fprintf(stderr, "cetvmm: %s: %s\n", what, strerror(errno));
	return r;
}

void *vm_param(struct vm *vm, unsigned int vcpu, unsigned int offset)
{
	return vm->mem + MEM_PARAM + vcpu * PARAM_BYTES + offset;
}

/* Supervisor memory everywhere but in the user pools; shadow stacks read-only and dirty. */
static uint64_t page_flags(uint64_t addr)
{
	if (addr >= MEM_SHSTK && addr < MEM_USER_SHSTK)
		return PTE_P | PTE_A | PTE_D;
	if (addr >= MEM_USER_SHSTK && addr < MEM_USER_SHSTK + 0x10000)
		return PTE_P | PTE_U | PTE_A | PTE_D;
	if (addr >= MEM_USER_CODE && addr < MEM_STACK)
		return PTE_P | PTE_W | PTE_U | PTE_A | PTE_D;
	return PTE_P | PTE_W | PTE_A | PTE_D;
}

static void setup_paging(uint8_t *mem)
{
	uint64_t *pml4 = (uint64_t *)(mem + MEM_PML4), *pdpt = (uint64_t *)(mem + MEM_PDPT);
	uint64_t *pd = (uint64_t *)(mem + MEM_PD), *pt = (uint64_t *)(mem + MEM_PT);

	pml4[0] = MEM_PDPT | PTE_P | PTE_W | PTE_U | PTE_A;
	pdpt[0] = MEM_PD | PTE_P | PTE_W | PTE_U | PTE_A;
	pd[0] = MEM_PT | PTE_P | PTE_W | PTE_U | PTE_A;
	pd[1] = 0x200000 | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS;
	for (uint64_t i = 0; i < 512; i++)
		pt[i] = i << 12 | page_flags(i << 12);
}

static void setup_descriptors(uint8_t *mem, unsigned int vcpus)
{
	uint64_t *gdt = (uint64_t *)(mem + MEM_GDT);

	gdt[SEL_CODE / 8] = 0x00af9b000000ffff;
	gdt[SEL_DATA / 8] = 0x00cf93000000ffff;
	gdt[SEL_USER_CODE / 8] = 0x00affb000000ffff;
	gdt[SEL_USER_DATA / 8] = 0x00cff3000000ffff;
	for (unsigned int i = 0; i < vcpus; i++) {
		uint64_t base = MEM_TSS + i * 256;
		uint64_t rsp0 = MEM_STACK + (i + 1) * 2 * MEM_PAGE - 16;

		gdt[SEL_TSS / 8 + 2 * i] = 0x0000890000000067 | (base & 0xffffff) << 16;
		memcpy(mem + base + 4, &rsp0, sizeof(rsp0));
		/* No I/O bitmap: its offset lies at the limit. */
		mem[base + 102] = 104;
	}
}

/* Tokens of the supervisor and user shadow stacks; a busy one has bit 0 set. */
static void setup_shadow_stacks(uint8_t *mem, unsigned int vcpus)
{
	for (unsigned int i = 0; i < vcpus; i++) {
		uint64_t token = MEM_SHSTK + i * MEM_PAGE + SHSTK_TOKEN;

		memcpy(mem + token, &token, sizeof(token));
	}
}

static void set_param32(struct vm *vm, unsigned int vcpu, unsigned int offset, uint32_t value)
{
	memcpy(vm_param(vm, vcpu, offset), &value, sizeof(value));
}

/* All that tells a guest about CET: the two features, and their state components of XSAVES. */
static void hide_cet(struct kvm_cpuid2 *cpuid)
{
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = cpuid->entries + i;

		if (e->function == 7 && e->index == 0) {
			e->ecx &= ~(1U << 7);  /* SHSTK */
			e->edx &= ~(1U << 20); /* IBT */
		} else if (e->function == 0xd && e->index == 1) {
			e->ecx &= ~(XSS_CET_U | XSS_CET_S);
		} else if (e->function == 0xd && (e->index == 11 || e->index == 12)) {
			e->eax = e->ebx = e->ecx = e->edx = 0;
		}
	}
}

static int vcpu_set_cpuid(struct vcpu *v)
{
	struct kvm_cpuid2 *cpuid;
	int n = 256, r = 0;

	cpuid = calloc(1, sizeof(*cpuid) + n * sizeof(cpuid->entries[0]));
	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = n;
	if (ioctl(v->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		r = fail("KVM_GET_SUPPORTED_CPUID");
	if (!r && v->vm->options->no_cet)
		hide_cet(cpuid);
	if (!r && ioctl(v->fd, KVM_SET_CPUID2, cpuid) < 0)
		r = fail("KVM_SET_CPUID2");
	free(cpuid);
	return r;
}

/* VMX in the guest is locked off until IA32_FEATURE_CONTROL allows it; no effect without nesting. */
static void vcpu_allow_vmx(struct vcpu *v)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = {.head.nmsrs = 1, .entry = {.index = 0x3a, .data = 5}};

	(void)ioctl(v->fd, KVM_SET_MSRS, &msr);
}

static int vcpu_set_registers(struct vcpu *v)
{
	struct kvm_segment code = {.limit = ~0U,
				   .selector = SEL_CODE,
				   .type = 11,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1};
	struct kvm_segment data = {.limit = ~0U,
				   .selector = SEL_DATA,
				   .type = 3,
				   .present = 1,
				   .db = 1,
				   .s = 1,
				   .g = 1};
	struct kvm_regs regs = {
		.rip = MEM_CODE,
		.rsp = MEM_STACK + (v->index + 1) * 2 * MEM_PAGE - 16,
		.rdi = MEM_PARAM + v->index * PARAM_BYTES,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	if (ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = MEM_GDT;
	sregs.gdt.limit = SEL_TSS + 16 * MAX_VCPUS - 1;
	sregs.idt.base = MEM_IDT;
	sregs.idt.limit = 0xfff;
	sregs.cr0 = 0x80010033; /* PG WP NE ET MP PE */
	sregs.cr3 = MEM_PML4;
	sregs.cr4 = 0x620;  /* PAE OSFXSR OSXMMEXCPT */
	sregs.efer = 0x500; /* LME LMA */
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs) < 0)
		return fail("KVM_SET_SREGS");
	if (ioctl(v->fd, KVM_SET_REGS, &regs) < 0)
		return fail("KVM_SET_REGS");
	return 0;
}

static int vcpu_new(struct vm *vm, unsigned int index)
{
	struct vcpu *v = vm->vcpus + index;
	int bytes;

	v->vm = vm;
	v->index = index;
	v->fd = ioctl(vm->fd, KVM_CREATE_VCPU, index);
	if (v->fd < 0)
		return fail("KVM_CREATE_VCPU");
	bytes = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < 0)
		return fail("KVM_GET_VCPU_MMAP_SIZE");
	v->run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return fail("mmap of a vCPU");
	}
	v->run_bytes = bytes;
	return vcpu_set_cpuid(v);
}

static int vm_create(struct vm *vm)
{
	struct kvm_userspace_memory_region region = {.memory_size = MEM_BYTES};
	int r;

	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		return fail("/dev/kvm");
	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return fail("KVM_CREATE_VM");
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000) < 0)
		return fail("KVM_SET_TSS_ADDR");
	region.userspace_addr = (uintptr_t)vm->mem;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail("KVM_SET_USER_MEMORY_REGION");
	for (unsigned int i = 0; i < vm->options->vcpus; i++) {
		r = vcpu_new(vm, i);
		if (r < 0)
			return r;
	}
	return 0;
}

static void vm_clear(const struct options *o, unsigned int index, struct vm *vm)
{
	*vm = (struct vm){.options = o, .index = index, .kvm_fd = -1, .fd = -1};
	for (unsigned int i = 0; i < MAX_VCPUS; i++)
		vm->vcpus[i].fd = -1;
}

int vm_new(const struct options *o, unsigned int index, struct vm *ret_vm)
{
	int r;

	vm_clear(o, index, ret_vm);
	ret_vm->mem =
		mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ret_vm->mem == MAP_FAILED) {
		ret_vm->mem = NULL;
		return fail("mmap of guest memory");
	}
	setup_paging(ret_vm->mem);
	setup_descriptors(ret_vm->mem, o->vcpus);
	setup_shadow_stacks(ret_vm->mem, o->vcpus);
	r = vm_create(ret_vm);
	for (unsigned int i = 0; r >= 0 && i < o->vcpus; i++) {
		memcpy(vm_param(ret_vm, i, PARAM_COUNT), &o->count, sizeof(o->count));
		set_param32(ret_vm, i, PARAM_VCPU, i);
		set_param32(ret_vm, i, PARAM_VCPUS, o->vcpus);
		vcpu_allow_vmx(ret_vm->vcpus + i);
		r = vcpu_set_registers(ret_vm->vcpus + i);
	}
	return r;
}

int vm_clone(const struct vm *vm, struct vm *ret_vm)
{
	vm_clear(vm->options, vm->index, ret_vm);
	ret_vm->mem = vm->mem;
	return vm_create(ret_vm);
}

int vm_load(struct vm *vm, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return fail(path);
	n = read(fd, vm->mem + MEM_CODE, MEM_USER_STACK - MEM_CODE);
	close(fd);
	if (n <= 0) {
		fprintf(stderr, "cetvmm: %s: %s\n", path, n ? strerror(errno) : "empty");
		return -EIO;
	}
	return 0;
}

void vm_done(struct vm *vm)
{
	for (unsigned int i = 0; i < MAX_VCPUS; i++) {
		if (vm->vcpus[i].run)
			munmap(vm->vcpus[i].run, vm->vcpus[i].run_bytes);
		if (vm->vcpus[i].fd >= 0)
			close(vm->vcpus[i].fd);
	}
	if (vm->fd >= 0)
		close(vm->fd);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	if (vm->mem)
		munmap(vm->mem, MEM_BYTES);
	vm_clear(vm->options, vm->index, vm);
}
