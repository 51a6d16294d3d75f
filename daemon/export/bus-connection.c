// SPDX-License-Identifier: GPL-2.0-only
/* Getting on the bus, and on it again after it was restarted: VMs, counters, overrides and monitors stay. */
#include <errno.h>
#include <string.h>

#include "cetd/bus.h"
#include "export/authorize.h"
#include "export/bus-internal.h"
#include "util/log.h"

#define RETRY_USEC USEC_PER_SEC

static int open_bus(const char *address, sd_bus **ret)
{
	_cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
	int r;

	if (!strcmp(address, "system"))
		return sd_bus_open_system(ret);
	if (!strcmp(address, "user"))
		return sd_bus_open_user(ret);
	r = sd_bus_new(&bus);
	if (r < 0)
		return r;
	r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, true);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return r;
	*ret = take_ptr(bus);
	return 0;
}

static int add_objects(struct bus *b)
{
	int r;

	r = sd_bus_add_object_manager(b->bus, NULL, CETD_BUS_PATH);
	if (r >= 0)
		r = sd_bus_add_object_vtable(b->bus, NULL, CETD_BUS_PATH, CETD_BUS_MANAGER,
					     manager_vtable, b);
	if (r >= 0)
		r = sd_bus_add_fallback_vtable(b->bus, NULL, CETD_BUS_VM_PREFIX, CETD_BUS_VM,
					       vm_vtable, vm_object_find, b);
	if (r >= 0)
		r = sd_bus_add_node_enumerator(b->bus, NULL, CETD_BUS_VM_PREFIX, vm_node_enumerator,
					       b);
	if (r >= 0)
		r = sd_bus_add_object_vtable(b->bus, NULL, "/org/freedesktop/LogControl1",
					     "org.freedesktop.LogControl1", log_control_vtable, b);
	return r;
}

static void retry_later(struct bus *b)
{
	sd_event_source_set_time_relative(b->retry, RETRY_USEC);
	sd_event_source_set_enabled(b->retry, SD_EVENT_ONESHOT);
}

static int on_disconnected(sd_bus_message *m _unused_, void *userdata, sd_bus_error *error _unused_)
{
	struct bus *b = userdata;

	if (!b->is_lost)
		log_warning("The bus is gone: counting goes on, and so do metrics; asking for it "
			    "each second");
	b->is_lost = true;
	retry_later(b);
	return 0;
}

int bus_connect(struct bus *b)
{
	int r;

	r = open_bus(b->address, &b->bus);
	if (r >= 0)
		r = sd_bus_match_signal(b->bus, NULL, "org.freedesktop.DBus.Local",
					"/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
					"Disconnected", on_disconnected, b);
	if (r >= 0)
		r = sd_bus_attach_event(b->bus, b->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = add_objects(b);
	if (r < 0)
		b->bus = sd_bus_close_unref(b->bus);
	return r;
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);
	struct bus *b = userdata;
	uint32_t answer = 0;

	/* 1: ours now, 4: ours already (RequestName in the D-Bus specification). */
	if (!e && sd_bus_message_read(m, "u", &answer) >= 0 && (answer == 1 || answer == 4)) {
		log_notice("On the bus again");
		b->is_lost = b->is_refused = false;
		return 0;
	}
	/* A bus that ends once more says so by itself. */
	if (!sd_bus_is_open(b->bus))
		return 0;
	if (!b->is_refused)
		log_error("Failed to claim the bus name %s again, going on to ask for it: %s",
			  CETD_BUS_NAME, e ? e->message : "another process owns it");
	b->is_refused = true;
	retry_later(b);
	return 0;
}

static int on_retry(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
	struct bus *b = userdata;
	sd_bus *old = take_ptr(b->bus);
	int r;

	r = bus_connect(b);
	if (r < 0) {
		b->bus = old;
		retry_later(b);
		return 0;
	}
	authorizer_forget(b->authorizer);
	sd_bus_close_unref(old);
	r = sd_bus_request_name_async(b->bus, NULL, CETD_BUS_NAME, 0, on_name, b);
	if (r < 0)
		retry_later(b);
	return 0;
}

int bus_watch(struct bus *b)
{
	int r;

	r = sd_event_add_time(b->event, &b->retry, CLOCK_MONOTONIC, 0, 0, on_retry, b);
	return r < 0 ? r : sd_event_source_set_enabled(b->retry, SD_EVENT_OFF);
}
