/* SPDX-License-Identifier: GPL-2.0-only */
/* The processes that have VMs, made to agree with scans, with the sink told of every VM's coming and going. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source/vmm.h"
#include "source/source.h"

struct population;

/* Negative returns of all but population_new(): the sink's, or -ENOMEM; nothing can be relied on then. */
int population_new(sd_event *event, const struct discovery_params *params,
		   const struct cetd_sink *sink, struct population **ret);
struct population *population_free(struct population *p);

/* The records of a full scan, or of a scan of one process. is_periodic: take the time to look again at who was
 * found lately. */
int population_apply_all(struct population *p, const struct cetd_scan *records, size_t n,
			 bool is_periodic);
int population_apply_one(struct population *p, uint32_t pid, const struct cetd_scan *records,
			 size_t n);

/* How many VMs the process is known to have. */
size_t population_count_vms(struct population *p, uint32_t pid);

/* KVM told that a VM of the process ended. */
void population_note_destroyed(struct population *p, uint32_t pid);

bool population_has_key(struct population *p, uint64_t key);

/* Tell the sink that a key is gone which no process has. */
int population_forget(struct population *p, uint64_t key);

/* Events tell that the process has a VM, although no scan may see it: keep it until it ends. */
int population_adopt(struct population *p, uint32_t pid);

/* End a round of changes, if there were any. */
int population_settle(struct population *p);
