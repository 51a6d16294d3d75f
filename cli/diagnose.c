// SPDX-License-Identifier: GPL-2.0-only
/* The report on a VM: its faults with their causes, the policy, what to do next. */
#include <inttypes.h>
#include <string.h>

#include "cetd/names.h"

#include "advice.h"
#include "causes.h"
#include "diagnose.h"
#include "doc.h"
#include "finding.h"
#include "text.h"

static void add_text(json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text ? json_object_new_string(text) : NULL);
}

static void add_number(json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

static json_object *new_array(json_object *o, const char *key)
{
	json_object *array = json_object_new_array();

	json_object_object_add(o, key, array);
	return array;
}

bool diagnose_is_blind(const struct diagnosis_input *in, const char **ret_reason)
{
	json_object *coverage = doc_get(in->daemon, "host.coverage");
	uint64_t injected;

	*ret_reason = doc_text(coverage, "hardware_cp.reason") ?: "no reason given";
	if (doc_shows(coverage, "hardware_cp"))
		return false;
	return !doc_sum(in->vm, "injected_control_protection", &injected) || !injected;
}

bool diagnose_is_hypervisor(const struct diagnosis_input *in)
{
	size_t n = doc_length(in->faults);

	for (size_t i = 0; i < n; i++)
		if (doc_is_true(json_object_array_get_idx(in->faults, i), "nested"))
			return true;
	return doc_number(in->vm, "vmcs_loads.nested") > 0;
}

/* "name+0x1f", "name+0x1f [module]", or NULL. */
static json_object *symbol(const struct symbols *symbols, uint64_t rip)
{
	uint64_t offset;
	const char *name = symbols_find(symbols, rip, &offset);
	char text[SYMBOLS_NAME_MAX + 24], plus[20] = "";
	int length;

	if (!name)
		return NULL;
	length = (int)strcspn(name, " ");
	if (offset)
		snprintf(plus, sizeof(plus), "+0x%" PRIx64, offset);
	snprintf(text, sizeof(text), "%.*s%s%s", length, name, plus, name + length);
	return json_object_new_string(text);
}

static json_object *new_rip(const struct symbols *symbols, uint64_t rip, uint64_t count)
{
	json_object *o = json_object_new_object();
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, rip);
	add_text(o, "rip", text);
	json_object_object_add(o, "symbol", symbol(symbols, rip));
	add_number(o, "count", count);
	return o;
}

static void add_causes(json_object *o, const struct diagnosis_input *in, const struct finding *f,
		       unsigned int clues)
{
	struct ranked_cause ranked[CAUSES_MAX];
	size_t n = causes_rank(f->kind, f->is_injected, clues, ranked);
	json_object *causes = new_array(o, "causes");
	const uint64_t *rip = f->n_rips ? &f->rips[0].rip : NULL;

	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *command = advice_command(in, ranked[i].cause->command, rip);
		json_object *cause = json_object_new_object(), *reasons;

		add_text(cause, "id", ranked[i].cause->id);
		add_text(cause, "text", ranked[i].cause->text);
		reasons = new_array(cause, "reasons");
		for (int c = 0; c < _CLUE_MAX; c++)
			if (ranked[i].clues & CLUE_BIT(c))
				doc_say(reasons, "%s", clue_to_string(c));
		add_text(cause, "check", ranked[i].cause->check);
		add_text(cause, "command", command);
		add_text(cause, "where", command ? advice_where(ranked[i].cause->command) : NULL);
		json_object_array_add(causes, cause);
	}
}

static void add_place(json_object *o, const struct diagnosis_input *in, const struct finding *f)
{
	json_object *array = new_array(o, "rips");

	for (unsigned int i = 0; i < f->n_rips && i < CETD_TOP_RIPS; i++)
		json_object_array_add(array,
				      new_rip(in->symbols, f->rips[i].rip, f->rips[i].count));
	add_number(o, "distinct_rips", f->n_rips);
	array = new_array(o, "cpls");
	for (int cpl = 0; cpl < 4; cpl++)
		if (f->n_cpl[cpl])
			json_object_array_add(array, json_object_new_int(cpl));
	array = new_array(o, "vcpus");
	for (unsigned int i = 0; i < f->n_vcpus; i++)
		json_object_array_add(array, json_object_new_int64(f->vcpus[i]));
	add_number(o, "nested", f->n_nested);
	add_number(o, "enclave", f->n_enclave);
}

/* When the VM came; 0 where cetd came later, and so cannot know. */
static uint64_t since(const struct diagnosis_input *in)
{
	uint64_t seen = doc_number(in->vm, "first_seen_usec");

	return seen > doc_number(in->daemon, "start_usec") + 2 * USEC_PER_SEC ? seen : 0;
}

static json_object *report_finding(const struct diagnosis_input *in, const struct finding *f)
{
	unsigned int clues = finding_clues(f, since(in), in->symbols);
	json_object *o = json_object_new_object(), *actions;
	double rate = finding_rate(f);

	add_text(o, "type", f->is_injected ? "injected" : "control_protection");
	add_text(o, "kind", f->kind);
	add_text(o, "privilege", f->privilege);
	add_text(o, "title",
		 f->is_injected ? "#CP that the host put into the guest" : causes_title(f->kind));
	json_object_object_add(o, "count", f->has_count ? json_object_new_uint64(f->count) : NULL);
	add_number(o, "recorded", f->n);
	json_object_object_add(o, "first_usec",
			       f->first_usec ? json_object_new_uint64(f->first_usec) : NULL);
	json_object_object_add(o, "is_first_known",
			       json_object_new_boolean(finding_is_complete(f)));
	json_object_object_add(o, "last_usec",
			       f->last_usec ? json_object_new_uint64(f->last_usec) : NULL);
	json_object_object_add(o, "per_second", rate > 0 ? json_object_new_double(rate) : NULL);
	add_place(o, in, f);
	actions = json_object_new_object();
	json_object_object_add(o, "actions", actions);
	for (int a = 0; a < _CETD_ACTION_MAX; a++)
		add_number(actions, cetd_action_to_string(a), f->n_action[a]);
	add_text(o, "rip_is", f->is_injected ? NULL : causes_rip(f->kind));
	add_text(o, "meaning",
		 f->is_injected
			 ? "KVM gave the guest this exception because the host asked for it. The "
			   "guest's own branches did not raise it."
			 : causes_meaning(f->kind));
	add_causes(o, in, f, clues);
	return o;
}

static void add_vm(json_object *report, json_object *vm)
{
	static const char *const keys[] = {"id",      "name", "uuid",	     "vmm",
					   "pid",     "unit", "attribution", "first_seen_usec",
					   "uses_cet"};
	json_object *o = json_object_new_object();

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_object_add(o, keys[i], json_object_get(doc_get(vm, keys[i])));
	json_object_object_add(report, "vm", o);
}

static void add_top_rips(json_object *report, const struct diagnosis_input *in)
{
	json_object *array;
	size_t n;

	if (!json_object_is_type(in->rips, json_type_array)) {
		json_object_object_add(report, "top_rips", NULL);
		return;
	}
	array = new_array(report, "top_rips");
	n = doc_length(in->rips);
	for (size_t i = 0; i < n && i < CETD_TOP_RIPS; i++) {
		json_object *rip = json_object_array_get_idx(in->rips, i), *o;
		uint64_t count = doc_number(rip, "count"), error = doc_number(rip, "error");
		const char *text = doc_text(rip, "rip");

		if (!text)
			continue;
		o = new_rip(in->symbols, strtoull(text, NULL, 0), count);
		add_number(o, "at_least", count > error ? count - error : 0);
		json_object_array_add(array, o);
	}
}

static char *headline(const struct diagnosis_input *in, const struct findings *all)
{
	json_object *coverage = doc_get(in->daemon, "host.coverage");
	uint64_t total, injected = 0, last = 0;
	char age[32], *text = NULL;
	int r;

	doc_sum(in->vm, "injected_control_protection", &injected);
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].last_usec > last)
			last = all->list[i].last_usec;
	text_age(age, sizeof(age), last, doc_number(in->daemon, "now_usec"));
	if (!doc_shows(coverage, "hardware_cp"))
		r = asprintf(&text,
			     "Whether the guest takes control-protection faults (#CP) is not "
			     "known: this "
			     "kernel does not show those of the hardware (%s).",
			     doc_text(coverage, "hardware_cp.reason") ?: "no reason given");
	else if (doc_sum(in->vm, "control_protection_total", &total) && total)
		r = asprintf(
			&text, "The guest took %" PRIu64 " control-protection fault%s (#CP)%s%s.",
			total, total == 1 ? "" : "s", last ? ", the latest " : "", last ? age : "");
	else
		r = asprintf(&text,
			     "The guest has taken no control-protection fault (#CP) so far.");
	return r < 0 ? NULL : text;
}

json_object *diagnose(const struct diagnosis_input *in)
{
	json_object *report = json_object_new_object(), *array;
	struct findings *all = calloc(1, sizeof(*all));
	_cleanup_(freep) char *text = NULL;

	if (!report || !all) {
		free(all);
		json_object_put(report);
		return NULL;
	}
	findings_collect(in->vm, in->faults, all);
	add_vm(report, in->vm);
	add_number(report, "now_usec", doc_number(in->daemon, "now_usec"));
	json_object_object_add(report, "has_addresses", json_object_new_boolean(!!in->faults));
	text = headline(in, all);
	add_text(report, "headline", text);
	array = new_array(report, "findings");
	for (size_t i = 0; i < all->n; i++)
		json_object_array_add(array, report_finding(in, all->list + i));
	add_top_rips(report, in);
	advice_add_symbols(report, in);
	advice_add_policy(report, in);
	advice_add_notes(report, in);
	advice_add_next(report, in);
	free(all);
	return report;
}
