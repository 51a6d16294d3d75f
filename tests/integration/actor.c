// SPDX-License-Identifier: GPL-2.0-only
/* Freezing and terminating over a private bus, with stand-ins for systemd and machined, and units that are not the
 * VM's alone. Processes are real, cgroups are files. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "enforce/actor.h"
#include "enforce/unit.h"
#include "private-bus.h"
#include "util/macro.h"

#define WAIT_USEC (20 * USEC_PER_SEC)
#define MANY 500
#define WIDE 2100

static sd_event *loop;
static char root[128];
static unsigned int n_failed;

/* What the stand-ins were asked, and how they are to answer; shared with them. */
static struct shared {
	char calls[1024]; /* orders, one a line */
	unsigned int n_calls;
	char machine_class[16], machine_unit[64]; /* "": there is no machine */
	uint32_t machine_leader;
} *shared;

static struct {
	int error;
	char message[512];
	unsigned int n;
} ended;

static void check(bool ok, const char *name)
{
	printf(ok ? "ok actor: %s\n"
		  : "not ok actor: %s: see its source (error %d, \"%s\", calls \"%s\")\n",
	       name, ended.error, ended.message, shared->calls);
	fflush(stdout);
	n_failed += !ok;
}

/* ---- The stand-ins. ---- */

static int note(sd_bus_message *m, const char *format, ...)
{
	size_t n = strlen(shared->calls);
	va_list ap;

	va_start(ap, format);
	vsnprintf(shared->calls + n, sizeof(shared->calls) - n, format, ap);
	va_end(ap);
	shared->n_calls++;
	return sd_bus_message_get_expect_reply(m) ? sd_bus_reply_method_return(m, NULL) : 1;
}

static int machine_properties(sd_bus_message *m)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

	if (sd_bus_message_new_method_return(m, &reply) < 0 ||
	    sd_bus_message_append(reply, "a{sv}", 5, "Name", "s", "qemu-1-web", "Timestamp", "t",
				  (uint64_t)1, "Class", "s", shared->machine_class, "Leader", "u",
				  shared->machine_leader, "Unit", "s", shared->machine_unit) < 0)
		return -ENOMEM;
	return sd_bus_send(NULL, reply, NULL);
}

static int on_order(sd_bus_message *m, sd_bus_error *error)
{
	const char *member = sd_bus_message_get_member(m), *name = "", *word = "";
	const char *types = sd_bus_message_get_signature(m, true);
	int32_t number = 0;
	int r;

	r = sd_bus_message_read(m, "s", &name);
	if (r >= 0 && types[1])
		r = sd_bus_message_read(m, "s", &word);
	if (r >= 0 && types[1] && types[2])
		r = sd_bus_message_read(m, "i", &number);
	if (r < 0)
		return r;
	if (!strcmp(name, "mute.scope"))
		return 1;
	if (!strcmp(name, "refused.scope"))
		return sd_bus_error_setf(error, "org.freedesktop.systemd1.UnitBusy",
					 "Unit %s does not want to", name);
	return number  ? note(m, "%s %s %s %d\n", member, name, word, number)
	       : *word ? note(m, "%s %s %s\n", member, name, word)
		       : note(m, "%s %s\n", member, name);
}

static int on_call(sd_bus_message *m, void *userdata _unused_, sd_bus_error *error)
{
	const char *interface = sd_bus_message_get_interface(m);

	if (!interface || !sd_bus_message_is_method_call(m, NULL, NULL))
		return 0;
	if (sd_bus_message_is_method_call(m, "org.freedesktop.machine1.Manager", "GetMachineByPID"))
		return shared->machine_class[0]
			       ? sd_bus_reply_method_return(m, "o", "/org/freedesktop/machine1/m")
			       : sd_bus_error_set(error, "org.freedesktop.machine1.NoMachineForPID",
						  "No machine");
	if (!strcmp(interface, "org.freedesktop.DBus.Properties"))
		return machine_properties(m);
	if (!strcmp(interface, "org.freedesktop.machine1.Manager") ||
	    !strcmp(interface, "org.freedesktop.systemd1.Manager"))
		return on_order(m, error);
	return 0;
}

static pid_t start_stand_ins(void)
{
	static const char *const names[] = {"org.freedesktop.machine1", "org.freedesktop.systemd1",
					    NULL};
	pid_t pid = fork();
	sd_bus *bus;

	if (pid == 0)
		_exit(private_bus_serve(names, on_call));
	/* Until the names are there. */
	for (int i = 0; i < 500 && sd_bus_open_system(&bus) >= 0; i++) {
		int r = sd_bus_get_name_creds(bus, names[1], 0, NULL);

		sd_bus_flush_close_unref(bus);
		if (r >= 0)
			return pid;
		usleep(10 * USEC_PER_MSEC);
	}
	return -1;
}

/* ---- Units. ---- */

static pid_t start_process(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	return pid;
}

/* A process with a child; *ret_child is its. */
static pid_t start_family(pid_t *ret_child)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		pid_t child = start_process();

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(write(fds[1], &child, sizeof(child)) == sizeof(child) ? pause() : 1);
	}
	if (read(fds[0], ret_child, sizeof(*ret_child)) != sizeof(*ret_child))
		pid = -1;
	close(fds[0]);
	close(fds[1]);
	return pid;
}

/* The cgroup at path, below the root, holds these processes; 0 is none. */
static void make_cgroup(const char *path, pid_t a, pid_t b)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *s = full + strlen(root); (s = strchr(s, '/')); *s++ = '/') {
		*s = '\0';
		mkdir(full, 0755);
	}
	mkdir(full, 0755);
	strcat(full, "/cgroup.procs");
	f = fopen(full, "we");
	if (!f)
		return;
	for (int i = 0; i < 2; i++)
		if ((i ? b : a))
			fprintf(f, "%d\n", i ? b : a);
	fclose(f);
}

/* ---- The test. ---- */

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

static void on_done(void *userdata _unused_, enum actor_action action _unused_, int error,
		    const char *message)
{
	ended.error = error;
	snprintf(ended.message, sizeof(ended.message), "%s", message ?: "");
	ended.n++;
}

static bool wait_for(unsigned int n)
{
	uint64_t end = now_usec() + WAIT_USEC;

	while (ended.n < n && now_usec() < end)
		if (sd_event_run(loop, 10 * USEC_PER_MSEC) < 0)
			return false;
	return ended.n == n;
}

static int request(struct actor *a, pid_t pid, const char *unit, const char *cgroup,
		   enum actor_action action)
{
	struct actor_subject subject = {"vm", unit, cgroup, (uint32_t)pid, 1, -1};
	int r;

	subject.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	r = actor_request(a, &subject, action, on_done, NULL);
	close(subject.pidfd);
	return r;
}

static bool act(struct actor *a, pid_t pid, const char *unit, const char *cgroup,
		enum actor_action action, int error)
{
	memset(shared->calls, 0, sizeof(shared->calls));
	shared->n_calls = 0;
	ended.n = 0;
	if (request(a, pid, unit, cgroup, action) < 0 || !wait_for(1))
		return false;
	/* An order that nobody waits for is on its way. */
	for (int i = 0; i < 300 && !error && action == ACTOR_TERMINATE && shared->n_calls < 2; i++)
		usleep(10 * USEC_PER_MSEC);
	return ended.error == error;
}

static bool called(const char *calls)
{
	return !strcmp(shared->calls, calls);
}

#define OWN "machine-web.scope", "/machine.slice/machine-web.scope/libvirt/emulator"

static void test_own_unit(struct actor *a, pid_t vm)
{
	check(act(a, vm, OWN, ACTOR_FREEZE, 0) && called("FreezeUnit machine-web.scope\n"),
	      "a VM is frozen by its unit");
	check(act(a, vm, OWN, ACTOR_THAW, 0) && called("ThawUnit machine-web.scope\n"),
	      "and thawed");
	check(act(a, vm, OWN, ACTOR_TERMINATE, 0) && called("StopUnit machine-web.scope replace\n"
							    "KillUnit machine-web.scope all 9\n"),
	      "and terminated, for good and at once");
}

static void test_refusals(struct actor *a, pid_t vm, pid_t other, pid_t child)
{
	struct actor_subject several = {"vm", OWN, (uint32_t)vm, 2, -1};
	char named[64];

	check(act(a, vm, "", "/", ACTOR_FREEZE, -ENOENT) && called(""), "no unit, no freeze");
	make_cgroup("/user.slice/session-3.scope", vm, other);
	check(act(a, vm, "session-3.scope", "/user.slice/session-3.scope", ACTOR_TERMINATE,
		  -EBUSY) &&
		      called(""),
	      "a session that the VM was started in is left alone");
	snprintf(named, sizeof(named), "process %d (actor) is in it, too", other);
	check(strstr(ended.message, named) && strstr(ended.message, "a unit of its own"),
	      "and the other process is named");
	make_cgroup("/system.slice/vmm.service", getpid(), vm);
	check(act(a, vm, "vmm.service", "/system.slice/vmm.service", ACTOR_FREEZE, -EBUSY) &&
		      called(""),
	      "the service of what started the VM is left alone");
	make_cgroup("/system.slice/mixed.service", vm, 0);
	make_cgroup("/system.slice/mixed.service/deep/below", other, 0);
	check(act(a, vm, "mixed.service", "/system.slice/mixed.service", ACTOR_FREEZE, -EBUSY) &&
		      called(""),
	      "and one with another process in a cgroup below");
	make_cgroup("/system.slice/wide.service", vm, 0);
	for (int i = 0; i < WIDE; i++) {
		snprintf(named, sizeof(named), "/system.slice/wide.service/%d", i);
		make_cgroup(named, 0, 0);
	}
	check(act(a, vm, "wide.service", "/system.slice/wide.service", ACTOR_FREEZE, -EOPNOTSUPP) &&
		      called("") && strstr(ended.message, "cannot all be read"),
	      "one with cgroups without end is not looked through");
	make_cgroup("/system.slice/family.service", vm, child);
	check(act(a, vm, "family.service", "/system.slice/family.service", ACTOR_FREEZE, 0),
	      "a child of the VMM is no other");
	make_cgroup("/system.slice/left.service", child, 0);
	check(act(a, vm, "left.service", "/system.slice/left.service", ACTOR_FREEZE, -ENOENT) &&
		      called(""),
	      "a unit that the VM has left is left alone");
	check(act(a, vm, "gone.service", "/system.slice/gone.service", ACTOR_FREEZE, -EOPNOTSUPP) &&
		      called(""),
	      "so is one whose processes cannot be seen");
	ended.n = 0;
	shared->calls[0] = '\0';
	several.pidfd = (int)syscall(SYS_pidfd_open, vm, 0);
	check(actor_request(a, &several, ACTOR_FREEZE, on_done, NULL) == 0 && wait_for(1) &&
		      ended.error == -EBUSY && called(""),
	      "and a process with two VMs");
	close(several.pidfd);
	make_cgroup("/refused.scope", vm, 0);
	check(act(a, vm, "refused.scope", "/refused.scope", ACTOR_FREEZE, -EIO) &&
		      !strcmp(ended.message, "Unit refused.scope does not want to"),
	      "what systemd refuses is refused in its words");
}

static void set_machine(const char *class, const char *unit, pid_t leader)
{
	snprintf(shared->machine_class, sizeof(shared->machine_class), "%s", class);
	snprintf(shared->machine_unit, sizeof(shared->machine_unit), "%s", unit);
	shared->machine_leader = (uint32_t)leader;
}

static void test_machine(struct actor *a, pid_t vm, pid_t other)
{
	/* A TPM's process is started by libvirt and put beside the VM's. */
	make_cgroup("/machine.slice/machine-web.scope/libvirt", other, 0);
	check(act(a, vm, OWN, ACTOR_FREEZE, -EBUSY) && called(""),
	      "a scope with another's process is refused");
	set_machine("vm", "machine-web.scope", vm);
	check(act(a, vm, OWN, ACTOR_FREEZE, 0) && called("FreezeUnit machine-web.scope\n"),
	      "but not if machined says that it is the VM's");
	check(act(a, vm, OWN, ACTOR_TERMINATE, 0) &&
		      called("TerminateMachine qemu-1-web\nKillMachine qemu-1-web all 9\n"),
	      "and then machined terminates it");
	set_machine("container", "machine-web.scope", vm);
	check(act(a, vm, OWN, ACTOR_FREEZE, -EBUSY) && called(""), "a container is no VM");
	set_machine("vm", "machine-web.scope", other);
	check(act(a, vm, OWN, ACTOR_FREEZE, -EBUSY) && called(""),
	      "nor is a machine that another process leads");
	set_machine("vm", "machine-other.scope", vm);
	check(act(a, vm, OWN, ACTOR_FREEZE, -EBUSY) && called(""), "nor one of another unit");
	set_machine("", "", 0);
	make_cgroup("/machine.slice/machine-web.scope/libvirt", 0, 0);
}

/* The VM ends, and something else has its id: the pidfd knows. */
static void test_reuse(struct actor *a, pid_t other)
{
	pid_t ending = start_process();
	struct actor_subject subject = {"vm", "reuse.scope", "/reuse.scope", (uint32_t)other, 1,
					-1};

	make_cgroup("/reuse.scope", other, 0);
	subject.pidfd = (int)syscall(SYS_pidfd_open, ending, 0);
	kill(ending, SIGKILL);
	waitpid(ending, NULL, 0);
	ended.n = 0;
	shared->calls[0] = '\0';
	check(actor_request(a, &subject, ACTOR_TERMINATE, on_done, NULL) == 0 && wait_for(1) &&
		      ended.error == -ESRCH && called(""),
	      "another process with the VM's id is left alone");
	subject.pidfd = (close(subject.pidfd), -1);
	ended.n = 0;
	check(actor_request(a, &subject, ACTOR_TERMINATE, on_done, NULL) == 0 && wait_for(1) &&
		      ended.error == -ESRCH && called(""),
	      "and so is one that cannot be held");
}

static void test_many(struct actor *a, pid_t vm)
{
	ended.n = 0;
	for (int i = 0; i < MANY; i++)
		if (request(a, vm, OWN, ACTOR_FREEZE) < 0)
			return check(false, "many requests are taken");
	check(wait_for(MANY) && !ended.error, "500 requests at once all come to their end");
}

static void test_dry_run(pid_t vm, pid_t other)
{
	const struct actor_params params = {.is_dry_run = true, .cgroup_root = root};
	struct actor *a;

	if (actor_new(loop, &params, &a) < 0)
		return check(false, "a dry run begins");
	check(act(a, vm, OWN, ACTOR_FREEZE, 0) && called(""), "a dry run does nothing");
	make_cgroup("/user.slice/session-4.scope", vm, other);
	check(act(a, vm, "session-4.scope", "/user.slice/session-4.scope", ACTOR_FREEZE, -EBUSY),
	      "but refuses what would be refused");
	actor_free(a);
}

static void test_units(void)
{
	char path[64];

	check(unit_cgroup("/machine.slice/m.scope/libvirt", "m.scope", path, sizeof(path)) == 0 &&
		      !strcmp(path, "/machine.slice/m.scope"),
	      "a unit's cgroup is found above the VM's");
	check(unit_cgroup("/a/m.scopes/m.scope", "m.scope", path, sizeof(path)) == 0 &&
		      !strcmp(path, "/a/m.scopes/m.scope"),
	      "a longer name is another's");
	check(unit_cgroup("/a/_cpu.service/x", "cpu.service", path, sizeof(path)) == 0 &&
		      !strcmp(path, "/a/_cpu.service"),
	      "an escaped one is found");
	check(unit_cgroup("/a/b.scope", "m.scope", path, sizeof(path)) == -ENOENT &&
		      unit_cgroup("/a/b.scope", "", path, sizeof(path)) == -ENOENT,
	      "what is not there is not");
	check(unit_cgroup("/a/m.scope", "m.scope", path, 10) == -ENAMETOOLONG,
	      "and a path that is too long is refused");
}

int main(void)
{
	struct actor_params params = {.cgroup_root = root};
	pid_t bus, server, vm, child, other;
	char command[160];
	struct actor *a;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || private_bus_prepare() < 0 || sd_event_default(&loop) < 0)
		return 1;
	snprintf(root, sizeof(root), "%s/cgroup", private_bus_directory());
	vm = start_family(&child);
	other = start_process();
	if (vm < 0 || other < 0)
		return 1;
	test_units();
	make_cgroup("/machine.slice/machine-web.scope/libvirt/emulator", vm, child);
	make_cgroup("/machine.slice/machine-web.scope/libvirt", 0, 0);
	make_cgroup("/machine.slice/machine-web.scope", 0, 0);

	if (actor_new(loop, &params, &a) < 0)
		return 1;
	check(act(a, vm, OWN, ACTOR_FREEZE, -EOPNOTSUPP), "without a bus nothing is done");
	bus = private_bus_start();
	server = bus < 0 ? -1 : start_stand_ins();
	if (server < 0) {
		printf("not ok actor: dbus-daemon does not start\n");
		return 1;
	}
	test_own_unit(a, vm);
	test_refusals(a, vm, other, child);
	test_machine(a, vm, other);
	test_reuse(a, other);
	test_many(a, vm);
	test_dry_run(vm, other);

	/* The bus goes away with an order on its way, and then so does the actor. */
	make_cgroup("/mute.scope", vm, 0);
	ended.n = 0;
	ended.error = 0;
	request(a, vm, "mute.scope", "/mute.scope", ACTOR_FREEZE);
	for (int i = 0; i < 20; i++)
		sd_event_run(loop, 10 * USEC_PER_MSEC);
	kill(bus, SIGKILL);
	waitpid(bus, NULL, 0);
	check(!ended.error && wait_for(1) && ended.error < 0, "a bus that ends is an error");
	ended.n = 0;
	request(a, vm, OWN, ACTOR_FREEZE);
	actor_free(a);
	check(ended.n == 1 && ended.error == -ECANCELED, "an end with a request open is one too");

	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	kill(vm, SIGKILL);
	kill(other, SIGKILL);
	sd_event_unref(loop);
	snprintf(command, sizeof(command), "rm -r '%s'", root);
	if (system(command))
		printf("# %s is left\n", root);
	private_bus_remove();
	return n_failed ? 1 : 0;
}
