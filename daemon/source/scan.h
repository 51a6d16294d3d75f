/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which process has which VMs now: by bpf/scan.bpf.c, or by the links in /proc/PID/fd as far as they may be
 * read where BPF is not to be had.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include "cetd/event.h"

struct scan;

/* Logging. Does not fail for want of BPF. */
int scan_new(struct scan **ret);
struct scan *scan_free(struct scan *s);

/* Is every process looked into, that is, does a scan see what BPF programs on KVM's tracepoints see? */
bool scan_is_complete(const struct scan *s);

/*
 * Quiet. One record a VM (vcpu is CETD_VCPU_UNKNOWN), sorted by process, VM id and VM; of all processes, or
 * of one where tgid is not 0. The records belong to the scan and are valid until the next call. -ENOBUFS
 * where there are more than can be taken in. A record whose vm is 0 stands for one VM or more.
 */
int scan_run(struct scan *s, uint32_t tgid, const struct cetd_scan **ret_records, size_t *ret_n);

/* Sort as above and drop repeats, in place; returns how many are left. Exported for tests. */
size_t scan_normalize(struct cetd_scan *records, size_t n);
