// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stand-in for machined and systemd on the bus of a test: each process is a machine of the name given, in the unit
 * machine-PID.scope; orders are printed, and refused while the file given exists. fake-machine NAME FILE
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "private-bus.h"
#include "util/macro.h"

#define MACHINE "/org/freedesktop/machine1/machine/p"

static const char *name, *refusing;

static int reply_path(sd_bus_message *m)
{
	char path[64];
	uint32_t pid;
	int r = sd_bus_message_read(m, "u", &pid);

	snprintf(path, sizeof(path), MACHINE "%u", pid);
	return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

static int reply_machine(sd_bus_message *m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	uint32_t pid = (uint32_t)atoi(sd_bus_message_get_path(m) + strlen(MACHINE));
	char unit[64];
	int r;

	snprintf(unit, sizeof(unit), "machine-%u.scope", pid);
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_append(reply, "a{sv}", 4, "Name", "s", name, "Class", "s", "vm",
					  "Leader", "u", pid, "Unit", "s", unit);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int on_order(sd_bus_message *m, sd_bus_error *error)
{
	const char *unit;
	int r = sd_bus_message_read(m, "s", &unit);

	if (r < 0)
		return r;
	if (access(refusing, F_OK) == 0)
		return sd_bus_error_setf(error, "org.freedesktop.systemd1.UnitBusy",
					 "Unit %s does not want to", unit);
	printf("%s %s\n", sd_bus_message_get_member(m), unit);
	fflush(stdout);
	return sd_bus_reply_method_return(m, NULL);
}

static int on_call(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error)
{
	if (sd_bus_message_is_method_call(m, "org.freedesktop.machine1.Manager", "GetMachineByPID"))
		return reply_path(m);
	if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll") &&
	    !strncmp(sd_bus_message_get_path(m), MACHINE, strlen(MACHINE)))
		return reply_machine(m);
	if (sd_bus_message_is_method_call(m, "org.freedesktop.systemd1.Manager", NULL))
		return on_order(m, error);
	return 0;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"org.freedesktop.machine1", "org.freedesktop.systemd1",
					    NULL};

	if (argc != 3)
		return 2;
	name = argv[1];
	refusing = argv[2];
	return private_bus_serve(names, on_call);
}
