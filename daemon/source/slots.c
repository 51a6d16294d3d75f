// SPDX-License-Identifier: GPL-2.0-only
/* What the programs keep of a VM, by its key. */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cetd/event.h"

#include "cetd.skel.h"
#include "source/slots.h"
#include "util/macro.h"

int slots_find(const struct programs *p, uint64_t key)
{
	__u32 slot;

	if (bpf_map_lookup_elem(bpf_map__fd(p->skel->maps.slots), &key, &slot) < 0)
		return -errno;
	return slot < p->max_vms ? (int)slot : -EBADMSG;
}

/* In this order: no program finds the slot any more, then it is cleared, then others may have it. */
void slots_forget(struct programs *p, uint32_t slot)
{
	struct cetd_vm *vm = p->vms + slot;
	__u64 key = vm_key(vm);
	__u64 *recent = p->skel->bss->recent;

	bpf_map_delete_elem(bpf_map__fd(p->skel->maps.slots), &key);
	__atomic_store_n(recent + key % ARRAY_SIZE(p->skel->bss->recent), 0, __ATOMIC_SEQ_CST);
	memset(p->histories + slot, 0, sizeof(*p->histories));
	memset(vm, 0, sizeof(*vm));
	__atomic_fetch_sub(&p->skel->bss->control.vms, 1, __ATOMIC_SEQ_CST);
	bpf_map_update_elem(bpf_map__fd(p->skel->maps.free_slots), NULL, &slot, BPF_ANY);
}
