// SPDX-License-Identifier: GPL-2.0-only
/* The service manager's watchdog, fed by what the loop gets done. */
#include <stdbool.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "util/macro.h"
#include "watchdog.h"

static int on_turn(sd_event_source *s, uint64_t usec _unused_, void *userdata)
{
	uint64_t interval_usec = (uintptr_t)userdata;
	int r;

	sd_notify(false, "WATCHDOG=1");
	r = sd_event_source_set_time_relative(s, interval_usec);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

int watchdog_start(sd_event *event)
{
	uint64_t usec;
	int r = sd_watchdog_enabled(false, &usec);

	if (r <= 0)
		return r;
	/* A ping may come late once without being the end. */
	return sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, 0, 0, on_turn,
					  (void *)(uintptr_t)(usec / 3));
}
