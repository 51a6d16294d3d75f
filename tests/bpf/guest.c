// SPDX-License-Identifier: GPL-2.0-only
/* The guests of the live tests. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <json-c/json.h>
#include <linux/kvm.h>

#include "cetd/names.h"

#include "guest.h"
#include "util/macro.h"

#define MSR_LOOP_CR4_FAULTS 1 /* the guest's one write of CR4, which faults too */

bool guest_possible(void)
{
	_cleanup_(closep) int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	return fd >= 0;
}

pid_t guest_start(const char *guest, unsigned int vms, unsigned int vcpus, unsigned int count,
		  int *ret_stdout)
{
	char n_vms[16], n_vcpus[16], n[16], path[256];
	int fds[2];
	pid_t pid;

	snprintf(n_vms, sizeof(n_vms), "%u", vms);
	snprintf(n_vcpus, sizeof(n_vcpus), "%u", vcpus);
	snprintf(n, sizeof(n), "%u", count);
	snprintf(path, sizeof(path), CETD_BUILD "/guest/%s.bin", guest);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		execl(CETD_BUILD "/cetvmm", "cetvmm", "--json", "--vms", n_vms, "--vcpus", n_vcpus,
		      "--count", n, "--timeout", "60", path, NULL);
		perror(CETD_BUILD "/cetvmm");
		_exit(127);
	}
	close(fds[1]);
	*ret_stdout = fds[0];
	return pid;
}

static uint64_t field(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_int64(v) : 0;
}

static const char *field_string(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_string(v) : "";
}

static void add_vcpu(struct json_object *vcpu, struct guest_counts *ret)
{
	struct json_object *faults, *f;

	ret->vcpus++;
	ret->gp += field(vcpu, "general_protection");
	ret->last_rip = field(vcpu, "last_rip");
	ret->last_ssp = field(vcpu, "last_ssp");
	if (!json_object_object_get_ex(vcpu, "control_protection", &faults))
		return;
	for (size_t i = 0; i < json_object_array_length(faults); i++) {
		f = json_object_array_get_idx(faults, i);
		for (int kind = 0; kind < _CETD_KIND_MAX; kind++)
			if (!strcmp(cetd_kind_to_string(kind), field_string(f, "kind")))
				ret->cp[kind][field(f, "cpl") == 3] += field(f, "count");
	}
}

int guest_counts(int fd, struct guest_counts *ret)
{
	_cleanup_(closep) int owned = fd;
	_cleanup_(fclosep) FILE *f = fdopen(take_fd(&owned), "r");
	_cleanup_(freep) char *line = NULL;
	struct json_object *report, *vcpus;
	size_t size = 0;
	int r = -EIO;

	memset(ret, 0, sizeof(*ret));
	if (!f || getline(&line, &size, f) < 0)
		return -EIO;
	report = json_tokener_parse(line);
	if (report && field(report, "ok") && json_object_object_get_ex(report, "vcpus", &vcpus)) {
		for (size_t i = 0; i < json_object_array_length(vcpus); i++, r = 0)
			add_vcpu(json_object_array_get_idx(vcpus, i), ret);
	}
	json_object_put(report);
	return r;
}

int64_t guest_report(int fd)
{
	struct guest_counts counts;
	int r = guest_counts(fd, &counts);

	return r < 0 ? r : (int64_t)(counts.gp - MSR_LOOP_CR4_FAULTS * counts.vcpus);
}

void guest_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

static int vcpu_enter_protected_mode(int vcpu)
{
	struct kvm_regs regs = {.rip = 0x1000, .rflags = 2, .rsp = 0x800};
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = (struct kvm_segment){
		.limit = ~0U, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1};
	sregs.ss = sregs.cs;
	sregs.ss.selector = 16;
	sregs.ss.type = 3;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss;
	sregs.cr0 |= 1;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

/* Only KVM_CAP_EXCEPTION_PAYLOAD lets a VMM say "pending" rather than "was being delivered". */
static int vcpu_queue(int vcpu, uint8_t vector, uint32_t error_code, bool is_restored)
{
	struct kvm_vcpu_events events;

	if (ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events) < 0)
		return -errno;
	memset(&events.exception, 0, sizeof(events.exception));
	events.exception.injected = is_restored;
	events.exception.pending = !is_restored;
	events.exception.nr = vector;
	events.exception.has_error_code = 1;
	events.exception.error_code = error_code;
	events.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	return ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events) < 0 ? -errno : 0;
}

/* The guest has no IDT: it ends in a triple fault, after the injection. */
int guest_inject(uint8_t vector, uint32_t error_code, bool is_restored)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_EXCEPTION_PAYLOAD, .args = {1}};
	_cleanup_(closep) int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = -1, vcpu = -1;
	void *mem;
	int r;

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		return -errno;
	if (ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000) < 0 || ioctl(vm, KVM_ENABLE_CAP, &cap) < 0)
		return -errno;
	mem = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return -errno;
	memset(mem, 0xf4, 0x4000); /* HLT */
	r = ioctl(vm, KVM_SET_USER_MEMORY_REGION,
		  &(struct kvm_userspace_memory_region){.memory_size = 0x4000,
							.userspace_addr = (uintptr_t)mem});
	if (r == 0)
		vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		r = -errno;
	if (r == 0)
		r = vcpu_enter_protected_mode(vcpu);
	if (r == 0)
		r = vcpu_queue(vcpu, vector, error_code, is_restored);
	if (r == 0 && ioctl(vcpu, KVM_RUN, 0) < 0)
		r = -errno;
	munmap(mem, 0x4000);
	return r;
}
