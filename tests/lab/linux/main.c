// SPDX-License-Identifier: GPL-2.0-only
// cetlinux: boot a Linux kernel as a guest on /dev/kvm and judge whether it uses branch tracking.

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "boot.h"

#define CR4_CET (1ULL << 23)
#define MSR_IA32_S_CET 0x6a2
#define S_CET_ENDBR_EN (1ULL << 2)

#define PORT_COM1 0x3f8
#define PORT_COM1_LSR 0x3fd
#define LSR_EMPTY 0x60 /* the transmitter takes the next byte */
#define PORT_KBD 0x64
#define KBD_RESET 0xfe

/* The kernel polls its consoles, so that no UART is needed; a restart goes through the keyboard controller. */
#define CMDLINE                                                                          \
	"console=ttyS0 earlyprintk=serial,ttyS0,115200 acpi=off pci=off no_timer_check " \
	"tsc=reliable lpj=1000000 panic=-1 reboot=k"

struct guest {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	uint8_t *mem;
	char log[64 << 10]; /* what it printed, always terminated */
	size_t length;
	bool is_over;
};

static int fail(const char *what)
{
	int r = -errno;

	fprintf(stderr, "cetlinux: %s: %s\n", what, strerror(errno));
	return r;
}

static int set_cpuid(struct guest *g, bool no_cet)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid = {.head.nent = 256};

	if (ioctl(g->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0)
		return fail("KVM_GET_SUPPORTED_CPUID");
	for (unsigned int i = 0; i < cpuid.head.nent; i++) {
		struct kvm_cpuid_entry2 *e = cpuid.entries + i;

		if (e->function == 1)
			e->ecx |= 1U << 31; /* there is a hypervisor */
		if (no_cet && e->function == 7 && e->index == 0) {
			e->ecx &= ~(1U << 7);  /* SHSTK */
			e->edx &= ~(1U << 20); /* IBT */
		}
	}
	return ioctl(g->vcpu, KVM_SET_CPUID2, &cpuid) < 0 ? fail("KVM_SET_CPUID2") : 0;
}

static int set_registers(struct guest *g, uint64_t entry)
{
	struct kvm_segment code = {.limit = ~0U, .selector = GUEST_CS, .type = 11, .present = 1};
	struct kvm_segment data = {.limit = ~0U, .selector = GUEST_DS, .type = 3, .present = 1};
	struct kvm_regs regs = {.rip = entry, .rsi = GUEST_BOOT_PARAMS, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(g->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS");
	code.s = code.l = code.g = 1;
	data.s = data.db = data.g = 1;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = GUEST_GDT;
	sregs.gdt.limit = GUEST_DS + 7;
	sregs.cr0 = 0x80000011; /* PG ET PE */
	sregs.cr3 = GUEST_PML4;
	sregs.cr4 = 0x20;   /* PAE */
	sregs.efer = 0x500; /* LME LMA */
	if (ioctl(g->vcpu, KVM_SET_SREGS, &sregs) < 0)
		return fail("KVM_SET_SREGS");
	return ioctl(g->vcpu, KVM_SET_REGS, &regs) < 0 ? fail("KVM_SET_REGS") : 0;
}

/* One vCPU, the in-kernel interrupt controllers and timer. */
static int guest_new(struct guest *g, bool no_cet)
{
	struct kvm_userspace_memory_region region = {.memory_size = GUEST_MEM};
	/* With port 0x61, whose bit 5 the kernel waits for where it calibrates by the timer. */
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};
	int bytes;

	g->mem = mmap(NULL, GUEST_MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->mem == MAP_FAILED)
		return fail("guest memory");
	g->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (g->kvm < 0)
		return fail("/dev/kvm");
	g->vm = ioctl(g->kvm, KVM_CREATE_VM, 0);
	region.userspace_addr = (uintptr_t)g->mem;
	if (g->vm < 0 || ioctl(g->vm, KVM_SET_TSS_ADDR, 0xfffbd000) < 0 ||
	    ioctl(g->vm, KVM_CREATE_IRQCHIP, 0) < 0 || ioctl(g->vm, KVM_CREATE_PIT2, &pit) < 0 ||
	    ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return fail("creating the VM");
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	bytes = ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (g->vcpu < 0 || bytes < 0)
		return fail("creating the vCPU");
	g->run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	if (g->run == MAP_FAILED)
		return fail("mmap of the vCPU");
	return set_cpuid(g, no_cet);
}

/* No device answers but the serial line, which is always ready. */
static void handle_io(struct guest *g)
{
	uint8_t *data = (uint8_t *)g->run + g->run->io.data_offset;
	uint16_t port = g->run->io.port;
	size_t n = (size_t)g->run->io.size * g->run->io.count;

	if (g->run->io.direction == KVM_EXIT_IO_IN) {
		memset(data, port == PORT_COM1_LSR ? LSR_EMPTY : 0, n);
		return;
	}
	if (port == PORT_COM1 && *data != '\r' && g->length < sizeof(g->log) - 1)
		g->log[g->length++] = *data;
	g->is_over |= port == PORT_KBD && *data == KBD_RESET;
}

static int guest_run(struct guest *g)
{
	while (!g->is_over) {
		if (ioctl(g->vcpu, KVM_RUN, 0) < 0 && errno != EINTR)
			return fail("KVM_RUN");
		switch (g->run->exit_reason) {
		case KVM_EXIT_IO:
			handle_io(g);
			break;
		case KVM_EXIT_MMIO:
			memset(g->run->mmio.data, 0xff, g->run->mmio.is_write ? 0 : 8);
			break;
		case KVM_EXIT_INTR:
			break;
		default:
			fprintf(stderr, "cetlinux: unexpected KVM exit %u\n", g->run->exit_reason);
			return -EPROTO;
		}
	}
	return 0;
}

static bool says_trouble(const struct guest *g)
{
	static const char *const trouble[] = {
		"BUG:",	       "WARNING:", "Call Trace", "Missing ENDBR", "IBT selftest: Failed",
		"Kernel panic"};

	for (size_t i = 0; i < sizeof(trouble) / sizeof(trouble[0]); i++) {
		if (strstr(g->log, trouble[i])) {
			printf("the guest says '%s'\n", trouble[i]);
			return true;
		}
	}
	return false;
}

/* What the guest says must be what the vCPU's registers say, and what was wanted. */
static int judge(struct guest *g, bool no_cet)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = {.head.nmsrs = 1, .entry.index = MSR_IA32_S_CET};
	bool says_ibt = strstr(g->log, "CET detected: Indirect Branch Tracking enabled");
	bool has_user_space = strstr(g->log, "user space was here");
	struct kvm_sregs sregs;
	bool has_ibt;

	if (ioctl(g->vcpu, KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS");
	if (!no_cet && ioctl(g->vcpu, KVM_GET_MSRS, &msr) != 1)
		return fail("KVM_GET_MSRS of S_CET");
	has_ibt = sregs.cr4 & CR4_CET && msr.entry.data & S_CET_ENDBR_EN;
	printf("%sIBT according to the guest, CR4 %#llx, S_CET %#llx, user space %sreached\n",
	       says_ibt ? "" : "no ", (unsigned long long)sregs.cr4,
	       (unsigned long long)msr.entry.data, has_user_space ? "" : "not ");
	if (says_trouble(g) || !has_user_space || (no_cet && sregs.cr4 & CR4_CET))
		return -EBADE;
	return says_ibt == !no_cet && has_ibt == !no_cet ? 0 : -EBADE;
}

int main(int argc, char **argv)
{
	bool no_cet = argc == 4 && strcmp(argv[3], "--no-cet") == 0;
	static struct guest g = {.kvm = -1, .vm = -1, .vcpu = -1};
	uint64_t entry;
	int r;

	if (argc != 3 && !no_cet) {
		fputs("Usage: cetlinux KERNEL INITRAMFS [--no-cet]\n"
		      "Boot a kernel with X86_KERNEL_IBT; exit 0 if it uses branch tracking and\n"
		      "reaches user space, with --no-cet if it does without and reaches it.\n",
		      stderr);
		return 2;
	}
	r = guest_new(&g, no_cet);
	if (r >= 0)
		r = boot_load(g.mem, argv[1], argv[2], CMDLINE, &entry);
	if (r >= 0)
		r = set_registers(&g, entry);
	if (r >= 0)
		r = guest_run(&g);
	if (r >= 0)
		r = judge(&g, no_cet);
	if (r < 0)
		puts(g.log);
	return r < 0 ? 1 : 0;
}
