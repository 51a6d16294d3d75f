// SPDX-License-Identifier: GPL-2.0-only
/* cetctl policy list, show, explain. */
#include <string.h>

#include "bus.h"
#include "doc.h"
#include "policy.h"
#include "table.h"
#include "text.h"

void policy_value_text(json_object *value, char *buffer, size_t size)
{
	size_t n = 0;

	if (!json_object_is_type(value, json_type_array)) {
		snprintf(buffer, size, "%s", json_object_get_string(value));
		return;
	}
	snprintf(buffer, size, "none");
	for (size_t i = 0; i < doc_length(value) && n < size; i++) {
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
	if (!json_object_is_type(policy, json_type_object))
		return;
	json_object_object_foreach (policy, setting, v) {
		struct libscols_line *line = scols_table_new_line(s, NULL);
		const char *advice = doc_text(v, "advice");
		char value[512], why[1100];

		policy_value_text(doc_get(v, "value"), value, sizeof(value));
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
	_cleanup_doc_ json_object *vm = NULL;
	json_object *policy;
	enum exit_code code;

	code = bus_describe_vm(ctl, name, &vm);
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
	for (size_t i = 0; i < doc_length(vms); i++) {
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

enum exit_code policy_show(struct ctl *ctl, int argc, char **argv)
{
	return argc ? show_vm(ctl, argv[0]) : show_all(ctl);
}

/* What a rule or an override sets, "mode=enforce ibt=off". */
static void settings_text(json_object *o, char *buffer, size_t size)
{
	static const char *const settings[] = {"mode", "ibt", "shstk", "cp_rate", "record"};
	size_t n = 0;

	buffer[0] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(settings) && n < size; i++) {
		json_object *value = doc_get(o, settings[i]);
		char text[512];

		if (!value)
			continue;
		policy_value_text(value, text, sizeof(text));
		n += (size_t)snprintf(buffer + n, size - n, "%s%s=%s", n ? " " : "", settings[i],
				      text);
	}
}

/* "name=web*,db* vmm=qemu" */
static void match_text(json_object *match, char *buffer, size_t size)
{
	size_t n = 0;

	snprintf(buffer, size, "all VMs");
	if (!json_object_is_type(match, json_type_object))
		return;
	json_object_object_foreach (match, key, patterns) {
		n += (size_t)snprintf(buffer + n, size - n, "%s%s=", n ? " " : "", key);
		for (size_t i = 0; i < doc_length(patterns) && n < size; i++)
			n += (size_t)snprintf(
				buffer + n, size - n, "%s%s", i ? "," : "",
				json_object_get_string(json_object_array_get_idx(patterns, i)));
		if (n >= size)
			return;
	}
}

static void print_rules(const struct options *o, json_object *rules)
{
	_cleanup_(table_unrefp) struct libscols_table *s = table_new(o, stdout);

	table_column(s, "RULE", 0, 0);
	table_column(s, "MATCHES", 0.3, SCOLS_FL_WRAP);
	table_column(s, "SETS", 0.3, SCOLS_FL_WRAP);
	table_column(s, "FROM", 0, 0);
	for (size_t i = 0; i < doc_length(rules); i++) {
		json_object *rule = json_object_array_get_idx(rules, i);
		struct libscols_line *line = scols_table_new_line(s, NULL);
		char text[1024];

		add_cell(line, 0, doc_text(rule, "id"));
		match_text(doc_get(rule, "match"), text, sizeof(text));
		add_cell(line, 1, text);
		settings_text(rule, text, sizeof(text));
		add_cell(line, 2, text);
		snprintf(text, sizeof(text), "%s:%llu", doc_text(rule, "file") ?: "-",
			 (unsigned long long)doc_number(rule, "line"));
		add_cell(line, 3, text);
	}
	scols_print_table(s);
}

static void print_overrides(const struct options *o, json_object *overrides)
{
	_cleanup_(table_unrefp) struct libscols_table *s = table_new(o, stdout);

	table_column(s, "VM", 0, 0);
	table_column(s, "SET", 0, 0);
	table_column(s, "SETTING", 0, 0);
	table_column(s, "VALUE", 0.5, SCOLS_FL_WRAP);
	table_column(s, "UNTIL", 0, 0);
	for (size_t i = 0; i < doc_length(overrides); i++) {
		json_object *override = json_object_array_get_idx(overrides, i);
		struct libscols_line *line = scols_table_new_line(s, NULL);
		char text[512];

		add_cell(line, 0, doc_text(override, "vm"));
		add_cell(line, 1, doc_text(override, "lifetime"));
		add_cell(line, 2, doc_text(override, "setting"));
		policy_value_text(doc_get(override, "value"), text, sizeof(text));
		add_cell(line, 3, text);
		text_time(text, sizeof(text), doc_number(override, "until_usec"), false);
		add_cell(line, 4, text);
	}
	scols_print_table(s);
}

enum exit_code policy_list(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_doc_ json_object *all = NULL;
	json_object *rules, *overrides;
	enum exit_code code;

	(void)argc;
	(void)argv;
	code = bus_mark_replayed(ctl);
	if (!code)
		code = bus_get_json(ctl, "GetPolicy", &all);
	if (code)
		return code;
	if (ctl->options.json != JSON_OFF)
		return doc_print(stdout, all, ctl->options.json);
	rules = doc_get(all, "rules");
	overrides = doc_get(all, "overrides");
	if (doc_length(rules))
		print_rules(&ctl->options, rules);
	else if (ctl->options.has_legend)
		printf("No rules are in force.\n");
	if (ctl->options.has_legend)
		printf("\n");
	if (doc_length(overrides))
		print_overrides(&ctl->options, overrides);
	else if (ctl->options.has_legend)
		printf("Nothing is set for single VMs.\n");
	return CETCTL_OK;
}

static const char *effect_text(const char *effect)
{
	static const char *const texts[][2] = {
		{"in_force", "That holds now."},
		{"monitored", "Only counted: what would be done is not, as the mode is monitor."},
		{"next_start", "That holds once the VM has been started anew with a change."},
		{"unenforceable", "This kernel cannot do that."},
		{"moot", "There is nothing to act on: this host gives guests no CET."},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (effect && !strcmp(effect, texts[i][0]))
			return texts[i][1];
	return effect ?: "";
}

static void explain_setting(const char *setting, json_object *v)
{
	_cleanup_(freep) char *clean = NULL;
	const char *advice = doc_text(v, "advice"), *reason = doc_text(v, "reason") ?: "";
	uint64_t until = doc_number(v, "until_usec");
	char value[512], text[2048], end[64] = "";

	policy_value_text(doc_get(v, "value"), value, sizeof(value));
	if (until)
		text_time(end, sizeof(end), until, false);
	snprintf(text, sizeof(text), "%s is %s: %s%s%s. %s%s%s%s", setting, value, reason,
		 until ? ", until " : "", end, effect_text(doc_text(v, "effect")),
		 advice ? " To have it take effect: " : "", advice ?: "", advice ? "." : "");
	clean = text_clean(text);
	printf("%s\n", clean ?: "");
}

enum exit_code policy_explain(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_doc_ json_object *vm = NULL;
	json_object *policy;
	enum exit_code code;

	(void)argc;
	code = bus_describe_vm(ctl, argv[0], &vm);
	if (code)
		return code;
	policy = doc_get(vm, "policy");
	if (ctl->options.json != JSON_OFF)
		return doc_print(stdout, policy, ctl->options.json);
	if (!json_object_is_type(policy, json_type_object)) {
		printf("No policy is in force: nothing is done about this VM's faults.\n");
		return CETCTL_OK;
	}
	json_object_object_foreach (policy, setting, v)
		explain_setting(setting, v);
	return CETCTL_OK;
}
