// SPDX-License-Identifier: GPL-2.0-only
/* cetctl status: the daemon, the kernel and what is going on, on one screen. */
#include <inttypes.h>
#include <string.h>

#include "bus.h"
#include "columns.h"
#include "doc.h"
#include "text.h"

#define VMS_SHOWN 10

static void add_daemon(struct libscols_table *s, json_object *d)
{
	uint64_t started = doc_number(d, "start_usec");
	char since[64], age[32];

	text_time(since, sizeof(since), started, false);
	text_age(age, sizeof(age), started, doc_number(d, "now_usec"));
	table_pair(s, "Daemon", "cetd %s, pid %" PRIu64 ", since %s (%s)",
		   doc_text(d, "version") ?: "-", doc_number(d, "pid"), since, age);
	if (doc_text(d, "config_file"))
		table_pair(s, "Configuration", "%s", doc_text(d, "config_file"));
	table_pair(s, "Metrics", "%s", doc_text(d, "metrics_address") ?: "not exported");
}

/* On, or off with the first reason, since that is what to look at first. */
static void add_host(struct libscols_table *s, json_object *host)
{
	static const char *const states[] = {"observed", "partial", "unobservable"};
	json_object *causes = doc_get(host, "causes"), *coverage = doc_get(host, "coverage");
	size_t n = doc_length(causes);
	const char *guest_cet = doc_text(host, "guest_cet") ?: "unknown", *first = NULL;
	char facts[3][256] = {};

	table_pair(s, "Kernel", "%s, KVM %s, tracepoints: %s",
		   doc_text(host, "kernel_release") ?: "-", doc_text(host, "kvm_vendor") ?: "-",
		   doc_text(host, "family") ?: "-");
	if (n)
		first = doc_text(json_object_array_get_idx(causes, 0), "text");
	if (first && strcmp(guest_cet, "on"))
		table_pair(s, "Guest CET", "%s: %s%s", guest_cet, first,
			   n > 1 ? " (and more: cetctl probe)" : "");
	else
		table_pair(s, "Guest CET", "%s", guest_cet);

	if (!json_object_is_type(coverage, json_type_object))
		return;
	json_object_object_foreach (coverage, fact, v)
		for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
			size_t used = strlen(facts[i]);

			if (!strcmp(doc_text(v, "state") ?: "", states[i]))
				snprintf(facts[i] + used, sizeof(facts[i]) - used, "%s%s",
					 used ? ", " : "", fact);
		}
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (*facts[i])
			table_pair(s, *facts[0] && i ? "" : "Coverage", "%s: %s", states[i],
				   facts[i]);
}

static void add_totals(struct libscols_table *s, json_object *d, json_object *vms)
{
	json_object *lost = doc_get(d, "events_lost");
	size_t n = doc_length(vms);
	char text[256] = "";
	unsigned int n_now = vm_count_storms(vms);
	uint64_t cp = 0, storms = 0, count;

	for (size_t i = 0; i < n; i++) {
		json_object *vm = json_object_array_get_idx(vms, i);

		cp += doc_number(vm, "control_protection_total");
		storms += doc_number(vm, "storms.total");
	}
	table_pair(s, "VMs",
		   "%zu (%u use CET, %u tried to); %" PRIu64 " of %" PRIu64 " map entries", n,
		   vm_count_uses(vms, "yes"), vm_count_uses(vms, "attempted"),
		   doc_number(d, "maps.entries"), doc_number(d, "maps.capacity"));
	if (doc_number(d, "vms_refused"))
		table_pair(s, "Refused", "%" PRIu64 " VMs: too many, see the configuration",
			   doc_number(d, "vms_refused"));
	if (doc_shows(doc_get(d, "host.coverage"), "hardware_cp"))
		table_pair(s, "#CP", "%" PRIu64, cp);
	else
		table_pair(s, "#CP", "- (this kernel does not show them: %s)",
			   doc_text(d, "host.coverage.hardware_cp.reason") ?: "cetctl probe");

	if (storms)
		table_pair(s, "Storms", "%u VM%s with one now, %" PRIu64 " in all", n_now,
			   n_now == 1 ? "" : "s", storms);

	if (json_object_is_type(lost, json_type_object)) {
		json_object_object_foreach (lost, reason, v) {
			size_t used = strlen(text);

			if (doc_sum(v, NULL, &count) && count)
				snprintf(text + used, sizeof(text) - used, "%s%s %" PRIu64,
					 used ? ", " : "", reason, count);
		}
	}
	table_pair(s, "Events lost", "%s", *text ? text : "none");
}

enum exit_code verb_status(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(table_unrefp) struct libscols_table *s = NULL;
	_cleanup_doc_ json_object *d = NULL;
	const struct options *o = &ctl->options;
	struct table t;
	json_object *vms;
	enum exit_code code;
	size_t n;

	(void)argc;
	(void)argv;
	code = table_init(&t, vm_columns, n_vm_columns, o, "cp:desc");
	if (!code)
		code = bus_describe(ctl, NULL, &d);
	if (code)
		return code;
	if (doc_is_true(d, "replayed"))
		bus_print_replayed(ctl, doc_text(d, "recording"));
	if (o->json != JSON_OFF)
		return doc_print(stdout, d, o->json);
	vms = doc_get(d, "vms");
	if (!json_object_is_type(vms, json_type_array)) {
		text_error("the daemon's description has no list \"vms\"");
		return CETCTL_FAILURE;
	}

	s = table_pairs_new(o);
	add_daemon(s, d);
	add_host(s, doc_get(d, "host"));
	add_totals(s, d, vms);
	scols_print_table(s);

	n = doc_length(vms);
	if (!n)
		return CETCTL_OK;
	printf("\n");
	t.now_usec = doc_data_now(d);
	table_sort(&t, vms);
	code = table_print(stdout, &t, o, vms, 0, VMS_SHOWN, 0);
	if (!code && n > VMS_SHOWN && o->has_legend)
		printf("\nand %zu more: cetctl list\n", n - VMS_SHOWN);
	return code;
}
