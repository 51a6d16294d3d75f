// SPDX-License-Identifier: GPL-2.0-only
/* When to look for VMs: at start, at intervals, and soon after anything that tells of a change. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "source/population.h"
#include "source/procfs.h"
#include "source/requests.h"
#include "source/scan.h"
#include "source/source.h"
#include "source/uevent.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/macro.h"

#define UEVENTS_PER_WAKEUP 256
#define SOON_NS \
	(10 * NSEC_PER_MSEC) /* KVM's uevent comes before the VM's file is there to be found */
#define GAP_NS (20 * NSEC_PER_MSEC) /* between two scans, and */
#define GAP_FACTOR 20		    /* at most 1/20 of a CPU for them, whatever a VMM does */
#define FAILED_NS NSEC_PER_SEC	    /* to the next try after a scan that failed */
#define TIMER_ACCURACY_USEC USEC_PER_MSEC

struct discovery {
	sd_event *event;
	struct scan *scan;
	struct population *population;
	struct requests requests;
	int uevent_fd;
	sd_event_source *uevent_source, *timer;
	bool has_failed; /* the last full scan */
	bool is_blind;	 /* in a PID namespace: better no names than another's */
	uint64_t interval_ns;
	uint64_t interval_due_ns, earliest_ns; /* CLOCK_MONOTONIC */
	uint64_t scan_ns;		       /* what the scans of this wake-up took */
};

/* Set the timer to what comes first. */
static int arm(struct discovery *d)
{
	uint64_t due_ns = d->interval_due_ns;
	int r;

	if (d->requests.due_ns && d->requests.due_ns < due_ns)
		due_ns = d->requests.due_ns;
	due_ns = MAX(due_ns, d->earliest_ns);
	r = sd_event_source_set_time(d->timer, due_ns / NSEC_PER_USEC + 1);
	if (r >= 0)
		r = sd_event_source_set_enabled(d->timer, SD_EVENT_ONESHOT);
	return r < 0 ? log_error_errno(r, "Failed to set the time of the next scan: %m") : 0;
}

static bool is_satisfied(void *userdata, const struct request *request)
{
	struct discovery *d = userdata;

	if (request->key)
		return population_has_key(d->population, request->key);
	if (request->is_create)
		return population_count_vms(d->population, request->pid) > request->n_before;
	return true;
}

static int give_up_request(void *userdata, const struct request *request)
{
	struct discovery *d = userdata;

	if (!request->key)
		return 0;
	if (request->pid && !scan_is_complete(d->scan))
		return population_adopt(d->population, request->pid);
	/* The VM ended before it could be found. */
	return population_forget(d->population, request->key);
}

/* A scan failed: what is known stays as it is, and the next second tries again. Said once, until one works. */
static int note_failure(struct discovery *d, int error)
{
	log_full(d->has_failed ? LOG_DEBUG : LOG_WARNING, error,
		 "Failed to look for VMs, trying again every second: %m");
	d->has_failed = true;
	return 0;
}

/* What follows from what is found does not count: taking the policy hook up alone may take a scan's time many times. */
static int timed_scan(struct discovery *d, uint32_t pid, const struct cetd_scan **ret,
		      size_t *ret_n)
{
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
	int r = scan_run(d->scan, pid, ret, ret_n);

	d->scan_ns += clock_ns(CLOCK_MONOTONIC) - start_ns;
	return r;
}

/* Each returns 1, or 0 where the scan failed. */
static int scan_some(struct discovery *d)
{
	const struct cetd_scan *records;
	size_t n;
	int r;

	for (unsigned int i = 0; i < d->requests.n; i++) {
		uint32_t pid = d->requests.list[i].pid;

		r = timed_scan(d, pid, &records, &n);
		if (r < 0)
			return note_failure(d, r);
		r = population_apply_one(d->population, pid, records, n);
		if (r < 0)
			return r;
	}
	return 1;
}

static int scan_all(struct discovery *d, bool is_periodic)
{
	const struct cetd_scan *records;
	size_t n;
	int r;

	r = timed_scan(d, 0, &records, &n);
	if (r < 0)
		return note_failure(d, r);
	d->has_failed = false;
	r = population_apply_all(d->population, records, n, is_periodic);
	return r < 0 ? r : 1;
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
	struct discovery *d = userdata;
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC), end_ns;
	bool is_periodic = start_ns >= d->interval_due_ns;
	bool is_full = is_periodic || requests_need_all(&d->requests);
	int r;

	d->scan_ns = 0;
	r = is_full ? scan_all(d, is_periodic) : scan_some(d);

	end_ns = clock_ns(CLOCK_MONOTONIC);
	if (r > 0)
		r = requests_settle(&d->requests, end_ns, is_satisfied, give_up_request, d);
	else if (r == 0) {
		d->requests.due_ns = end_ns + FAILED_NS;
		d->requests.want_all |= is_full;
	}
	if (r >= 0)
		r = population_settle(d->population);
	if (r < 0) {
		sd_event_exit(d->event, r);
		return log_error_errno(r, "Failed to pass on which VMs there are: %m");
	}

	if (is_periodic)
		d->interval_due_ns = end_ns + d->interval_ns;
	d->earliest_ns = end_ns + MAX(GAP_NS, GAP_FACTOR * d->scan_ns);
	return arm(d);
}

static void on_one_uevent(struct discovery *d, const struct uevent *event)
{
	struct request request = {.is_create = event->type == UEVENT_VM_CREATED};

	/* The thread may be gone, and its VM there all the same. */
	if (procfs_find_tgid(event->tid, &request.pid) < 0) {
		requests_add_all(&d->requests, clock_ns(CLOCK_MONOTONIC) + SOON_NS);
		return;
	}
	if (event->type == UEVENT_VM_DESTROYED)
		population_note_destroyed(d->population, request.pid);
	request.n_before = population_count_vms(d->population, request.pid);
	requests_add(&d->requests, &request, clock_ns(CLOCK_MONOTONIC) + SOON_NS);
}

static int on_uevent(sd_event_source *source _unused_, int fd, uint32_t events _unused_,
		     void *userdata)
{
	struct discovery *d = userdata;
	struct uevent event;
	int r = 0;

	for (int i = 0; i < UEVENTS_PER_WAKEUP; i++) {
		r = uevent_receive(fd, &event);
		if (r == -EAGAIN)
			break;
		if (r > 0)
			on_one_uevent(d, &event);
		else if (r < 0) /* -ENOBUFS: some are lost, so look at everything */
			requests_add_all(&d->requests, clock_ns(CLOCK_MONOTONIC) + SOON_NS);
		if (r < 0 && r != -ENOBUFS)
			return log_error_errno(r, "Failed to receive the kernel's uevents, from "
						  "now on VMs are found by scans only: %m");
	}
	return arm(d);
}

void discovery_nudge(struct discovery *d, uint64_t key)
{
	struct request request = {
		.pid = key & CETD_KEY_TGID ? (uint32_t)key : 0,
		.key = key,
	};

	if (d->is_blind || population_has_key(d->population, key))
		return;
	requests_add(&d->requests, &request, clock_ns(CLOCK_MONOTONIC) + SOON_NS);
	arm(d);
}

bool discovery_is_blind(const struct discovery *d)
{
	return d->is_blind;
}

static int listen_to_uevents(struct discovery *d)
{
	int r;

	d->uevent_fd = uevent_open();
	if (d->uevent_fd < 0)
		return d->uevent_fd;
	r = sd_event_add_io(d->event, &d->uevent_source, d->uevent_fd, EPOLLIN, on_uevent, d);
	return r;
}

/* One descriptor a VM: take what the limits allow without asking. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int discovery_new(sd_event *event, const struct discovery_params *params,
		  const struct cetd_sink *sink, struct discovery **ret)
{
	struct discovery *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return log_error_errno(-ENOMEM, "Failed to start looking for VMs: %m");
	d->event = sd_event_ref(event);
	d->uevent_fd = -1;
	d->interval_ns = params->scan_interval_usec * NSEC_PER_USEC;
	d->is_blind = procfs_is_own_pid_namespace("/proc/self/ns/pid");
	if (d->is_blind) {
		log_warning(
			"cetd runs in a PID namespace of its own, where the kernel's process ids "
			"mean others: VMs are known by their events only.");
		*ret = d;
		return 0;
	}
	raise_file_limit();

	/* Listen before looking, lest a VM slip in between. */
	r = listen_to_uevents(d);
	if (r < 0)
		log_warning_errno(r,
				  "Failed to listen to KVM's uevents, VMs are found by scans only: "
				  "%m");
	r = population_new(event, params, sink, &d->population);
	if (r >= 0)
		r = scan_new(&d->scan);
	if (r >= 0)
		r = sd_event_add_time(event, &d->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC,
				      on_timer, d);
	if (r < 0) {
		discovery_free(d);
		return log_error_errno(r, "Failed to start looking for VMs: %m");
	}
	*ret = d;
	return 0;
}

struct discovery *discovery_free(struct discovery *d)
{
	if (!d)
		return NULL;
	sd_event_source_disable_unref(d->timer);
	sd_event_source_disable_unref(d->uevent_source);
	if (d->uevent_fd >= 0)
		close(d->uevent_fd);
	scan_free(d->scan);
	population_free(d->population);
	sd_event_unref(d->event);
	free(d);
	return NULL;
}
