// SPDX-License-Identifier: GPL-2.0-only
/* dbus-daemon in a directory of its own. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "private-bus.h"
#include "util/macro.h"

static char directory[] = "/tmp/cetd-test-bus-XXXXXX";
static char address[96];

int private_bus_prepare(void)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(address, sizeof(address), "unix:path=%s/bus", directory);
	return setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
}

const char *private_bus_directory(void)
{
	return directory;
}

static void wait_or_give_up(pid_t *pid)
{
	for (int i = 0; i < 500; i++) {
		sd_bus *bus = NULL;
		int r = sd_bus_open_system(&bus);

		sd_bus_flush_close_unref(bus);
		if (r >= 0)
			return;
		if (waitpid(*pid, NULL, WNOHANG) == *pid)
			break;
		usleep(10 * USEC_PER_MSEC);
	}
	*pid = -1;
}

pid_t private_bus_start(void)
{
	char config[64], option[128];
	pid_t pid;
	FILE *f;

	snprintf(config, sizeof(config), "%s/bus.conf", directory);
	f = fopen(config, "we");
	if (!f)
		return -1;
	fprintf(f,
		"<busconfig><type>test</type><listen>%s</listen><auth>EXTERNAL</auth>"
		"<policy context='default'><allow user='*'/>"
		"<allow send_destination='*' eavesdrop='true'/>"
		"<allow eavesdrop='true'/><allow own='*'/></policy></busconfig>\n",
		address);
	fclose(f);
	snprintf(option, sizeof(option), "--config-file=%s", config);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("dbus-daemon", "dbus-daemon", option, "--nofork", "--nopidfile",
		       (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		wait_or_give_up(&pid);
	return pid;
}

int private_bus_serve(const char *const names[], sd_bus_message_handler_t on_call)
{
	sd_bus *bus;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sd_bus_open_system(&bus) < 0 || sd_bus_add_filter(bus, NULL, on_call, NULL) < 0)
		return 1;
	for (size_t i = 0; names[i]; i++)
		if (sd_bus_request_name(bus, names[i], 0) < 0)
			return 1;
	for (;;) {
		int r = sd_bus_process(bus, NULL);

		if (r < 0)
			return 1;
		if (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)
			return 1;
	}
}

void private_bus_remove(void)
{
	static const char *const files[] = {"bus", "bus.conf"};
	char path[96];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
		unlink(path);
	}
	rmdir(directory);
}
