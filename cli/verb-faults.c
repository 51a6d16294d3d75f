// SPDX-License-Identifier: GPL-2.0-only
/* cetctl faults: the newest control-protection faults of one VM. */
#include <inttypes.h>
#include <string.h>

#include "cetd/event.h"

#include "bus.h"
#include "doc.h"
#include "table.h"
#include "text.h"

static const struct column fault_columns[] = {
	{"time", "TIME", "time_usec", COLUMN_TIME, true, 0, "when, local time"},
	{"type", "TYPE", "type", COLUMN_TEXT, true, 0,
	 "control_protection (by the hardware) or injected (by the host)"},
	{"kind", "KIND", "kind", COLUMN_TEXT, true, 0, "what the processor found wrong"},
	{"error", "ERROR", "error_code", COLUMN_RIGHT, false, 0, "error code of the exception"},
	{"vcpu", "VCPU", "vcpu", COLUMN_RIGHT, true, 0, "vCPU"},
	{"cpl", "CPL", "cpl", COLUMN_RIGHT, true, 0, "privilege level: 0 to 2 supervisor, 3 user"},
	{"rip", "RIP", "rip", COLUMN_RIGHT, true, 0,
	 "linear address of the branch target or return"},
	{"ssp", "SSP", "ssp", COLUMN_RIGHT, true, 0, "shadow-stack pointer"},
	{"cet", "CET", "cet", COLUMN_RIGHT, false, 0, "IA32_S_CET, at CPL 3 IA32_U_CET"},
	{"nested", "NESTED", "nested", COLUMN_FLAG, false, 0, "taken in a nested guest"},
	{"action", "ACTION", "action", COLUMN_WORD, true, 0, "what was done with it"},
};

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

/* Without hardware #CP an empty answer would look like a VM without faults: say that it is none. */
static enum exit_code check_coverage(struct ctl *ctl, size_t n)
{
	_cleanup_doc_ json_object *coverage = NULL;
	enum exit_code code = bus_get_coverage(ctl, &coverage);
	const char *reason;

	if (code || doc_shows(coverage, "hardware_cp"))
		return code;
	reason = doc_text(coverage, "hardware_cp.reason") ?: "no reason given";
	if (n) {
		text_note("only #CP injected by the host is seen here; hardware #CP is not: %s",
			  reason);
		return CETCTL_OK;
	}
	text_error("this kernel does not show hardware #CP: %s", reason);
	text_hint("`cetctl probe` says what to do about it");
	return CETCTL_UNOBSERVABLE;
}

enum exit_code verb_faults(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_doc_ json_object *faults = json_object_new_array();
	_cleanup_(freep) char *path = NULL, *id = NULL;
	const struct options *o = &ctl->options;
	struct table t;
	enum exit_code code;
	size_t n;
	int r;

	(void)argc;
	code = table_init(&t, fault_columns, ARRAY_SIZE(fault_columns), o, NULL);
	if (code)
		return code;
	if (table_help(&t, o))
		return CETCTL_OK;
	code = bus_get_vm(ctl, argv[0], &path, &id);
	if (!code)
		code = bus_call(ctl, &reply, "GetFaults", "su", id,
				o->lines ?: CETD_HISTORY_FAULTS);
	if (code)
		return code;
	r = read_faults(reply, id, faults);
	if (r < 0)
		return bus_fail(ctl, NULL, r, "GetFaults");

	n = json_object_array_length(faults);
	code = check_coverage(ctl, n);
	if (!code)
		code = bus_mark_replayed(ctl);
	if (code)
		return code;
	table_sort(&t, faults);
	if (o->json != JSON_OFF)
		return doc_print(stdout, faults, o->json);
	if (n)
		code = table_print(stdout, &t, o, faults, 0, SIZE_MAX, 0);
	else if (o->has_legend)
		printf("No faults.\n");
	return code;
}
