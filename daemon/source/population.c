// SPDX-License-Identifier: GPL-2.0-only
/* Compare scans with what is known, process by process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "source/machined.h"
#include "source/population.h"
#include "util/log.h"
#include "util/macro.h"

#define PROCESSES_MAX 65536
#define VMS_PER_PROCESS_MAX 1024
#define REFRESHES 2 /* a manager may move or register a VMM just after it started */

struct population {
	sd_event *event;
	struct discovery_params params;
	struct cetd_sink sink;
	struct tracker_ops ops;
	struct machined *machined;
	struct process *processes; /* by pid */
	uint32_t generation;
	bool has_changed; /* since the last SETTLED */
	bool is_limit_logged, is_pidfd_logged;
};

/* A process found for the first time waits for the others, so that the eldest gets its id first. */
struct newcomer {
	struct process *process; /* first, for process_compare_age() */
	const struct cetd_scan *vms;
	size_t n;
};

static int send_message(struct population *p, uint32_t type, const void *payload, uint32_t size)
{
	struct cetd_message message = {.type = type, .size = size, .payload = payload};
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	message.time_ns = (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
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

static struct process *find_process(struct population *p, uint32_t pid)
{
	struct process *process;

	HASH_FIND(hh, p->processes, &pid, sizeof(pid), process);
	return process;
}

size_t population_count_vms(struct population *p, uint32_t pid)
{
	const struct process *process = find_process(p, pid);

	return process ? process->tracker.n_vms : 0;
}

void population_note_destroyed(struct population *p, uint32_t pid)
{
	struct process *process = find_process(p, pid);

	if (process)
		process->was_destroyed = true;
}

bool population_has_key(struct population *p, uint64_t key)
{
	if (key & CETD_KEY_TGID) {
		const struct process *process = find_process(p, (uint32_t)key);

		return process && tracker_has_key(&process->tracker, key);
	}
	for (const struct process *process = p->processes; process; process = process->hh.next)
		if (tracker_has_key(&process->tracker, key))
			return true;
	return false;
}

static int drop_process(struct population *p, struct process *process)
{
	int r;

	r = tracker_update(&process->tracker, NULL, 0, false, &p->ops);
	HASH_DELETE(hh, p->processes, process);
	process_free(process);
	return r;
}

static int on_exit_of(sd_event_source *source _unused_, int fd _unused_, uint32_t events _unused_,
		      void *userdata)
{
	struct process *process = userdata;
	struct population *p = process->owner;
	int r;

	r = drop_process(p, process);
	if (r >= 0)
		r = population_settle(p);
	if (r < 0) {
		sd_event_exit(p->event, r);
		return log_error_errno(r, "Failed to pass on the end of a VM: %m");
	}
	return 0;
}

/* More may be known of a process by now. */
static int refresh_process(struct population *p, struct process *process)
{
	struct cetd_identity identity;

	if (process_read_identity(process, &identity) < 0)
		return 0; /* it ends: its pidfd will say so */
	return tracker_rename(&process->tracker, &identity, &p->ops);
}

static void on_machine(void *userdata, uint32_t pid, uint64_t start_ticks,
		       const struct identity_machine *machine)
{
	struct population *p = userdata;
	struct process *process = find_process(p, pid);
	int r;

	if (!process || process->start_ticks != start_ticks)
		return;
	process->machine = *machine;
	r = refresh_process(p, process);
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
	struct process *process, *tmp;

	if (!p)
		return NULL;
	machined_free(p->machined);
	HASH_ITER(hh, p->processes, process, tmp) {
		HASH_DELETE(hh, p->processes, process);
		process_free(process);
	}
	sd_event_unref(p->event);
	free(p);
	return NULL;
}

/* Take a process in: watch for its end, ask machined about it. */
static void watch_process(struct population *p, struct process *process)
{
	int r;

	process->owner = p;
	HASH_ADD(hh, p->processes, pid, sizeof(process->pid), process);
	if (process->pidfd >= 0) {
		r = sd_event_add_io(p->event, &process->exit_source, process->pidfd, EPOLLIN,
				    on_exit_of, process);
		if (r < 0)
			log_warning_errno(r, "Failed to watch process %u for its end: %m",
					  process->pid);
	} else if (!p->is_pidfd_logged) {
		p->is_pidfd_logged = true;
		log_warning("Failed to open a pidfd (is the limit of open files below the number "
			    "of VMs?): the end of a VM may be noticed only by the next scan.");
	}
	machined_ask(p->machined, process->pid, process->start_ticks);
}

static int update_process(struct population *p, struct process *process,
			  const struct cetd_scan *vms, size_t n)
{
	bool was_destroyed = process->was_destroyed;
	int r;

	process->was_destroyed = false;
	process->generation = p->generation;
	r = tracker_update(&process->tracker, vms, MIN(n, (size_t)VMS_PER_PROCESS_MAX),
			   was_destroyed, &p->ops);
	return r < 0 || process->tracker.n_vms ? r : drop_process(p, process);
}

static bool has_room(struct population *p)
{
	if (HASH_COUNT(p->processes) < PROCESSES_MAX)
		return true;
	if (!p->is_limit_logged)
		log_warning("More than %u processes have VMs; further ones are left out.",
			    PROCESSES_MAX);
	p->is_limit_logged = true;
	return false;
}

/* The known process with this pid, or a new one that nobody watches yet; NULL where it has ended already or
 * there is no room. */
static int get_process(struct population *p, uint32_t pid, struct process **ret)
{
	struct process *process = find_process(p, pid);
	int r;

	*ret = NULL;
	if (process && process_has_ended(process)) {
		r = drop_process(p, process);
		if (r < 0)
			return r;
		process = NULL;
	}
	if (!process && has_room(p)) {
		r = process_new(pid, &process);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
	}
	*ret = process;
	return 0;
}

static int take_in(struct population *p, struct newcomer *newcomers, size_t n)
{
	int r = 0;

	qsort(newcomers, n, sizeof(*newcomers), process_compare_age);
	for (size_t i = 0; i < n; i++) {
		if (r < 0) {
			process_free(newcomers[i].process);
			continue;
		}
		watch_process(p, newcomers[i].process);
		r = update_process(p, newcomers[i].process, newcomers[i].vms, newcomers[i].n);
	}
	return r;
}

static int apply_records(struct population *p, const struct cetd_scan *records, size_t n)
{
	_cleanup_(freep) struct newcomer *newcomers = NULL;
	struct process *process;
	size_t n_new = 0, group;
	int r = 0;

	newcomers = reallocarray(NULL, MAX(n, (size_t)1), sizeof(*newcomers));
	if (!newcomers)
		return -ENOMEM;
	for (size_t i = 0; i < n && r >= 0; i += group) {
		for (group = 1; i + group < n && records[i + group].tgid == records[i].tgid;)
			group++;
		r = get_process(p, records[i].tgid, &process);
		if (r < 0 || !process)
			continue;
		if (process->owner)
			r = update_process(p, process, records + i, group);
		else
			newcomers[n_new++] = (struct newcomer){process, records + i, group};
	}
	if (r >= 0)
		return take_in(p, newcomers, n_new);
	while (n_new)
		process_free(newcomers[--n_new].process);
	return r;
}

/* Look again at who was found lately. */
static int refresh_young(struct population *p)
{
	struct process *process, *tmp;
	int r = 0;

	HASH_ITER(hh, p->processes, process, tmp) {
		if (process->refreshes == REFRESHES)
			continue;
		process->refreshes++;
		machined_ask(p->machined, process->pid, process->start_ticks);
		r = refresh_process(p, process);
		if (r < 0)
			break;
	}
	return r;
}

int population_apply_all(struct population *p, const struct cetd_scan *records, size_t n,
			 bool is_periodic)
{
	struct process *process, *tmp;
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
	HASH_ITER(hh, p->processes, process, tmp) {
		if (process->generation == p->generation || process->is_adopted)
			continue;
		r = drop_process(p, process);
		if (r < 0)
			return r;
	}
	return 0;
}

int population_apply_one(struct population *p, uint32_t pid, const struct cetd_scan *records,
			 size_t n)
{
	struct process *process;

	if (n)
		return apply_records(p, records, n);
	process = find_process(p, pid);
	return process && !process->is_adopted ? drop_process(p, process) : 0;
}

int population_adopt(struct population *p, uint32_t pid)
{
	struct cetd_scan record = {.tgid = pid, .vcpu = CETD_VCPU_UNKNOWN};
	struct process *process;
	int r;

	r = apply_records(p, &record, 1);
	if (r < 0)
		return r;
	process = find_process(p, pid);
	if (!process)
		return send_remove(p, CETD_KEY_TGID | pid);
	process->is_adopted = true;
	return 0;
}
