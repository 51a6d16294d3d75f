/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM's uevents: the kernel tells of every VM that is created or destroyed (virt/kvm/kvm_main.c). Quiet. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum uevent_type {
	UEVENT_VM_CREATED,
	UEVENT_VM_DESTROYED,
};

struct uevent {
	enum uevent_type type;
	/* The thread that created the VM, in the initial PID namespace; it may have ended since. */
	uint32_t tid;
};

/* A non-blocking socket that gets the kernel's uevents. */
int uevent_open(void);

/* 1 and the event, 0 where the datagram is sound but not KVM's, -EBADMSG where it is not a uevent or one
 * of KVM's that lacks what it must have. */
int uevent_parse(const char *datagram, size_t size, struct uevent *ret);

/* Read one datagram: 1 and the event, 0 for anything to be ignored (not KVM's, malformed, not from the
 * kernel), -EAGAIN when there is none, -ENOBUFS when the kernel had to drop some. */
int uevent_receive(int fd, struct uevent *ret);
