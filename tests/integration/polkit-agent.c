// SPDX-License-Identifier: GPL-2.0-only
/*
 * polkit-agent PID grant|hold: polkit's questions about a process come here. Prints `ready`, then a line a question,
 * `begin ACTION: MESSAGE`, and `cancel` where one is withdrawn. Run as root: the agent is the process's user, as a
 * desktop's is, and the answer is root's, as polkit's own setuid helper gives it. polkit 122 files an agent under who
 * registered it and polkit 126 under whom it is for; so these two have to be one.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "util/macro.h"

#define AUTHORITY                                                              \
	"org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", \
		"org.freedesktop.PolicyKit1.Authority"

struct agent {
	bool is_granting;
	uid_t uid;
	sd_bus *helper;		  /* root's */
	sd_bus_message *question; /* answered when it is over */
};

static int on_granted(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct agent *a = userdata;

	if (sd_bus_message_is_method_error(m, NULL))
		printf("refused %s\n", sd_bus_message_get_error(m)->message);
	sd_bus_reply_method_return(a->question, NULL);
	a->question = sd_bus_message_unref(a->question);
	return 0;
}

static int begin(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct agent *a = userdata;
	const char *action, *message, *cookie;
	int r;

	r = sd_bus_message_read(m, "sss", &action, &message, NULL);
	if (r >= 0)
		r = sd_bus_message_skip(m, "a{ss}");
	if (r >= 0)
		r = sd_bus_message_read(m, "s", &cookie);
	if (r < 0)
		return r;
	printf("begin %s: %s\n", action, message);
	a->question = sd_bus_message_ref(m);
	if (a->is_granting)
		r = sd_bus_call_method_async(
			a->helper, NULL, AUTHORITY, "AuthenticationAgentResponse2", on_granted, a,
			"us(sa{sv})", (uint32_t)a->uid, cookie, "unix-user", 1, "uid", "u", 0);
	return r < 0 ? r : 1;
}

static int cancel(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	struct agent *a = userdata;

	puts("cancel");
	if (a->question)
		sd_bus_reply_method_errorf(
			a->question, "org.freedesktop.PolicyKit1.Error.Cancelled", "Cancelled");
	a->question = sd_bus_message_unref(a->question);
	return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("BeginAuthentication", "sssa{ss}sa(sa{sv})", "", begin,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("CancelAuthentication", "s", "", cancel, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

/* When the process was started: field 22 of proc(5)'s stat, counted from behind the name. */
static uint64_t start_time(const char *pid)
{
	char path[64], text[1024] = "", *p;
	unsigned long long time = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(text, sizeof(text), f)) {
		p = strrchr(text, ')');
		for (int i = 2; p && i < 22; i++)
			p = strchr(p + 1, ' ');
		if (p)
			time = strtoull(p, NULL, 10);
	}
	fclose(f);
	return time;
}

static int user_of(const char *pid, uid_t *ret)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%s", pid);
	if (stat(path, &st) < 0)
		return -errno;
	*ret = st.st_uid;
	return 0;
}

/* The connection of the helper, and from then on this is the process's user. */
static int become_agent(struct agent *a, const char *pid, sd_event *loop)
{
	int r;

	r = user_of(pid, &a->uid);
	if (r >= 0)
		r = sd_bus_open_system(&a->helper);
	if (r >= 0)
		r = sd_bus_attach_event(a->helper, loop, 0);
	if (r >= 0 && seteuid(a->uid) < 0)
		r = -errno;
	return r;
}

int main(int argc, char *argv[])
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct agent a = {};
	sd_event *loop = NULL;
	sd_bus *bus = NULL;
	int r;

	if (argc != 3) {
		fprintf(stderr, "polkit-agent PID grant|hold\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	a.is_granting = !strcmp(argv[2], "grant");
	r = sd_event_default(&loop);
	if (r >= 0)
		r = become_agent(&a, argv[1], loop);
	if (r >= 0)
		r = sd_bus_open_system(&bus);
	if (r >= 0)
		r = sd_bus_attach_event(bus, loop, 0);
	if (r >= 0)
		r = sd_bus_add_object_vtable(bus, NULL, "/agent",
					     "org.freedesktop.PolicyKit1.AuthenticationAgent",
					     vtable, &a);
	if (r >= 0)
		r = sd_bus_call_method(bus, AUTHORITY, "RegisterAuthenticationAgent", &error, NULL,
				       "(sa{sv})ss", "unix-process", 2, "pid", "u",
				       (uint32_t)strtoul(argv[1], NULL, 10), "start-time", "t",
				       start_time(argv[1]), "C", "/agent");
	if (r < 0) {
		fprintf(stderr, "polkit-agent: %s\n", error.message ?: strerror(-r));
		return 1;
	}
	puts("ready");
	r = sd_event_loop(loop);
	sd_bus_flush_close_unref(bus);
	sd_bus_flush_close_unref(a.helper);
	sd_event_unref(loop);
	return r < 0;
}
