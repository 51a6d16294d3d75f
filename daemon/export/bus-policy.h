/* SPDX-License-Identifier: GPL-2.0-only */
/* What is to be asked and set of policies, of a VM and of all; entries of the vtables in bus-manager.c and bus-vm.c. */
#pragma once

#include "export/bus-internal.h"

/* An error of a command as one of D-Bus; message may be NULL. */
int bus_policy_refuse(sd_bus_error *error, int r, const char *message);

/* The flags and the time that the arguments of what sets something end with. */
int bus_policy_read_duration(sd_bus_message *message, struct bus_override *o, sd_bus_error *error);

/* Methods of org.cetd1.VM. */
int bus_policy_set_mode(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_policy_set_ibt(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_policy_set_rate_limit(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_policy_set(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_policy_clear(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_policy_freeze(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_policy_thaw(sd_bus_message *message, void *userdata, sd_bus_error *error);

/* Methods of org.cetd1.Manager. */
int bus_policy_get_all(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_policy_check(sd_bus_message *message, void *userdata, sd_bus_error *error);
int bus_policy_clear_by_name(sd_bus_message *message, void *userdata, sd_bus_error *error);

#define BUS_GETTER(name)                                                                     \
	int name(sd_bus *bus, const char *path, const char *interface, const char *property, \
		 sd_bus_message *reply, void *userdata, sd_bus_error *error)

/* Properties of org.cetd1.VM; userdata is the VM. */
BUS_GETTER(bus_policy_get_desired);
BUS_GETTER(bus_policy_get_effective);
BUS_GETTER(bus_policy_get_pending);
BUS_GETTER(bus_policy_get_decisions);
BUS_GETTER(bus_policy_get_overrides);
BUS_GETTER(bus_policy_get_frozen);
BUS_GETTER(bus_policy_get_throttle_state);
BUS_GETTER(bus_policy_get_throttled);
