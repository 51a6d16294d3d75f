// SPDX-License-Identifier: GPL-2.0-only
/* Compare scans with what is known, process by process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "source/machined.h"
#include "source/population.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/macro.h"

#define VMMS_MAX 65536
#define VMS_PER_PROCESS_MAX 1024
#define REFRESHES 2 /* a manager may move or register a VMM just after it started */

struct population {
	sd_event *event;
	struct discovery_params params;
	struct cetd_sink sink;
	struct tracker_ops ops;
	struct machined *machined;
	struct vmm *vmms; /* by pid */
	uint32_t generation;
	bool has_changed; /* since the last SETTLED */
	bool is_limit_logged, is_pidfd_logged;
};

/* A process found for the first time waits for the others, so that the eldest gets its id first. */
struct newcomer {
	struct vmm *vmm; /* first, for vmm_compare_age() */
	const struct cetd_scan *vms;
	size_t n;
};

static int send_message(struct population *p, uint32_t type, const void *payload, uint32_t size)
{
	const struct cetd_message message = {.type = type,
					     .size = size,
					     .time_ns = clock_ns(CLOCK_MONOTONIC),
					     .payload = payload};

	return p->sink.send(p->sink.userdata, &message);
}

static int send_add(void *userdata, const struct cetd_identity *identity)
{
	struct population *p = userdata;

	p->has_changed = true;
	return send_message(p, CETD_MESSAGE_VM_ADD, identity, sizeof(*identity));
}

static int send_remove(void *userdata, uint64_t key)
{
	struct population *p = userdata;
	__u64 payload = key;
	int r;

	p->has_changed = true;
	if (p->params.before_remove) {
		r = p->params.before_remove(p->params.userdata, key);
		if (r < 0)
			return r;
	}
	return send_message(p, CETD_MESSAGE_VM_REMOVE, &payload, sizeof(payload));
}

int population_settle(struct population *p)
{
	if (!p->has_changed)
		return 0;
	p->has_changed = false;
	return send_message(p, CETD_MESSAGE_SETTLED, NULL, 0);
}

int population_forget(struct population *p, uint64_t key)
{
	return send_remove(p, key);
}

static struct vmm *find_vmm(struct population *p, uint32_t pid)
{
	struct vmm *vmm;

	HASH_FIND(hh, p->vmms, &pid, sizeof(pid), vmm);
	return vmm;
}

size_t population_count_vms(struct population *p, uint32_t pid)
{
	const struct vmm *vmm = find_vmm(p, pid);

	return vmm ? vmm->tracker.n_vms : 0;
}

void population_note_destroyed(struct population *p, uint32_t pid)
{
	struct vmm *vmm = find_vmm(p, pid);

	if (vmm)
		vmm->was_destroyed = true;
}

bool population_has_key(struct population *p, uint64_t key)
{
	if (key & CETD_KEY_TGID) {
		const struct vmm *vmm = find_vmm(p, (uint32_t)key);

		return vmm && tracker_has_key(&vmm->tracker, key);
	}
	for (const struct vmm *vmm = p->vmms; vmm; vmm = vmm->hh.next)
		if (tracker_has_key(&vmm->tracker, key))
			return true;
	return false;
}

static int drop_vmm(struct population *p, struct vmm *vmm)
{
	int r;

	r = tracker_update(&vmm->tracker, NULL, 0, false, &p->ops);
	HASH_DELETE(hh, p->vmms, vmm);
	vmm_free(vmm);
	return r;
}

static int on_exit_of(sd_event_source *source _unused_, int fd _unused_, uint32_t events _unused_,
		      void *userdata)
{
	struct vmm *vmm = userdata;
	struct population *p = vmm->owner;
	int r;

	r = drop_vmm(p, vmm);
	if (r >= 0)
		r = population_settle(p);
	if (r < 0) {
		sd_event_exit(p->event, r);
		return log_error_errno(r, "Failed to pass on the end of a VM: %m");
	}
	return 0;
}

/* More may be known of a process by now. */
static int refresh_vmm(struct population *p, struct vmm *vmm)
{
	struct cetd_identity identity;

	if (vmm_read_identity(vmm, &identity) < 0)
		return 0; /* it ends: its pidfd will say so */
	return tracker_rename(&vmm->tracker, &identity, &p->ops);
}

static void on_machine(void *userdata, uint32_t pid, uint64_t start_ticks,
		       const struct identity_machine *machine)
{
	struct population *p = userdata;
	struct vmm *vmm = find_vmm(p, pid);
	int r;

	if (!vmm || vmm->start_ticks != start_ticks)
		return;
	vmm->machine = *machine;
	r = refresh_vmm(p, vmm);
	if (r >= 0)
		r = population_settle(p);
	if (r < 0) {
		sd_event_exit(p->event, r);
		log_error_errno(r, "Failed to pass on the name of a VM: %m");
	}
}

int population_new(sd_event *event, const struct discovery_params *params,
		   const struct cetd_sink *sink, struct population **ret)
{
	struct population *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	r = machined_new(event, on_machine, p, &p->machined);
	if (r < 0) {
		free(p);
		return r;
	}
	p->event = sd_event_ref(event);
	p->params = *params;
	p->sink = *sink;
	p->ops = (struct tracker_ops){.add = send_add, .remove = send_remove, .userdata = p};
	*ret = p;
	return 0;
}

struct population *population_free(struct population *p)
{
	struct vmm *vmm, *tmp;

	if (!p)
		return NULL;
	machined_free(p->machined);
	HASH_ITER (hh, p->vmms, vmm, tmp) {
		HASH_DELETE(hh, p->vmms, vmm);
		vmm_free(vmm);
	}
	sd_event_unref(p->event);
	free(p);
	return NULL;
}

/* Take a process in: watch for its end, ask machined about it. */
static void watch_vmm(struct population *p, struct vmm *vmm)
{
	int r;

	vmm->owner = p;
	HASH_ADD(hh, p->vmms, pid, sizeof(vmm->pid), vmm);
	if (vmm->pidfd >= 0) {
		r = sd_event_add_io(p->event, &vmm->exit_source, vmm->pidfd, EPOLLIN, on_exit_of,
				    vmm);
		if (r < 0)
			log_warning_errno(r, "Failed to watch process %u for its end: %m",
					  vmm->pid);
	} else if (!p->is_pidfd_logged) {
		p->is_pidfd_logged = true;
		log_warning("Failed to open a pidfd (is the limit of open files below the number "
			    "of VMs?): the end of a VM may be noticed only by the next scan.");
	}
	machined_ask(p->machined, vmm->pid, vmm->start_ticks);
}

static int update_vmm(struct population *p, struct vmm *vmm, const struct cetd_scan *vms, size_t n)
{
	bool was_destroyed = vmm->was_destroyed;
	int r;

	vmm->was_destroyed = false;
	vmm->generation = p->generation;
	r = tracker_update(&vmm->tracker, vms, MIN(n, (size_t)VMS_PER_PROCESS_MAX), was_destroyed,
			   &p->ops);
	return r < 0 || vmm->tracker.n_vms ? r : drop_vmm(p, vmm);
}

static bool has_room(struct population *p)
{
	if (HASH_COUNT(p->vmms) < VMMS_MAX)
		return true;
	if (!p->is_limit_logged)
		log_warning("More than %u processes have VMs; further ones are left out.",
			    VMMS_MAX);
	p->is_limit_logged = true;
	return false;
}

/* The known process with this pid, or a new one that nobody watches yet; NULL where it has ended already or
 * there is no room. */
static int get_vmm(struct population *p, uint32_t pid, struct vmm **ret)
{
	struct vmm *vmm = find_vmm(p, pid);
	int r;

	*ret = NULL;
	if (vmm && vmm_has_ended(vmm)) {
		r = drop_vmm(p, vmm);
		if (r < 0)
			return r;
		vmm = NULL;
	}
	if (!vmm && has_room(p)) {
		r = vmm_new(pid, &vmm);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
	}
	*ret = vmm;
	return 0;
}

static int take_in(struct population *p, struct newcomer *newcomers, size_t n)
{
	int r = 0;

	qsort(newcomers, n, sizeof(*newcomers), vmm_compare_age);
	for (size_t i = 0; i < n; i++) {
		if (r < 0) {
			vmm_free(newcomers[i].vmm);
			continue;
		}
		watch_vmm(p, newcomers[i].vmm);
		r = update_vmm(p, newcomers[i].vmm, newcomers[i].vms, newcomers[i].n);
	}
	return r;
}

static int apply_records(struct population *p, const struct cetd_scan *records, size_t n)
{
	_cleanup_(freep) struct newcomer *newcomers = NULL;
	struct vmm *vmm;
	size_t n_new = 0, group;
	int r = 0;

	newcomers = reallocarray(NULL, MAX(n, (size_t)1), sizeof(*newcomers));
	if (!newcomers)
		return -ENOMEM;
	for (size_t i = 0; i < n && r >= 0; i += group) {
		for (group = 1; i + group < n && records[i + group].tgid == records[i].tgid;)
			group++;
		r = get_vmm(p, records[i].tgid, &vmm);
		if (r < 0 || !vmm)
			continue;
		if (vmm->owner)
			r = update_vmm(p, vmm, records + i, group);
		else
			newcomers[n_new++] = (struct newcomer){vmm, records + i, group};
	}
	if (r >= 0)
		return take_in(p, newcomers, n_new);
	while (n_new)
		vmm_free(newcomers[--n_new].vmm);
	return r;
}

/* Look again at who was found lately. */
static int refresh_young(struct population *p)
{
	struct vmm *vmm, *tmp;
	int r = 0;

	HASH_ITER (hh, p->vmms, vmm, tmp) {
		if (vmm->refreshes == REFRESHES)
			continue;
		vmm->refreshes++;
		machined_ask(p->machined, vmm->pid, vmm->start_ticks);
		r = refresh_vmm(p, vmm);
		if (r < 0)
			break;
	}
	return r;
}

int population_apply_all(struct population *p, const struct cetd_scan *records, size_t n,
			 bool is_periodic)
{
	struct vmm *vmm, *tmp;
	int r;

	if (is_periodic) {
		r = refresh_young(p);
		if (r < 0)
			return r;
	}
	p->generation++;
	r = apply_records(p, records, n);
	if (r < 0)
		return r;
	HASH_ITER (hh, p->vmms, vmm, tmp) {
		if (vmm->generation == p->generation || vmm->is_adopted)
			continue;
		r = drop_vmm(p, vmm);
		if (r < 0)
			return r;
	}
	return 0;
}

int population_apply_one(struct population *p, uint32_t pid, const struct cetd_scan *records,
			 size_t n)
{
	struct vmm *vmm;

	if (n)
		return apply_records(p, records, n);
	vmm = find_vmm(p, pid);
	return vmm && !vmm->is_adopted ? drop_vmm(p, vmm) : 0;
}

int population_adopt(struct population *p, uint32_t pid)
{
	struct cetd_scan record = {.tgid = pid, .vcpu = CETD_VCPU_UNKNOWN};
	struct vmm *vmm;
	int r;

	r = apply_records(p, &record, 1);
	if (r < 0)
		return r;
	vmm = find_vmm(p, pid);
	if (!vmm)
		return send_remove(p, CETD_KEY_TGID | pid);
	vmm->is_adopted = true;
	return 0;
}
