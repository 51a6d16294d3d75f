// SPDX-License-Identifier: GPL-2.0-only
/* The registry: applies messages to the host and the VMs, and tells the observer what changed. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"
#include "model/valid.h"
#include "util/macro.h"
#include "util/utf8.h"

#define NOTIFY(m, hook, ...)                                                       \
	do {                                                                       \
		if ((m)->observer.hook)                                            \
			(m)->observer.hook((m)->observer.userdata, ##__VA_ARGS__); \
	} while (0)

int model_new(uint32_t max_vms, struct model **ret)
{
	struct model *m = calloc(1, sizeof(*m));

	assert(max_vms > 0);
	if (!m)
		return -ENOMEM;
	m->max_vms = max_vms;
	*ret = m;
	return 0;
}

static void model_unlink(struct model *m, struct vm *vm)
{
	HASH_DELETE(hh_key, m->vms_by_key, vm);
	HASH_DELETE(hh_id, m->vms_by_id, vm);
	m->n_vms--;
}

static struct vm *vm_free(struct vm *vm)
{
	if (vm)
		free(vm->history);
	free(vm);
	return NULL;
}

struct model *model_free(struct model *m)
{
	struct vm *vm, *next;

	if (!m)
		return NULL;
	HASH_ITER (hh_key, m->vms_by_key, vm, next) {
		model_unlink(m, vm);
		vm_free(vm);
	}
	free(m);
	return NULL;
}

void model_set_observer(struct model *m, const struct model_observer *observer)
{
	m->observer = *observer;
}

struct vm *model_find_key(const struct model *m, uint64_t key)
{
	struct vm *vm;

	HASH_FIND(hh_key, m->vms_by_key, &key, sizeof(key), vm);
	return vm;
}

struct vm *model_find_id(const struct model *m, const char *id)
{
	struct vm *vm;

	HASH_FIND(hh_id, m->vms_by_id, id, strlen(id), vm);
	return vm;
}

/*
 * A second VM with the same id (a cloned UUID, a migration on one host) is told apart by its pid, else by its key, else
 * by a number: VMs may have names that look like that.
 */
static void make_id_unique(const struct model *m, const struct vm *self, struct cetd_identity *i)
{
	const struct vm *other = model_find_id(m, i->id);
	char base[37], shorter[25], number[12] = "";

	if (!other || other == self)
		return;
	/* Cut between characters: ids are UTF-8 and leave by D-Bus. */
	utf8_sanitize(i->id, base, sizeof(base));
	utf8_sanitize(i->id, shorter, sizeof(shorter));
	snprintf(i->id, sizeof(i->id), "%s-pid-%u", base, i->pid);
	for (unsigned int n = 0; (other = model_find_id(m, i->id)) && other != self; n++) {
		if (n)
			snprintf(number, sizeof(number), "-%u", n);
		snprintf(i->id, sizeof(i->id), "%s-%llx%s", shorter, i->key & ~CETD_KEY_TGID,
			 number);
	}
}

static int model_add(struct model *m, const struct cetd_identity *identity, struct vm **ret)
{
	struct vm *vm;

	if (m->n_vms >= m->max_vms) {
		m->vms_refused++;
		return -ENOSPC;
	}
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->model = m;
	vm->identity = *identity;
	vm->first_seen_ns = m->now_ns;
	make_id_unique(m, NULL, &vm->identity);
	HASH_ADD(hh_key, m->vms_by_key, identity.key, sizeof(vm->identity.key), vm);
	HASH_ADD_KEYPTR(hh_id, m->vms_by_id, vm->identity.id, strlen(vm->identity.id), vm);
	m->n_vms++;
	*ret = vm;
	return 0;
}

static int apply_vm_add(struct model *m, const struct cetd_identity *identity)
{
	struct vm *vm = model_find_key(m, identity->key);
	struct cetd_identity next = *identity;
	char old_id[sizeof(next.id)];
	int r;

	if (!vm) {
		r = model_add(m, identity, &vm);
		if (r < 0)
			return r == -ENOSPC ? 0 : r;
		NOTIFY(m, vm_added, vm);
		return 0;
	}

	make_id_unique(m, vm, &next);
	if (!memcmp(&vm->identity, &next, sizeof(next)) && !vm->is_provisional)
		return 0;
	vm->is_provisional = false;
	memcpy(old_id, vm->identity.id, sizeof(old_id));
	HASH_DELETE(hh_id, m->vms_by_id, vm);
	vm->identity = next;
	vm->revision++;
	HASH_ADD_KEYPTR(hh_id, m->vms_by_id, vm->identity.id, strlen(vm->identity.id), vm);
	if (strcmp(old_id, next.id))
		NOTIFY(m, vm_renamed, vm, old_id);
	else
		NOTIFY(m, vm_changed, vm);
	return 0;
}

static int apply_vm_remove(struct model *m, uint64_t key)
{
	struct vm *vm = model_find_key(m, key);

	if (!vm)
		return 0;
	NOTIFY(m, vm_removed, vm);
	model_unlink(m, vm);
	vm_free(vm);
	return 0;
}

/* Counters of a VM that discovery has not reported yet: count now, learn its name later. */
static int get_or_add_provisional(struct model *m, uint64_t key, const struct cetd_vm *kernel,
				  struct vm **ret)
{
	struct cetd_identity identity = {.key = key, .vms_in_process = 1};
	int r;

	*ret = model_find_key(m, key);
	if (*ret)
		return 0;
	identity.pid = kernel ? kernel->tgid : (uint32_t)key;
	identity.vm_id = key & CETD_KEY_TGID ? 0 : key;
	identity.attribution = identity.vm_id ? CETD_ATTRIBUTION_VM_ID : CETD_ATTRIBUTION_PROCESS;
	if (identity.vm_id)
		snprintf(identity.id, sizeof(identity.id), "pid-%u-vm-%llu", identity.pid,
			 (unsigned long long)key);
	else
		snprintf(identity.id, sizeof(identity.id), "pid-%u", identity.pid);
	snprintf(identity.name, sizeof(identity.name), "pid-%u", identity.pid);
	r = model_add(m, &identity, ret);
	if (r < 0)
		return r;
	(*ret)->is_provisional = true;
	NOTIFY(m, vm_added, *ret);
	return 0;
}

static int apply_counters(struct model *m, const struct cetd_counters_message *c)
{
	struct vm *vm;
	int r;

	r = get_or_add_provisional(m, c->key, &c->vm, &vm);
	if (r < 0)
		return r == -ENOSPC ? 0 : r;
	if (!memcmp(&vm->kernel.counters, &c->vm.counters, sizeof(c->vm.counters)))
		return 0;
	vm->kernel = c->vm;
	vm->last_activity_ns = m->now_ns;
	NOTIFY(m, vm_changed, vm);
	return 0;
}

static int apply_history(struct model *m, const struct cetd_history_message *h)
{
	struct vm *vm;
	int r;

	r = get_or_add_provisional(m, h->key, NULL, &vm);
	if (r < 0)
		return r == -ENOSPC ? 0 : r;
	if (!vm->history) {
		vm->history = malloc(sizeof(*vm->history));
		if (!vm->history)
			return -ENOMEM;
	} else if (vm->history->head == h->history.head)
		return 0;
	*vm->history = h->history;
	NOTIFY(m, vm_changed, vm);
	return 0;
}

static void apply_event(struct model *m, const struct cetd_event *e)
{
	m->events++;
	NOTIFY(m, event, model_find_key(m, e->key), e);
}

static void apply_host(struct model *m, const struct cetd_host *host)
{
	m->host = *host;
	m->has_host = true;
	NOTIFY(m, host_changed);
}

static void apply_lost(struct model *m, const struct cetd_lost_message *l)
{
	memcpy(m->lost, l->lost, sizeof(m->lost));
	m->map_entries = l->map_entries;
}

int model_apply(struct model *m, const struct cetd_message *message)
{
	int r;

	r = message_validate(message);
	if (r < 0)
		return r;
	m->messages++;
	if (message->time_ns > m->now_ns)
		m->now_ns = message->time_ns;

	switch (message->type) {
	case CETD_MESSAGE_HOST:
		apply_host(m, message->payload);
		return 0;
	case CETD_MESSAGE_VM_ADD:
		return apply_vm_add(m, message->payload);
	case CETD_MESSAGE_VM_REMOVE:
		return apply_vm_remove(m, *(const __u64 *)message->payload);
	case CETD_MESSAGE_COUNTERS:
		return apply_counters(m, message->payload);
	case CETD_MESSAGE_HISTORY:
		return apply_history(m, message->payload);
	case CETD_MESSAGE_EVENT:
		apply_event(m, message->payload);
		return 0;
	case CETD_MESSAGE_LOST:
		apply_lost(m, message->payload);
		return 0;
	case CETD_MESSAGE_SETTLED:
		NOTIFY(m, settled);
		return 0;
	}
	return -EBADMSG;
}

/* Compare UUIDs whatever their case and dashes. */
static bool uuid_equal(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '-')
			a++;
		while (*b == '-')
			b++;
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

static bool vm_answers_to(const struct vm *vm, const char *text, unsigned int pid)
{
	return !strcmp(vm->identity.name, text) || (pid && vm->identity.pid == pid) ||
	       (vm->identity.uuid[0] && uuid_equal(vm->identity.uuid, text));
}

int model_find(const struct model *m, const char *text, const struct vm **ret)
{
	const struct vm *found = model_find_id(m, text);
	unsigned int pid = 0;
	int end = 0;

	if (!found) {
		if (sscanf(text, "pid-%u%n", &pid, &end) != 1 || text[end])
			pid = 0;
		FOREACH_VM (m, vm) {
			if (!vm_answers_to(vm, text, pid))
				continue;
			if (found)
				return -ENOTUNIQ;
			found = vm;
		}
	}
	if (found)
		*ret = found;
	return !!found;
}

int model_find_pid(const struct model *m, uint32_t pid, const struct vm **ret)
{
	const struct vm *found = NULL;

	FOREACH_VM (m, vm) {
		if (vm->identity.pid != pid)
			continue;
		if (found || vm->identity.attribution == CETD_ATTRIBUTION_AMBIGUOUS)
			return -ENOTUNIQ;
		found = vm;
	}
	if (found)
		*ret = found;
	return !!found;
}
