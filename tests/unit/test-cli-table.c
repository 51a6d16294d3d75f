// SPDX-License-Identifier: GPL-2.0-only
/* cli/doc.c, cli/table.c, cli/columns.c and cli/term.c: sums that know what is not seen, order, keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "columns.h"
#include "doc.h"
#include "term.h"

static const struct column columns[] = {
	{"name", "NAME", "name", COLUMN_TEXT, true, 0.3, "name"},
	{"count", "COUNT", "a", COLUMN_COUNT, true, 0, "count"},
	{"rip", "RIP", "rip", COLUMN_RIGHT, false, 0, "address"},
};

static json_object *parse(const char *text)
{
	json_object *o = json_tokener_parse(text);

	assert_non_null(o);
	return o;
}

static void test_sum_is_unknown_where_a_part_is(void **state)
{
	static const struct {
		const char *json, *path;
		bool is_known;
		uint64_t sum;
	} cases[] = {
		{"{\"a\":5}", "a", true, 5},
		{"{\"a\":0}", "a", true, 0},
		{"{\"a\":null}", "a", false, 0},
		{"{}", "a", false, 0},
		{"{\"a\":{\"x\":1,\"y\":{\"z\":2}}}", "a", true, 3},
		{"{\"a\":{\"x\":1,\"y\":null}}", "a", false, 0},
		{"{\"a\":{\"x\":{\"f\":1,\"g\":8},\"y\":{\"f\":2,\"g\":9}}}", "a.*.f", true, 3},
		{"{\"a\":{\"x\":{\"f\":1},\"y\":{\"g\":2}}}", "a.*.f", false, 0},
		{"{\"a\":5}", "a.b", false, 0},
		{"{\"a\":\"5\"}", "a", false, 0},
		{"{\"a\":[5]}", "a", false, 0},
		{"{\"a\":18446744073709551615}", "a", true, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_object *o = parse(cases[i].json);
		uint64_t sum = 0;

		assert_int_equal(doc_sum(o, cases[i].path, &sum), cases[i].is_known);
		assert_int_equal(sum, cases[i].sum);
		json_object_put(o);
	}
}

static void test_paths(void **state)
{
	json_object *o = parse("{\"a\":{\"b\":\"x\",\"n\":null},\"t\":true,\"i\":7}");

	(void)state;
	assert_string_equal(doc_text(o, "a.b"), "x");
	assert_null(doc_text(o, "a.n"));
	assert_null(doc_text(o, "a.b.c"));
	assert_null(doc_text(o, "i"));
	assert_null(doc_text(NULL, "a"));
	assert_true(doc_is_true(o, "t"));
	assert_false(doc_is_true(o, "i"));
	assert_int_equal(doc_number(o, "i"), 7);
	assert_int_equal(doc_number(o, "t"), 0);
	json_object_put(o);
}

static void test_shows(void **state)
{
	json_object *o = parse("{\"a\":{\"state\":\"observed\"},\"b\":{\"state\":\"partial\"},"
			       "\"c\":{\"state\":\"unobservable\"},\"d\":{}}");

	(void)state;
	assert_true(doc_shows(o, "a"));
	assert_true(doc_shows(o, "b"));
	assert_false(doc_shows(o, "c"));
	assert_false(doc_shows(o, "d"));
	assert_false(doc_shows(o, "e"));
	json_object_put(o);
}

static enum exit_code init(struct table *t, const char *chosen, const char *sort)
{
	return table_init(t, columns, ARRAY_SIZE(columns),
			  &(struct options){.columns = chosen, .sort = sort}, NULL);
}

static void test_columns_are_chosen_or_refused(void **state)
{
	struct table t;

	(void)state;
	assert_int_equal(init(&t, NULL, NULL), CETCTL_OK);
	assert_int_equal(t.n_shown, 2);
	assert_null(t.sort);
	assert_int_equal(init(&t, "rip,name", NULL), CETCTL_OK);
	assert_int_equal(t.n_shown, 2);
	assert_ptr_equal(t.shown[0], columns + 2);
	assert_int_equal(init(&t, "+rip", NULL), CETCTL_OK);
	assert_int_equal(t.n_shown, 3);
	assert_int_equal(init(&t, "rip,nmae", NULL), CETCTL_USAGE);
	assert_int_equal(init(&t, "", NULL), CETCTL_USAGE);
	assert_int_equal(init(&t, "name,", NULL), CETCTL_USAGE);
	assert_int_equal(init(&t, NULL, "count:desc"), CETCTL_OK);
	assert_true(t.is_descending);
	assert_int_equal(init(&t, NULL, "count:asc"), CETCTL_OK);
	assert_false(t.is_descending);
	assert_int_equal(init(&t, NULL, "count:down"), CETCTL_USAGE);
	assert_int_equal(init(&t, NULL, ":desc"), CETCTL_USAGE);
}

static void assert_order(const char *rows, const char *sort, const char *names)
{
	json_object *o = parse(rows);
	char found[64] = "";
	struct table t;

	assert_int_equal(init(&t, NULL, sort), CETCTL_OK);
	table_sort(&t, o);
	for (size_t i = 0; i < json_object_array_length(o); i++)
		strcat(found, doc_text(json_object_array_get_idx(o, i), "name"));
	assert_string_equal(found, names);
	json_object_put(o);
}

static void test_order(void **state)
{
	static const char rows[] = "[{\"name\":\"c\",\"a\":10,\"rip\":\"0x9\"},"
				   "{\"name\":\"a\",\"a\":9,\"rip\":\"0x10\"},"
				   "{\"name\":\"b\",\"a\":null,\"rip\":null},"
				   "{\"name\":\"d\",\"a\":9,\"rip\":\"0xffffffff81000000\"}]";

	(void)state;
	assert_order(rows, "name", "abcd");
	assert_order(rows, "name:desc", "dcba");
	assert_order(rows, "count", "badc");	  /* by value, null first, equals as they were */
	assert_order(rows, "count:desc", "cadb"); /* equals still as they were */
	assert_order(rows, "rip", "bcad");
	assert_order("[{\"name\":\"vm10\"},{\"name\":\"vm9\"}]", "name", "vm9vm10");
}

static void test_cells_tell_zero_from_unseen(void **state)
{
	json_object *o = parse("{\"name\":\"\\u001b\",\"a\":0}"), *none = parse("{\"a\":null}");
	struct table t = {};
	char *cell;

	(void)state;
	cell = table_cell(&t, columns, o);
	assert_string_equal(cell, "\\x1b");
	free(cell);
	cell = table_cell(&t, columns + 1, o);
	assert_string_equal(cell, "0");
	free(cell);
	cell = table_cell(&t, columns + 1, none);
	assert_string_equal(cell, "-");
	free(cell);
	cell = table_cell(&t, columns + 2, none);
	assert_string_equal(cell, "-");
	free(cell);
	json_object_put(o);
	json_object_put(none);
}

static void test_rates(void **state)
{
	json_object *before =
		parse("{\"now_usec\":1000000,\"vms\":["
		      "{\"id\":\"x\",\"control_protection_total\":10,\"cet_msr\":null}]}");
	json_object *after =
		parse("{\"now_usec\":3000000,\"vms\":["
		      "{\"id\":\"x\",\"control_protection_total\":30,\"cet_msr\":null},"
		      "{\"id\":\"new\",\"control_protection_total\":5}]}");
	json_object *x = json_object_array_get_idx(doc_get(after, "vms"), 0);
	json_object *new = json_object_array_get_idx(doc_get(after, "vms"), 1);

	(void)state;
	vm_add_rates(after, before);
	assert_int_equal((int)json_object_get_double(doc_get(x, "rate.cp")), 10);
	assert_null(doc_get(x, "rate.msr"));
	assert_null(doc_get(new, "rate.cp"));
	json_object_put(before);
	json_object_put(after);
}

/* A daemon elsewhere may be of another version, or hostile. */
static void test_what_is_no_list_has_nothing(void **state)
{
	static const char *const odd[] = {"null",
					  "5",
					  "\"x\"",
					  "{}",
					  "[]",
					  "{\"vms\":5}",
					  "{\"vms\":{\"id\":\"x\"}}",
					  "{\"vms\":[5,null,[],{}]}"};
	struct table t;

	(void)state;
	assert_int_equal(init(&t, NULL, "count"), CETCTL_OK);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		json_object *o = json_tokener_parse(odd[i]), *vms = doc_get(o, "vms");

		assert_int_equal(doc_length(o), 0);
		assert_int_equal(vm_count_storms(vms), 0);
		assert_int_equal(vm_count_uses(vms, "yes"), 0);
		vm_add_rates(o, o);
		table_sort(&t, vms);
		json_object_put(o);
	}
}

static void test_keys(void **state)
{
	static const char in[] = "q\033[A\033OB\033[5~\033[1;5Cz\033[";
	static const int keys[] = {'q',		  TERM_KEY_UP, TERM_KEY_DOWN, TERM_KEY_PAGE_UP,
				   TERM_KEY_NONE, 'z',	       TERM_KEY_NONE};
	const char *p = in, *end = in + sizeof(in) - 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_int_equal(term_key(&p, end), keys[i]);
	assert_ptr_equal(p, end);
	p = "\033";
	assert_int_equal(term_key(&p, p + 1), TERM_KEY_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum_is_unknown_where_a_part_is),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_shows),
		cmocka_unit_test(test_columns_are_chosen_or_refused),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_cells_tell_zero_from_unseen),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_what_is_no_list_has_nothing),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
