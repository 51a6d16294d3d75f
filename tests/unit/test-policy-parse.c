// SPDX-License-Identifier: GPL-2.0-only
/* Policy files: what is taken and what is refused in which words, and that the schema says the same. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/keys.h"
#include "policy/parse.h"
#include "util/macro.h"

DEFINE_CLEANUP(struct json_object *, json_object_put)

/* 0 and a finished set, or the error and the message. */
static int parse(const char *text, struct policy_set **ret_set, char **ret_message)
{
	struct policy_set *set = policy_set_new();
	int r;

	assert_non_null(set);
	*ret_message = NULL;
	r = policy_parse(set, "10-test.json", text, strlen(text), ret_message);
	if (r >= 0)
		r = policy_set_finish(set, ret_message);
	if (r < 0)
		set = policy_set_free(set);
	*ret_set = set;
	return r;
}

#define FILE_OF(rules) "{\"version\": 1, \"rules\": [" rules "]}"
#define RULE(more) FILE_OF("{\"id\": \"a\", \"mode\": \"enforce\", " more "}")
#define RATE(rate) RULE("\"cp_rate\": " rate)

/* Each accepted text with a twin that differs in what is refused. */
static void test_accepted_and_refused(void **state _unused_)
{
	static const struct {
		const char *accepted, *refused, *expected;
	} cases[] = {
		{"{\"version\": 1, \"rules\": []}", "{\"version\": 2, \"rules\": []}",
		 "10-test.json:1: version is 2, valid is 1"},
		{FILE_OF(""), "{\"rules\": []}",
		 ":1: version is missing in the policy file, valid is 1"},
		{FILE_OF(""), "{\"version\": 1}",
		 ":1: rules is missing in the policy file, valid is an array of at most 65536"},
		{FILE_OF(""), "{\"version\": 1, \"rules\": {}}", "rules is { }, valid is an array"},
		{FILE_OF("{\"id\": \"a\", \"ibt\": \"off\"}"), FILE_OF("{\"ibt\": \"off\"}"),
		 "id is missing in the rule"},
		{FILE_OF("{\"id\": \"A.b-1_\", \"ibt\": \"off\"}"),
		 FILE_OF("{\"id\": \"a b\", \"ibt\": \"off\"}"),
		 "rules.id is \"a b\", valid is 1 to 63 letters, digits, dots"},
		{FILE_OF("{\"id\": \"a\", \"mode\": \"monitor\"}"),
		 FILE_OF("{\"id\": \"a\", \"description\": \"x\"}"),
		 "rule a sets nothing, valid is at least one of mode, ibt, shstk"},
		{FILE_OF("{\"id\": \"a\", \"mode\": \"monitor\"},\n{\"id\": \"b\", \"ibt\": "
			 "\"off\"}"),
		 FILE_OF("{\"id\": \"a\", \"mode\": \"monitor\"},\n{\"id\": \"a\", \"ibt\": "
			 "\"off\"}"),
		 ":2: id is \"a\", which is that of the rule at 10-test.json:1"},
		{RULE("\"ibt\": \"off\""), RULE("\"ibt\": \"on\""),
		 "rules.ibt is \"on\", valid is \"keep\" or \"off\""},
		{RULE("\"shstk\": \"hide\""), RULE("\"shstk\": \"off\""),
		 "rules.shstk is \"off\", valid is \"keep\" or \"hide\""},
		{RULE("\"record\": true"), RULE("\"record\": 1"),
		 "rules.record is 1, valid is true or false"},
		{RULE("\n\"record\": true"), RULE("\n\"recrod\": true"),
		 ":2: unknown key recrod, did you mean record?"},
		{RULE("\"record\": true"), RULE("\"record\": true,\n\"record\": false"),
		 ":2: record is there twice"},
		{RULE("\"match\": {}"), RULE("\"match\": []"),
		 "rules.match is [ ], valid is an object"},
		{RULE("\"match\": {\"name\": \"a*\"}"), RULE("\"match\": {\"name\": \"\"}"),
		 "rules.match.name is \"\", valid is a string that is not empty"},
		{RULE("\"match\": {\"name\": [\"a\", \"b\"]}"), RULE("\"match\": {\"name\": []}"),
		 "rules.match.name is [ ], valid is"},
		{RULE("\"match\": {\"name\": [\"a\", \"b\"]}"),
		 RULE("\"match\": {\"name\": [\"a\", 1]}"), "rules.match.name is [ \"a\", 1 ]"},
		{RULE("\"match\": {\"uuid\": \"4DEA22B31D52D8F325161120DEADBEEF\"}"),
		 RULE("\"match\": {\"uuid\": \"4DEA22B31D52D8F325161120DEADBEE\"}"),
		 "valid is a UUID, 32 hexadecimal digits"},
		{RULE("\"match\": {\"uuid\": \"4dea22b3-1d52-d8f3-2516-1120deadbeef\"}"),
		 RULE("\"match\": {\"uuid\": \"4dea22b3-1d52-d8f3-2516-1120deadbeefg\"}"),
		 "valid is a UUID"},
		{RULE("\"match\": {\"cgroup\": \"/machine.slice\"}"),
		 RULE("\"match\": {\"cgroup\": \"machine.slice\"}"),
		 "valid is a path that begins with /"},
		{RULE("\"match\": {\"uses_cet\": \"yes\"}"),
		 RULE("\"match\": {\"uses_cet\": \"no\"}"),
		 "valid is \"yes\", \"attempted\" or \"unknown\""},
		{RULE("\"match\": {\"vmm\": \"qemu\"}"), RULE("\"match\": {\"vm\": \"qemu\"}"),
		 "unknown key vm, did you mean vmm?"},
		{RATE("{\"limit\": 0, \"then\": \"freeze\"}"), RATE("{\"then\": \"freeze\"}"),
		 "limit is missing in the rate, valid is a number from 0 to 1000000"},
		{RATE("{\"limit\": 1, \"then\": \"alert\"}"), RATE("{\"limit\": 1}"),
		 "then is missing in the rate, valid is \"alert\", \"throttle\", \"freeze\" or "
		 "\"terminate\""},
		{RATE("{\"limit\": 1000000, \"then\": \"alert\"}"),
		 RATE("{\"limit\": 1000001, \"then\": \"alert\"}"),
		 "cp_rate.limit is 1000001, valid is a number from 0 to 1000000"},
		{RATE("{\"limit\": 1, \"burst\": 9, \"then\": \"alert\"}"),
		 RATE("{\"limit\": 1, \"burst\": 0, \"then\": \"alert\"}"),
		 "cp_rate.burst is 0, valid with a limit of 1 is at least 1"},
		{RATE("{\"limit\": 0, \"burst\": 0, \"then\": \"alert\"}"),
		 RATE("{\"limit\": 0, \"burst\": 3, \"then\": \"alert\"}"),
		 "cp_rate.burst is 3, valid with a limit of 0 is 0"},
		{RATE("{\"limit\": 1, \"then\": \"throttle\", \"min_delay_ms\": 5}"),
		 RATE("{\"limit\": 1, \"then\": \"freeze\", \"min_delay_ms\": 5}"),
		 "min_delay_ms is given, valid only where then is \"throttle\""},
		{RATE("{\"limit\": 1, \"then\": \"terminate\", \"max_delay_ms\": 5}"),
		 RATE("{\"limit\": 1, \"then\": \"alert\", \"max_delay_ms\": 5}"),
		 "max_delay_ms is given, not valid where then is \"alert\""},
		{RATE("{\"limit\": 1, \"then\": \"throttle\", \"max_delay_ms\": 1000}"),
		 RATE("{\"limit\": 1, \"then\": \"throttle\", \"max_delay_ms\": 1001}"),
		 "max_delay_ms is 1001, valid is a number from 1 to 1000"},
		{RATE("{\"limit\": 1, \"then\": \"throttle\", \"min_delay_ms\": 9, "
		      "\"max_delay_ms\": 9}"),
		 RATE("{\"limit\": 1, \"then\": \"throttle\", \"min_delay_ms\": 9, "
		      "\"max_delay_ms\": 8}"),
		 "min_delay_ms is 9, valid is at most max_delay_ms, 8"},
		{RATE("{\"limit\": 1, \"then\": \"alert\", \"quiet_ms\": 1000}"),
		 RATE("{\"limit\": 1, \"then\": \"alert\", \"quiet_ms\": 999}"), "quiet_ms is 999"},
		{RATE("{\"limit\": 1, \"then\": \"throttle\", \"quiet_ms\": 2000}"),
		 RATE("{\"limit\": 1, \"then\": \"throttle\", \"quiet_ms\": 1999}"),
		 "quiet_ms is 1999, valid is at least 2000"},
		{RATE("{\"limit\": 1, \"then\": \"alert\", \"interval_ms\": 3600000}"),
		 RATE("{\"limit\": 1, \"then\": \"alert\", \"interval_ms\": 0}"),
		 "interval_ms is 0, valid is a number from 1 to 3600000"},
		{RATE("{\"limit\": 1, \"then\": \"alert\", \"kinds\": [\"near_ret\"]}"),
		 RATE("{\"limit\": 1, \"then\": \"alert\", \"kinds\": [\"near-ret\"]}"),
		 "cp_rate.kinds is [ \"near-ret\" ], valid is an array of at least one of "
		 "\"near_ret\", \"far_ret\""},
		{RATE("{\"limit\": 1, \"then\": \"alert\", \"privileges\": [\"user\"]}"),
		 RATE("{\"limit\": 1, \"then\": \"alert\", \"privileges\": []}"),
		 "at least one of \"supervisor\" or \"user\""},
		{RATE("[]"), RATE("7"), "rules.cp_rate is 7, valid is an object or an array of"},
		{RATE("[{\"limit\": 1, \"then\": \"alert\"},\n{\"limit\": 2, \"then\": "
		      "\"alert\"}]"),
		 RATE("[{\"limit\": 1, \"then\": \"alert\"},\n{\"limit\": -2, \"then\": "
		      "\"alert\"}]"),
		 ":2: rules.cp_rate.limit is -2"},
		{"/* a */ {\"version\": 1, // b\n\"rules\": [/* , ] { */\n]}",
		 "{\"version\": 1, // b\n\"rules\": [/* , ] { */\n} ]", ":3: not JSON:"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(policy_set_freep) struct policy_set *set = NULL, *none = NULL;
		_cleanup_(freep) char *message = NULL, *second = NULL;

		if (parse(cases[i].accepted, &set, &message) != 0 || message)
			fail_msg("case %zu is refused: %s", i, message);
		if (parse(cases[i].refused, &none, &second) != -EBADMSG)
			fail_msg("the twin of case %zu is accepted", i);
		if (!second || !strstr(second, cases[i].expected))
			fail_msg("case %zu: '%s', expected '%s'", i, second, cases[i].expected);
	}
}

static void test_at_most_eight_rates(void **state _unused_)
{
#define ONE "{\"limit\": 1, \"then\": \"alert\"}"
#define FOUR ONE ", " ONE ", " ONE ", " ONE
	_cleanup_(policy_set_freep) struct policy_set *set = NULL, *none = NULL;
	_cleanup_(freep) char *message = NULL, *second = NULL;

	assert_int_equal(parse(RATE("[" FOUR ", " FOUR "]"), &set, &message), 0);
	assert_int_equal(set->rules[0]->values.n_rates, 8);
	assert_int_equal(parse(RATE("[" FOUR ", " FOUR ", " ONE "]"), &none, &second), -EBADMSG);
	assert_non_null(strstr(second, "an array of at most 8"));
}

static void test_values_arrive(void **state _unused_)
{
	static const char text[] =
		"// two rules\n{\"version\": 1, \"rules\": [\n"
		"{\"id\": \"first\", \"record\": true, \"cp_rate\": {\"limit\": 20, "
		"\"interval_ms\": "
		"500, \"burst\": 30, \"then\": \"throttle\", \"min_delay_ms\": 2, "
		"\"max_delay_ms\": 64, \"quiet_ms\": 1700, \"kinds\": [\"near_ret\", \"other\"], "
		"\"privileges\": [\"user\"]}},\n"
		"{\"id\": \"second\", \"match\": {\"uuid\": "
		"\"4DEA22B31D52D8F325161120DEADBEEF\"}, \"mode\": \"enforce\", \"ibt\": \"off\", "
		"\"shstk\": \"hide\", \"cp_rate\": {\"limit\": 0, \"then\": \"freeze\"}}]}";
	_cleanup_(policy_set_freep) struct policy_set *set = NULL;
	_cleanup_(freep) char *message = NULL;
	const struct policy_rule *a, *b;
	const struct cetd_rate *r;

	assert_int_equal(parse(text, &set, &message), 0);
	assert_int_equal(set->n_rules, 2);
	a = set->rules[0];
	b = set->rules[1];
	assert_string_equal(a->id, "first");
	assert_string_equal(a->file, "10-test.json");
	assert_int_equal(a->line, 3);
	assert_int_equal(b->line, 4);
	assert_int_equal(b->number, 2);
	assert_int_equal(a->values.sets,
			 1U << POLICY_SETTING_RECORD | 1U << POLICY_SETTING_CP_RATE);
	assert_int_equal(b->values.sets, 1U << POLICY_SETTING_MODE | 1U << POLICY_SETTING_IBT |
						 1U << POLICY_SETTING_SHSTK |
						 1U << POLICY_SETTING_CP_RATE);
	r = a->values.rates;
	assert_int_equal(r->interval_ns, 500 * NSEC_PER_MSEC);
	assert_int_equal(r->quiet_ns, 1700 * NSEC_PER_MSEC);
	assert_int_equal(r->min_delay_ns, 2 * NSEC_PER_MSEC);
	assert_int_equal(r->max_delay_ns, 64 * NSEC_PER_MSEC);
	assert_int_equal(r->limit, 20);
	assert_int_equal(r->burst, 30);
	assert_int_equal(r->rule, 1);
	assert_int_equal(r->kinds, 1U << CETD_KIND_NEAR_RET | 1U << CETD_KIND_OTHER);
	assert_int_equal(r->privileges, 1U << CETD_PRIVILEGE_USER);
	assert_int_equal(r->then, CETD_THEN_THROTTLE);
	r = b->values.rates;
	assert_int_equal(r->max_delay_ns, NSEC_PER_SEC);
	assert_int_equal(r->min_delay_ns, 0);
	assert_int_equal(r->quiet_ns, 10 * NSEC_PER_SEC);
	assert_int_equal(r->kinds, CETD_KINDS_ALL);
	assert_int_equal(b->values.mode, CETD_MODE_ENFORCE);
	assert_int_equal(b->values.ibt, CETD_IBT_OFF);
	assert_int_equal(b->values.shstk, CETD_SHSTK_HIDE);
	assert_string_equal(b->patterns[POLICY_MATCH_UUID][0],
			    "4dea22b3-1d52-d8f3-2516-1120deadbeef");
}

static void test_settings_alone(void **state _unused_)
{
	static const char good[] = "{\"ibt\": \"off\", \"cp_rate\": []}";
	static const char bad[] = "{\"ibt\": \"off\", \"id\": \"x\"}";
	_cleanup_(freep) char *message = NULL, *second = NULL;
	struct policy_values v;

	assert_int_equal(policy_parse_settings("x", good, strlen(good), &v, &message), 0);
	assert_int_equal(v.sets, 1U << POLICY_SETTING_IBT | 1U << POLICY_SETTING_CP_RATE);
	assert_int_equal(v.ibt, CETD_IBT_OFF);
	assert_int_equal(policy_parse_settings("x", bad, strlen(bad), &v, &second), -EBADMSG);
	assert_non_null(strstr(second, "x:1: unknown key id"));
}

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *child = NULL;

	json_object_object_get_ex(o, key, &child);
	return child;
}

/* The object's schema under a key's, whether by itself, in an array, or either. */
static struct json_object *schema_of_objects(struct json_object *schema)
{
	if (member(schema, "oneOf"))
		schema = json_object_array_get_idx(member(schema, "oneOf"), 0);
	if (member(schema, "items"))
		schema = member(schema, "items");
	return schema;
}

static bool has_string(struct json_object *array, const char *text)
{
	for (size_t i = 0; array && i < json_object_array_length(array); i++)
		if (!strcmp(json_object_get_string(json_object_array_get_idx(array, i)), text))
			return true;
	return false;
}

/* Every key and word of the parser is in the schema, and nothing else is. */
static void check_object(const struct policy_object *object, struct json_object *schema)
{
	struct json_object *properties = member(schema, "properties");

	assert_non_null(properties);
	assert_false(json_object_get_boolean(member(schema, "additionalProperties")));
	assert_int_equal(json_object_object_length(properties), object->n_keys);
	for (size_t i = 0; i < object->n_keys; i++) {
		const struct policy_key *key = object->keys + i;
		struct json_object *of_key = member(properties, key->name), *words;

		if (!of_key)
			fail_msg("%s of the %s is not in the schema", key->name, object->title);
		assert_int_equal(has_string(member(schema, "required"), key->name),
				 key->is_required);
		if (key->object)
			check_object(key->object, schema_of_objects(of_key));
		if (key->type == POLICY_KEY_U32) {
			assert_int_equal(json_object_get_int64(member(of_key, "minimum")),
					 key->min);
			assert_int_equal(json_object_get_int64(member(of_key, "maximum")),
					 key->max);
		}
		if (!key->to_string)
			continue;
		words = member(schema_of_objects(of_key), "enum");
		for (int w = 0; key->to_string(w); w++) {
			assert_true(has_string(words, key->to_string(w)));
			assert_null(key->to_string((int)json_object_array_length(words)));
		}
	}
}

static void test_schema_has_the_parser_s_keys(void **state _unused_)
{
	_cleanup_(json_object_putp) struct json_object *schema = policy_schema();

	check_object(&policy_file_object, schema);
}

/* A value that a key's schema allows, or with is_wrong one that it does not. */
static struct json_object *sample_of(struct json_object *schema, bool is_wrong)
{
	struct json_object *o;
	const char *type;

	if (is_wrong)
		return json_object_new_double(0.5);
	if (member(schema, "const"))
		return json_object_get(member(schema, "const"));
	if (member(schema, "oneOf"))
		return sample_of(json_object_array_get_idx(member(schema, "oneOf"), 0), false);
	if (member(schema, "enum"))
		return json_object_get(json_object_array_get_idx(member(schema, "enum"), 0));
	type = json_object_get_string(member(schema, "type"));
	if (!strcmp(type, "boolean"))
		return json_object_new_boolean(true);
	if (!strcmp(type, "integer"))
		return json_object_get(member(schema, "minimum"));
	if (!strcmp(type, "array")) {
		o = json_object_new_array();
		json_object_array_add(o, sample_of(member(schema, "items"), false));
		return o;
	}
	if (!strcmp(type, "object")) {
		o = json_object_new_object();
		for (size_t i = 0; i < json_object_array_length(member(schema, "required")); i++) {
			const char *key = json_object_get_string(
				json_object_array_get_idx(member(schema, "required"), i));

			json_object_object_add(
				o, key,
				sample_of(member(member(schema, "properties"), key), false));
		}
		if (member(schema, "anyOf")) /* a rule has to set something */
			json_object_object_add(o, "record", json_object_new_boolean(true));
		return o;
	}
	return json_object_new_string("x");
}

static int parse_object(struct json_object *o)
{
	_cleanup_(policy_set_freep) struct policy_set *set = NULL;
	_cleanup_(freep) char *message = NULL;

	return parse(json_object_to_json_string(o), &set, &message);
}

/* Each key that the schema has, in a file by itself: taken with a value that the schema allows, refused with one
 * that it does not, and refused under another name. */
static void test_parser_takes_what_the_schema_says(void **state _unused_)
{
	_cleanup_(json_object_putp) struct json_object *schema = policy_schema();
	struct json_object *file = member(schema, "properties");
	struct json_object *rule = member(schema_of_objects(member(file, "rules")), "properties");
	unsigned int n = 0;

	json_object_object_foreach (rule, name, of_key) {
		for (int twin = 0; twin < 3; twin++) {
			_cleanup_(json_object_putp) struct json_object *o =
				sample_of(schema, false);
			struct json_object *first =
				json_object_array_get_idx(member(o, "rules"), 0);
			char other[64];

			snprintf(other, sizeof(other), "%s%s", name, twin == 2 ? "_" : "");
			if (!strcmp(name, "cp_rate") && twin == 0)
				json_object_object_add(first, name, json_object_new_array());
			else
				json_object_object_add(first, other, sample_of(of_key, twin == 1));
			if (parse_object(o) != (twin ? -EBADMSG : 0))
				fail_msg("%s, twin %d: %s", name, twin,
					 json_object_to_json_string(o));
			n++;
		}
	}
	assert_int_equal(n, 3 * json_object_object_length(rule));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted_and_refused),
		cmocka_unit_test(test_at_most_eight_rates),
		cmocka_unit_test(test_values_arrive),
		cmocka_unit_test(test_settings_alone),
		cmocka_unit_test(test_schema_has_the_parser_s_keys),
		cmocka_unit_test(test_parser_takes_what_the_schema_says),
	};

	return cmocka_run_group_tests_name("policy-parse", tests, NULL, NULL);
}
