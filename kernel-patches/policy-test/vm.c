// SPDX-License-Identifier: GPL-2.0-only
// See vm.h.
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "guest.h"
#include "vm.h"

#define MEM_BYTES (4 << 20)
#define IDT 0x5000
#define GDT 0x6000
#define TSS 0x7000

extern const uint8_t guest_start[], guest_end[];

static long check(long r, const char *what)
{
	if (r < 0)
		err(2, "%s", what);
	return r;
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static uint64_t *at(const struct vm *vm, uint64_t address)
{
	return (uint64_t *)(vm->mem + address);
}

/* Identity-map 2 MiB for all privilege levels, load the guest, point the vectors at it. */
static void load_guest(struct vm *vm)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff,
					0x00affb000000ffff };
	const uint64_t *table = at(vm, CODE);

	*at(vm, 0x1000) = 0x2000 | 7;
	*at(vm, 0x2000) = 0x3000 | 7;
	*at(vm, 0x3000) = 0x4000 | 7;
	for (uint64_t i = 0; i < 512; i++)
		at(vm, 0x4000)[i] = i << 12 | 0x67;
	memcpy(at(vm, GDT), gdt, sizeof(gdt));
	memcpy(at(vm, CODE), guest_start, guest_end - guest_start);
	while (*table != VECTOR_TABLE_MAGIC)
		table++;
	for (unsigned int i = 0; i < 256; i++) {
		uint64_t handler = i == 21 ? table[1] : i == 0x80 ? table[3] : table[2];
		uint64_t *gate = at(vm, IDT) + 2 * i;

		gate[0] = (handler & 0xffff) | 8 << 16 | (i == 0x80 ? 0xee00ULL : 0x8e00ULL) << 32 |
			  (handler >> 16 & 0xffff) << 48;
		gate[1] = handler >> 32;
	}
}

static void set_cpuid(int kvm, int vcpu, bool has_cet)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));

	cpuid->nent = 256;
	check(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
	for (unsigned int i = 0; i < cpuid->nent && !has_cet; i++) {
		if (cpuid->entries[i].function == 7 && cpuid->entries[i].index == 0) {
			cpuid->entries[i].ecx &= ~(1U << 7);  /* SHSTK */
			cpuid->entries[i].edx &= ~(1U << 20); /* IBT */
		}
	}
	check(ioctl(vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	free(cpuid);
}

static void set_registers(struct vm *vm, unsigned int i, bool is_user, uint64_t rounds)
{
	struct kvm_segment code = { .limit = ~0U, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .limit = ~0U, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1 };
	struct kvm_regs regs = { .rip = CODE, .rsp = 0x70000 + i * 0x2000, .rflags = 2, .rdi = rounds,
				 .rsi = is_user, .rdx = BLOCK + i * BLOCK_BYTES };
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;
	uint64_t stack = 0x60000 + i * 0x2000;
	int fd = vm->vcpus[i].fd;

	memcpy(vm->mem + TSS + i * 0x100 + 4, &stack, sizeof(stack));
	check(ioctl(fd, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = (struct kvm_segment){ .base = TSS + i * 0x100, .limit = 0x67, .selector = 0x28,
					 .type = 11, .present = 1 };
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 39;
	sregs.idt.base = IDT;
	sregs.idt.limit = 0xfff;
	sregs.cr0 = 0x80010033; /* PG WP NE ET MP PE */
	sregs.cr3 = 0x1000;
	sregs.cr4 = 0x20; /* PAE */
	sregs.efer = 0x500; /* LMA LME */
	check(ioctl(fd, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(ioctl(fd, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	ioctl(fd, KVM_SET_MP_STATE, &state);
}

static void *run_vcpu(void *arg)
{
	struct vcpu *v = arg;

	for (;;) {
		if (ioctl(v->fd, KVM_RUN, 0) < 0) {
			if (errno != EINTR)
				err(2, "KVM_RUN");
			v->back_ns = now_ns();
			v->is_waiting = true;
			while (v->is_paused && !v->is_done)
				usleep(100);
			v->is_waiting = false;
			if (v->is_done)
				return NULL;
			continue;
		}
		if (v->run->exit_reason != KVM_EXIT_IO || v->run->io.port != PORT_END)
			errx(2, "the guest exited for reason %u", v->run->exit_reason);
		v->is_unexpected = *((uint8_t *)v->run + v->run->io.data_offset) != END_OK;
		v->is_done = true;
		return NULL;
	}
}

static void on_signal(int signal)
{
	(void)signal;
}

static struct vm *vm_new(unsigned int nr_vcpus, bool has_cet)
{
	int kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	struct kvm_userspace_memory_region region = { .memory_size = MEM_BYTES };
	struct sigaction action = { .sa_handler = on_signal };
	struct vm *vm = calloc(1, sizeof(*vm));

	sigaction(SIGUSR1, &action, NULL);
	vm->fd = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	check(ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000), "KVM_SET_TSS_ADDR");
	vm->mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region.userspace_addr = (uint64_t)vm->mem;
	check(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	load_guest(vm);
	vm->id = vm_stat(vm, "vm_id");
	vm->nr_vcpus = nr_vcpus;
	vm->run_bytes = check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		struct vcpu *v = vm->vcpus + i;

		v->vm = vm;
		v->fd = check(ioctl(vm->fd, KVM_CREATE_VCPU, i), "KVM_CREATE_VCPU");
		v->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
		set_cpuid(kvm, v->fd, has_cet);
	}
	close(kvm);
	return vm;
}

static void run(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		pthread_create(&vm->vcpus[i].thread, NULL, run_vcpu, vm->vcpus + i);
}

struct vm *vm_start(unsigned int nr_vcpus, bool is_user, bool has_cet, uint64_t rounds)
{
	struct vm *vm = vm_new(nr_vcpus, has_cet);

	for (unsigned int i = 0; i < nr_vcpus; i++)
		set_registers(vm, i, is_user, rounds);
	run(vm);
	return vm;
}

void vm_join(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		pthread_join(vm->vcpus[i].thread, NULL);
}

void vm_end(struct vm *vm, unsigned int i)
{
	*at(vm, BLOCK + i * BLOCK_BYTES + BLOCK_STOP) = 1;
}

void vm_stop(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vm_end(vm, i);
	vm_join(vm);
}

static uint64_t differences;

uint64_t vm_differences(void)
{
	uint64_t n = differences;

	differences = 0;
	return n;
}

void vm_free(struct vm *vm)
{
	differences += vm_sum(vm, BLOCK_DIFFERS);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		uint64_t which = vm_get(vm, i, BLOCK_WHICH);

		if (vm_get(vm, i, BLOCK_DIFFERS))
			printf("  vCPU %u: %llu faults differ, at last in %llu: 0x%llx, not 0x%llx\n", i,
			       (unsigned long long)vm_get(vm, i, BLOCK_DIFFERS), (unsigned long long)which,
			       (unsigned long long)vm_get(vm, i, BLOCK_VALUE),
			       (unsigned long long)(which < 6 ? vm_get(vm, i, BLOCK_FRAME + 8 * which) : 0));
	}
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		munmap(vm->vcpus[i].run, vm->run_bytes);
		close(vm->vcpus[i].fd);
	}
	close(vm->fd);
	munmap(vm->mem, MEM_BYTES);
	free(vm);
}

uint64_t vm_get(const struct vm *vm, unsigned int i, unsigned int offset)
{
	return *(volatile uint64_t *)at(vm, BLOCK + i * BLOCK_BYTES + offset);
}

uint64_t vm_sum(const struct vm *vm, unsigned int offset)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		sum += vm_get(vm, i, offset);
	return sum;
}

/* A file in the VM's directory in debugfs, which is named by the thread that made the VM, and the fd. */
uint64_t vm_stat(const struct vm *vm, const char *name)
{
	unsigned long long value;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/%s", getpid(), vm->fd, name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &value) != 1)
		err(2, "%s", path);
	fclose(f);
	return value;
}

/* Have the first vCPU leave KVM_RUN and wait; its ioctls would wait for it otherwise. */
static uint64_t pause_vcpu(struct vcpu *v)
{
	uint64_t start = now_ns();

	v->is_paused = true;
	/* A signal that comes between two KVM_RUNs is lost. */
	for (unsigned int i = 0; !v->is_waiting && !v->is_done; i++) {
		if (i % 500 == 0)
			pthread_kill(v->thread, SIGUSR1);
		usleep(100);
	}
	return v->is_waiting ? v->back_ns - start : UINT64_MAX;
}

static void resume_vcpu(struct vcpu *v)
{
	v->is_paused = false;
	while (v->is_waiting)
		usleep(100);
}

uint64_t vm_kick_ns(struct vm *vm)
{
	uint64_t ns = pause_vcpu(vm->vcpus);

	resume_vcpu(vm->vcpus);
	return ns;
}

static uint64_t s_cet(struct vm *vm, unsigned long request, uint64_t value)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msrs = { .header.nmsrs = 1, .entry = { .index = 0x6a2, .data = value } };
	struct vcpu *v = vm->vcpus;

	if (!v->is_done)
		pause_vcpu(v);
	if (ioctl(v->fd, request, &msrs) != 1)
		err(2, "IA32_S_CET");
	resume_vcpu(v);
	return msrs.entry.data;
}

uint64_t vm_s_cet(struct vm *vm)
{
	return s_cet(vm, KVM_GET_MSRS, 0);
}

void vm_set_s_cet(struct vm *vm, uint64_t value)
{
	s_cet(vm, KVM_SET_MSRS, value);
}

static void copy(int from, unsigned long get, int to, unsigned long set, void *state)
{
	check(ioctl(from, get, state), "getting state");
	check(ioctl(to, set, state), "setting state");
}

/* What a migration carries, as far as the guest has it: it does not use shadow stacks. */
struct vm *vm_move(struct vm *from)
{
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entries[2];
	} msrs = { .header.nmsrs = 2, .entries = { { .index = 0x6a0 }, { .index = 0x6a2 } } };
	struct vm *to = vm_new(1, true);
	int old = from->vcpus[0].fd, new = to->vcpus[0].fd;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_regs regs;

	pause_vcpu(from->vcpus);
	memcpy(to->mem, from->mem, MEM_BYTES);
	copy(old, KVM_GET_SREGS, new, KVM_SET_SREGS, &sregs);
	copy(old, KVM_GET_REGS, new, KVM_SET_REGS, &regs);
	copy(old, KVM_GET_XSAVE, new, KVM_SET_XSAVE, &xsave);
	copy(old, KVM_GET_MSRS, new, KVM_SET_MSRS, &msrs);
	copy(old, KVM_GET_VCPU_EVENTS, new, KVM_SET_VCPU_EVENTS, &events);
	from->vcpus[0].is_done = true;
	vm_join(from);
	vm_free(from);
	run(to);
	return to;
}
