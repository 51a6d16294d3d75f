// SPDX-License-Identifier: GPL-2.0-only
/* What can be derived from one VM's counters and history. */
#include <string.h>

#include "model/model.h"
#include "util/macro.h"

uint64_t vm_cp_total(const struct vm *vm)
{
	uint64_t total = 0;

	for (int k = 0; k < _CETD_KIND_MAX; k++)
		for (int p = 0; p < _CETD_PRIVILEGE_MAX; p++)
			total += vm->kernel.counters.cp[k][p];
	return total;
}

uint64_t vm_msr_total(const struct vm *vm)
{
	uint64_t total = 0;

	for (int m = 0; m < _CETD_MSR_MAX; m++)
		for (int o = 0; o < _CETD_OP_MAX; o++)
			for (int r = 0; r < _CETD_RESULT_MAX; r++)
				total += vm->kernel.counters.msr[m][o][r];
	return total;
}

static int compare_rips(const void *a, const void *b)
{
	const struct cetd_rip *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return (x->rip > y->rip) - (x->rip < y->rip);
}

unsigned int vm_top_rips(const struct vm *vm, unsigned int n, struct cetd_rip *ret_rips)
{
	struct cetd_rip all[CETD_HISTORY_RIPS];
	unsigned int used = 0;

	if (!vm->history)
		return 0;
	for (unsigned int i = 0; i < CETD_HISTORY_RIPS; i++)
		if (vm->history->rips[i].count)
			all[used++] = vm->history->rips[i];
	qsort(all, used, sizeof(all[0]), compare_rips);
	used = MIN(used, n);
	memcpy(ret_rips, all, used * sizeof(all[0]));
	return used;
}

unsigned int vm_faults(const struct vm *vm, unsigned int n, const struct cetd_event **ret_faults)
{
	const struct cetd_history *h = vm->history;
	unsigned int found = 0;

	if (!h)
		return 0;
	for (uint64_t back = 0; back < CETD_HISTORY_FAULTS && back < h->head && found < n; back++) {
		uint64_t position = h->head - back;
		const struct cetd_event *e = &h->faults[(position - 1) % CETD_HISTORY_FAULTS];

		/* A record that a vCPU is just writing still carries another position. */
		if (e->data == position)
			ret_faults[found++] = e;
	}
	return found;
}

uint64_t model_realtime_usec(const struct model *m, uint64_t monotonic_ns)
{
	return monotonic_ns ? (monotonic_ns + m->host.realtime_offset_ns) / NSEC_PER_USEC : 0;
}

const char *vm_uses_cet(const struct vm *vm)
{
	const struct cetd_counters *c = &vm->kernel.counters;

	if (vm_cp_total(vm))
		return "yes";
	for (int m = 0; m < _CETD_MSR_MAX; m++)
		if (c->msr[m][CETD_OP_WRITE][CETD_RESULT_OK])
			return "yes";
	return vm_msr_total(vm) || c->cr4_cet[1] ? "attempted" : "unknown";
}

/* The id is the UUID, else the name, perhaps cut; anything else has a number in it. */
bool vm_has_stable_id(const struct vm *vm)
{
	const struct cetd_identity *i = &vm->identity;

	return !vm->is_provisional && i->id[0] && strncmp(i->id, "pid-", 4) &&
	       (!strcmp(i->id, i->uuid) || !strncmp(i->id, i->name, strlen(i->id)));
}
