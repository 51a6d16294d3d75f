// SPDX-License-Identifier: GPL-2.0-only
/* What is printed of settings and rules is read back as the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/parse.h"
#include "policy/print.h"
#include "util/macro.h"

static const char *const settings[] = {
	"{\"mode\": \"enforce\"}",
	"{\"mode\": \"monitor\", \"ibt\": \"off\", \"shstk\": \"hide\", \"record\": true}",
	"{\"ibt\": \"keep\", \"shstk\": \"keep\", \"record\": false}",
	"{\"cp_rate\": []}",
	"{\"cp_rate\": {\"limit\": 0, \"then\": \"freeze\", \"kinds\": [\"near_ret\"]}}",
	"{\"cp_rate\": [{\"limit\": 7, \"then\": \"throttle\", \"interval_ms\": 250, \"burst\": 9,"
	" \"min_delay_ms\": 3, \"max_delay_ms\": 40, \"quiet_ms\": 1500,"
	" \"privileges\": [\"user\"]}, {\"limit\": 1000000, \"then\": \"alert\"},"
	" {\"limit\": 2, \"then\": \"terminate\", \"max_delay_ms\": 5}]}",
};

static void parse(const char *text, struct policy_values *ret)
{
	_cleanup_(freep) char *message = NULL;

	if (policy_parse_settings("x", text, strlen(text), ret, &message) < 0)
		fail_msg("%s: %s", text, message);
}

static void test_settings_come_back(void **state _unused_)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		struct policy_values before, after;
		struct json_object *o;

		parse(settings[i], &before);
		o = policy_settings_to_json(&before);
		parse(json_object_to_json_string(o), &after);
		json_object_put(o);
		assert_int_equal(before.sets, after.sets);
		assert_int_equal(before.mode, after.mode);
		assert_int_equal(before.ibt, after.ibt);
		assert_int_equal(before.shstk, after.shstk);
		assert_int_equal(before.record, after.record);
		assert_int_equal(before.n_rates, after.n_rates);
		assert_memory_equal(before.rates, after.rates, sizeof(before.rates));
	}
}

static void test_only_what_is_set_is_printed(void **state _unused_)
{
	const struct policy_values v = {.sets = 1U << POLICY_SETTING_IBT | 1U << POLICY_FROZEN};
	struct json_object *o = policy_settings_to_json(&v);

	assert_string_equal(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
			    "{\"ibt\":\"keep\"}");
	json_object_put(o);
	assert_null(policy_value_to_json(&v, POLICY_FROZEN));
	assert_null(policy_value_to_json(&v, -1));
}

static void test_rules_come_back(void **state _unused_)
{
	static const char text[] =
		"{\"version\": 1, \"rules\": [{\"id\": \"a\", \"match\": {\"name\": "
		"[\"we\\\"b*\", \"d\\u00e9\"],"
		" \"uses_cet\": \"yes\", \"uuid\": \"4DEA22B31D52D8F325161120DEADBEEF\"}, "
		"\"mode\": \"enforce\"}]}";
	_cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
	_cleanup_(policy_set_freep) struct policy_set *again = policy_set_new();
	_cleanup_(freep) char *message = NULL, *other = NULL, *printed = NULL, *file = NULL;
	struct json_object *o;

	assert_int_equal(policy_parse(set, "x", text, strlen(text), &message), 0);
	o = policy_rule_to_json(set->rules[0]);
	printed = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
	assert_true(asprintf(&file, "{\"version\": 1, \"rules\": [%s]}", printed) > 0);
	if (policy_parse(again, "y", file, strlen(file), &other) < 0)
		fail_msg("%s", other);
	o = policy_rule_to_json(again->rules[0]);
	assert_string_equal(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN), printed);
	json_object_put(o);
	assert_string_equal(again->rules[0]->patterns[POLICY_MATCH_NAME][0], "we\"b*");
	assert_string_equal(again->rules[0]->patterns[POLICY_MATCH_UUID][0],
			    "4dea22b3-1d52-d8f3-2516-1120deadbeef");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings_come_back),
		cmocka_unit_test(test_only_what_is_set_is_printed),
		cmocka_unit_test(test_rules_come_back),
	};

	return cmocka_run_group_tests_name("policy-print", tests, NULL, NULL);
}
