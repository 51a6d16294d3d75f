// SPDX-License-Identifier: GPL-2.0-only
/* cetctl show: all that is known of one VM, and why what is missing is missing. */
#include <inttypes.h>
#include <string.h>

#include "bus.h"
#include "doc.h"
#include "faults.h"
#include "table.h"
#include "text.h"

static void heading(const struct options *o, const char *text)
{
	printf("\n%s%s%s\n", o->is_color ? "\033[1m" : "", text, o->is_color ? "\033[0m" : "");
}

/* Why there is a dash: the fact is not shown at all, or this number of it is not. */
static const char *reason_of(json_object *coverage, const char *fact)
{
	if (doc_shows(coverage, fact))
		return "not told apart by this kernel's tracepoints";
	return doc_text(doc_get(coverage, fact), "reason") ?: "no reason given";
}

/* What stands in for numbers that the kernel does not show. */
static void print_unseen(json_object *coverage, const char *fact)
{
	_cleanup_(freep) char *safe = text_clean(reason_of(coverage, fact));

	printf("  -  (unobservable: %s)\n", safe ?: "");
}

static void print_identity(const struct options *o, json_object *vm)
{
	_cleanup_(table_unrefp) struct libscols_table *s = table_pairs_new(o);
	uint64_t n = doc_number(vm, "vms_in_process");
	const char *attribution = doc_text(vm, "attribution") ?: "-";
	char when[64], activity[64];

	table_pair(s, "Name", "%s", doc_text(vm, "name") ?: "-");
	table_pair(s, "Id", "%s", doc_text(vm, "id") ?: "-");
	table_pair(s, "UUID", "%s", doc_text(vm, "uuid") ?: "-");
	table_pair(s, "VMM", "%s, pid %" PRIu64, doc_text(vm, "vmm") ?: "-", doc_number(vm, "pid"));
	table_pair(s, "Unit", "%s", doc_text(vm, "unit") ?: "-");
	table_pair(s, "CGroup", "%s", doc_text(vm, "cgroup") ?: "-");
	if (!strcmp(attribution, "ambiguous"))
		table_pair(s, "Attribution",
			   "ambiguous: the process has %" PRIu64
			   " VMs, this kernel gives no VM id, and the counts are of all of them",
			   n);
	else
		table_pair(s, "Attribution", "%s (%" PRIu64 " VM%s in the process)", attribution, n,
			   n == 1 ? "" : "s");
	if (doc_get(vm, "kernel_vm_id"))
		table_pair(s, "Kernel id", "%" PRIu64, doc_number(vm, "kernel_vm_id"));
	text_time(when, sizeof(when), doc_number(vm, "first_seen_usec"), false);
	text_time(activity, sizeof(activity), doc_number(vm, "last_activity_usec"), false);
	table_pair(s, "First seen", "%s", when);
	table_pair(s, "Last activity", "%s", activity);
	table_pair(s, "Uses CET", "%s", doc_text(vm, "uses_cet") ?: "unknown");
	if (doc_is_true(vm, "frozen"))
		table_pair(s, "Frozen", "yes, `cetctl thaw` lets it run on");
	scols_print_table(s);
}

/* Rows are the keys of the object at path, columns the given paths below each. */
static void print_matrix(const struct options *o, json_object *rows, const char *row_title,
			 size_t n, const char *const titles[], const char *const paths[])
{
	_cleanup_(table_unrefp) struct libscols_table *s = table_new(o, stdout);

	table_column(s, row_title, 0, 0);
	for (size_t i = 0; i < n; i++)
		table_column(s, titles[i], 0, SCOLS_FL_RIGHT);
	json_object_object_foreach (rows, key, row) {
		struct libscols_line *line = scols_table_new_line(s, NULL);

		scols_line_refer_data(line, 0, text_clean(key));
		for (size_t i = 0; i < n; i++) {
			uint64_t count;
			char text[32] = "-";

			if (doc_sum(row, paths[i], &count))
				snprintf(text, sizeof(text), "%" PRIu64, count);
			scols_line_set_data(line, i + 1, text);
		}
	}
	scols_print_table(s);
}

/* What the policy's rates have seen: the latest storm of each. */
static void print_storms(const struct options *o, json_object *storms)
{
	static const char *const titles[] = {"RATE", "BEGAN", "ENDED", "OVER", "THEN", "MODE"};
	_cleanup_(table_unrefp) struct libscols_table *s = NULL;
	json_object *latest = doc_get(storms, "latest");
	char text[64];

	if (!json_object_is_type(latest, json_type_array))
		return;
	heading(o, "Storms of #CP");
	printf("  %" PRIu64 " now, %" PRIu64 " in all; vCPUs had to wait %.3f s\n",
	       doc_number(storms, "active"), doc_number(storms, "total"),
	       (double)doc_number(storms, "throttled_usec") / 1e6);
	if (!doc_length(latest))
		return;
	s = table_new(o, stdout);
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		table_column(s, titles[i], 0, i == 3 ? SCOLS_FL_RIGHT : 0);
	for (size_t i = 0; i < doc_length(latest); i++) {
		json_object *storm = json_object_array_get_idx(latest, i);
		struct libscols_line *line = scols_table_new_line(s, NULL);

		snprintf(text, sizeof(text), "%" PRIu64, doc_number(storm, "rate"));
		scols_line_set_data(line, 0, text);
		text_time(text, sizeof(text), doc_number(storm, "since_usec"), false);
		scols_line_set_data(line, 1, text);
		text_time(text, sizeof(text), doc_number(storm, "ended_usec"), false);
		scols_line_set_data(line, 2, doc_get(storm, "ended_usec") ? text : "goes on");
		snprintf(text, sizeof(text), "%" PRIu64, doc_number(storm, "over"));
		scols_line_set_data(line, 3, text);
		scols_line_refer_data(line, 4, text_clean(doc_text(storm, "then") ?: "-"));
		scols_line_refer_data(line, 5, text_clean(doc_text(storm, "mode") ?: "-"));
	}
	scols_print_table(s);
}

static void print_counts(const struct options *o, json_object *vm, json_object *coverage)
{
	static const char *const cp_titles[] = {"SUPERVISOR", "USER"}, *const cp[] = {"supervisor",
										      "user"};
	static const char *const msr_titles[] = {"READ", "READ-FAULT", "WRITE", "WRITE-FAULT"};
	static const char *const msr[] = {"read.ok", "read.fault", "write.ok", "write.fault"};
	static const char *const decision_titles[] = {"DELIVER", "DELAY", "SUPPRESS"};
	static const char *const decisions[] = {"deliver", "delay", "suppress"};
	static const struct {
		const char *title, *fact, *path;
	} sums[] = {
		{"#CP injected by the host", "injected_cp", "injected_control_protection"},
		{"CET MSR accesses by the VMM", "cet_msr", "cet_msr_host"},
		{"CR4 writes that set CET", "cr4_cet", "cr4_cet.set"},
		{"CR4 writes that clear CET", "cr4_cet", "cr4_cet.clear"},
		{"VMCS loads", "vmcs_load", "vmcs_loads.own"},
		{"VMCS loads of a nested guest", "vmcs_load", "vmcs_loads.nested"},
		{"Events counted but not sampled", "", "samples_dropped"},
	};
	_cleanup_(table_unrefp) struct libscols_table *s = NULL;

	heading(o, "Control-protection faults (#CP) raised by the hardware");
	if (json_object_is_type(doc_get(vm, "control_protection"), json_type_object))
		print_matrix(o, doc_get(vm, "control_protection"), "KIND", 2, cp_titles, cp);
	else
		print_unseen(coverage, "hardware_cp");

	heading(o, "Accesses of the guest to CET MSRs");
	if (json_object_is_type(doc_get(vm, "cet_msr"), json_type_object))
		print_matrix(o, doc_get(vm, "cet_msr"), "MSR", 4, msr_titles, msr);
	else
		print_unseen(coverage, "cet_msr");

	heading(o, "Policy decisions");
	if (!doc_shows(coverage, "enforcement")) {
		print_unseen(coverage, "enforcement");
	} else if (json_object_is_type(doc_get(vm, "decisions"), json_type_object)) {
		print_matrix(o, doc_get(vm, "decisions"), "", 3, decision_titles, decisions);
	}
	print_storms(o, doc_get(vm, "storms"));
	heading(o, "Other counts");
	s = table_pairs_new(o);
	for (size_t i = 0; i < ARRAY_SIZE(sums); i++) {
		uint64_t count;

		if (doc_sum(vm, sums[i].path, &count))
			table_pair(s, sums[i].title, "%" PRIu64, count);
		else
			table_pair(s, sums[i].title, "-  (unobservable: %s)",
				   reason_of(coverage, sums[i].fact));
	}
	scols_print_table(s);
}

/* The most frequent faulting addresses: root only, so their absence is told, not an error. */
static void print_rips(struct ctl *ctl, const char *id)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_(table_unrefp) struct libscols_table *s = NULL;
	_cleanup_doc_ json_object *rips = NULL;
	size_t n;
	int r;

	heading(&ctl->options, "Most frequent faulting addresses");
	r = faults_get_rips(ctl->bus, id, &error, &rips);
	if (r < 0) {
		_cleanup_(freep) char *safe = text_clean(error.message ?: strerror(-r));

		if (bus_is_denied(&error))
			printf("  -  (only root may read guest addresses)\n");
		else
			printf("  -  (%s)\n", safe ?: "");
		return;
	}
	s = table_new(&ctl->options, stdout);
	table_column(s, "RIP", 0, SCOLS_FL_RIGHT);
	table_column(s, "COUNT", 0, SCOLS_FL_RIGHT);
	table_column(s, "AT-LEAST", 0, SCOLS_FL_RIGHT);
	n = doc_length(rips);
	for (size_t i = 0; i < n; i++) {
		json_object *rip = json_object_array_get_idx(rips, i);
		uint64_t count = doc_number(rip, "count"), overcount = doc_number(rip, "error");
		struct libscols_line *line = scols_table_new_line(s, NULL);
		char text[32];

		scols_line_set_data(line, 0, doc_text(rip, "rip"));
		snprintf(text, sizeof(text), "%" PRIu64, count);
		scols_line_set_data(line, 1, text);
		snprintf(text, sizeof(text), "%" PRIu64, count > overcount ? count - overcount : 0);
		scols_line_set_data(line, 2, text);
	}
	if (n)
		scols_print_table(s);
	else
		printf("  none\n");
}

enum exit_code verb_show(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_doc_ json_object *vm = NULL, *coverage = NULL;
	_cleanup_(freep) char *path = NULL, *id = NULL;
	const struct options *o = &ctl->options;
	enum exit_code code;

	(void)argc;
	code = bus_get_vm(ctl, argv[0], &path, &id);
	if (!code)
		code = bus_mark_replayed(ctl);
	if (!code)
		code = bus_describe(ctl, path, &vm);
	if (code)
		return code;
	if (o->json != JSON_OFF)
		return doc_print(stdout, vm, o->json);
	code = bus_get_coverage(ctl, &coverage);
	if (code)
		return code;

	print_identity(o, vm);
	print_counts(o, vm, coverage);
	if (doc_shows(coverage, "hardware_cp"))
		print_rips(ctl, id);
	return CETCTL_OK;
}
