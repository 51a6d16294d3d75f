// SPDX-License-Identifier: GPL-2.0-only
/* The registry: messages in, VMs and notifications out; bad messages change nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/model.h"
#include "model/valid.h"
#include "util/macro.h"

struct seen {
	int added, renamed, changed, removed, events, hosts, settled;
	char old_id[64];
};

static void on_added(void *u, const struct vm *vm _unused_)
{
	((struct seen *)u)->added++;
}

static void on_renamed(void *u, const struct vm *vm _unused_, const char *old_id)
{
	struct seen *s = u;

	s->renamed++;
	snprintf(s->old_id, sizeof(s->old_id), "%s", old_id);
}

static void on_changed(void *u, const struct vm *vm _unused_)
{
	((struct seen *)u)->changed++;
}

static void on_removed(void *u, const struct vm *vm _unused_)
{
	((struct seen *)u)->removed++;
}

static void on_event(void *u, const struct vm *vm _unused_, const struct cetd_event *e _unused_)
{
	((struct seen *)u)->events++;
}

static void on_host(void *u)
{
	((struct seen *)u)->hosts++;
}

static void on_settled(void *u)
{
	((struct seen *)u)->settled++;
}

static struct model *make_model(uint32_t max_vms, struct seen *seen)
{
	const struct model_observer observer = {on_added, on_renamed, on_changed, on_removed,
						on_event, on_host,    on_settled, seen};
	struct model *m;

	memset(seen, 0, sizeof(*seen));
	assert_int_equal(model_new(max_vms, &m), 0);
	model_set_observer(m, &observer);
	return m;
}

static int apply(struct model *m, unsigned int type, const void *payload, uint64_t time_ns)
{
	const struct cetd_message message = {
		.type = type,
		.size = (unsigned int)message_payload_size(type),
		.time_ns = time_ns,
		.payload = payload,
	};

	return model_apply(m, &message);
}

static struct cetd_identity make_identity(uint64_t key, uint32_t pid, const char *id,
					  const char *name)
{
	struct cetd_identity i = {.key = key, .pid = pid, .vms_in_process = 1};

	snprintf(i.id, sizeof(i.id), "%s", id);
	snprintf(i.name, sizeof(i.name), "%s", name);
	return i;
}

static void add(struct model *m, uint64_t key, uint32_t pid, const char *id, const char *name)
{
	const struct cetd_identity i = make_identity(key, pid, id, name);

	assert_int_equal(apply(m, CETD_MESSAGE_VM_ADD, &i, 1), 0);
}

static void test_add_find_remove(void **state _unused_)
{
	const struct vm *vm = NULL;
	struct seen seen;
	struct model *m = make_model(10, &seen);
	__u64 key = CETD_KEY_TGID | 7;

	add(m, key, 7, "pid-7", "web");
	assert_int_equal(seen.added, 1);
	assert_int_equal(m->n_vms, 1);
	assert_int_equal(model_find(m, "pid-7", &vm), 1);
	assert_int_equal(model_find(m, "web", &vm), 1);
	assert_int_equal(vm->identity.pid, 7);
	assert_int_equal(model_find_pid(m, 7, &vm), 1);
	assert_int_equal(model_find(m, "we", &vm), 0);
	assert_int_equal(model_find_pid(m, 8, &vm), 0);

	assert_int_equal(apply(m, CETD_MESSAGE_VM_REMOVE, &key, 2), 0);
	assert_int_equal(seen.removed, 1);
	assert_int_equal(m->n_vms, 0);
	assert_int_equal(apply(m, CETD_MESSAGE_VM_REMOVE, &key, 3), 0);
	assert_int_equal(seen.removed, 1);
	model_free(m);
}

static void test_find_by_uuid_in_any_spelling(void **state _unused_)
{
	struct cetd_identity i = make_identity(1, 1, "0cd81c7c-e7bf-4a5a-8f3e-0a8f3b1f7d10", "db");
	const struct vm *vm;
	struct seen seen;
	struct model *m = make_model(10, &seen);

	memcpy(i.uuid, i.id, 37);
	assert_int_equal(apply(m, CETD_MESSAGE_VM_ADD, &i, 1), 0);
	assert_int_equal(model_find(m, "0CD81C7CE7BF4A5A8F3E0A8F3B1F7D10", &vm), 1);
	assert_int_equal(model_find(m, "0CD81C7CE7BF4A5A8F3E0A8F3B1F7D11", &vm), 0);
	assert_int_equal(model_find(m, "", &vm), 0);
	model_free(m);
}

static void test_equal_names_are_ambiguous(void **state _unused_)
{
	const struct vm *vm = NULL;
	struct seen seen;
	struct model *m = make_model(10, &seen);

	add(m, 1, 1, "a", "twin");
	add(m, 2, 2, "b", "twin");
	assert_int_equal(model_find(m, "twin", &vm), -ENOTUNIQ);
	assert_null(vm);
	assert_int_equal(model_find(m, "b", &vm), 1);
	model_free(m);
}

static void test_equal_ids_are_told_apart(void **state _unused_)
{
	const char *uuid = "0cd81c7c-e7bf-4a5a-8f3e-0a8f3b1f7d10";
	struct seen seen;
	struct model *m = make_model(10, &seen);

	add(m, 1, 11, uuid, "x");
	add(m, 2, 22, uuid, "x");
	add(m, 3, 22, uuid, "x");
	assert_int_equal(m->n_vms, 3);
	assert_string_equal(model_find_key(m, 1)->identity.id, uuid);
	assert_string_equal(model_find_key(m, 2)->identity.id,
			    "0cd81c7c-e7bf-4a5a-8f3e-0a8f3b1f7d10-pid-22");
	assert_string_not_equal(model_find_key(m, 3)->identity.id,
				model_find_key(m, 2)->identity.id);
	/* Said again, nothing changes. */
	add(m, 2, 22, uuid, "x");
	assert_int_equal(seen.renamed + seen.changed, 0);
	model_free(m);
}

/* Names that look like what an id is made unique by, there first: ids stay unique all the same. */
static void test_ids_that_look_made_unique(void **state _unused_)
{
	static const char *const ids[] = {"web", "web-pid-7", "web-9", "web-9-1"};
	struct seen seen;
	struct model *m = make_model(10, &seen);

	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		add(m, i + 1, i + 1, ids[i], ids[i]);
	add(m, 9, 7, "web", "web");
	assert_int_equal(m->n_vms, 5);
	assert_string_equal(model_find_key(m, 9)->identity.id, "web-9-2");
	for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++)
		assert_ptr_equal(model_find_id(m, ids[i]), model_find_key(m, i + 1));
	/* Said again, nothing changes. */
	add(m, 9, 7, "web", "web");
	assert_int_equal(seen.renamed + seen.changed, 0);
	assert_ptr_equal(model_find_id(m, "web-9-2"), model_find_key(m, 9));
	model_free(m);
}

/* 35 bytes, then characters of two: a cut after 36 would split one. */
static void test_equal_ids_stay_utf8(void **state _unused_)
{
	static const char id[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa4\xc3\xa4\xc3\xa4";
	struct seen seen;
	struct model *m = make_model(10, &seen);

	add(m, 1, 10, id, "one");
	add(m, 2, 20, id, "two");
	assert_string_equal(model_find_key(m, 2)->identity.id,
			    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-pid-20");
	model_free(m);
}

/* An id that would be another VM's one day is none to keep anything under; each with a twin that is. */
static void test_ids_to_keep(void **state)
{
	static const struct {
		const char *id, *name, *uuid;
		bool is_provisional, is_stable;
	} cases[] = {
		{"web", "web", "", false, true},
		{"web", "web", "", true, false},
		{"pid-7", "pid-7", "", false, false},
		{"web-pid-7", "web", "", false, false},
		{"web-pid-7", "web-pid-7", "", false, true},
		{"4dea22b3-1d52-d8f3-2516-1120deadbeef", "web",
		 "4dea22b3-1d52-d8f3-2516-1120deadbeef", false, true},
		{"4dea22b3-1d52-d8f3-2516-1120deadbeef-pid-7", "web",
		 "4dea22b3-1d52-d8f3-2516-1120deadbeef", false, false},
		{"cut", "cut-off-where-an-id-ends", "", false, true},
		{"", "web", "", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vm vm = {.is_provisional = cases[i].is_provisional};

		strcpy(vm.identity.id, cases[i].id);
		strcpy(vm.identity.name, cases[i].name);
		strcpy(vm.identity.uuid, cases[i].uuid);
		if (vm_has_stable_id(&vm) != cases[i].is_stable)
			fail_msg("case %zu", i);
	}
}

static void test_counters_before_discovery_are_kept(void **state _unused_)
{
	struct cetd_counters_message c = {.key = 42, .vm = {.tgid = 9, .vm_id = 42}};
	struct seen seen;
	struct model *m = make_model(10, &seen);

	c.vm.counters.cp[CETD_KIND_ENDBRANCH][CETD_PRIVILEGE_USER] = 5;
	assert_int_equal(apply(m, CETD_MESSAGE_COUNTERS, &c, 100), 0);
	assert_true(model_find_key(m, 42)->is_provisional);
	assert_string_equal(model_find_key(m, 42)->identity.id, "pid-9-vm-42");

	add(m, 42, 9, "uuid-of-42", "db");
	assert_false(model_find_key(m, 42)->is_provisional);
	assert_int_equal(seen.renamed, 1);
	assert_string_equal(seen.old_id, "pid-9-vm-42");
	assert_int_equal(vm_cp_total(model_find_key(m, 42)), 5);
	assert_int_equal(model_find_key(m, 42)->last_activity_ns, 100);
	model_free(m);
}

/* A VM that is found to be just what was made up for it is another all the same: policies wait for it to be found. */
static void test_found_as_made_up_is_a_change(void **state _unused_)
{
	struct cetd_counters_message c = {.key = CETD_KEY_TGID | 3, .vm = {.tgid = 3}};
	struct cetd_identity identity;
	struct seen seen;
	struct model *m = make_model(10, &seen);

	c.vm.counters.injected = 1;
	apply(m, CETD_MESSAGE_COUNTERS, &c, 10);
	assert_true(model_find_key(m, c.key)->is_provisional);
	identity = model_find_key(m, c.key)->identity;
	seen.changed = 0;
	apply(m, CETD_MESSAGE_VM_ADD, &identity, 20);
	assert_false(model_find_key(m, c.key)->is_provisional);
	assert_int_equal(seen.changed, 1);
	apply(m, CETD_MESSAGE_VM_ADD, &identity, 30);
	assert_int_equal(seen.changed, 1);
	model_free(m);
}

static void test_same_counters_are_no_change(void **state _unused_)
{
	struct cetd_counters_message c = {.key = CETD_KEY_TGID | 3, .vm = {.tgid = 3}};
	struct seen seen;
	struct model *m = make_model(10, &seen);

	c.vm.counters.injected = 1;
	apply(m, CETD_MESSAGE_COUNTERS, &c, 10);
	apply(m, CETD_MESSAGE_COUNTERS, &c, 20);
	assert_int_equal(seen.changed, 1);
	assert_int_equal(model_find_key(m, c.key)->last_activity_ns, 10);
	c.vm.counters.injected = 2;
	apply(m, CETD_MESSAGE_COUNTERS, &c, 30);
	assert_int_equal(seen.changed, 2);
	model_free(m);
}

static void test_registry_is_bounded(void **state _unused_)
{
	struct seen seen;
	struct model *m = make_model(2, &seen);

	add(m, 1, 1, "a", "a");
	add(m, 2, 2, "b", "b");
	add(m, 3, 3, "c", "c");
	assert_int_equal(m->n_vms, 2);
	assert_int_equal(m->vms_refused, 1);
	assert_null(model_find_key(m, 3));
	model_free(m);
}

static void test_faults_newest_first_without_torn_records(void **state _unused_)
{
	struct cetd_history_message h = {.key = 1};
	const struct cetd_event *faults[CETD_HISTORY_FAULTS];
	struct seen seen;
	struct model *m = make_model(10, &seen);

	add(m, 1, 1, "a", "a");
	h.history.head = 70;
	for (uint64_t position = 1; position <= 70; position++)
		h.history.faults[(position - 1) % CETD_HISTORY_FAULTS] =
			(struct cetd_event){.data = position, .rip = 0x1000 + position};
	h.history.faults[(69 - 1) % CETD_HISTORY_FAULTS].data = 0; /* being written */
	assert_int_equal(apply(m, CETD_MESSAGE_HISTORY, &h, 1), 0);

	assert_int_equal(vm_faults(model_find_key(m, 1), CETD_HISTORY_FAULTS, faults), 63);
	assert_int_equal(faults[0]->rip, 0x1000 + 70);
	assert_int_equal(faults[1]->rip, 0x1000 + 68);
	assert_int_equal(faults[62]->rip, 0x1000 + 7);
	assert_int_equal(vm_faults(model_find_key(m, 1), 2, faults), 2);
	model_free(m);
}

static void test_top_rips_most_frequent_first(void **state _unused_)
{
	struct cetd_history_message h = {.key = 1, .history = {.head = 1}};
	struct cetd_rip rips[CETD_TOP_RIPS];
	struct seen seen;
	struct model *m = make_model(10, &seen);

	add(m, 1, 1, "a", "a");
	h.history.rips[0] = (struct cetd_rip){0x10, 1, 0};
	h.history.rips[3] = (struct cetd_rip){0x30, 9, 2};
	h.history.rips[5] = (struct cetd_rip){0x20, 9, 0};
	apply(m, CETD_MESSAGE_HISTORY, &h, 1);
	assert_int_equal(vm_top_rips(model_find_key(m, 1), CETD_TOP_RIPS, rips), 3);
	assert_int_equal(rips[0].rip, 0x20);
	assert_int_equal(rips[1].rip, 0x30);
	assert_int_equal(rips[2].rip, 0x10);
	assert_int_equal(vm_top_rips(model_find_key(m, 1), 1, rips), 1);
	model_free(m);
}

/* Each case spoils a message that is good without it. */
static void test_bad_messages_change_nothing(void **state _unused_)
{
	struct cetd_identity identity = make_identity(1, 1, "a", "a");
	struct cetd_history_message history = {.key = 1};
	struct cetd_event event = {};
	struct cetd_host host = {};
	struct seen seen;
	struct model *m = make_model(10, &seen);
	const struct cetd_message wrong_size = {CETD_MESSAGE_VM_ADD, 8, 1, &identity};
	const struct cetd_message wrong_type = {99, 0, 1, NULL};

	assert_int_equal(apply(m, CETD_MESSAGE_VM_ADD, &identity, 1), 0);
	assert_int_equal(apply(m, CETD_MESSAGE_HISTORY, &history, 1), 0);
	assert_int_equal(apply(m, CETD_MESSAGE_EVENT, &event, 1), 0);
	assert_int_equal(apply(m, CETD_MESSAGE_HOST, &host, 1), 0);
	memset(&seen, 0, sizeof(seen));

	assert_int_equal(model_apply(m, &wrong_size), -EBADMSG);
	assert_int_equal(model_apply(m, &wrong_type), -EBADMSG);
	identity.attribution = _CETD_ATTRIBUTION_MAX;
	assert_int_equal(apply(m, CETD_MESSAGE_VM_ADD, &identity, 1), -EBADMSG);
	identity.attribution = 0;
	memset(identity.name, 'x', sizeof(identity.name));
	assert_int_equal(apply(m, CETD_MESSAGE_VM_ADD, &identity, 1), -EBADMSG);
	snprintf(identity.name, sizeof(identity.name), "\xff");
	assert_int_equal(apply(m, CETD_MESSAGE_VM_ADD, &identity, 1), -EBADMSG);
	/* What a terminal would obey, or a log would take for a line of its own. */
	snprintf(identity.name, sizeof(identity.name), "a\033]0;title\a");
	assert_int_equal(apply(m, CETD_MESSAGE_VM_ADD, &identity, 1), -EBADMSG);
	snprintf(identity.name, sizeof(identity.name), "a\n<0>b");
	assert_int_equal(apply(m, CETD_MESSAGE_VM_ADD, &identity, 1), -EBADMSG);
	event.kind = _CETD_KIND_MAX;
	assert_int_equal(apply(m, CETD_MESSAGE_EVENT, &event, 1), -EBADMSG);
	event = (struct cetd_event){.cpl = 4};
	assert_int_equal(apply(m, CETD_MESSAGE_EVENT, &event, 1), -EBADMSG);
	history.history.faults[63].action = _CETD_ACTION_MAX;
	assert_int_equal(apply(m, CETD_MESSAGE_HISTORY, &history, 1), -EBADMSG);
	host.n_causes = CETD_CAUSES_MAX + 1;
	assert_int_equal(apply(m, CETD_MESSAGE_HOST, &host, 1), -EBADMSG);
	host = (struct cetd_host){.kernel_release = "6.12\033[2J"};
	assert_int_equal(apply(m, CETD_MESSAGE_HOST, &host, 1), -EBADMSG);

	assert_int_equal(seen.added + seen.changed + seen.events + seen.hosts, 0);
	assert_int_equal(m->messages, 4);
	model_free(m);
}

static void test_events_lost_and_settled_are_passed_on(void **state _unused_)
{
	struct cetd_lost_message lost = {.lost = {1, 2, 3}, .map_entries = 7};
	struct cetd_event event = {.key = 5};
	struct seen seen;
	struct model *m = make_model(10, &seen);

	apply(m, CETD_MESSAGE_EVENT, &event, 1);
	apply(m, CETD_MESSAGE_LOST, &lost, 1);
	apply(m, CETD_MESSAGE_SETTLED, NULL, 1);
	assert_int_equal(seen.events, 1);
	assert_int_equal(seen.settled, 1);
	assert_int_equal(m->lost[CETD_LOST_SAMPLE_BUDGET], 3);
	assert_int_equal(m->map_entries, 7);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_find_remove),
		cmocka_unit_test(test_find_by_uuid_in_any_spelling),
		cmocka_unit_test(test_equal_names_are_ambiguous),
		cmocka_unit_test(test_equal_ids_are_told_apart),
		cmocka_unit_test(test_ids_that_look_made_unique),
		cmocka_unit_test(test_equal_ids_stay_utf8),
		cmocka_unit_test(test_ids_to_keep),
		cmocka_unit_test(test_counters_before_discovery_are_kept),
		cmocka_unit_test(test_found_as_made_up_is_a_change),
		cmocka_unit_test(test_same_counters_are_no_change),
		cmocka_unit_test(test_registry_is_bounded),
		cmocka_unit_test(test_faults_newest_first_without_torn_records),
		cmocka_unit_test(test_top_rips_most_frequent_first),
		cmocka_unit_test(test_bad_messages_change_nothing),
		cmocka_unit_test(test_events_lost_and_settled_are_passed_on),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
