// SPDX-License-Identifier: GPL-2.0-only
/*
 * bus-client flood N: call Describe N times, read no answer, and stay. Prints `sent N`.
 * bus-client monitor VM: read a monitor's pipe to its end. Prints `open`, then `end LINES`.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "cetd/bus.h"
#include "util/macro.h"

static int flood(sd_bus *bus, unsigned int n)
{
	int r = 0;

	for (unsigned int i = 0; i < n && r >= 0; i++) {
		_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

		r = sd_bus_message_new_method_call(bus, &m, CETD_BUS_NAME, CETD_BUS_PATH,
						   CETD_BUS_MANAGER, "Describe");
		if (r >= 0)
			r = sd_bus_send(bus, m, NULL);
	}
	if (r >= 0)
		r = sd_bus_flush(bus);
	printf("sent %u: %s\n", n, r < 0 ? strerror(-r) : "all");
	pause();
	return r;
}

static int monitor(sd_bus *bus, const char *vm)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	unsigned int lines = 0;
	char text[4096];
	ssize_t n;
	int fd, r;

	r = sd_bus_call_method(bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
			       "MonitorByFileDescriptor", &error, &reply, "s", vm);
	if (r >= 0)
		r = sd_bus_message_read(reply, "h", &fd);
	if (r < 0) {
		printf("failed: %s\n", error.message ?: strerror(-r));
		return r;
	}
	puts("open");
	while ((n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	printf("end %u\n", lines);
	return n < 0 ? -errno : 0;
}

int main(int argc, char *argv[])
{
	sd_bus *bus = NULL;
	int r;

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	r = sd_bus_open_system(&bus);
	if (r >= 0)
		r = !strcmp(argv[1], "flood") ? flood(bus, (unsigned int)atoi(argv[2]))
					      : monitor(bus, argv[2]);
	sd_bus_flush_close_unref(bus);
	return r < 0;
}
