// SPDX-License-Identifier: GPL-2.0-only
/* org.freedesktop.machine1(5) over the system bus, a bounded number of questions at a time. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "source/machined.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/macro.h"

#define SERVICE "org.freedesktop.machine1"
#define MACHINE_INTERFACE "org.freedesktop.machine1.Machine"

#define IN_FLIGHT_MAX 32 /* dbus-daemon allows 128 outstanding replies a connection */
#define QUEUE_MAX 4096
#define RECONNECT_NS (30 * NSEC_PER_SEC)

struct question {
	struct machined *machined;
	uint32_t pid;
	uint64_t cookie;
};

struct machined {
	sd_event *event;
	sd_bus *bus;
	machined_answer_t answer;
	void *userdata;
	uint64_t connected_ns;	/* the last attempt */
	struct question *queue; /* a ring */
	unsigned int head, n_queued, n_in_flight;
	bool is_ending;
};

static void ask_next(struct machined *m);

int machined_new(sd_event *event, machined_answer_t answer, void *userdata, struct machined **ret)
{
	struct machined *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->queue = calloc(QUEUE_MAX, sizeof(*m->queue));
	if (!m->queue) {
		free(m);
		return -ENOMEM;
	}
	m->event = sd_event_ref(event);
	m->answer = answer;
	m->userdata = userdata;
	*ret = m;
	return 0;
}

struct machined *machined_free(struct machined *m)
{
	if (!m)
		return NULL;
	m->is_ending = true;
	sd_bus_close_unref(m->bus);
	sd_event_unref(m->event);
	free(m->queue);
	free(m);
	return NULL;
}

/* A question is over, answered or not: its slot is gone. */
static void question_done(void *userdata)
{
	struct question *q = userdata;
	struct machined *m = q->machined;

	free(q);
	m->n_in_flight--;
	if (!m->is_ending)
		ask_next(m);
}

/* Send the call, with q as the reply handler's, which is freed when the call is over. */
static int call(struct question *q, sd_bus_message *message, sd_bus_message_handler_t on_reply)
{
	struct machined *m = q->machined;
	sd_bus_slot *slot = NULL;
	int r;

	sd_bus_message_set_auto_start(message, 0);
	r = sd_bus_call_async(m->bus, &slot, message, on_reply, q, 0);
	if (r < 0)
		return r;
	sd_bus_slot_set_destroy_callback(slot, question_done);
	sd_bus_slot_set_floating(slot, 1);
	sd_bus_slot_unref(slot);
	m->n_in_flight++;
	return 0;
}

static struct question *question_new(const struct question *from)
{
	struct question *q = malloc(sizeof(*q));

	if (q)
		*q = *from;
	return q;
}

static int read_machine_property(sd_bus_message *reply, struct identity_machine *machine)
{
	const char *key, *text;
	const void *id;
	size_t n;
	int r;

	r = sd_bus_message_read(reply, "s", &key);
	if (r < 0)
		return r;
	if (!strcmp(key, "Name") || !strcmp(key, "Unit")) {
		r = sd_bus_message_read(reply, "v", "s", &text);
		if (r < 0)
			return r;
		if (*key == 'N')
			snprintf(machine->name, sizeof(machine->name), "%s", text);
		else
			snprintf(machine->unit, sizeof(machine->unit), "%s", text);
		return 0;
	}
	if (strcmp(key, "Id"))
		return sd_bus_message_skip(reply, "v");

	r = sd_bus_message_enter_container(reply, 'v', "ay");
	if (r < 0)
		return r;
	r = sd_bus_message_read_array(reply, 'y', &id, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; n == 16 && i < n; i++)
		snprintf(machine->uuid + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
	return sd_bus_message_exit_container(reply);
}

static int on_machine(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)
{
	const struct question *q = userdata;
	struct identity_machine machine = {0};
	int r;

	if (sd_bus_message_is_method_error(reply, NULL))
		return 0;
	r = sd_bus_message_enter_container(reply, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
		r = read_machine_property(reply, &machine);
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	if (r < 0) {
		log_debug_errno(r, "Failed to read machined's answer about process %u: %m", q->pid);
		return 0;
	}
	q->machined->answer(q->machined->userdata, q->pid, q->cookie, &machine);
	return 0;
}

static int on_path(sd_bus_message *reply, void *userdata, sd_bus_error *error _unused_)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	_cleanup_(freep) struct question *next = NULL;
	const struct question *q = userdata;
	const char *path;
	int r;

	/* No machine, or no machined. */
	if (sd_bus_message_is_method_error(reply, NULL))
		return 0;
	next = question_new(q);
	if (!next)
		return 0;
	r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = sd_bus_message_new_method_call(q->machined->bus, &message, SERVICE, path,
						   "org.freedesktop.DBus.Properties", "GetAll");
	if (r >= 0)
		r = sd_bus_message_append(message, "s", MACHINE_INTERFACE);
	if (r >= 0)
		r = call(next, message, on_machine);
	if (r >= 0)
		take_ptr(next);
	return 0;
}

static int connect_bus(struct machined *m)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	sd_bus *old;
	int r;

	if (m->bus && sd_bus_is_open(m->bus) > 0)
		return 0;
	if (m->connected_ns && now - m->connected_ns < RECONNECT_NS)
		return -EAGAIN;
	m->connected_ns = now;
	old = take_ptr(m->bus); /* gone before its questions are told so */
	sd_bus_close_unref(old);
	r = sd_bus_open_system(&m->bus);
	if (r < 0)
		return r;
	r = sd_bus_attach_event(m->bus, m->event, SD_EVENT_PRIORITY_IDLE);
	if (r < 0)
		m->bus = sd_bus_close_unref(m->bus);
	return r;
}

static int ask_one(const struct question *from)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	_cleanup_(freep) struct question *q = question_new(from);
	int r;

	if (!q)
		return -ENOMEM;
	r = sd_bus_message_new_method_call(q->machined->bus, &message, SERVICE,
					   "/org/freedesktop/machine1",
					   "org.freedesktop.machine1.Manager", "GetMachineByPID");
	if (r >= 0)
		r = sd_bus_message_append(message, "u", q->pid);
	if (r >= 0)
		r = call(q, message, on_path);
	if (r >= 0)
		take_ptr(q);
	return r;
}

static void ask_next(struct machined *m)
{
	while (m->n_queued && m->n_in_flight < IN_FLIGHT_MAX) {
		if (!m->bus || sd_bus_is_open(m->bus) <= 0) {
			m->n_queued = 0;
			return;
		}
		if (ask_one(m->queue + m->head) < 0)
			m->n_queued = 1;
		m->head = (m->head + 1) % QUEUE_MAX;
		m->n_queued--;
	}
}

void machined_ask(struct machined *m, uint32_t pid, uint64_t cookie)
{
	int r;

	r = connect_bus(m);
	if (r < 0) {
		if (r != -EAGAIN)
			log_debug_errno(r, "No system bus to ask machined on: %m");
		return;
	}
	if (m->n_queued == QUEUE_MAX)
		return;
	m->queue[(m->head + m->n_queued++) % QUEUE_MAX] = (struct question){
		.machined = m,
		.pid = pid,
		.cookie = cookie,
	};
	ask_next(m);
}
