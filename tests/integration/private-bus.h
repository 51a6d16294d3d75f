/* SPDX-License-Identifier: GPL-2.0-only */
/* A system bus of the test's own, for tests with stand-ins for what is on the real one. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

/* Make a directory, and DBUS_SYSTEM_BUS_ADDRESS point into it; nothing listens there yet. */
int private_bus_prepare(void);
const char *private_bus_directory(void);

/* Start the bus: its pid, -1 where that fails. It ends with the caller. */
pid_t private_bus_start(void);

/* In a child of the test: own the name and serve calls by the filter for ever. Returns 1 on failure. */
int private_bus_serve(const char *const names[], sd_bus_message_handler_t on_call);

void private_bus_remove(void);
