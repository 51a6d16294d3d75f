/* SPDX-License-Identifier: GPL-2.0-only */
/* The columns of a VM's row, for list, status and top. */
#pragma once

#include "table.h"

extern const struct column vm_columns[];
extern const size_t n_vm_columns;

/* How many of the VMs have uses_cet equal to word. */
unsigned int vm_count_uses(json_object *vms, const char *word);

/* How many VMs have a storm of #CP now. */
unsigned int vm_count_storms(json_object *vms);

/* Per-second rates against the snapshot before, added to each VM as "rate": {"cp","msr","injected","loads"}.
 * before may be NULL; a VM that is new, or a count that cannot be seen, has none. */
void vm_add_rates(json_object *snapshot, json_object *before);
