/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who a VM is: id, name, UUID, unit, VMM and cgroup of the VMM's process, from what it says of itself and,
 * trusted more, from what the service manager and machined say of it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cetd/stream.h"

/* What machined knows; empty strings where it knows nothing. Raw bytes. */
struct identity_machine {
	char name[65];
	char uuid[40];
	char unit[128];
};

/* What /proc says. The strings are the caller's; any may be "" but none NULL. */
struct identity_process {
	uint32_t pid;
	const char *exe;
	const char *comm;
	const char *args; /* NUL after each */
	size_t args_size;
	const char *cgroup; /* text of /proc/PID/cgroup */
};

/*
 * Fill all but key, vm_id, attribution and vms_in_process of ret (those become 0, 0, process and 1). Every
 * string is valid UTF-8 without control characters. The id is the UUID, else the name, else "pid-N"; a name
 * that looks like a UUID or like "pid-N" never becomes the id, so nobody gets another one's by his choice of
 * name.
 */
void identity_resolve(const struct identity_process *process,
		      const struct identity_machine *machine, struct cetd_identity *ret);

/* "qemu-3-web" or "qemu-alice-3-web", as libvirt registers machines: the part after the number; any other
 * text as it is. */
const char *identity_strip_libvirt(const char *machine);

/* Is machine what libvirt makes of this domain name? It drops what is not fit for a host name, and cuts. */
bool identity_is_machine_of(const char *machine, const char *domain);
