// SPDX-License-Identifier: GPL-2.0-only
/* Overrides on disk: there and back, damage, and writes that fail. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "policy-store.h"
#include "policy/parse.h"
#include "util/macro.h"

#define NOW 1700000000000000ULL

struct place {
	char dir[64], file[96];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/cetd-store.XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	strcat(p->dir, "/state");
	sprintf(p->file, "%s/" POLICY_STORE_FILE, p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	char command[128];

	*strrchr(p->dir, '/') = 0;
	snprintf(command, sizeof(command), "rm -r '%s'", p->dir);
	free(p);
	return system(command);
}

static void put(const struct place *p, const char *text)
{
	FILE *f;

	mkdir(p->dir, 0700);
	f = fopen(p->file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct ledger *ledger_of(const char *id, const char *settings, uint64_t until)
{
	_cleanup_(freep) char *message = NULL;
	struct policy_override o = {};
	struct policy_values v;
	struct ledger *l;

	if (policy_parse_settings("x", settings, strlen(settings), &v, &message) < 0)
		fail_msg("%s", message);
	policy_override_set(&o, POLICY_PERSISTENT, &v, until);
	assert_int_equal(ledger_new(&l), 0);
	assert_int_equal(ledger_set_override(l, id, &o), 0);
	return l;
}

/* What is stored, in a ledger of its own. */
static struct ledger *stored(const struct place *p)
{
	_cleanup_(freep) char *message = NULL;
	struct ledger *l;

	assert_int_equal(ledger_new(&l), 0);
	if (policy_store_read(p->dir, l, &message) < 0)
		fail_msg("%s", message);
	return l;
}

static void test_there_and_back(void **state)
{
	const struct policy_values frozen = {.sets = 1U << POLICY_FROZEN};
	const struct policy_values off = {.sets = 1U << POLICY_SETTING_IBT, .ibt = CETD_IBT_OFF};
	struct ledger *l = ledger_of("we\"b\n1",
				     "{\"mode\": \"enforce\", \"cp_rate\": {\"limit\": 5, "
				     "\"then\": \"throttle\"}}",
				     NOW + 5);
	const struct policy_override *found;
	struct policy_override o = {};
	const struct place *p = *state;
	struct stat st;

	policy_override_set(&o, POLICY_PERSISTENT, &frozen, 0);
	policy_override_set(&o, POLICY_RUNTIME, &off, 0);
	assert_int_equal(ledger_set_override(l, "db", &o), 0);
	assert_int_equal(policy_store_write(p->dir, l), 0);
	ledger_free(l);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	l = stored(p);
	assert_int_equal(ledger_count_overrides(l), 2);
	found = ledger_find_override(l, "we\"b\n1");
	assert_non_null(found);
	assert_int_equal(found->layers[POLICY_PERSISTENT].values.sets,
			 1U << POLICY_SETTING_MODE | 1U << POLICY_SETTING_CP_RATE);
	assert_int_equal(found->layers[POLICY_PERSISTENT].values.mode, CETD_MODE_ENFORCE);
	assert_int_equal(found->layers[POLICY_PERSISTENT].values.rates[0].limit, 5);
	assert_int_equal(found->layers[POLICY_PERSISTENT].until_usec[POLICY_SETTING_MODE], NOW + 5);
	/* Of the other only what is persistent. */
	found = ledger_find_override(l, "db");
	assert_non_null(found);
	assert_int_equal(found->layers[POLICY_PERSISTENT].values.sets, 1U << POLICY_FROZEN);
	assert_int_equal(found->layers[POLICY_RUNTIME].values.sets, 0);
	ledger_free(l);
}

static void test_no_store_is_an_empty_one(void **state)
{
	struct ledger *l = stored(*state);

	assert_int_equal(ledger_count_overrides(l), 0);
	ledger_free(l);
}

#define STORE(entries) "{\"version\": 1, \"overrides\": [" entries "]}"
#define SET(vm, until, set) "{\"vm\": " vm ", \"until_usec\": " until ", \"set\": " set "}"

/* Each good store with a twin that is damaged, of which nothing is taken. */
static void test_damage_is_found(void **state)
{
	static const char good_entry[] = SET("\"a\"", "0", "{\"ibt\": \"off\"}") ",";
	static const struct {
		const char *good, *bad, *expected;
	} cases[] = {
		{STORE(""), "", "ends in the middle"},
		{STORE(""), "{\"version\": 1, \"overrides\": [", "ends in the middle"},
		{STORE(""), "{\"overrides\": []}", "version is missing"},
		{STORE(""), "{\"version\": 2, \"overrides\": []}",
		 "version is 2, this cetd knows 1"},
		{STORE(""), "{\"version\": 1}", "keys are not version and overrides"},
		{STORE(""), "{\"version\": 1, \"overrides\": [], \"x\": 1}", "keys are not"},
		{STORE(""), "{\"version\": 1, \"overrides\": {}}", "keys are not"},
		{STORE(""), STORE("") "x", "something follows"},
		{STORE(SET("\"a\"", "0", "{\"ibt\": \"off\"}")), STORE("5"),
		 "override 1: it is no object"},
		{STORE(SET("\"a\"", "0", "{\"ibt\": \"off\"}")),
		 STORE(SET("\"a\"", "0", "{\"ibt\": \"of\"}")),
		 "override 1: set:1: ibt is \"of\", valid is \"keep\" or \"off\""},
		{STORE(SET("\"a\"", "0", "{\"ibt\": \"off\"}")), STORE(SET("\"a\"", "0", "{}")),
		 "set is empty"},
		{STORE(SET("\"a\"", "0", "{\"ibt\": \"off\"}")),
		 STORE(SET("\"\"", "0", "{\"ibt\": \"off\"}")), "vm is no id"},
		{STORE(SET("\"a\"", "0", "{\"ibt\": \"off\"}")),
		 STORE(SET("\"a\\u0000b\"", "0", "{\"ibt\": \"off\"}")), "vm is no id"},
		{STORE(SET("\"\xc3\xbc\"", "0", "{\"ibt\": \"off\"}")), /* overlong */
		 STORE(SET("\"\xc1\xb7\"", "0", "{\"ibt\": \"off\"}")), "vm is no id"},
		{STORE(SET("\"a\"", "0", "{\"ibt\": \"off\"}")),
		 STORE(SET("7", "0", "{\"ibt\": \"off\"}")), "vm is no string"},
		{STORE(SET("\"a\"", "1800000000000000", "{\"ibt\": \"off\"}")),
		 STORE(SET("\"a\"", "-1", "{\"ibt\": \"off\"}")), "until_usec is no time"},
		{STORE(SET("\"a\"", "0", "{\"ibt\": \"off\"}")),
		 STORE(SET("\"a\"", "\"0\"", "{\"ibt\": \"off\"}")), "until_usec is no time"},
		{STORE("{\"vm\": \"a\", \"until_usec\": 0, \"frozen\": true}"),
		 STORE("{\"vm\": \"a\", \"until_usec\": 0, \"frozen\": false}"),
		 "frozen is not true"},
		{STORE("{\"vm\": \"a\", \"until_usec\": 0, \"frozen\": true}"),
		 STORE("{\"vm\": \"a\", \"until_usec\": 0, \"frozen\": \"true\"}"),
		 "frozen is not true"},
		{STORE("{\"vm\": \"a\", \"until_usec\": 0, \"frozen\": true}"),
		 STORE("{\"vm\": \"a\", \"until_usec\": 0, \"thawed\": true}"),
		 "its keys are not vm"},
	};
	const struct place *p = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *message = NULL, *late = NULL, *text = NULL;
		const char *open = strstr(cases[i].bad, "\"overrides\": [{");
		struct ledger *l;

		put(p, cases[i].good);
		ledger_free(stored(p));
		put(p, cases[i].bad);
		assert_int_equal(ledger_new(&l), 0);
		assert_int_equal(policy_store_read(p->dir, l, &message), -EBADMSG);
		if (!message || !strstr(message, cases[i].expected) || !strstr(message, p->file))
			fail_msg("case %zu: %s", i, message);
		assert_int_equal(ledger_count_overrides(l), 0);
		/* After a good entry: that is not taken, either. */
		if (open) {
			assert_true(asprintf(&text, "%.*s%s%s", (int)(open - cases[i].bad) + 14,
					     cases[i].bad, good_entry, open + 14) > 0);
			put(p, text);
			assert_int_equal(policy_store_read(p->dir, l, &late), -EBADMSG);
			assert_non_null(strstr(late, "override 2:"));
			assert_int_equal(ledger_count_overrides(l), 0);
		}
		ledger_free(l);
	}
}

static void test_damage_is_set_aside(void **state)
{
	_cleanup_(freep) char *path = NULL, *none = NULL;
	const struct place *p = *state;
	struct ledger *l;

	put(p, "garbage");
	assert_int_equal(policy_store_set_aside(p->dir, NOW, &path), 0);
	assert_non_null(strstr(path, POLICY_STORE_FILE ".damaged-1700000000000000"));
	assert_int_equal(access(path, F_OK), 0);
	l = stored(p);
	assert_int_equal(policy_store_write(p->dir, l), 0);
	assert_int_equal(access(path, F_OK), 0);
	ledger_free(l);
	unlink(p->file);
	assert_int_equal(policy_store_set_aside(p->dir, NOW, &none), -ENOENT);
}

/* A disk that takes no more, as RLIMIT_FSIZE has it, and other failures: the old content stays. */
static void test_failed_write_changes_nothing(void **state)
{
	const struct place *p = *state;
	struct rlimit before, tight;
	struct ledger *l = ledger_of("old", "{\"ibt\": \"off\"}", 0), *many, *found;
	struct policy_override o = *ledger_find_override(l, "old");
	char id[16], nowhere[128];

	assert_int_equal(policy_store_write(p->dir, l), 0);
	ledger_free(l);
	assert_int_equal(ledger_new(&many), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "vm-%d", i);
		assert_int_equal(ledger_set_override(many, id, &o), 0);
	}
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	tight = before;
	tight.rlim_cur = 1000;
	setrlimit(RLIMIT_FSIZE, &tight);
	assert_int_equal(policy_store_write(p->dir, many), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	found = stored(p);
	assert_int_equal(ledger_count_overrides(found), 1);
	assert_non_null(ledger_find_override(found, "old"));
	ledger_free(found);

	snprintf(nowhere, sizeof(nowhere), "%s/none/none", p->dir);
	assert_int_equal(policy_store_write(nowhere, many), -ENOENT);
	snprintf(nowhere, sizeof(nowhere), "%s", p->file);
	assert_int_equal(policy_store_write(nowhere, many), -ENOTDIR);

	/* And when there is room again. */
	assert_int_equal(policy_store_write(p->dir, many), 0);
	found = stored(p);
	assert_int_equal(ledger_count_overrides(found), 100);
	ledger_free(found);
	ledger_free(many);
}

/* An eighth of it: what is synced takes its time. */
static void test_the_largest_store_is_read(void **state)
{
	static const char rates[] =
		"{\"mode\": \"enforce\", \"ibt\": \"off\", \"shstk\": \"hide\", \"record\": true, "
		"\"cp_rate\": [%1$s,%1$s,%1$s,%1$s,%1$s,%1$s,%1$s,%1$s]}";
	static const char rate[] =
		"{\"limit\": 1000000, \"interval_ms\": 3600000, \"burst\": 1000000, \"then\": "
		"\"throttle\", \"min_delay_ms\": 1000, \"max_delay_ms\": 1000, \"quiet_ms\": "
		"7200000}";
	const struct place *p = *state;
	struct ledger *l, *found;
	struct policy_override o;
	struct stat st;
	char text[4096], id[64];

	snprintf(text, sizeof(text), rates, rate);
	l = ledger_of("x", text, NOW + 1);
	o = *ledger_find_override(l, "x");
	for (int i = 1; i < LEDGER_OVERRIDES_MAX / 8; i++) {
		snprintf(id, sizeof(id), "%063d", i);
		assert_int_equal(ledger_set_override(l, id, &o), 0);
	}
	assert_int_equal(policy_store_write(p->dir, l), 0);
	assert_int_equal(stat(p->file, &st), 0);
	assert_true(8 * st.st_size < POLICY_STORE_MAX_BYTES);
	found = stored(p);
	assert_int_equal(ledger_count_overrides(found), LEDGER_OVERRIDES_MAX / 8);
	ledger_free(found);
	ledger_free(l);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back),
		TEST(test_no_store_is_an_empty_one),
		TEST(test_damage_is_found),
		TEST(test_damage_is_set_aside),
		TEST(test_failed_write_changes_nothing),
		TEST(test_the_largest_store_is_read),
	};

	return cmocka_run_group_tests_name("policy-store", tests, NULL, NULL);
}
