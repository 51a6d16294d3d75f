// SPDX-License-Identifier: GPL-2.0-only
/* Fault records and faulting addresses from the bus, as objects like those of dump and monitor. */
#include <inttypes.h>

#include "cetd/bus.h"
#include "cetd/event.h"

#include "bus.h"
#include "doc.h"
#include "faults.h"

static json_object *address(uint64_t v, bool is_known)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, v);
	return is_known ? json_object_new_string(text) : NULL;
}

/* Read a(tusuytttbbs) into objects with the names that dump and monitor use; null is not known. */
static int read_faults(sd_bus_message *m, const char *id, json_object *faults)
{
	uint64_t usec, rip, ssp, cet;
	uint32_t vcpu, error_code;
	const char *kind, *action;
	int is_nested, is_injected, r;
	uint8_t cpl;

	r = sd_bus_message_enter_container(m, 'a', "(tusuytttbbs)");
	while (r >= 0 &&
	       (r = sd_bus_message_read(m, "(tusuytttbbs)", &usec, &vcpu, &kind, &error_code, &cpl,
					&rip, &ssp, &cet, &is_nested, &is_injected, &action)) > 0) {
		json_object *o = json_object_new_object();
		bool is_known = cpl != CETD_CPL_UNKNOWN;

		json_object_object_add(o, "time_usec", json_object_new_uint64(usec));
		json_object_object_add(o, "vm", json_object_new_string(id));
		json_object_object_add(
			o, "type",
			json_object_new_string(is_injected ? "injected" : "control_protection"));
		json_object_object_add(o, "kind", json_object_new_string(kind));
		json_object_object_add(o, "error_code", json_object_new_uint64(error_code));
		json_object_object_add(
			o, "vcpu", vcpu == CETD_VCPU_UNKNOWN ? NULL : json_object_new_uint64(vcpu));
		json_object_object_add(o, "cpl", is_known ? json_object_new_int(cpl) : NULL);
		json_object_object_add(o, "rip", address(rip, is_known));
		json_object_object_add(o, "ssp", address(ssp, is_known));
		json_object_object_add(o, "cet", address(cet, is_known));
		json_object_object_add(o, "nested", json_object_new_boolean(is_nested));
		json_object_object_add(o, "action", json_object_new_string(action));
		json_object_array_add(faults, o);
	}
	return r;
}

int faults_get(sd_bus *bus, const char *id, unsigned int max, sd_bus_error *error,
	       json_object **ret)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_doc_ json_object *faults = json_object_new_array();
	int r = sd_bus_call_method(bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER, "GetFaults",
				   error, &reply, "su", id, (uint32_t)max);

	if (r >= 0)
		r = read_faults(reply, id, faults);
	if (r < 0)
		return r;
	*ret = faults;
	faults = NULL;
	return 0;
}

int faults_get_rips(sd_bus *bus, const char *id, sd_bus_error *error, json_object **ret)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_doc_ json_object *rips = json_object_new_array();
	uint64_t rip, count, overcount;
	int r = sd_bus_call_method(bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
				   "GetTopRIPs", error, &reply, "s", id);

	if (r >= 0)
		r = sd_bus_message_enter_container(reply, 'a', "(ttt)");
	while (r >= 0 && (r = sd_bus_message_read(reply, "(ttt)", &rip, &count, &overcount)) > 0) {
		json_object *o = json_object_new_object();

		json_object_object_add(o, "rip", address(rip, true));
		json_object_object_add(o, "count", json_object_new_uint64(count));
		json_object_object_add(o, "error", json_object_new_uint64(overcount));
		json_object_array_add(rips, o);
	}
	if (r < 0)
		return r;
	*ret = rips;
	rips = NULL;
	return 0;
}
