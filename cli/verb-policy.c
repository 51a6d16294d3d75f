// SPDX-License-Identifier: GPL-2.0-only
/* cetctl policy: what holds for the VMs and why; policy files checked without a daemon. */
#include <string.h>

#include "cetd/policy-file.h"

#include "bus.h"
#include "doc.h"
#include "table.h"
#include "text.h"

static enum exit_code check_files(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(freep) char *message = NULL;
	size_t n_rules;
	int r;

	r = cetd_policy_check((const char *const *)argv, (size_t)argc, &n_rules, &message);
	if (r < 0) {
		text_error("%s", message ?: strerror(-r));
		return CETCTL_FAILURE;
	}
	if (ctl->options.has_legend)
		printf("%zu rule%s, all good.\n", n_rules, n_rules == 1 ? "" : "s");
	return CETCTL_OK;
}

static enum exit_code print_schema(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(freep) char *schema = cetd_policy_schema();

	(void)ctl;
	(void)argc;
	(void)argv;
	if (!schema) {
		text_error("out of memory");
		return CETCTL_FAILURE;
	}
	printf("%s\n", schema);
	return CETCTL_OK;
}

/* A setting's value in a word or two. */
static void value_text(json_object *value, char *buffer, size_t size)
{
	size_t n = 0;

	if (!json_object_is_type(value, json_type_array)) {
		snprintf(buffer, size, "%s", json_object_get_string(value));
		return;
	}
	snprintf(buffer, size, "none");
	for (size_t i = 0; i < json_object_array_length(value) && n < size; i++) {
		json_object *rate = json_object_array_get_idx(value, i);

		n += (size_t)snprintf(buffer + n, size - n, "%s%llu in %llu ms: %s", i ? ", " : "",
				      (unsigned long long)doc_number(rate, "limit"),
				      (unsigned long long)doc_number(rate, "interval_ms"),
				      doc_text(rate, "then") ?: "-");
	}
}

static void add_cell(struct libscols_line *line, size_t column, const char *text)
{
	scols_line_refer_data(line, column, text_clean(text && *text ? text : "-"));
}

static void print_policy(const struct options *o, json_object *policy)
{
	_cleanup_(table_unrefp) struct libscols_table *s = table_new(o, stdout);

	table_column(s, "SETTING", 0, 0);
	table_column(s, "VALUE", 0, 0);
	table_column(s, "EFFECT", 0, 0);
	table_column(s, "WHY", 0.5, SCOLS_FL_WRAP);
	json_object_object_foreach (policy, setting, v) {
		struct libscols_line *line = scols_table_new_line(s, NULL);
		const char *advice = doc_text(v, "advice");
		char value[512], why[1100];

		value_text(doc_get(v, "value"), value, sizeof(value));
		snprintf(why, sizeof(why), "%s%s%s", doc_text(v, "reason") ?: "",
			 advice ? "; to have it take effect: " : "", advice ?: "");
		add_cell(line, 0, setting);
		add_cell(line, 1, value);
		add_cell(line, 2, doc_text(v, "effect"));
		add_cell(line, 3, why);
	}
	scols_print_table(s);
}

static enum exit_code show_vm(struct ctl *ctl, const char *name)
{
	_cleanup_(freep) char *path = NULL, *id = NULL;
	_cleanup_doc_ json_object *vm = NULL;
	json_object *policy;
	enum exit_code code;

	code = bus_get_vm(ctl, name, &path, &id);
	if (!code)
		code = bus_mark_replayed(ctl);
	if (!code)
		code = bus_describe(ctl, path, &vm);
	if (code)
		return code;
	policy = doc_get(vm, "policy");
	if (ctl->options.json != JSON_OFF)
		return doc_print(stdout, policy, ctl->options.json);
	if (policy)
		print_policy(&ctl->options, policy);
	else if (ctl->options.has_legend)
		printf("No policy is in force.\n");
	return CETCTL_OK;
}

/* All VMs: the object of each by its id. */
static enum exit_code show_all(struct ctl *ctl)
{
	_cleanup_doc_ json_object *snapshot = NULL, *all = json_object_new_object();
	enum exit_code code = bus_describe(ctl, NULL, &snapshot);
	json_object *vms;

	if (code)
		return code;
	vms = doc_get(snapshot, "vms");
	if (doc_is_true(snapshot, "replayed"))
		bus_print_replayed(ctl, doc_text(snapshot, "recording"));
	for (size_t i = 0; vms && i < json_object_array_length(vms); i++) {
		json_object *vm = json_object_array_get_idx(vms, i);

		json_object_object_add(all, doc_text(vm, "id") ?: "-",
				       json_object_get(doc_get(vm, "policy")));
		if (ctl->options.json != JSON_OFF || !doc_get(vm, "policy"))
			continue;
		if (ctl->options.has_legend) {
			_cleanup_(freep) char *name = text_clean(doc_text(vm, "name") ?: "-");

			printf("%s%s\n", i ? "\n" : "", name ?: "-");
		}
		print_policy(&ctl->options, doc_get(vm, "policy"));
	}
	if (ctl->options.json != JSON_OFF)
		return doc_print(stdout, all, ctl->options.json);
	if (!doc_get(snapshot, "policy") && ctl->options.has_legend)
		printf("No policy is in force.\n");
	return CETCTL_OK;
}

static enum exit_code show(struct ctl *ctl, int argc, char **argv)
{
	return argc ? show_vm(ctl, argv[0]) : show_all(ctl);
}

enum exit_code verb_policy(struct ctl *ctl, int argc, char **argv)
{
	static const struct {
		const char *name;
		int min, max;
		enum exit_code (*run)(struct ctl *ctl, int argc, char **argv);
	} subs[] = {
		{"show", 0, 1, show},
		{"check", 1, 63, check_files},
		{"schema", 0, 0, print_schema},
	};
	const char *nearest = NULL;
	unsigned int best = 64;

	for (size_t i = 0; i < ARRAY_SIZE(subs); i++) {
		if (text_is_nearer(argv[0], subs[i].name, &best))
			nearest = subs[i].name;
		if (strcmp(argv[0], subs[i].name))
			continue;
		if (argc - 1 >= subs[i].min && argc - 1 <= subs[i].max)
			return subs[i].run(ctl, argc - 1, argv + 1);
		text_error("policy %s takes %s", argv[0],
			   subs[i].min	 ? "one file or more"
			   : subs[i].max ? "at most one VM"
					 : "no argument");
		text_hint("try `cetctl help policy`");
		return CETCTL_USAGE;
	}
	text_error("there is no `cetctl policy %s`", argv[0]);
	if (nearest)
		text_hint("did you mean `cetctl policy %s`?", nearest);
	else
		text_hint("try `cetctl help policy`");
	return CETCTL_USAGE;
}
