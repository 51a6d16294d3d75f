// SPDX-License-Identifier: GPL-2.0-only
/* Policy files and single settings: what is taken holds what the kernel is promised, what is refused says where. */
#include "../lib/sample-model.h"
#include "fuzz.h"
#include "policy/parse.h"
#include "policy/print.h"

static struct model *sample(void)
{
	const enum cetd_coverage states[_CETD_FACT_MAX] = {
		CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED,
		CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED};
	struct model *m;

	FUZZ_CHECK(model_new(4, &m) == 0 && sample_host(m, states, CETD_FAMILY_PATCHED) == 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct cetd_identity id = sample_identity(i);

		snprintf(id.name, sizeof(id.name), i ? "web-%u" : "%u", i);
		strcpy(id.cgroup, "/machine.slice/machine-qemu\\x2d1\\x2dweb.scope");
		FUZZ_CHECK(sample_vm(m, &id) == 0);
	}
	return m;
}

/* What cetd/policy.h says of rates, and ratelimit.h relies on. */
static void check_values(const struct policy_values *v)
{
	FUZZ_CHECK(v->mode < _CETD_MODE_MAX && v->ibt < _CETD_IBT_MAX &&
		   v->shstk < _CETD_SHSTK_MAX);
	FUZZ_CHECK(v->n_rates <= CETD_POLICY_RATES_MAX);
	for (int i = 0; i < v->n_rates; i++) {
		const struct cetd_rate *r = v->rates + i;

		FUZZ_CHECK(r->interval_ns >= 1 && r->interval_ns <= CETD_POLICY_INTERVAL_MAX_NS);
		FUZZ_CHECK(r->quiet_ns >= r->interval_ns && r->quiet_ns >= 2 * r->max_delay_ns);
		FUZZ_CHECK(r->min_delay_ns <= r->max_delay_ns);
		FUZZ_CHECK(r->max_delay_ns <= CETD_POLICY_DELAY_MAX_NS);
		FUZZ_CHECK(r->limit <= CETD_POLICY_COUNT_MAX && r->burst <= CETD_POLICY_COUNT_MAX);
		FUZZ_CHECK(!r->limit || r->burst);
		FUZZ_CHECK(r->kinds && !(r->kinds & ~CETD_KINDS_ALL));
		FUZZ_CHECK(r->privileges && !(r->privileges & ~CETD_PRIVILEGES_ALL));
		FUZZ_CHECK(r->then < _CETD_THEN_MAX);
	}
}

static void evaluate(struct policy_set *set, const struct model *m)
{
	struct policy_verdict verdict;
	struct cetd_policy kernel;
	char text[512];

	FOREACH_VM (m, vm) {
		policy_evaluate(set, NULL, vm, 1, &verdict);
		check_values(&verdict.values);
		policy_verdict_to_kernel(&verdict, NULL, &kernel);
		for (int s = 0; s < _POLICY_SETTING_MAX; s++) {
			policy_reason(set, &verdict, s, text, sizeof(text));
			FUZZ_CHECK(strnlen(text, sizeof(text)) < sizeof(text));
			policy_advice(&verdict, s, vm, text, sizeof(text));
		}
	}
}

/* A setting that is read, printed and read again is the same. */
static void check_settings(const char *text, size_t size)
{
	_cleanup_(freep) char *message = NULL, *again = NULL;
	struct policy_values v, w;
	struct json_object *o;
	int r = policy_parse_settings("settings", text, size, &v, &message);

	FUZZ_CHECK(r == 0 ||
		   (r == -EBADMSG && is_sendable(message) && !strncmp(message, "settings:", 9)));
	if (r < 0)
		return;
	check_values(&v);
	o = policy_settings_to_json(&v);
	again = strdup(json_object_to_json_string(o));
	json_object_put(o);
	FUZZ_CHECK(policy_parse_settings("again", again, strlen(again), &w, &message) == 0);
	FUZZ_CHECK(v.sets == w.sets && v.n_rates == w.n_rates);
	FUZZ_CHECK(!memcmp(v.rates, w.rates, sizeof(*v.rates) * v.n_rates));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *text = NULL, *message = NULL;
	_cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
	static struct model *m;
	int r;

	if (!m)
		m = sample();
	text = fuzz_text(data, size);
	size = strlen(text); /* files with NULs are refused before they are parsed */
	r = policy_parse(set, "file", text, size, &message);
	FUZZ_CHECK(r == 0 ||
		   (r == -EBADMSG && is_sendable(message) && !strncmp(message, "file:", 5)));
	if (r == 0) {
		r = policy_set_finish(set, &message);
		FUZZ_CHECK(r == 0 || (r == -EBADMSG && is_sendable(message)));
	}
	if (r == 0)
		evaluate(set, m);
	check_settings(text, size);
	return 0;
}
