// SPDX-License-Identifier: GPL-2.0-only
/* The metrics of a fixed model in both formats, against golden files; CETD_GOLDEN_UPDATE=1 rewrites them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/sample-model.h"
#include "cetd/names.h"
#include "export/metrics.h"
#include "policy/parse.h"

static const enum cetd_coverage all_observed[_CETD_FACT_MAX] = {
	CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_PARTIAL,
	CETD_COVERAGE_PARTIAL,	CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED};

/* What a stock kernel shows. */
static const enum cetd_coverage stock[_CETD_FACT_MAX] = {
	CETD_COVERAGE_UNOBSERVABLE, CETD_COVERAGE_OBSERVED,	CETD_COVERAGE_PARTIAL,
	CETD_COVERAGE_PARTIAL,	    CETD_COVERAGE_UNOBSERVABLE, CETD_COVERAGE_UNOBSERVABLE};

static const struct process_stats process = {.cpu_ns = 1500000000,
					     .resident_bytes = 8192,
					     .virtual_bytes = 16384,
					     .start_usec = 1700000000250000,
					     .open_fds = 12,
					     .max_fds = 1024};
static const struct metrics_http http = {.connections = 2,
					 .accepted = 7,
					 .responses = {5, 1, 0, 0, 0, 1},
					 .dropped = {1, 2, 3},
					 .scrape_ns = 1250000};
static const struct metrics_program programs[] = {{"on_msr", 2500000000, 31}, {"on_cr", 0, 0}};
static const struct metrics_context full = {.version = "1.2.3",
					    .process = &process,
					    .http = &http,
					    .programs = programs,
					    .n_programs = ARRAY_SIZE(programs)};
static const struct metrics_context bare = {.version = "1.2.3"};

static void no_tell(void *userdata, const struct storms_vm *vm, const struct storm *storm)
{
	(void)userdata;
	(void)vm;
	(void)storm;
}

/* What holds for the plain VM of a model: a rule, and a storm that it has. */
struct policies {
	struct metrics_context context;
	struct ledger *ledger;
	struct storms *storms;
};

static const char rules[] =
	"{\"version\": 1, \"rules\": [{\"id\": \"web\", \"match\": {\"uuid\": "
	"\"4dea22b3-1d52-d8f3-2516-000000000001\"}, \"mode\": \"enforce\", "
	"\"ibt\": \"off\", \"cp_rate\": {\"limit\": 5, \"then\": \"freeze\"}}]}";

static struct policies policies_of(const struct model *m)
{
	static const struct cetd_policy_control control = {.lapsed = 3, .storms_lost = 1};
	struct policies p = {.context = full};
	struct policy_set *set = policy_set_new();
	const struct policy_verdict *verdict;
	struct cetd_policy_state state = {.delayed_ns = 1500000000};
	struct cetd_policy policy;
	char *message = NULL;

	assert_int_equal(policy_parse(set, "rules", rules, strlen(rules), &message), 0);
	assert_int_equal(policy_set_finish(set, &message), 0);
	assert_int_equal(ledger_new(&p.ledger), 0);
	ledger_set_rules(p.ledger, set);
	assert_int_equal(storms_new(no_tell, NULL, &p.storms), 0);
	FOREACH_VM (m, vm) {
		assert_int_equal(ledger_update(p.ledger, vm, 1, &verdict), 1);
		if (policy_verdict_is_plain(verdict))
			continue;
		policy_verdict_to_kernel(verdict, NULL, &policy);
		state.generation = policy.generation;
		state.decision[0][CETD_ACTION_DELAY] = 9;
		state.decision[1][CETD_ACTION_DELAY] = 8;
		state.storms[CETD_MODE_ENFORCE][CETD_THEN_FREEZE] = 2;
		state.buckets[0].storm_ns = SAMPLE_START_NS;
		assert_int_equal(storms_set_policy(p.storms, vm->identity.key, &policy, true,
						   &state, SAMPLE_START_NS),
				 0);
	}
	p.context.ledger = p.ledger;
	p.context.storms = p.storms;
	p.context.control = &control;
	return p;
}

static void policies_done(struct policies *p)
{
	ledger_free(p->ledger);
	storms_free(p->storms);
}

/* Two VMs: one with counters and a plain name, one quiet, ambiguous, and named by an enemy. */
static struct model *model_with(const enum cetd_coverage states[_CETD_FACT_MAX])
{
	struct cetd_identity plain = sample_identity(1), hostile = sample_identity(2);
	struct model *m;

	assert_int_equal(model_new(4, &m), 0);
	assert_int_equal(sample_host(m, states, CETD_FAMILY_PATCHED), 0);
	strcpy(hostile.id, "pid-1002");
	strcpy(hostile.uuid, "");
	strcpy(hostile.unit, "");
	hostile.attribution = CETD_ATTRIBUTION_AMBIGUOUS;
	hostile.vms_in_process = 3;
	assert_int_equal(sample_vm(m, &plain), 0);
	assert_int_equal(sample_vm(m, &hostile), 0);
	/* The model would not take that any more. */
	strcpy(model_find_key(m, hostile.key)->identity.name,
	       "a\\b\"} 1\ncetd_vms 99\n# EOF\n\xf0\x9f\x90\xa7");
	assert_int_equal(sample_counters(m, plain.key, 100), 0);
	assert_int_equal(sample_lost(m, 2), 0);
	return m;
}

static char *render(const struct model *m, const struct metrics_context *context,
		    enum metrics_format format)
{
	char *text = NULL;
	size_t size = 0;

	assert_int_equal(metrics_render(m, context, format, &text, &size), 0);
	assert_int_equal(strlen(text), size);
	return text;
}

static void assert_golden(const char *path, const char *text)
{
	_cleanup_(freep) char *golden = calloc(1, 1 << 20);
	_cleanup_(fclosep) FILE *f = NULL;

	if (getenv("CETD_GOLDEN_UPDATE")) {
		f = fopen(path, "we");
		assert_non_null(f);
		fputs(text, f);
		return;
	}
	f = fopen(path, "re");
	if (!f)
		fail_msg("%s: cannot be read; run from the top of the tree", path);
	assert_non_null(golden);
	assert_true(fread(golden, 1, (1 << 20) - 1, f) > 0);
	assert_string_equal(text, golden);
}

static void test_text_is_golden(void **state)
{
	struct model *m = model_with(all_observed);
	struct policies p = policies_of(m);
	_cleanup_(freep) char *text = render(m, &p.context, METRICS_FORMAT_TEXT);

	(void)state;
	assert_golden("tests/unit/golden/metrics.txt", text);
	policies_done(&p);
	model_free(m);
}

static void test_openmetrics_is_golden(void **state)
{
	struct model *m = model_with(all_observed);
	struct policies p = policies_of(m);
	_cleanup_(freep) char *text = render(m, &p.context, METRICS_FORMAT_OPENMETRICS);

	(void)state;
	assert_golden("tests/unit/golden/metrics.openmetrics", text);
	policies_done(&p);
	model_free(m);
}

static void test_stock_kernel_is_golden(void **state)
{
	struct model *m = model_with(stock);
	_cleanup_(freep) char *text = render(m, &bare, METRICS_FORMAT_TEXT);

	(void)state;
	assert_golden("tests/unit/golden/metrics-stock.txt", text);
	model_free(m);
}

/* Each fact governs its families: with it they are there, without it no line names them. */
static void test_unobservable_has_no_series(void **state)
{
	static const struct {
		enum cetd_fact fact;
		const char *series;
	} cases[] = {
		{CETD_FACT_HARDWARE_CP, "cetd_vm_control_protection_faults_total{"},
		{CETD_FACT_INJECTED_CP, "cetd_vm_injected_control_protection_total{"},
		{CETD_FACT_CET_MSR, "cetd_vm_cet_msr_accesses_total{"},
		{CETD_FACT_CET_MSR, "cetd_vm_host_cet_msr_accesses_total{"},
		{CETD_FACT_CR4_CET, "cetd_vm_cr4_cet_writes_total{"},
		{CETD_FACT_VMCS_LOAD, "cetd_vm_vmcs_loads_total{"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum cetd_coverage states[_CETD_FACT_MAX];
		_cleanup_(freep) char *with = NULL, *without = NULL;
		struct model *m;

		memcpy(states, all_observed, sizeof(states));
		m = model_with(states);
		with = render(m, &bare, METRICS_FORMAT_TEXT);
		assert_non_null(strstr(with, cases[i].series));
		model_free(m);

		states[cases[i].fact] = CETD_COVERAGE_UNOBSERVABLE;
		m = model_with(states);
		without = render(m, &bare, METRICS_FORMAT_TEXT);
		assert_null(strstr(without, cases[i].series));
		model_free(m);
	}
}

static void test_before_the_probe_nothing_is_claimed(void **state)
{
	struct model *m;
	_cleanup_(freep) char *text = NULL;

	(void)state;
	assert_int_equal(model_new(4, &m), 0);
	text = render(m, &bare, METRICS_FORMAT_TEXT);
	assert_null(strstr(text, "cetd_coverage"));
	assert_null(strstr(text, "cetd_host"));
	assert_null(strstr(text, "cetd_map_"));
	assert_null(strstr(text, "cetd_bpf_"));
	assert_null(strstr(text, "cetd_http_"));
	assert_null(strstr(text, "cetd_scrape_"));
	assert_null(strstr(text, "process_"));
	assert_non_null(strstr(text, "\ncetd_vms 0\n"));
	model_free(m);
}

static void test_no_maps_no_map_metrics(void **state)
{
	struct model *m = model_with(stock);
	_cleanup_(freep) char *with = render(m, &bare, METRICS_FORMAT_TEXT), *without = NULL;

	(void)state;
	assert_non_null(strstr(with, "\ncetd_map_entries 2\n"));
	assert_int_equal(sample_host(m, stock, CETD_FAMILY_NONE), 0);
	without = render(m, &bare, METRICS_FORMAT_TEXT);
	assert_null(strstr(without, "cetd_map_"));
	model_free(m);
}

static void test_replay_is_marked(void **state)
{
	struct model *m = model_with(stock);
	_cleanup_(freep) char *live = render(m, &bare, METRICS_FORMAT_TEXT), *replayed = NULL;

	(void)state;
	assert_non_null(strstr(live, "\ncetd_replayed 0\n"));
	m->is_replayed = true;
	replayed = render(m, &bare, METRICS_FORMAT_TEXT);
	assert_non_null(strstr(replayed, "\ncetd_replayed 1\n"));
	model_free(m);
}

static void test_no_limit_is_no_series(void **state)
{
	struct process_stats unlimited = process;
	struct metrics_context context = {.version = "1.2.3", .process = &unlimited};
	struct model *m = model_with(stock);
	_cleanup_(freep) char *with = render(m, &context, METRICS_FORMAT_TEXT), *without = NULL;

	(void)state;
	assert_non_null(strstr(with, "process_max_fds 1024"));
	unlimited.max_fds = UINT64_MAX;
	without = render(m, &context, METRICS_FORMAT_TEXT);
	assert_null(strstr(without, "process_max_fds"));
	model_free(m);
}

/* Neither addresses nor processes may become labels: both are without bound. */
static void test_cardinality_is_bounded(void **state)
{
	static const char *const unwanted[] = {"rip=", "pid=", "tid=", "vcpu=", "ssp=", "cgroup="};
	struct model *m;
	size_t lines = 0;
	_cleanup_(freep) char *text = NULL;

	(void)state;
	assert_int_equal(model_new(100, &m), 0);
	assert_int_equal(sample_host(m, all_observed, CETD_FAMILY_PATCHED), 0);
	for (unsigned int i = 0; i < 100; i++) {
		struct cetd_identity id = sample_identity(i);

		assert_int_equal(sample_vm(m, &id), 0);
		assert_int_equal(sample_counters(m, id.key, 1), 0);
	}
	text = render(m, &full, METRICS_FORMAT_OPENMETRICS);
	for (size_t i = 0; i < ARRAY_SIZE(unwanted); i++)
		assert_null(strstr(text, unwanted[i]));
	for (const char *p = text; (p = strstr(p, "\ncetd_vm_")); p++)
		lines++;
	/* 12 #CP, info, attribution, injected, 3 MSRs, host MSR, CR4, VMCS, samples */
	assert_int_equal(lines, 100 * 22);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_golden),
		cmocka_unit_test(test_openmetrics_is_golden),
		cmocka_unit_test(test_stock_kernel_is_golden),
		cmocka_unit_test(test_unobservable_has_no_series),
		cmocka_unit_test(test_before_the_probe_nothing_is_claimed),
		cmocka_unit_test(test_no_maps_no_map_metrics),
		cmocka_unit_test(test_replay_is_marked),
		cmocka_unit_test(test_no_limit_is_no_series),
		cmocka_unit_test(test_cardinality_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
