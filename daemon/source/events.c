// SPDX-License-Identifier: GPL-2.0-only
/*
 * From maps and ring buffer to messages. The programs wake the daemon once, with the first event after a quiet
 * time; from then on timers drain the ring buffer and read the counters, until a round brings nothing new.
 */
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <uthash.h>

#include "cetd/event.h"

#include "cetd.skel.h"
#include "source/coverage.h"
#include "source/procfs.h"
#include "source/programs.h"
#include "source/slots.h"
#include "source/source.h"
#include "util/clock.h"
#include "util/log.h"

#define RING_INTERVAL_USEC (100 * USEC_PER_MSEC)
#define ROUNDS_PER_SECOND (USEC_PER_SEC / RING_INTERVAL_USEC)
#define COUNTERS_INTERVAL_USEC USEC_PER_SEC
#define REAP_INTERVAL_USEC (15 * USEC_PER_SEC)

/* A VM as it was last sent. */
struct sent {
	__u64 key;
	struct cetd_vm vm;
	bool is_dead; /* the VMM was gone at the last look */
	UT_hash_handle hh;
};

struct events {
	struct programs programs;
	struct cetd_sink sink;
	struct ring_buffer *ring;
	sd_event_source *wake, *ring_timer, *counters_timer, *reap_timer;
	struct sent *sent;
	struct cetd_lost_message lost;
	uint32_t sample_mask;
	bool is_in_root_pidns; /* the programs' process ids mean the same here */
	bool has_news;	       /* something was sent since the last SETTLED */
	bool has_samples;      /* the ring buffer held something in this round */
	int error;	       /* of the sink, met in a callback of libbpf's */
};

static int events_send(struct events *e, uint32_t type, const void *payload, uint32_t size)
{
	const struct cetd_message m = {.type = type,
				       .size = size,
				       .time_ns = clock_ns(CLOCK_MONOTONIC),
				       .payload = payload};

	e->has_news = type != CETD_MESSAGE_SETTLED;
	return e->sink.send(e->sink.userdata, &m);
}

static struct cetd_control *events_control(struct events *e)
{
	return &e->programs.skel->bss->control;
}

/* Samples that only woke the daemon end here. */
static int on_sample(void *userdata, void *data, size_t size)
{
	struct events *e = userdata;
	const struct cetd_event *event = data;

	e->has_samples = true;
	if (size != sizeof(*event) || e->error < 0 || event->type >= _CETD_EVENT_MAX ||
	    !(e->sample_mask & 1U << event->type))
		return 0;
	e->error = events_send(e, CETD_MESSAGE_EVENT, event, sizeof(*event));
	return 0;
}

static int events_consume(struct events *e)
{
	int r;

	e->error = 0;
	r = ring_buffer__consume(e->ring);
	return e->error < 0 ? e->error : MIN(r, 0);
}

/* And begin a round, in which each VM has its share of the ring buffer again. */
static int events_drain(struct events *e)
{
	int r = events_consume(e);

	__atomic_fetch_add(&events_control(e)->round, 1, __ATOMIC_RELAXED);
	return r;
}

static int events_send_history(struct events *e, __u64 key, uint32_t slot)
{
	struct cetd_history_message m = {
		.key = key,
		.history = e->programs.histories[slot].history,
	};

	return events_send(e, CETD_MESSAGE_HISTORY, &m, sizeof(m));
}

static bool faults_differ(const struct cetd_vm *a, const struct cetd_vm *b)
{
	return memcmp(a->counters.cp, b->counters.cp, sizeof(a->counters.cp)) ||
	       a->counters.injected != b->counters.injected;
}

/* Returns 1 if the VM has news, which were sent. The programs go on counting meanwhile: look at a copy. */
static int events_send_vm(struct events *e, uint32_t slot)
{
	struct cetd_counters_message m = {.vm = e->programs.vms[slot]};
	struct sent *s;
	bool has_faults;
	int r;

	m.key = vm_key(&m.vm);
	HASH_FIND(hh, e->sent, &m.key, sizeof(m.key), s);
	if (s && !memcmp(&s->vm.counters, &m.vm.counters, sizeof(m.vm.counters)))
		return 0;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->key = m.key;
		HASH_ADD(hh, e->sent, key, sizeof(s->key), s);
	}
	has_faults = faults_differ(&s->vm, &m.vm);
	s->vm = m.vm;
	r = events_send(e, CETD_MESSAGE_COUNTERS, &m, sizeof(m));
	if (r >= 0 && has_faults)
		r = events_send_history(e, m.key, slot);
	return r < 0 ? r : 1;
}

static int events_send_lost(struct events *e)
{
	const struct cetd_control *c = events_control(e);
	struct cetd_lost_message m = {.map_entries = __atomic_load_n(&c->vms, __ATOMIC_RELAXED)};

	for (int i = 0; i < _CETD_LOST_MAX; i++)
		m.lost[i] = __atomic_load_n(&c->lost[i], __ATOMIC_RELAXED);
	m.lost[CETD_LOST_PROGRAM_BUSY] = programs_missed(&e->programs);
	if (!memcmp(&m, &e->lost, sizeof(m)))
		return 0;
	e->lost = m;
	return events_send(e, CETD_MESSAGE_LOST, &m, sizeof(m));
}

static int events_settle(struct events *e)
{
	return e->has_news ? events_send(e, CETD_MESSAGE_SETTLED, NULL, 0) : 0;
}

/* Returns how many VMs have news, all sent. Slots are in use from the first on, but for those given back. */
static int events_read(struct events *e)
{
	const struct cetd_bpf__bss *bss = e->programs.skel->bss;
	uint32_t n_slots;
	int n_news = 0, r;

	__atomic_store_n(&e->programs.skel->bss->dirty, 0, __ATOMIC_SEQ_CST);
	n_slots = MIN(__atomic_load_n(&bss->next_slot, __ATOMIC_SEQ_CST), e->programs.max_vms);
	for (uint32_t i = 0; i < n_slots; i++) {
		if (!__atomic_load_n(&e->programs.vms[i].first_ns, __ATOMIC_ACQUIRE))
			continue;
		r = events_send_vm(e, i);
		if (r < 0)
			return r;
		n_news += r;
	}
	r = events_send_lost(e);
	return r < 0 ? r : n_news;
}

static int timer_start(sd_event_source *s, uint64_t usec)
{
	int r = sd_event_source_set_time_relative(s, usec);

	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static bool events_armed(struct events *e)
{
	return __atomic_load_n(&events_control(e)->armed, __ATOMIC_SEQ_CST);
}

/* Not armed: the timers look. The ring buffer's fd is not watched then, as it is readable for as long as there
 * are samples, wake-up or not. */
static int events_start_rounds(struct events *e)
{
	int r;

	r = sd_event_source_set_enabled(e->wake, SD_EVENT_OFF);
	if (r >= 0)
		r = timer_start(e->ring_timer, RING_INTERVAL_USEC);
	/* The first counters soon, for those who wait for them; then at leisure. */
	if (r >= 0)
		r = timer_start(e->counters_timer, RING_INTERVAL_USEC);
	return r;
}

/*
 * Arm the programs, then look once more: what was counted before they were armed woke nobody. If an event came
 * in between, its wake-up may be in what was just drained: go on in rounds.
 */
static int events_arm(struct events *e)
{
	int r;

	__atomic_store_n(&events_control(e)->armed, 1, __ATOMIC_SEQ_CST);
	r = events_drain(e);
	if (r >= 0)
		r = events_read(e);
	if (r < 0)
		return r;
	if (!events_armed(e))
		return events_start_rounds(e);
	r = sd_event_source_set_enabled(e->ring_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_enabled(e->counters_timer, SD_EVENT_OFF);
	return r < 0 ? r : sd_event_source_set_enabled(e->wake, SD_EVENT_ON);
}

/* Of nothing that is counted from here on would be told: better an end, and a new start, than a daemon that looks well. */
static int end_loop(sd_event_source *s, int error, const char *what)
{
	sd_event_exit(sd_event_source_get_event(s), error);
	return log_error_errno(error, "%s: %m", what);
}

static int on_wake(sd_event_source *s, _unused_ int fd, _unused_ uint32_t revents, void *userdata)
{
	struct events *e = userdata;
	int r;

	r = events_drain(e);
	if (r >= 0)
		r = events_start_rounds(e);
	return r < 0 ? end_loop(s, r, "Failed to read events") : 0;
}

static int on_ring_timer(sd_event_source *s, _unused_ uint64_t usec, void *userdata)
{
	struct events *e = userdata;
	int r;

	r = events_drain(e);
	if (r >= 0 && e->sample_mask)
		r = timer_start(s, RING_INTERVAL_USEC);
	return r < 0 ? end_loop(s, r, "Failed to read events") : 0;
}

static int on_counters_timer(sd_event_source *s, _unused_ uint64_t usec, void *userdata)
{
	struct events *e = userdata;
	int r;

	r = events_read(e);
	if (r > 0 || (r == 0 && e->has_samples)) {
		r = timer_start(s, COUNTERS_INTERVAL_USEC);
	} else if (r == 0) {
		r = events_arm(e);
	}
	e->has_samples = false;
	if (r >= 0)
		r = events_settle(e);
	return r < 0 ? end_loop(s, r, "Failed to read counters") : 0;
}

/* VMMs that ended before anybody found them: nobody else will drop their entries. Twice gone is gone. */
static int on_reap_timer(sd_event_source *s, _unused_ uint64_t usec, void *userdata)
{
	struct events *e = userdata;
	struct sent *v, *next;
	int r = 0;

	HASH_ITER (hh, e->sent, v, next) {
		bool was_dead = v->is_dead;
		__u64 key = v->key;

		v->is_dead = v->vm.tgid && kill(v->vm.tgid, 0) < 0 && errno == ESRCH;
		if (!v->is_dead || !was_dead)
			continue;
		r = events_forget(e, key);
		if (r >= 0)
			r = events_send(e, CETD_MESSAGE_VM_REMOVE, &key, sizeof(key));
		if (r < 0)
			break;
	}
	if (r >= 0)
		r = events_settle(e);
	if (r >= 0)
		r = timer_start(s, REAP_INTERVAL_USEC);
	return r < 0 ? end_loop(s, r, "Failed to drop the VMs that ended") : 0;
}

/* include/linux/proc_ns.h: the inode of the first pid namespace. */
#define PROC_PID_INIT_INO 0xeffffffcU

static bool in_root_pidns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == PROC_PID_INIT_INO;
}

static int events_watch(struct events *e, sd_event *event)
{
	int r;

	r = sd_event_add_io(event, &e->wake, ring_buffer__epoll_fd(e->ring), EPOLLIN, on_wake, e);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &e->ring_timer, CLOCK_MONOTONIC, 0,
					       10 * USEC_PER_MSEC, on_ring_timer, e);
	if (r >= 0)
		r = sd_event_source_set_enabled(e->ring_timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &e->counters_timer, CLOCK_MONOTONIC, 0,
					       10 * USEC_PER_MSEC, on_counters_timer, e);
	if (r >= 0)
		r = sd_event_source_set_enabled(e->counters_timer, SD_EVENT_OFF);
	if (r >= 0 && e->is_in_root_pidns)
		r = sd_event_add_time_relative(event, &e->reap_timer, CLOCK_MONOTONIC,
					       REAP_INTERVAL_USEC, USEC_PER_SEC, on_reap_timer, e);
	return r;
}

/* Counters of VMs that ended while nobody looked, and whose process ids may be others' now. */
static void events_drop_stale(struct events *e)
{
	for (uint32_t i = 0; i < e->programs.max_vms; i++) {
		const struct cetd_vm *vm = e->programs.vms + i;
		int slot;

		if (!vm->first_ns)
			continue;
		slot = slots_find(&e->programs, vm_key(vm));
		if (slot == (int)i && (!e->is_in_root_pidns || vm->vm_id ||
				       !procfs_is_younger(vm->tgid, vm->first_ns)))
			continue;
		if (slot == (int)i || slot == -ENOENT)
			slots_forget(&e->programs, i);
	}
}

/* Maps that an earlier daemon left: look at them in rounds, as if something had just happened. */
static int events_take_up(struct events *e)
{
	events_drop_stale(e);
	__atomic_store_n(&events_control(e)->armed, 0, __ATOMIC_SEQ_CST);
	return events_start_rounds(e);
}

DEFINE_CLEANUP(struct events *, events_free)

int events_new(sd_event *event, const struct events_params *params, const struct cetd_sink *sink,
	       struct cetd_host *host, struct events **ret)
{
	_cleanup_(events_freep) struct events *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->sink = *sink;
	e->is_in_root_pidns = in_root_pidns();

	r = programs_load(
		&(struct programs_params){
			.max_vms = params->max_vms,
			.sample_budget = MAX(params->samples_per_second / ROUNDS_PER_SECOND, 1U),
			.pin_dir = params->pin_dir,
		},
		&e->programs);
	if (r < 0) {
		coverage_fill_failed(r, host);
		return r;
	}
	coverage_fill(&e->programs.state, host);
	host->map_capacity = e->programs.max_vms;

	e->ring = ring_buffer__new(bpf_map__fd(e->programs.skel->maps.samples), on_sample, e, NULL);
	if (!e->ring)
		return log_error_errno(-errno, "Failed to map the ring buffer: %m");
	r = events_watch(e, event);
	if (r >= 0)
		r = e->programs.is_adopted ? events_take_up(e) : events_arm(e);
	if (r < 0)
		return log_error_errno(r, "Failed to watch the BPF maps: %m");
	*ret = take_ptr(e);
	return 0;
}

struct events *events_free(struct events *e)
{
	struct sent *s, *next;

	if (!e)
		return NULL;
	sd_event_source_disable_unref(e->wake);
	sd_event_source_disable_unref(e->ring_timer);
	sd_event_source_disable_unref(e->counters_timer);
	sd_event_source_disable_unref(e->reap_timer);
	/* Pinned programs go on: they need not send what nobody reads. */
	if (e->programs.skel)
		__atomic_store_n(&events_control(e)->sample_mask, 0, __ATOMIC_SEQ_CST);
	ring_buffer__free(e->ring);
	programs_done(&e->programs);
	HASH_ITER (hh, e->sent, s, next) {
		HASH_DEL(e->sent, s);
		free(s);
	}
	free(e);
	return NULL;
}

/* The wake-up itself may be among what was read out of turn: its rounds follow all the same. */
static int events_make_up_rounds(struct events *e)
{
	int enabled, r;

	r = sd_event_source_get_enabled(e->wake, &enabled);
	return r > 0 && !events_armed(e) ? events_start_rounds(e) : MIN(r, 0);
}

int events_refresh(struct events *e)
{
	int r;

	if (events_armed(e) && !__atomic_load_n(&e->programs.skel->bss->dirty, __ATOMIC_SEQ_CST))
		return 0;
	r = events_drain(e);
	if (r >= 0)
		r = events_read(e);
	if (r >= 0)
		r = events_settle(e);
	return r < 0 ? r : events_make_up_rounds(e);
}

int events_forget(struct events *e, uint64_t key)
{
	struct sent *s;
	int slot, r;

	r = events_consume(e);
	if (r >= 0)
		r = events_make_up_rounds(e);
	if (r < 0)
		return r;
	slot = slots_find(&e->programs, key);
	if (slot >= 0 && e->programs.vms[slot].first_ns) {
		r = events_send_vm(e, slot);
		slots_forget(&e->programs, slot);
	}
	HASH_FIND(hh, e->sent, &key, sizeof(key), s);
	if (s) {
		HASH_DEL(e->sent, s);
		free(s);
	}
	if (r >= 0)
		r = events_send_lost(e);
	return MIN(r, 0);
}

void events_set_sampling(struct events *e, uint32_t mask)
{
	e->sample_mask = mask;
	__atomic_store_n(&events_control(e)->sample_mask, mask, __ATOMIC_SEQ_CST);
	/* Not armed means that there are rounds: let the ring buffer take part in them. */
	if (mask && !events_armed(e))
		timer_start(e->ring_timer, RING_INTERVAL_USEC);
}

unsigned int events_get_programs(const struct events *e, struct events_program *ret_programs)
{
	return programs_stats(&e->programs, ret_programs);
}
