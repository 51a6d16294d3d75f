// SPDX-License-Identifier: GPL-2.0-only
/* One list of all VMs' events, in the order in which they came: few wait, and not for long. */
#include <errno.h>
#include <stdlib.h>

#include "source/held.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/macro.h"

#define ACCURACY_USEC (10 * USEC_PER_MSEC)

struct held_event {
	uint64_t time_ns; /* when it came, CLOCK_MONOTONIC */
	struct cetd_event event;
};

struct held {
	sd_event *event;
	sd_event_source *timer;
	struct cetd_sink next;
	bool (*is_found)(void *userdata, uint64_t key);
	struct held_event *list; /* HELD_EVENTS_MAX while anything waits */
	size_t n;
};

/* Pass on what is of this key, or has waited since until_ns or before; the rest stays. */
static int release(struct held *h, uint64_t key, uint64_t until_ns)
{
	struct held_event *list = take_ptr(h->list);
	size_t n = h->n, kept = 0;
	int r = 0;

	h->n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct cetd_message m = {CETD_MESSAGE_EVENT, sizeof(list[i].event),
					       clock_ns(CLOCK_MONOTONIC), &list[i].event};

		if (r >= 0 && (list[i].event.key == key || list[i].time_ns <= until_ns))
			r = h->next.send(h->next.userdata, &m);
		else
			list[kept++] = list[i];
	}
	if (!kept) {
		free(list);
		return r;
	}
	h->list = list;
	h->n = kept;
	return r;
}

static int arm(struct held *h)
{
	int r;

	if (!h->n)
		return sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	r = sd_event_source_set_time(h->timer, h->list[0].time_ns / NSEC_PER_USEC + HELD_USEC);
	return r < 0 ? r : sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
}

int held_expire(struct held *h, uint64_t now_ns)
{
	int r = release(h, 0, now_ns - MIN(now_ns, HELD_USEC * NSEC_PER_USEC));

	return r < 0 ? r : arm(h);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata)
{
	struct held *h = userdata;
	int r = held_expire(h, clock_ns(CLOCK_MONOTONIC));

	if (r < 0) {
		sd_event_exit(h->event, r);
		return log_error_errno(r, "Failed to pass on events: %m");
	}
	return 0;
}

static int hold(struct held *h, const struct cetd_event *event)
{
	int r = 0;

	if (h->n == HELD_EVENTS_MAX)
		r = release(h, 0, UINT64_MAX);
	if (r < 0)
		return r;
	if (!h->list)
		h->list = calloc(HELD_EVENTS_MAX, sizeof(*h->list));
	if (!h->list)
		return -ENOMEM;
	h->list[h->n++] = (struct held_event){clock_ns(CLOCK_MONOTONIC), *event};
	return h->n == 1 ? arm(h) : 0;
}

int held_send(void *userdata, const struct cetd_message *message)
{
	struct held *h = userdata;
	const struct cetd_event *event = message->payload;
	const struct cetd_identity *identity = message->payload;
	int r;

	switch (message->type) {
	case CETD_MESSAGE_EVENT:
		if (!h->is_found(h->next.userdata, event->key))
			return hold(h, event);
		break;
	case CETD_MESSAGE_VM_ADD:
		r = h->next.send(h->next.userdata, message);
		return r < 0 ? r : release(h, identity->key, 0);
	case CETD_MESSAGE_VM_REMOVE:
		r = release(h, *(const __u64 *)message->payload, 0);
		if (r < 0)
			return r;
		break;
	}
	return h->next.send(h->next.userdata, message);
}

int held_new(sd_event *event, const struct cetd_sink *next, bool (*is_found)(void *, uint64_t),
	     struct held **ret)
{
	struct held *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->event = sd_event_ref(event);
	h->next = *next;
	h->is_found = is_found;
	r = sd_event_add_time(event, &h->timer, CLOCK_MONOTONIC, 0, ACCURACY_USEC, on_timer, h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	if (r < 0) {
		held_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

struct held *held_free(struct held *h)
{
	if (!h)
		return NULL;
	sd_event_source_disable_unref(h->timer);
	sd_event_unref(h->event);
	free(h->list);
	free(h);
	return NULL;
}
