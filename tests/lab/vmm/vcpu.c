// SPDX-License-Identifier: GPL-2.0-only
// Run one vCPU until its guest says it is done, and write down its reports.

#include <errno.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm.h"

static const char *const cp_kind_table[CP_KINDS] = {
	"other", "near_ret", "far_ret", "endbranch", "rstorssp", "setssbsy",
};

const char *cp_kind_to_string(unsigned int kind)
{
	return kind < CP_KINDS ? cp_kind_table[kind] : NULL;
}

static void count_fault(struct report *r, uint32_t fault, uint64_t times)
{
	uint32_t vector = fault >> 24, cpl = fault >> 16 & 3, code = fault & 0x7fff;

	if (vector == VEC_CP)
		r->cp[code < CP_KINDS ? code : 0][cpl] += times;
	else if (vector == VEC_GP)
		r->gp += times;
	else if (vector == VEC_UD)
		r->ud += times;
	else
		r->other += times;
	r->last_fault = fault;
}

static void set_why(struct vcpu *v, const char *what, uint64_t found, uint64_t wanted)
{
	snprintf(v->report.why, sizeof(v->report.why), "%s: the guest says %#llx, KVM says %#llx",
		 what, (unsigned long long)wanted, (unsigned long long)found);
}

static int check_msr(struct vcpu *v)
{
	uint64_t wanted, value;
	uint32_t index;
	char what[32];
	int r;

	memcpy(&index, vm_param(v->vm, v->index, PARAM_CHECK_MSR), sizeof(index));
	memcpy(&wanted, vm_param(v->vm, v->index, PARAM_CHECK_VALUE), sizeof(wanted));
	r = vcpu_get_msr(v, index, &value);
	if (r < 0) {
		snprintf(v->report.why, sizeof(v->report.why), "KVM_GET_MSRS %#x: %s", index,
			 strerror(-r));
		return r;
	}
	v->report.checks++;
	if (value == wanted)
		return 0;
	snprintf(what, sizeof(what), "MSR %#x", index);
	set_why(v, what, value, wanted);
	return -EBADE;
}

static int check_ssp(struct vcpu *v)
{
	uint64_t wanted, ssp;
	int r;

	memcpy(&wanted, vm_param(v->vm, v->index, PARAM_CHECK_VALUE), sizeof(wanted));
	r = vcpu_get_guest_ssp(v, &ssp);
	if (r < 0) {
		snprintf(v->report.why, sizeof(v->report.why), "KVM_GET_ONE_REG of SSP: %s",
			 strerror(-r));
		return r;
	}
	v->report.checks++;
	if (ssp == wanted)
		return 0;
	set_why(v, "SSP", ssp, wanted);
	return -EBADE;
}

/* Go on in a new VM: the old one's vCPU is closed, its memory passes over. */
static int migrate(struct vcpu *v)
{
	struct vm *old = v->vm, fresh;
	int r;

	if (old->options->vcpus != 1) {
		snprintf(v->report.why, sizeof(v->report.why),
			 "only a VM of one vCPU can be moved");
		return -EINVAL;
	}
	r = vm_clone(old, &fresh);
	if (r >= 0)
		r = vcpu_move(v, fresh.vcpus);
	if (r < 0) {
		snprintf(v->report.why, sizeof(v->report.why), "moving the state: %s",
			 strerror(-r));
		fresh.mem = NULL;
		vm_done(&fresh);
		return r;
	}
	fresh.vcpus[0].report = v->report;
	old->mem = NULL;
	vm_done(old);
	*old = fresh;
	v->vm = old;
	v->report.migrations++;
	return 0;
}

static int handle_report(struct vcpu *v, uint16_t port, uint32_t value)
{
	struct report *r = &v->report;

	switch (port) {
	case PORT_DONE:
		r->is_done = true;
		r->failed_line = value;
		memcpy(&r->rounds, vm_param(v->vm, v->index, PARAM_PROGRESS), sizeof(r->rounds));
		return 0;
	case PORT_FAULT:
		count_fault(r, value, 1);
		return 0;
	case PORT_FAULTS:
		count_fault(r, r->last_fault, value);
		return 0;
	case PORT_FAULT_RIP:
		r->last_rip = value;
		return 0;
	case PORT_FAULT_SSP:
		r->last_ssp = value;
		return 0;
	case PORT_FEATURES:
		r->features = value;
		return 0;
	case PORT_NOTE:
		r->note = value;
		return 0;
	case PORT_BENCH:
		r->bench = value;
		return 0;
	case PORT_TICKS:
		if (r->bench < BENCHES)
			r->ticks[r->bench] = value;
		return 0;
	case PORT_CHECK_MSR:
		return check_msr(v);
	case PORT_CHECK_SSP:
		return check_ssp(v);
	case PORT_INJECT:
		r->injected++;
		return vcpu_inject_cp(v, value);
	case PORT_MIGRATE:
		return migrate(v);
	default:
		snprintf(r->why, sizeof(r->why), "OUT to unknown port %#x", port);
		return -EPROTO;
	}
}

static int handle_io(struct vcpu *v)
{
	uint16_t port = v->run->io.port;
	uint32_t value;

	if (v->run->io.direction != KVM_EXIT_IO_OUT || v->run->io.size != 4 ||
	    v->run->io.count != 1) {
		snprintf(v->report.why, sizeof(v->report.why), "I/O that is no report, port %#x",
			 port);
		return -EPROTO;
	}
	memcpy(&value, (uint8_t *)v->run + v->run->io.data_offset, sizeof(value));
	if (v->vm->options->verbose) {
		fprintf(stderr, "cetvmm: vm %u vcpu %u port %#x value %#x\n", v->vm->index,
			v->index, port, value);
	}
	return handle_report(v, port, value);
}

static int unexpected_exit(struct vcpu *v)
{
	struct kvm_regs regs = {};
	unsigned long long detail = 0;

	(void)ioctl(v->fd, KVM_GET_REGS, &regs);
	if (v->run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		detail = v->run->fail_entry.hardware_entry_failure_reason;
	if (v->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		detail = v->run->internal.suberror;
	snprintf(v->report.why, sizeof(v->report.why), "KVM exit %u (detail %#llx) at rip %#llx",
		 v->run->exit_reason, detail, (unsigned long long)regs.rip);
	return -EPROTO;
}

/* Go to the next CPU that this process may use: the vCPU's VMCS has to be loaded there. */
static void bounce(struct vcpu *v)
{
	cpu_set_t set;

	v->cpu = (v->cpu + 1) % sysconf(_SC_NPROCESSORS_ONLN);
	CPU_ZERO(&set);
	CPU_SET(v->cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

int vcpu_run(struct vcpu *v)
{
	int r = 0;

	while (!v->report.is_done && r >= 0) {
		if (v->vm->options->bounce)
			bounce(v);
		if (ioctl(v->fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			snprintf(v->report.why, sizeof(v->report.why), "KVM_RUN: %s",
				 strerror(errno));
			return -errno;
		}
		if (v->run->exit_reason == KVM_EXIT_IO)
			r = handle_io(v);
		else
			r = unexpected_exit(v);
	}
	return r;
}
