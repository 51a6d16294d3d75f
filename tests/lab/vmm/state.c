// SPDX-License-Identifier: GPL-2.0-only
// vCPU state through the KVM API: CET registers, injection, and the move of it all to another VM.

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm.h"

/* Documentation/virt/kvm/api.rst: KVM_X86_REG_KVM(KVM_REG_GUEST_SSP); older uapi headers lack it. */
#define REG_GUEST_SSP 0x2030000300000000ULL

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

static const uint32_t cet_msrs[] = {
	MSR_U_CET,   MSR_S_CET,	  MSR_PL0_SSP,	   MSR_PL1_SSP,
	MSR_PL2_SSP, MSR_PL3_SSP, MSR_INT_SSP_TAB, MSR_XSS,
};

int vcpu_get_msr(struct vcpu *v, uint32_t index, uint64_t *ret_value)
{
	struct one_msr m = {.head.nmsrs = 1, .entry.index = index};
	int r = ioctl(v->fd, KVM_GET_MSRS, &m);

	if (r < 0)
		return -errno;
	if (r != 1)
		return -ENOENT;
	*ret_value = m.entry.data;
	return 0;
}

static int set_msr(struct vcpu *v, uint32_t index, uint64_t value)
{
	struct one_msr m = {.head.nmsrs = 1, .entry = {.index = index, .data = value}};
	int r = ioctl(v->fd, KVM_SET_MSRS, &m);

	if (r < 0)
		return -errno;
	return r == 1 ? 0 : -ENOENT;
}

int vcpu_get_guest_ssp(struct vcpu *v, uint64_t *ret_ssp)
{
	struct kvm_one_reg reg = {.id = REG_GUEST_SSP, .addr = (uintptr_t)ret_ssp};

	return ioctl(v->fd, KVM_GET_ONE_REG, &reg) < 0 ? -errno : 0;
}

static int set_guest_ssp(struct vcpu *v, uint64_t ssp)
{
	struct kvm_one_reg reg = {.id = REG_GUEST_SSP, .addr = (uintptr_t)&ssp};

	return ioctl(v->fd, KVM_SET_ONE_REG, &reg) < 0 ? -errno : 0;
}

int vcpu_settle(struct vcpu *v)
{
	int r;

	v->run->immediate_exit = 1;
	r = ioctl(v->fd, KVM_RUN, 0);
	v->run->immediate_exit = 0;
	if (r == 0)
		return -EPROTO;
	return errno == EINTR ? 0 : -errno;
}

int vcpu_inject_cp(struct vcpu *v, uint32_t error_code)
{
	struct kvm_vcpu_events e;
	int r = vcpu_settle(v);

	if (r < 0)
		return r;
	if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &e) < 0)
		return -errno;
	memset(&e.exception, 0, sizeof(e.exception));
	e.exception.injected = 1;
	e.exception.nr = VEC_CP;
	e.exception.has_error_code = 1;
	e.exception.error_code = error_code;
	return ioctl(v->fd, KVM_SET_VCPU_EVENTS, &e) < 0 ? -errno : 0;
}

static int copy_by_ioctl(struct vcpu *from, struct vcpu *to, unsigned long get, unsigned long set,
			 size_t bytes)
{
	void *buffer = calloc(1, bytes);
	int r = 0;

	if (!buffer)
		return -ENOMEM;
	if (ioctl(from->fd, get, buffer) < 0 || ioctl(to->fd, set, buffer) < 0)
		r = -errno;
	free(buffer);
	return r;
}

static int copy_xsave(struct vcpu *from, struct vcpu *to)
{
	int bytes = ioctl(from->vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	if (bytes <= (int)sizeof(struct kvm_xsave))
		return copy_by_ioctl(from, to, KVM_GET_XSAVE, KVM_SET_XSAVE,
				     sizeof(struct kvm_xsave));
	return copy_by_ioctl(from, to, KVM_GET_XSAVE2, KVM_SET_XSAVE, bytes);
}

/* Every MSR that KVM lists for saving. Those that cannot be written back are no state. */
static int copy_msrs(struct vcpu *from, struct vcpu *to)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + 1024 * sizeof(uint32_t));
	uint64_t value = 0;
	int r = 0;

	if (!list)
		return -ENOMEM;
	list->nmsrs = 1024;
	if (ioctl(from->vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
		r = -errno;
	for (unsigned int i = 0; !r && i < list->nmsrs; i++) {
		if (vcpu_get_msr(from, list->indices[i], &value) == 0)
			(void)set_msr(to, list->indices[i], value);
	}
	free(list);
	return r;
}

/* What must not get lost: each CET register reads the same on both sides, or on neither. */
static int compare_cet(struct vcpu *from, struct vcpu *to)
{
	uint64_t a, b;

	for (size_t i = 0; i < sizeof(cet_msrs) / sizeof(cet_msrs[0]); i++) {
		int r = vcpu_get_msr(from, cet_msrs[i], &a);

		if (r != vcpu_get_msr(to, cet_msrs[i], &b) || (r == 0 && a != b))
			return -EBADE;
	}
	if (!(from->report.features & FEATURE_SHSTK))
		return 0;
	if (vcpu_get_guest_ssp(from, &a) < 0 || vcpu_get_guest_ssp(to, &b) < 0 || a != b)
		return -EBADE;
	return 0;
}

int vcpu_move(struct vcpu *from, struct vcpu *to)
{
	static const struct {
		unsigned long get, set;
		size_t bytes;
	} parts[] = {
		{KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs)},
		{KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs)},
		{KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs)},
		{KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs)},
		{KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events)},
	};
	uint64_t ssp;
	int r;

	r = vcpu_settle(from);
	for (size_t i = 0; r >= 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		r = copy_by_ioctl(from, to, parts[i].get, parts[i].set, parts[i].bytes);
	if (r >= 0)
		r = copy_xsave(from, to);
	if (r >= 0)
		r = copy_msrs(from, to);
	if (r >= 0 && (from->report.features & FEATURE_SHSTK)) {
		r = vcpu_get_guest_ssp(from, &ssp);
		if (r >= 0)
			r = set_guest_ssp(to, ssp);
	}
	return r < 0 ? r : compare_cet(from, to);
}
