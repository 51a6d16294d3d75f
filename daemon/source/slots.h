/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs keep of each VM: a slot with its counters, and the history of its faults. */
#pragma once

#include <stdint.h>

#include "source/programs.h"

/* The key of a slot in use. */
static inline uint64_t vm_key(const struct cetd_vm *vm)
{
	return vm->vm_id ? vm->vm_id : CETD_KEY_TGID | vm->tgid;
}

/* The slot of key, or -ENOENT. */
int slots_find(const struct programs *p, uint64_t key);

/* Give back the slot of a VM that is gone; what it counted is lost. */
void slots_forget(struct programs *p, uint32_t slot);
