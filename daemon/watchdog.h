/* SPDX-License-Identifier: GPL-2.0-only */
/* The service manager's watchdog, fed by what the loop gets done. Part of the composition root. */
#pragma once

#include <systemd/sd-event.h>

/*
 * Where the service manager wants it, ping it from a source of the loop like any other: it has its turn only after
 * those that waited before it had theirs, so a loop that starves its sources is not alive. Quiet.
 */
int watchdog_start(sd_event *event);
