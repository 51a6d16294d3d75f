// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stand-in for systemd on the system bus that really freezes, thaws and kills, by the files of cgroup v2. Units
 * are cgroups of system.slice. For where PID 1 is another.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "private-bus.h"
#include "util/macro.h"

static int write_file(const char *unit, const char *file, const char *value)
{
	_cleanup_(closep) int fd = -1;
	char path[256];

	snprintf(path, sizeof(path), "/sys/fs/cgroup/system.slice/%s/%s", unit, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	static const struct {
		const char *method, *file, *value;
	} methods[] = {
		{"FreezeUnit", "cgroup.freeze", "1"},
		{"ThawUnit", "cgroup.freeze", "0"},
		{"StopUnit", "cgroup.kill", "1"},
		{"KillUnit", "cgroup.kill", "1"},
	};
	const char *unit;
	int r;

	(void)userdata;
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (!sd_bus_message_is_method_call(m, "org.freedesktop.systemd1.Manager",
						   methods[i].method))
			continue;
		r = sd_bus_message_read(m, "s", &unit);
		if (r >= 0)
			r = write_file(unit, methods[i].file, methods[i].value);
		printf("%s %s: %s\n", methods[i].method, unit, r < 0 ? strerror(-r) : "done");
		fflush(stdout);
		if (!sd_bus_message_get_expect_reply(m))
			return 1;
		return r < 0 ? sd_bus_reply_method_errnof(m, r, "Failed: %m")
			     : sd_bus_reply_method_return(m, NULL);
	}
	(void)error;
	return 0;
}

int main(void)
{
	static const char *const names[] = {"org.freedesktop.systemd1", NULL};

	return private_bus_serve(names, on_call);
}
