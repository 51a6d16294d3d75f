// SPDX-License-Identifier: GPL-2.0-only
/* Questions to machined over a private bus, with a stand-in for it that gives good and bad answers. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "private-bus.h"
#include "source/machined.h"
#include "util/macro.h"

#define WAIT_USEC (20 * USEC_PER_SEC)
#define QUIET_USEC (300 * USEC_PER_MSEC)
#define MANY 1000

/* What the stand-in does for a pid. */
enum {
	PID_WEB = 100,	      /* a machine */
	PID_NONE = 101,	      /* no machine */
	PID_WRONG_TYPE = 102, /* a path whose properties have other types */
	PID_SHORT_ID = 103,   /* an id that is no UUID */
	PID_GONE = 104,	      /* a path that does not exist */
};

static sd_event *loop;
static unsigned int n_failed;

static struct {
	struct identity_machine machine;
	uint32_t pid;
	uint64_t cookie;
	unsigned int n;
} answer;

static void check(bool ok, const char *name)
{
	printf(ok ? "ok machined: %s\n" : "not ok machined: %s: see its source\n", name);
	fflush(stdout);
	n_failed += !ok;
}

/* ---- The stand-in. ---- */

static int get_machine(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error)
{
	char path[64];
	uint32_t pid;

	if (sd_bus_message_read(m, "u", &pid) < 0)
		return -EINVAL;
	if (pid == PID_NONE)
		return sd_bus_error_setf(error, "org.freedesktop.machine1.NoMachineForPID",
					 "PID %u does not belong to any known machine", pid);
	snprintf(path, sizeof(path), "/org/freedesktop/machine1/machine/m%u", pid);
	return sd_bus_reply_method_return(m, "o", path);
}

static int get_all(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error)
{
	static const uint8_t id[16] = {0x0b, 0x2c, 0x4d, 0x6e, 0x8f, 0x10, 0x4a, 0x3b,
				       0x9c, 0x5d, 0x7e, 0x6f, 0x80, 0x91, 0x2a, 0x3b};
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *path = sd_bus_message_get_path(m);
	uint32_t pid = (uint32_t)atoi(strrchr(path, 'm') + 1);
	size_t n_id = pid == PID_SHORT_ID ? 3 : sizeof(id);

	if (pid == PID_GONE)
		return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "Gone");
	if (sd_bus_message_new_method_return(m, &reply) < 0 ||
	    sd_bus_message_open_container(reply, 'a', "{sv}") < 0)
		return -ENOMEM;
	if (pid == PID_WRONG_TYPE)
		sd_bus_message_append(reply, "{sv}", "Name", "u", 7);
	else
		sd_bus_message_append(reply, "{sv}", "Name", "s", "qemu-1-web");
	sd_bus_message_append(reply, "{sv}", "Timestamp", "t", (uint64_t)1);
	sd_bus_message_append(reply, "{sv}", "Unit", "s", "machine-qemu\\x2d1\\x2dweb.scope");
	sd_bus_message_open_container(reply, 'e', "sv");
	sd_bus_message_append(reply, "s", "Id");
	sd_bus_message_open_container(reply, 'v', "ay");
	sd_bus_message_append_array(reply, 'y', id, n_id);
	sd_bus_message_close_container(reply);
	sd_bus_message_close_container(reply);
	sd_bus_message_close_container(reply);
	return sd_bus_send(NULL, reply, NULL);
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	if (sd_bus_message_is_method_call(m, "org.freedesktop.machine1.Manager", "GetMachineByPID"))
		return get_machine(m, userdata, error);
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll"))
		return get_all(m, userdata, error);
	return 0;
}

static int stand_in(void)
{
	static const char *const names[] = {"org.freedesktop.machine1", NULL};

	return private_bus_serve(names, on_call);
}

/* ---- The test. ---- */

static void on_answer(void *userdata _unused_, uint32_t pid, uint64_t cookie,
		      const struct identity_machine *machine)
{
	answer.machine = *machine;
	answer.pid = pid;
	answer.cookie = cookie;
	answer.n++;
}

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

/* Run the loop until n answers have come, or the time is over. */
static bool wait_for_answers(unsigned int n, uint64_t usec)
{
	uint64_t end = now_usec() + usec;

	while (answer.n < n && now_usec() < end)
		if (sd_event_run(loop, 10 * USEC_PER_MSEC) < 0)
			return false;
	return answer.n >= n;
}

static bool is_unanswered(struct machined *m, uint32_t pid)
{
	answer.n = 0;
	machined_ask(m, pid, 1);
	return !wait_for_answers(1, QUIET_USEC);
}

static bool is_answered(struct machined *m, uint32_t pid)
{
	answer.n = 0;
	machined_ask(m, pid, 4711);
	return wait_for_answers(1, WAIT_USEC);
}

static void test_answers(struct machined *m)
{
	check(is_answered(m, PID_WEB) && answer.pid == PID_WEB && answer.cookie == 4711,
	      "a machine's process is known");
	check(!strcmp(answer.machine.name, "qemu-1-web") &&
		      !strcmp(answer.machine.uuid, "0b2c4d6e8f104a3b9c5d7e6f80912a3b") &&
		      !strcmp(answer.machine.unit, "machine-qemu\\x2d1\\x2dweb.scope"),
	      "with name, UUID and unit");
	check(is_unanswered(m, PID_NONE), "no machine, no answer");
	check(is_unanswered(m, PID_GONE), "nor for one that ended meanwhile");
	check(is_unanswered(m, PID_WRONG_TYPE), "nor where the types are wrong");
	check(is_answered(m, PID_SHORT_ID) && !*answer.machine.uuid,
	      "an id that is no UUID is none");

	answer.n = 0;
	for (unsigned int i = 0; i < MANY; i++)
		machined_ask(m, PID_WEB, i);
	check(wait_for_answers(MANY, 4 * WAIT_USEC), "1000 questions at once are all answered");
}

int main(void)
{
	struct machined *m, *other;
	pid_t bus, server;

	if (private_bus_prepare() < 0 || sd_event_default(&loop) < 0)
		return 1;
	if (machined_new(loop, on_answer, NULL, &m) < 0 ||
	    machined_new(loop, on_answer, NULL, &other) < 0)
		return 1;
	check(is_unanswered(m, PID_WEB), "without a bus nothing happens");
	machined_free(m);

	bus = private_bus_start();
	if (bus < 0) {
		printf("skip machined: dbus-daemon does not start\n");
		private_bus_remove();
		return n_failed != 0;
	}
	if (machined_new(loop, on_answer, NULL, &m) < 0)
		return 1;
	check(is_unanswered(m, PID_WEB), "without machined on the bus nothing happens");
	server = fork();
	if (server == 0)
		_exit(stand_in());
	for (int i = 0; i < 30 && is_unanswered(other, PID_WEB); i++)
		;
	test_answers(m);

	/* The bus goes away with questions on their way. */
	kill(server, SIGSTOP);
	for (unsigned int i = 0; i < MANY; i++)
		machined_ask(m, PID_WEB, i);
	kill(bus, SIGKILL);
	waitpid(bus, NULL, 0);
	check(is_unanswered(m, PID_WEB), "a bus that ends is borne");
	machined_free(m);
	machined_ask(other, PID_WEB, 1);
	machined_free(other);
	check(true, "and so is an end with questions open");

	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	sd_event_unref(loop);
	private_bus_remove();
	return n_failed ? 1 : 0;
}
