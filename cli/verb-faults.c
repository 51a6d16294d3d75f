// SPDX-License-Identifier: GPL-2.0-only
/* cetctl faults: the newest control-protection faults of one VM. */
#include <string.h>

#include "cetd/event.h"

#include "bus.h"
#include "doc.h"
#include "faults.h"
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
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_doc_ json_object *faults = NULL;
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
	if (code)
		return code;
	r = faults_get(ctl->bus, id, o->lines ?: CETD_HISTORY_FAULTS, &error, &faults);
	if (r < 0)
		return bus_fail(ctl, &error, r, "GetFaults");

	n = doc_length(faults);
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
