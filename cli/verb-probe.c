// SPDX-License-Identifier: GPL-2.0-only
/* cetctl probe: what this host can show of CET, what not and why, and what to do about it. */
#include "bus.h"
#include "doc.h"
#include "table.h"
#include "text.h"

static void print_coverage(const struct options *o, json_object *coverage)
{
	_cleanup_(table_unrefp) struct libscols_table *s = table_new(o, stdout);

	table_column(s, "FACT", 0, 0);
	table_column(s, "COVERAGE", 0, 0);
	table_column(s, "REASON", 0.5, SCOLS_FL_WRAP);
	if (!json_object_is_type(coverage, json_type_object))
		return;
	json_object_object_foreach (coverage, fact, v) {
		struct libscols_line *line = scols_table_new_line(s, NULL);
		const char *state = doc_text(v, "state") ?: "-";

		scols_line_refer_data(line, 0, text_clean(fact));
		scols_line_refer_data(line, 1, text_clean(state));
		scols_line_refer_data(line, 2, text_clean(doc_text(v, "reason") ?: "-"));
		if (table_word_color(state))
			scols_cell_set_color(scols_line_get_cell(line, 1), table_word_color(state));
	}
	scols_print_table(s);
}

static void print_causes(const struct options *o, json_object *causes)
{
	size_t n = doc_length(causes);
	_cleanup_(table_unrefp) struct libscols_table *s = NULL;

	if (!n) {
		if (o->has_legend)
			printf("\nNothing stands in the way.\n");
		return;
	}
	if (o->has_legend)
		printf("\nWhat stands in the way:\n");
	s = table_pairs_new(o);
	for (size_t i = 0; i < n; i++) {
		json_object *c = json_object_array_get_idx(causes, i);

		table_pair(s, doc_text(c, "code") ?: "-", "%s", doc_text(c, "text") ?: "-");
		if (doc_text(c, "advice") && *doc_text(c, "advice"))
			table_pair(s, "", "-> %s", doc_text(c, "advice"));
	}
	scols_print_table(s);
}

enum exit_code verb_probe(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(table_unrefp) struct libscols_table *s = NULL;
	_cleanup_doc_ json_object *snapshot = NULL;
	const struct options *o = &ctl->options;
	json_object *host;
	enum exit_code code;

	(void)argc;
	(void)argv;
	code = bus_describe(ctl, NULL, &snapshot);
	if (code)
		return code;
	host = doc_get(snapshot, "host");
	if (!host) {
		text_error("the daemon has not probed the host yet");
		text_hint("try again in a moment");
		return CETCTL_FAILURE;
	}
	if (doc_is_true(snapshot, "replayed"))
		bus_print_replayed(ctl, doc_text(snapshot, "recording"));
	if (o->json != JSON_OFF)
		return doc_print(stdout, host, o->json);

	s = table_pairs_new(o);
	table_pair(s, "Kernel", "%s", doc_text(host, "kernel_release") ?: "-");
	table_pair(s, "KVM", "%s", doc_text(host, "kvm_vendor") ?: "-");
	table_pair(s, "Tracepoints", "%s", doc_text(host, "family") ?: "-");
	table_pair(s, "Guest CET", "%s", doc_text(host, "guest_cet") ?: "-");
	scols_print_table(s);
	printf("\n");
	print_coverage(o, doc_get(host, "coverage"));
	print_causes(o, doc_get(host, "causes"));
	return CETCTL_OK;
}
