// SPDX-License-Identifier: GPL-2.0-only
/* What the API on D-Bus tells and gives to anyone, over a private bus, of VMs that are made up. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "../lib/sample-model.h"
#include "cetd/bus.h"
#include "export/authorize.h"
#include "export/bus-internal.h"
#include "export/bus.h"
#include "private-bus.h"
#include "util/log.h"
#include "util/macro.h"

#define VMS 600 /* more than one turn tells of */
#define NOBODY 65534

static sd_event *loop;
static struct bus *bus;
static struct model *model;
static struct ledger *ledger;
static struct storms *storms;
static struct export_context context;
static struct cetd_policy_state kept; /* what the kernel keeps of each VM */
static unsigned int n_failed;

/* What was heard. */
static unsigned int faults_of[VMS];
static unsigned int n_faults;
static unsigned int n_changes; /* signals that told of a VM's name and unit */
static unsigned int n_config;
static unsigned int n_refreshed;

static void check(bool ok, const char *format, ...) _printf_(2, 3);
static void check(bool ok, const char *format, ...)
{
	va_list ap;

	printf(ok ? "ok bus-signals: " : "not ok bus-signals: ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf(ok ? "\n" : ": see its source\n");
	fflush(stdout);
	n_failed += !ok;
}

/* ---- The daemon's side: a model that tells the bus. ---- */

static void on_storm(void *userdata _unused_, const struct storms_vm *vm _unused_,
		     const struct storm *storm _unused_)
{
}

static int refresh(void *userdata _unused_)
{
	n_refreshed++;
	return 0;
}

static int render_metrics(void *userdata _unused_, char **ret_text)
{
	*ret_text = strdup("# nothing\n");
	return *ret_text ? 0 : -ENOMEM;
}

static void set_monitored(void *userdata _unused_, bool is_monitored _unused_)
{
}

static void on_added(void *userdata _unused_, const struct vm *vm)
{
	bus_vm_added(bus, vm);
}

static void on_renamed(void *userdata _unused_, const struct vm *vm, const char *old_id)
{
	bus_vm_renamed(bus, vm, old_id);
}

static void on_changed(void *userdata _unused_, const struct vm *vm)
{
	bus_vm_changed(bus, vm);
}

static int get_policy_state(void *userdata _unused_, uint64_t key _unused_,
			    struct cetd_policy_state *ret)
{
	*ret = kept;
	return 0;
}

static int start(void)
{
	const enum cetd_coverage states[_CETD_FACT_MAX] = {
		[CETD_FACT_HARDWARE_CP] = CETD_COVERAGE_OBSERVED,
		[CETD_FACT_ENFORCEMENT] = CETD_COVERAGE_OBSERVED};
	const struct bus_commands commands = {.refresh = refresh,
					      .render_metrics = render_metrics,
					      .set_monitored = set_monitored,
					      .get_policy_state = get_policy_state};
	const struct model_observer observer = {
		.vm_added = on_added, .vm_renamed = on_renamed, .vm_changed = on_changed};

	if (model_new(VMS, &model) < 0 || sample_host(model, states, CETD_FAMILY_PATCHED) < 0 ||
	    ledger_new(&ledger) < 0 || storms_new(on_storm, NULL, &storms) < 0)
		return -1;
	context.ledger = ledger;
	context.storms = storms;
	if (bus_new(loop, "system", model, &context, &commands, &bus) < 0 || bus_claim(bus) < 0)
		return -1;
	model_set_observer(model, &observer);
	for (unsigned int i = 0; i < VMS; i++) {
		const struct cetd_identity id = sample_identity(i);

		if (sample_vm(model, &id) < 0)
			return -1;
	}
	return 0;
}

/* Every VM has faulted so often by now. */
static void fault(unsigned int times)
{
	n_faults = times;
	for (unsigned int i = 0; i < VMS; i++) {
		struct cetd_counters_message c = {.key = sample_identity(i).key};

		c.vm.counters.cp[CETD_KIND_ENDBRANCH][CETD_PRIVILEGE_USER] = times;
		sample_send(model, CETD_MESSAGE_COUNTERS, sizeof(c), &c);
	}
}

/* ---- The listener's. ---- */

static int on_faults(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
	const char *id, *kind, *privilege;
	unsigned int i;
	uint64_t count;

	if (sd_bus_message_read(m, "ssst", &id, &kind, &privilege, &count) >= 0 &&
	    sscanf(id, "4dea22b3-1d52-d8f3-2516-%12x", &i) == 1 && i < VMS)
		faults_of[i] += (unsigned int)count;
	return 0;
}

/* Does the signal tell of both properties of the interface? */
static bool tells(sd_bus_message *m, const char *interface, const char *first, const char *second)
{
	const char *of, *name;
	unsigned int n = 0;

	if (sd_bus_message_rewind(m, true) < 0 || sd_bus_message_read(m, "s", &of) < 0 ||
	    strcmp(of, interface) || sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
		return false;
	while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
		if (sd_bus_message_read(m, "s", &name) < 0 || sd_bus_message_skip(m, "v") < 0 ||
		    sd_bus_message_exit_container(m) < 0)
			return false;
		n += !strcmp(name, first) || !strcmp(name, second);
	}
	return n == 2;
}

static int on_properties(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
	n_changes += tells(m, CETD_BUS_VM, "Name", "Unit");
	n_config += tells(m, CETD_BUS_MANAGER, "ConfigFile", "MetricsAddress");
	return 0;
}

static sd_bus *listen_to_all(void)
{
	sd_bus *b;

	if (sd_bus_open_system(&b) < 0 ||
	    sd_bus_attach_event(b, loop, SD_EVENT_PRIORITY_NORMAL) < 0 ||
	    sd_bus_match_signal(b, NULL, NULL, NULL, CETD_BUS_MANAGER, "ControlProtection",
				on_faults, NULL) < 0 ||
	    sd_bus_match_signal(b, NULL, NULL, NULL, "org.freedesktop.DBus.Properties",
				"PropertiesChanged", on_properties, NULL) < 0)
		return NULL;
	return b;
}

static uint64_t now_usec(void)
{
	uint64_t usec = 0;

	sd_event_now(loop, CLOCK_MONOTONIC, &usec);
	return usec;
}

static bool all_told(void)
{
	for (unsigned int i = 0; i < VMS; i++)
		if (!faults_of[i])
			return false;
	return true;
}

static bool is_renamed(void)
{
	return n_changes > 0;
}

static bool is_config_told(void)
{
	return n_config > 0;
}

/* Run the loop, with `meanwhile` each time round, until it is so or the time is over. */
static bool wait_until(bool (*is_so)(void), void (*meanwhile)(unsigned int), uint64_t usec)
{
	uint64_t end;
	unsigned int n = 1;

	sd_event_run(loop, 0);
	for (end = now_usec() + usec; !is_so() && now_usec() < end;) {
		if (meanwhile)
			meanwhile(n++);
		for (int i = 0; i < 20; i++)
			sd_event_run(loop, USEC_PER_MSEC);
	}
	return is_so();
}

static void test_each_vm_is_told_of(void)
{
	check(wait_until(all_told, fault, 20 * USEC_PER_SEC),
	      "of %d VMs that fault all the time, each has its turn", VMS);
}

static bool all_faults_told(void)
{
	for (unsigned int i = 0; i < VMS; i++)
		if (faults_of[i] < n_faults)
			return false;
	return true;
}

/* As after a restart with pinned counters. */
static void test_old_faults_are_no_news(void)
{
	bool is_one_each = true;

	check(wait_until(all_faults_told, NULL, 20 * USEC_PER_SEC), "each fault is told of");
	fault(1000000);
	bus_take_as_told(bus);
	memset(faults_of, 0, sizeof(faults_of));
	fault(1000001);
	wait_until(all_told, NULL, 20 * USEC_PER_SEC);
	for (unsigned int i = 0; i < VMS; i++)
		is_one_each &= faults_of[i] == 1;
	check(is_one_each, "faults that an earlier daemon told of are not told again");
}

static void test_changes_are_told(void)
{
	struct cetd_identity id = sample_identity(3);

	/* What is still to be told of faults does not count. */
	wait_until(is_renamed, NULL, 1500 * USEC_PER_MSEC);
	check(!is_renamed(), "who has the same name is not said to have another");
	snprintf(id.name, sizeof(id.name), "another name");
	snprintf(id.unit, sizeof(id.unit), "another.scope");
	sample_vm(model, &id);
	check(wait_until(is_renamed, NULL, 20 * USEC_PER_SEC),
	      "a new name and unit under the same id are told");
	wait_until(is_config_told, NULL, 50 * USEC_PER_MSEC);
	check(n_changes == 1, "once");
	bus_config_changed(bus);
	check(wait_until(is_config_told, NULL, 20 * USEC_PER_SEC), "another configuration is told");
}

/* ---- What a policy brings about. ---- */

static char answer[64];

static int on_answer(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
	const char *text = "no answer";

	sd_bus_message_read(m, "v", "s", &text);
	snprintf(answer, sizeof(answer), "%s", text);
	return 0;
}

static bool is_answered(void)
{
	return answer[0];
}

static bool throttle_state_is(sd_bus *client, const struct vm *vm, const char *expected)
{
	_cleanup_(freep) char *path = NULL;

	answer[0] = '\0';
	if (sd_bus_path_encode(CETD_BUS_VM_PREFIX, vm->identity.id, &path) < 0 ||
	    sd_bus_call_method_async(client, NULL, CETD_BUS_NAME, path,
				     "org.freedesktop.DBus.Properties", "Get", on_answer, NULL,
				     "ss", CETD_BUS_VM, "ThrottleState") < 0)
		return false;
	return wait_until(is_answered, NULL, 20 * USEC_PER_SEC) && !strcmp(answer, expected);
}

static void test_throttle_state(sd_bus *client)
{
	const struct vm *vm = model_find_key(model, sample_identity(5).key);
	struct cetd_policy policy = {.generation = 2, .mode = CETD_MODE_ENFORCE, .n_rates = 1};
	const uint64_t second = NSEC_PER_SEC, now = now_usec() * NSEC_PER_USEC;
	const struct policy_verdict *verdict;

	policy.rates[0] = (struct cetd_rate){
		.interval_ns = second, .quiet_ns = 60 * second, .then = CETD_THEN_THROTTLE};
	kept.generation = 2;
	kept.buckets[0] = (struct cetd_bucket){.storm_ns = now, .over_ns = now};
	check(throttle_state_is(client, vm, "unobservable"),
	      "of a VM that was not judged nothing is said");
	ledger_update(ledger, vm, 1, &verdict);
	check(throttle_state_is(client, vm, "idle"), "without a policy it is idle");
	storms_set_policy(storms, vm->identity.key, &policy, true, NULL, now);
	check(throttle_state_is(client, vm, "throttled"), "in a storm it is throttled");
	kept.generation = 1;
	check(throttle_state_is(client, vm, "idle"), "a storm under the policy before is over");
}

/* ---- What is described is as it is now. ---- */

static int on_description(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
	snprintf(answer, sizeof(answer), "%s",
		 sd_bus_message_is_method_error(m, NULL) ? "error" : "described");
	return 0;
}

static void test_description_is_fresh(sd_bus *client)
{
	static const struct {
		const char *path, *interface;
	} cases[] = {
		{CETD_BUS_PATH, CETD_BUS_MANAGER},
		{NULL, CETD_BUS_VM},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *path = NULL;

		if (!cases[i].path &&
		    sd_bus_path_encode(CETD_BUS_VM_PREFIX, sample_identity(5).id, &path) < 0)
			return;
		n_refreshed = 0;
		answer[0] = '\0';
		check(sd_bus_call_method_async(client, NULL, CETD_BUS_NAME, cases[i].path ?: path,
					       cases[i].interface, "Describe", on_description, NULL,
					       "") >= 0 &&
			      wait_until(is_answered, NULL, 20 * USEC_PER_SEC) &&
			      !strcmp(answer, "described") && n_refreshed,
		      "%s.Describe tells of what is now", cases[i].interface);
	}
}

/* ---- What no message holds is refused: dbus-daemon would throw out who says it. ---- */

static int on_refusal(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error _unused_)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	snprintf(answer, sizeof(answer), "%s", e ? e->name : "an answer");
	return 0;
}

static void test_long_answers(sd_bus *client)
{
	static const char *const calls[][2] = {
		{CETD_BUS_MANAGER, "Describe"},
		{CETD_BUS_MANAGER, "Metrics"},
		{"org.freedesktop.DBus.ObjectManager", "GetManagedObjects"},
	};

	for (size_t i = 0; i < 2 * ARRAY_SIZE(calls); i++) {
		const char *const *call = calls[i / 2];
		bool is_too_long = i % 2;

		bus->text_max = is_too_long ? 1 : CETD_BUS_TEXT_MAX;
		bus->objects_max = is_too_long ? VMS - 1 : VMS;
		answer[0] = '\0';
		check(sd_bus_call_method_async(client, NULL, CETD_BUS_NAME, CETD_BUS_PATH, call[0],
					       call[1], on_refusal, NULL, "") >= 0 &&
			      wait_until(is_answered, NULL, 20 * USEC_PER_SEC) &&
			      !strcmp(answer,
				      is_too_long ? SD_BUS_ERROR_LIMITS_EXCEEDED : "an answer"),
		      "%s that %s: %s", call[1], is_too_long ? "is too long" : "just fits", answer);
	}
	bus->text_max = CETD_BUS_TEXT_MAX;
	bus->objects_max = CETD_BUS_OBJECTS_MAX;
}

/* ---- Dumps, in a child that is nobody. ---- */

static int dump(sd_bus *b, int *ret_fd)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int fd, r;

	r = sd_bus_call_method(b, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
			       "DumpByFileDescriptor", &error, &reply, "");
	if (r >= 0)
		r = sd_bus_message_read(reply, "h", &fd);
	if (r >= 0)
		*ret_fd = dup(fd);
	return sd_bus_error_has_name(&error, CETD_BUS_ERROR_LIMIT) ? -E2BIG : r;
}

static bool is_full(int fd)
{
	struct stat st;
	char first;

	return fstat(fd, &st) == 0 && st.st_size > VMS && pread(fd, &first, 1, 0) == 1 &&
	       first == '{';
}

static bool is_emptied(int fd)
{
	struct stat st = {.st_size = 1};

	for (int i = 0; i < 200 && st.st_size; i++) {
		if (fstat(fd, &st) < 0)
			return false;
		usleep(100 * USEC_PER_MSEC);
	}
	return !st.st_size;
}

/* As many as are allowed, then one too many; when their time is over they are empty, and there is room again. The
 * exit code says which of this was not so. */
static int hoard_dumps(void)
{
	int fds[DUMPS_MAX_USER + 1];
	sd_bus *b;

	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
	    sd_bus_open_system(&b) < 0)
		return 1;
	for (int i = 0; i < DUMPS_MAX_USER; i++)
		if (dump(b, fds + i) < 0 || !is_full(fds[i]))
			return 2;
	if (dump(b, fds + DUMPS_MAX_USER) != -E2BIG)
		return 3;
	if (write(fds[0], "x", 1) >= 0 || ftruncate(fds[0], 1 << 20) == 0)
		return 4;
	for (int i = 0; i < DUMPS_MAX_USER; i++)
		if (!is_emptied(fds[i]))
			return 5;
	return dump(b, fds + DUMPS_MAX_USER) < 0 || !is_full(fds[DUMPS_MAX_USER]) ? 6 : 0;
}

/* ---- A crowd at the door, in another. ---- */

/* More calls than may wait, from as many connections as it takes; a byte to ready when they are sent. */
static int crowd(int ready)
{
	if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return 1;
	for (int n = 0; n <= AUTHORIZE_MAX; n += AUTHORIZE_MAX_SENDER) {
		sd_bus *b;

		if (sd_bus_open_system(&b) < 0)
			return 2;
		for (int i = 0; i < AUTHORIZE_MAX_SENDER; i++)
			if (sd_bus_call_method_async(b, NULL, CETD_BUS_NAME, CETD_BUS_PATH,
						     CETD_BUS_MANAGER, "GetFaults", NULL, NULL,
						     "su", sample_identity(5).id, 1) < 0)
				return 3;
		if (sd_bus_flush(b) < 0)
			return 4;
	}
	return write(ready, "", 1) == 1 ? pause() : 5;
}

static int on_faults_answer(sd_bus_message *m, void *userdata _unused_,
			    sd_bus_error *error _unused_)
{
	const sd_bus_error *e = sd_bus_message_get_error(m);

	snprintf(answer, sizeof(answer), "%s", e ? e->name : "faults");
	return 0;
}

static int child_status;
static pid_t child;

/* None of those is answered before the call of root has come: the loop stands still until all are there. */
static void test_root_passes_a_crowd(sd_bus *client)
{
	int ready[2];
	char byte;

	if (pipe(ready) < 0)
		return;
	child = fork();
	if (child == 0)
		_exit(crowd(ready[1]));
	close(ready[1]);
	answer[0] = '\0';
	check(read(ready[0], &byte, 1) == 1 &&
		      sd_bus_call_method_async(client, NULL, CETD_BUS_NAME, CETD_BUS_PATH,
					       CETD_BUS_MANAGER, "GetFaults", on_faults_answer,
					       NULL, "su", sample_identity(5).id, 1) >= 0,
	      "a crowd of calls is sent, and one of root");
	check(wait_until(is_answered, NULL, 20 * USEC_PER_SEC) && !strcmp(answer, "faults"),
	      "root's has its turn: %s", answer);
	close(ready[0]);
	kill(child, SIGKILL);
	waitpid(child, &child_status, 0);
}

static bool has_child_ended(void)
{
	return waitpid(child, &child_status, WNOHANG) == child;
}

static void test_dumps_are_bounded(void)
{
	bus->dump_usec = 5 * USEC_PER_SEC;
	child = fork();
	if (child == 0)
		_exit(hoard_dumps());
	wait_until(has_child_ended, NULL, 60 * USEC_PER_SEC);
	check(WIFEXITED(child_status) && WEXITSTATUS(child_status) == 0,
	      "dumps for anyone are few, sealed, and emptied in time (%d)",
	      WEXITSTATUS(child_status));
}

int main(void)
{
	sd_bus *listener;
	pid_t server;

	log_set_max_level(LOG_ERR);
	if (private_bus_prepare() < 0 || sd_event_default(&loop) < 0)
		return 1;
	server = private_bus_start();
	if (server < 0) {
		printf("not ok bus-signals: dbus-daemon does not start\n");
		return 1;
	}
	chmod(private_bus_directory(), 0755);
	listener = listen_to_all();
	if (!listener || start() < 0) {
		printf("not ok bus-signals: the API cannot be put on the bus\n");
		return 1;
	}
	test_each_vm_is_told_of();
	test_old_faults_are_no_news();
	test_changes_are_told();
	test_throttle_state(listener);
	test_description_is_fresh(listener);
	test_long_answers(listener);
	if (geteuid() == 0) {
		test_root_passes_a_crowd(listener);
		test_dumps_are_bounded();
	} else {
		printf("skip bus-signals: what another user does: needs root\n");
	}

	sd_bus_flush_close_unref(listener);
	bus_free(bus);
	storms_free(storms);
	ledger_free(ledger);
	model_free(model);
	sd_event_unref(loop);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	private_bus_remove();
	return n_failed ? 1 : 0;
}
