// SPDX-License-Identifier: GPL-2.0-only
/* Which rule or override wins for which VM, and what becomes of it on which kernel. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/ledger.h"
#include "policy/parse.h"
#include "util/macro.h"

#define UUID "4dea22b3-1d52-d8f3-2516-1120deadbeef"
#define NOW 1700000000000000ULL

static struct model *model_of(enum cetd_guest_cet guest_cet, bool can_enforce)
{
	struct model *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	m->has_host = true;
	m->host.guest_cet = guest_cet;
	m->host.facts[CETD_FACT_ENFORCEMENT].state = can_enforce ? CETD_COVERAGE_OBSERVED
								 : CETD_COVERAGE_UNOBSERVABLE;
	strcpy(m->host.facts[CETD_FACT_ENFORCEMENT].reason, "there is none");
	return m;
}

static const struct vm web = {
	.identity = {.key = 7,
		     .id = UUID,
		     .name = "web-1",
		     .uuid = UUID,
		     .unit = "machine-qemu-web.scope",
		     .vmm = "qemu",
		     .cgroup = "/machine.slice/machine-web.slice/machine-qemu-web.scope"},
};

static struct policy_set *parse(const char *text)
{
	_cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
	_cleanup_(freep) char *message = NULL;

	assert_non_null(set);
	if (policy_parse(set, "10-test.json", text, strlen(text), &message) < 0 ||
	    policy_set_finish(set, &message) < 0)
		fail_msg("%s", message);
	return take_ptr(set);
}

#define FILE_OF(rules) "{\"version\": 1, \"rules\": [" rules "]}"

/* Without rules everything is as if there were no policies. */
static void test_default_is_to_change_nothing(void **state _unused_)
{
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, true);
	_cleanup_(policy_set_freep) struct policy_set *set = parse(FILE_OF(""));
	const struct policy_set *const sets[] = {NULL, set};
	struct vm vm = web;

	vm.model = m;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		struct policy_verdict v;

		policy_evaluate(sets[i], NULL, &vm, NOW, &v);
		assert_int_equal(v.values.mode, CETD_MODE_MONITOR);
		assert_int_equal(v.values.ibt, CETD_IBT_KEEP);
		assert_int_equal(v.values.shstk, CETD_SHSTK_KEEP);
		assert_int_equal(v.values.n_rates, 0);
		assert_false(v.values.record);
		assert_true(policy_verdict_is_plain(&v));
		for (int s = 0; s < _POLICY_SETTING_MAX; s++) {
			assert_int_equal(v.decisions[s].source, POLICY_SOURCE_DEFAULT);
			assert_int_equal(v.decisions[s].effect, CETD_EFFECT_IN_FORCE);
		}
	}
}

/* Every kind of match with a twin that does not, literal and by pattern. */
static void test_match(void **state _unused_)
{
	static const struct {
		const char *matching, *other;
	} cases[] = {
		{"{}", "{\"name\": \"db\"}"},
		{"{\"name\": \"web-1\"}", "{\"name\": \"web-10\"}"},
		{"{\"name\": \"web-*\"}", "{\"name\": \"WEB-*\"}"},
		{"{\"name\": \"web-[0-9]\"}", "{\"name\": \"web-[2-9]\"}"},
		{"{\"name\": [\"db\", \"web-1\"]}", "{\"name\": [\"db\", \"web\"]}"},
		{"{\"name\": [\"web-1\", \"web-1\"]}", "{\"name\": [\"web-\", \"web-2\"]}"},
		{"{\"uuid\": \"" UUID "\"}",
		 "{\"uuid\": \"4dea22b3-1d52-d8f3-2516-1120deadbee0\"}"},
		{"{\"uuid\": \"4DEA22B31D52D8F325161120DEADBEEF\"}",
		 "{\"uuid\": \"4DEA22B31D52D8F325161120DEADBEEE\"}"},
		{"{\"unit\": \"machine-qemu-web.scope\"}", "{\"unit\": \"machine-qemu-db.scope\"}"},
		{"{\"unit\": \"machine-qemu*\"}", "{\"unit\": \"machine-lxc*\"}"},
		{"{\"slice\": \"machine.slice\"}", "{\"slice\": \"user.slice\"}"},
		{"{\"slice\": \"machine-web.slice\"}", "{\"slice\": \"machine-qemu-web.scope\"}"},
		{"{\"cgroup\": \"/machine.slice\"}", "{\"cgroup\": \"/machine\"}"},
		{"{\"cgroup\": \"/machine.slice/*/machine-qemu-web.scope\"}",
		 "{\"cgroup\": \"/*/machine-qemu-web.scope\"}"},
		{"{\"vmm\": \"qemu\"}", "{\"vmm\": \"qem*\"}"},
		{"{\"uses_cet\": \"unknown\"}", "{\"uses_cet\": [\"yes\", \"attempted\"]}"},
		{"{\"name\": \"web-1\", \"vmm\": \"qemu\"}",
		 "{\"name\": \"web-1\", \"vmm\": \"x\"}"},
	};
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, true);
	struct vm vm = web;

	vm.model = m;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int twin = 0; twin < 2; twin++) {
			_cleanup_(policy_set_freep) struct policy_set *set = NULL;
			struct policy_verdict v;
			char text[512];

			snprintf(text, sizeof(text),
				 FILE_OF("{\"id\": \"a\", \"ibt\": \"off\", \"match\": %s}"),
				 twin ? cases[i].other : cases[i].matching);
			set = parse(text);
			policy_evaluate(set, NULL, &vm, NOW, &v);
			if (v.values.ibt != (twin ? CETD_IBT_KEEP : CETD_IBT_OFF))
				fail_msg("case %zu, twin %d", i, twin);
		}
	}
}

static void test_uses_cet_follows_the_guest(void **state _unused_)
{
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, true);
	_cleanup_(policy_set_freep) struct policy_set *set = parse(FILE_OF(
		"{\"id\": \"a\", \"mode\": \"enforce\", \"match\": {\"uses_cet\": \"yes\"}}"));
	struct policy_verdict v;
	struct vm vm = web;

	vm.model = m;
	policy_evaluate(set, NULL, &vm, NOW, &v);
	assert_int_equal(v.values.mode, CETD_MODE_MONITOR);
	vm.kernel.counters.cp[CETD_KIND_ENDBRANCH][CETD_PRIVILEGE_USER] = 1;
	policy_evaluate(set, NULL, &vm, NOW, &v);
	assert_int_equal(v.values.mode, CETD_MODE_ENFORCE);
}

/* The first match per setting, whether found by the index or not. */
static void test_first_match_per_setting(void **state _unused_)
{
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, true);
	_cleanup_(policy_set_freep) struct policy_set *set = parse(FILE_OF(
		"{\"id\": \"other\", \"match\": {\"name\": \"db\"}, \"shstk\": \"hide\"},"
		"{\"id\": \"glob\", \"match\": {\"name\": \"web-*\"}, \"ibt\": \"off\"},"
		"{\"id\": \"uuid\", \"match\": {\"uuid\": \"" UUID "\"}, \"ibt\": \"keep\", "
		"\"mode\": \"enforce\"},"
		"{\"id\": \"unit\", \"match\": {\"unit\": \"machine-qemu-web.scope\"}, \"mode\": "
		"\"monitor\", \"record\": true},"
		"{\"id\": \"all\", \"mode\": \"monitor\", \"record\": false, \"shstk\": \"keep\", "
		"\"cp_rate\": {\"limit\": 5, \"then\": \"alert\"}}"));
	static const char *const winners[_POLICY_SETTING_MAX] = {
		[POLICY_SETTING_MODE] = "uuid",	  [POLICY_SETTING_IBT] = "glob",
		[POLICY_SETTING_SHSTK] = "all",	  [POLICY_SETTING_CP_RATE] = "all",
		[POLICY_SETTING_RECORD] = "unit",
	};
	struct policy_verdict v;
	struct vm vm = web;
	char text[160];

	vm.model = m;
	policy_evaluate(set, NULL, &vm, NOW, &v);
	for (int s = 0; s < _POLICY_SETTING_MAX; s++)
		assert_string_equal(v.decisions[s].rule, winners[s]);
	assert_int_equal(v.values.mode, CETD_MODE_ENFORCE);
	assert_int_equal(v.values.ibt, CETD_IBT_OFF);
	assert_true(v.values.record);
	assert_int_equal(v.values.rates[0].rule, 5);
	policy_reason(set, &v, POLICY_SETTING_MODE, text, sizeof(text));
	assert_string_equal(text, "rule uuid (10-test.json:1) is the first that matches");
}

static void test_overrides_win_until_they_end(void **state _unused_)
{
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, true);
	_cleanup_(policy_set_freep) struct policy_set *set =
		parse(FILE_OF("{\"id\": \"a\", \"ibt\": \"off\", \"mode\": \"enforce\"}"));
	const struct policy_values keep = {.sets = 1U << POLICY_SETTING_IBT, .ibt = CETD_IBT_KEEP};
	const struct policy_values monitor = {.sets = 1U << POLICY_SETTING_MODE,
					      .mode = CETD_MODE_MONITOR};
	struct policy_override o = {};
	struct policy_verdict v;
	struct vm vm = web;

	vm.model = m;
	policy_override_set(&o, POLICY_RUNTIME, &keep, NOW + 10);
	policy_override_set(&o, POLICY_PERSISTENT, &monitor, 0);
	assert_int_equal(policy_override_next_usec(&o), NOW + 10);
	policy_evaluate(set, &o, &vm, NOW + 9, &v);
	assert_int_equal(v.values.ibt, CETD_IBT_KEEP);
	assert_int_equal(v.decisions[POLICY_SETTING_IBT].source, POLICY_SOURCE_RUNTIME);
	assert_int_equal(v.decisions[POLICY_SETTING_IBT].until_usec, NOW + 10);
	assert_int_equal(v.values.mode, CETD_MODE_MONITOR);
	assert_int_equal(v.decisions[POLICY_SETTING_MODE].source, POLICY_SOURCE_PERSISTENT);

	policy_evaluate(set, &o, &vm, NOW + 10, &v);
	assert_int_equal(v.values.ibt, CETD_IBT_OFF);
	assert_int_equal(v.decisions[POLICY_SETTING_IBT].source, POLICY_SOURCE_RULE);
	assert_int_equal(v.values.mode, CETD_MODE_MONITOR);

	assert_int_equal(policy_override_expire(&o, NOW + 9), 0);
	assert_int_equal(policy_override_expire(&o, NOW + 10), 1U << POLICY_RUNTIME);
	assert_int_equal(policy_override_next_usec(&o), 0);
	assert_int_equal(policy_override_clear(&o, 1U << POLICY_RUNTIME, UINT32_MAX), 0);
	assert_false(policy_override_is_empty(&o));
	assert_int_equal(policy_override_clear(&o, UINT32_MAX, 1U << POLICY_SETTING_MODE),
			 1U << POLICY_PERSISTENT);
	assert_true(policy_override_is_empty(&o));
	policy_evaluate(set, &o, &vm, NOW, &v);
	assert_int_equal(v.values.mode, CETD_MODE_ENFORCE);
}

/* A runtime override lies over a persistent one, which holds again when the time is over. */
static void test_runtime_lies_over_persistent(void **state _unused_)
{
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, true);
	const struct policy_values off = {.sets = 1U << POLICY_SETTING_IBT, .ibt = CETD_IBT_OFF};
	const struct policy_values keep = {.sets = 1U << POLICY_SETTING_IBT, .ibt = CETD_IBT_KEEP};
	struct policy_override o = {};
	struct policy_verdict v;
	struct vm vm = web;

	vm.model = m;
	policy_override_set(&o, POLICY_PERSISTENT, &off, NOW + 20);
	policy_override_set(&o, POLICY_RUNTIME, &keep, NOW + 10);
	policy_evaluate(NULL, &o, &vm, NOW, &v);
	assert_int_equal(v.values.ibt, CETD_IBT_KEEP);
	assert_int_equal(v.decisions[POLICY_SETTING_IBT].until_usec, NOW + 10);
	policy_evaluate(NULL, &o, &vm, NOW + 10, &v);
	assert_int_equal(v.values.ibt, CETD_IBT_OFF);
	assert_int_equal(v.decisions[POLICY_SETTING_IBT].source, POLICY_SOURCE_PERSISTENT);
	assert_int_equal(v.decisions[POLICY_SETTING_IBT].until_usec, NOW + 20);
	policy_evaluate(NULL, &o, &vm, NOW + 20, &v);
	assert_int_equal(v.decisions[POLICY_SETTING_IBT].source, POLICY_SOURCE_DEFAULT);

	/* Clearing one leaves the other. */
	assert_int_equal(policy_override_clear(&o, 1U << POLICY_RUNTIME, UINT32_MAX),
			 1U << POLICY_RUNTIME);
	policy_evaluate(NULL, &o, &vm, NOW, &v);
	assert_int_equal(v.values.ibt, CETD_IBT_OFF);
}

static void test_frozen_by_override_only(void **state _unused_)
{
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, false);
	const struct policy_values frozen = {.sets = 1U << POLICY_FROZEN};
	struct policy_override o = {};
	struct policy_verdict v, plain;
	struct vm vm = web;

	vm.model = m;
	policy_evaluate(NULL, NULL, &vm, NOW, &plain);
	assert_false(plain.is_frozen);
	policy_override_set(&o, POLICY_PERSISTENT, &frozen, NOW + 10);
	assert_int_equal(policy_override_next_usec(&o), NOW + 10);
	policy_evaluate(NULL, &o, &vm, NOW + 9, &v);
	assert_true(v.is_frozen);
	assert_false(policy_verdict_equal(&v, &plain));
	/* It is no setting: those are as they would be. */
	v.is_frozen = false;
	assert_true(policy_verdict_equal(&v, &plain));
	policy_evaluate(NULL, &o, &vm, NOW + 10, &v);
	assert_false(v.is_frozen);
}

static void test_effects(void **state _unused_)
{
	static const struct {
		enum cetd_guest_cet guest_cet;
		bool can, is_enforced;
		enum cetd_effect mode, ibt, shstk, rate;
	} cases[] = {
		{CETD_GUEST_CET_ON, true, true, CETD_EFFECT_IN_FORCE, CETD_EFFECT_IN_FORCE,
		 CETD_EFFECT_NEXT_START, CETD_EFFECT_IN_FORCE},
		{CETD_GUEST_CET_ON, true, false, CETD_EFFECT_IN_FORCE, CETD_EFFECT_MONITORED,
		 CETD_EFFECT_MONITORED, CETD_EFFECT_MONITORED},
		{CETD_GUEST_CET_ON, false, true, CETD_EFFECT_UNENFORCEABLE, CETD_EFFECT_NEXT_START,
		 CETD_EFFECT_NEXT_START, CETD_EFFECT_UNENFORCEABLE},
		{CETD_GUEST_CET_ON, false, false, CETD_EFFECT_IN_FORCE, CETD_EFFECT_MONITORED,
		 CETD_EFFECT_MONITORED, CETD_EFFECT_UNENFORCEABLE},
		{CETD_GUEST_CET_UNKNOWN, false, true, CETD_EFFECT_UNENFORCEABLE,
		 CETD_EFFECT_NEXT_START, CETD_EFFECT_NEXT_START, CETD_EFFECT_UNENFORCEABLE},
		{CETD_GUEST_CET_OFF, false, true, CETD_EFFECT_UNENFORCEABLE, CETD_EFFECT_MOOT,
		 CETD_EFFECT_MOOT, CETD_EFFECT_MOOT},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) struct model *m = model_of(cases[i].guest_cet, cases[i].can);
		_cleanup_(policy_set_freep) struct policy_set *set = NULL;
		struct policy_verdict v;
		struct vm vm = web;
		char text[256];

		vm.model = m;
		snprintf(text, sizeof(text),
			 FILE_OF("{\"id\": \"a\", \"mode\": \"%s\", \"ibt\": \"off\", \"shstk\": "
				 "\"hide\", \"cp_rate\": {\"limit\": 1, \"then\": \"alert\"}}"),
			 cases[i].is_enforced ? "enforce" : "monitor");
		set = parse(text);
		policy_evaluate(set, NULL, &vm, NOW, &v);
		if (v.decisions[POLICY_SETTING_MODE].effect != cases[i].mode ||
		    v.decisions[POLICY_SETTING_IBT].effect != cases[i].ibt ||
		    v.decisions[POLICY_SETTING_SHSTK].effect != cases[i].shstk ||
		    v.decisions[POLICY_SETTING_CP_RATE].effect != cases[i].rate)
			fail_msg("case %zu: %d %d %d %d", i, v.decisions[0].effect,
				 v.decisions[1].effect, v.decisions[2].effect,
				 v.decisions[3].effect);
		assert_false(policy_verdict_is_plain(&v));
	}
}

/* What holds now and what will: never what this kernel cannot do, or only counts. */
static void test_effective_and_pending(void **state _unused_)
{
	static const struct {
		bool can, is_enforced;
		enum cetd_mode mode;
		enum cetd_ibt ibt;
		unsigned int n_rates;
		uint32_t pending;
	} cases[] = {
		{true, true, CETD_MODE_ENFORCE, CETD_IBT_OFF, 1, 1U << POLICY_SETTING_SHSTK},
		{true, false, CETD_MODE_MONITOR, CETD_IBT_KEEP, 0, 0},
		{false, true, CETD_MODE_MONITOR, CETD_IBT_KEEP, 0,
		 1U << POLICY_SETTING_IBT | 1U << POLICY_SETTING_SHSTK},
		{false, false, CETD_MODE_MONITOR, CETD_IBT_KEEP, 0, 0},
	};
	const struct policy_values all = {
		.sets = (1U << _POLICY_SETTING_MAX) - 1,
		.ibt = CETD_IBT_OFF,
		.shstk = CETD_SHSTK_HIDE,
		.record = true,
		.n_rates = 1,
		.rates = {{.limit = 1}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, cases[i].can);
		struct policy_values values = all, now, later;
		struct policy_override o = {};
		struct policy_verdict v;
		struct vm vm = web;

		vm.model = m;
		values.mode = cases[i].is_enforced ? CETD_MODE_ENFORCE : CETD_MODE_MONITOR;
		policy_override_set(&o, POLICY_RUNTIME, &values, 0);
		policy_evaluate(NULL, &o, &vm, NOW, &v);
		policy_verdict_effective(&v, &now);
		policy_verdict_pending(&v, &later);
		assert_int_equal(now.sets, (1U << _POLICY_SETTING_MAX) - 1);
		assert_int_equal(now.mode, cases[i].mode);
		assert_int_equal(now.ibt, cases[i].ibt);
		assert_int_equal(now.shstk, CETD_SHSTK_KEEP);
		assert_int_equal(now.n_rates, cases[i].n_rates);
		assert_true(now.record);
		assert_int_equal(later.sets, cases[i].pending);
	}
}

static void test_advice_names_the_change(void **state _unused_)
{
	static const struct {
		const char *vmm, *unit, *expected;
	} cases[] = {
		{"qemu", "machine-qemu\\x2d1\\x2dweb.scope",
		 "<feature policy='disable' name='ibt'/>"},
		{"qemu", "vm.service", "start it anew with -cpu …,-ibt"},
		{"firecracker", "", "clear EDX bit 20 of CPUID leaf 0x7"},
		{"crosvm", "", "boot its kernel with ibt=off"},
	};
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, false);
	_cleanup_(policy_set_freep) struct policy_set *set =
		parse(FILE_OF("{\"id\": \"a\", \"mode\": \"enforce\", \"ibt\": \"off\", \"shstk\": "
			      "\"hide\", \"cp_rate\": {\"limit\": 1, \"then\": \"alert\"}}"));
	struct policy_verdict v;
	struct vm vm = web;
	char text[256];

	vm.model = m;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		strcpy(vm.identity.vmm, cases[i].vmm);
		strcpy(vm.identity.unit, cases[i].unit);
		policy_evaluate(set, NULL, &vm, NOW, &v);
		policy_advice(&v, POLICY_SETTING_IBT, &vm, text, sizeof(text));
		if (!strstr(text, cases[i].expected))
			fail_msg("'%s', expected '%s'", text, cases[i].expected);
	}
	policy_advice(&v, POLICY_SETTING_SHSTK, &vm, text, sizeof(text));
	assert_non_null(strstr(text, "hide SHSTK (CPUID leaf 0x7, subleaf 0, ECX bit 7)"));
	policy_advice(&v, POLICY_SETTING_CP_RATE, &vm, text, sizeof(text));
	assert_string_equal(text, "boot a host kernel with kvm_cet_ops: there is none");
	policy_advice(&v, POLICY_SETTING_RECORD, &vm, text, sizeof(text));
	assert_string_equal(text, "");
}

static void test_kernel_parameters(void **state _unused_)
{
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, true);
	_cleanup_(policy_set_freep) struct policy_set *a = parse(
		FILE_OF("{\"id\": \"a\", \"mode\": \"enforce\", \"ibt\": \"off\", \"cp_rate\": "
			"{\"limit\": 7, \"then\": \"throttle\"}}"));
	_cleanup_(policy_set_freep) struct policy_set *b = parse(
		FILE_OF("{\"id\": \"a\", \"mode\": \"enforce\", \"ibt\": \"off\", \"cp_rate\": "
			"{\"limit\": 8, \"then\": \"throttle\"}}"));
	_cleanup_(policy_set_freep) struct policy_set *moved = parse(
		FILE_OF("{\"id\": \"new\", \"record\": true}, {\"id\": \"a\", \"mode\": "
			"\"enforce\", \"ibt\": \"off\", \"cp_rate\": {\"limit\": 7, \"then\": "
			"\"throttle\"}}"));
	struct cetd_policy first, same, other;
	struct policy_verdict v, w;
	struct vm vm = web;

	vm.model = m;
	policy_evaluate(a, NULL, &vm, NOW, &v);
	policy_verdict_to_kernel(&v, NULL, &first);
	assert_int_equal(first.mode, CETD_MODE_ENFORCE);
	assert_int_equal(first.flags, CETD_POLICY_IBT_OFF | CETD_POLICY_HIDE_IBT);
	assert_int_equal(first.n_rates, 1);
	assert_int_equal(first.rates[0].limit, 7);
	assert_int_equal(first.generation, 1);
	policy_verdict_to_kernel(&v, &first, &same);
	assert_memory_equal(&first, &same, sizeof(first));
	/* A rule before it has it numbered anew, and its storms go on. */
	policy_evaluate(moved, NULL, &vm, NOW, &w);
	policy_verdict_to_kernel(&w, &first, &other);
	assert_int_equal(other.rates[0].rule, 2);
	assert_int_equal(other.generation, 1);
	policy_evaluate(b, NULL, &vm, NOW, &w);
	assert_false(policy_verdict_equal(&v, &w));
	policy_verdict_to_kernel(&w, &first, &other);
	assert_int_equal(other.generation, 2);
}

static void test_ledger_tells_what_changed(void **state _unused_)
{
	_cleanup_(freep) struct model *m = model_of(CETD_GUEST_CET_ON, true);
	const struct policy_values off = {.sets = 1U << POLICY_SETTING_IBT, .ibt = CETD_IBT_OFF};
	const struct policy_verdict *v;
	struct vm vm = web;
	struct policy_override o = {};
	const char *id = NULL;
	uint32_t lifetimes;
	struct ledger *l;

	vm.model = m;
	assert_int_equal(ledger_new(&l), 0);
	assert_true(ledger_is_empty(l));
	assert_null(ledger_find(l, vm.identity.key));
	assert_int_equal(ledger_update(l, &vm, NOW, &v), 1);
	assert_int_equal(ledger_update(l, &vm, NOW, &v), 0);

	ledger_set_rules(l, parse(FILE_OF("{\"id\": \"a\", \"mode\": \"enforce\"}")));
	assert_false(ledger_is_empty(l));
	assert_int_equal(ledger_update(l, &vm, NOW, &v), 1);
	assert_int_equal(v->values.mode, CETD_MODE_ENFORCE);
	assert_ptr_equal(ledger_find(l, vm.identity.key), v);

	policy_override_set(&o, POLICY_RUNTIME, &off, NOW + 5);
	assert_int_equal(ledger_set_override(l, UUID, &o), 0);
	assert_int_equal(ledger_count_overrides(l), 1);
	assert_int_equal(ledger_next_usec(l), NOW + 5);
	assert_non_null(ledger_next_override(l, NULL, &id));
	assert_string_equal(id, UUID);
	assert_null(ledger_next_override(l, id, &id));
	assert_int_equal(ledger_update(l, &vm, NOW, &v), 1);
	assert_int_equal(v->values.ibt, CETD_IBT_OFF);
	assert_int_equal(ledger_expire(l, NOW + 4, &lifetimes), 0);
	assert_int_equal(lifetimes, 0);
	assert_int_equal(ledger_expire(l, NOW + 5, &lifetimes), 1);
	assert_int_equal(lifetimes, 1U << POLICY_RUNTIME);
	assert_int_equal(ledger_count_overrides(l), 0);
	assert_int_equal(ledger_update(l, &vm, NOW + 5, &v), 1);
	assert_int_equal(v->values.ibt, CETD_IBT_KEEP);

	assert_int_equal(ledger_set_override(l, UUID, &o), 0);
	assert_non_null(ledger_find_override(l, UUID));
	policy_override_clear(&o, UINT32_MAX, UINT32_MAX);
	assert_int_equal(ledger_set_override(l, UUID, &o), 0);
	assert_null(ledger_find_override(l, UUID));
	ledger_remove(l, vm.identity.key);
	assert_null(ledger_find(l, vm.identity.key));
	ledger_free(l);
}

static void test_overrides_are_bounded(void **state _unused_)
{
	const struct policy_values off = {.sets = 1U << POLICY_SETTING_IBT, .ibt = CETD_IBT_OFF};
	struct policy_override o = {};
	struct ledger *l;
	char id[16];

	policy_override_set(&o, POLICY_RUNTIME, &off, 0);
	assert_int_equal(ledger_new(&l), 0);
	for (int i = 0; i < LEDGER_OVERRIDES_MAX; i++) {
		snprintf(id, sizeof(id), "vm-%d", i);
		assert_int_equal(ledger_set_override(l, id, &o), 0);
	}
	assert_int_equal(ledger_set_override(l, "one-more", &o), -E2BIG);
	assert_null(ledger_find_override(l, "one-more"));
	assert_int_equal(ledger_set_override(l, "vm-7", &o), 0);
	ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_is_to_change_nothing),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_uses_cet_follows_the_guest),
		cmocka_unit_test(test_first_match_per_setting),
		cmocka_unit_test(test_overrides_win_until_they_end),
		cmocka_unit_test(test_runtime_lies_over_persistent),
		cmocka_unit_test(test_frozen_by_override_only),
		cmocka_unit_test(test_effects),
		cmocka_unit_test(test_effective_and_pending),
		cmocka_unit_test(test_advice_names_the_change),
		cmocka_unit_test(test_kernel_parameters),
		cmocka_unit_test(test_ledger_tells_what_changed),
		cmocka_unit_test(test_overrides_are_bounded),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
