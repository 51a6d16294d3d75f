// SPDX-License-Identifier: GPL-2.0-only
/* By the kernel's VM ids every VM is told of by itself; without them a process's VMs share its key. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/tracker.h"
#include "util/utf8.h"

static uint64_t process_key(const struct tracker *t)
{
	return CETD_KEY_TGID | t->identity.pid;
}

static bool have_ids(const struct cetd_scan *vms, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!vms[i].vm_id)
			return false;
	return n > 0;
}

static bool has_vm(const struct cetd_scan *vms, size_t n, const struct cetd_scan *vm)
{
	for (size_t i = 0; i < n; i++)
		if (vms[i].vm == vm->vm && vms[i].vm_id == vm->vm_id)
			return true;
	return false;
}

bool tracker_has_key(const struct tracker *t, uint64_t key)
{
	if (!have_ids(t->vms, t->n_vms))
		return t->n_vms && key == process_key(t);
	for (size_t i = 0; i < t->n_vms; i++)
		if (t->vms[i].vm_id == key)
			return true;
	return false;
}

static int add_one(const struct tracker *t, uint64_t vm_id, const struct tracker_ops *ops)
{
	struct cetd_identity identity = t->identity;
	char base[40];

	identity.vms_in_process = (uint32_t)t->n_vms;
	identity.vm_id = vm_id;
	identity.key = vm_id ?: process_key(t);
	if (vm_id)
		identity.attribution = CETD_ATTRIBUTION_VM_ID;
	else if (t->is_ambiguous)
		identity.attribution = CETD_ATTRIBUTION_AMBIGUOUS;
	else
		identity.attribution = CETD_ATTRIBUTION_PROCESS;
	if (vm_id && vm_id != t->plain_vm_id) {
		utf8_sanitize(t->identity.id, base, sizeof(base));
		memset(identity.id, 0, sizeof(identity.id));
		snprintf(identity.id, sizeof(identity.id), "%s-vm-%llu", base,
			 (unsigned long long)vm_id);
	}
	return ops->add(ops->userdata, &identity);
}

static int add_all(const struct tracker *t, const struct tracker_ops *ops)
{
	int r = 0;

	if (!have_ids(t->vms, t->n_vms))
		return t->n_vms ? add_one(t, 0, ops) : 0;
	for (size_t i = 0; i < t->n_vms && r >= 0; i++)
		r = add_one(t, t->vms[i].vm_id, ops);
	return r;
}

/* Did every VM that was there go? */
static bool is_replaced(const struct tracker *t, const struct cetd_scan *vms, size_t n,
			bool was_destroyed)
{
	if (was_destroyed && t->n_vms == 1 && n == 1)
		return true;
	for (size_t i = 0; i < n; i++)
		if (has_vm(t->vms, t->n_vms, vms + i))
			return false;
	return true;
}

static int remove_gone(struct tracker *t, const struct cetd_scan *vms, size_t n, bool was_destroyed,
		       const struct tracker_ops *ops)
{
	int r = 0;

	if (have_ids(t->vms, t->n_vms)) {
		for (size_t i = 0; i < t->n_vms && r >= 0; i++)
			if (!has_vm(vms, n, t->vms + i))
				r = ops->remove(ops->userdata, t->vms[i].vm_id);
		return r;
	}
	if (t->n_vms && is_replaced(t, vms, n, was_destroyed)) {
		t->is_ambiguous = false;
		return ops->remove(ops->userdata, process_key(t));
	}
	return 0;
}

static bool is_same(const struct tracker *t, const struct cetd_scan *vms, size_t n,
		    bool was_destroyed)
{
	if (n != t->n_vms)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!has_vm(t->vms, t->n_vms, vms + i))
			return false;
	return have_ids(vms, n) || !n || !is_replaced(t, vms, n, was_destroyed);
}

int tracker_update(struct tracker *t, const struct cetd_scan *vms, size_t n, bool was_destroyed,
		   const struct tracker_ops *ops)
{
	struct cetd_scan *copy = NULL;
	int r;

	if (is_same(t, vms, n, was_destroyed))
		return 0;
	if (n) {
		copy = reallocarray(NULL, n, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, vms, n * sizeof(*copy));
	}
	r = remove_gone(t, vms, n, was_destroyed, ops);
	free(t->vms);
	t->vms = copy;
	t->n_vms = n;
	if (r < 0)
		return r;
	t->is_ambiguous |= n > 1 && !have_ids(vms, n);
	if (!t->plain_vm_id && n)
		t->plain_vm_id = t->vms[0].vm_id;
	r = add_all(t, ops);
	return r < 0 ? r : 1;
}

int tracker_rename(struct tracker *t, const struct cetd_identity *identity,
		   const struct tracker_ops *ops)
{
	int r;

	if (!memcmp(&t->identity, identity, sizeof(*identity)))
		return 0;
	t->identity = *identity;
	r = add_all(t, ops);
	return r < 0 ? r : 1;
}

void tracker_done(struct tracker *t)
{
	free(t->vms);
	memset(t, 0, sizeof(*t));
}
