/* SPDX-License-Identifier: GPL-2.0-only */
/* Fault records and faulting addresses from the bus, as objects like those of dump and monitor. Quiet. */
#pragma once

#include <json-c/json.h>
#include <systemd/sd-bus.h>

/* The VM's newest faults, newest first; those who are not root get SD_BUS_ERROR_ACCESS_DENIED. */
int faults_get(sd_bus *bus, const char *id, unsigned int max, sd_bus_error *error,
	       json_object **ret);

/* The most frequent addresses: {"rip", "count", "error"}. Likewise. */
int faults_get_rips(sd_bus *bus, const char *id, sd_bus_error *error, json_object **ret);
