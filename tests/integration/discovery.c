// SPDX-License-Identifier: GPL-2.0-only
/* Live: real VMs come and go by /dev/kvm while discovery runs on a loop. One line a check. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/capability.h>
#include <linux/kvm.h>
#include <linux/netlink.h>
#include <linux/sched.h>

#include <systemd/sd-event.h>

#include "source/procfs.h"
#include "source/scan.h"
#include "source/source.h"
#include "source/uevent.h"
#include "util/log.h"
#include "util/macro.h"

#define CHILD_VMS_MAX 300
#define WAIT_USEC (12 * USEC_PER_SEC)
#define QUIET_USEC (500 * USEC_PER_MSEC)

/* ---- The VMM: a child that does as it is told by single letters on stdin, answering with the same. ---- */

static void child_create(int kvm, int *vms, int *vcpus, int *n)
{
	vms[*n] = ioctl(kvm, KVM_CREATE_VM, 0);
	vcpus[*n] = vms[*n] < 0 ? -1 : ioctl(vms[*n], KVM_CREATE_VCPU, 0);
	if (vcpus[*n] < 0)
		_exit(3);
	++*n;
}

static void child_destroy(const int *vms, const int *vcpus, int *n)
{
	--*n;
	close(vcpus[*n]);
	close(vms[*n]);
}

static int child_main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vms[CHILD_VMS_MAX], vcpus[CHILD_VMS_MAX], n = 0;
	char command;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kvm < 0)
		return 2;
	while (read(STDIN_FILENO, &command, 1) == 1) {
		if (command == 'c')
			child_create(kvm, vms, vcpus, &n);
		else if (command == 'd')
			child_destroy(vms, vcpus, &n);
		else if (command == 'v') /* the vCPU alone keeps the VM */
			close(vms[n - 1]);
		else if (command == 'r') { /* one ends, the next begins */
			child_destroy(vms, vcpus, &n);
			child_create(kvm, vms, vcpus, &n);
		} else if (command == 's')
			for (int i = 0; i < 200; i++) {
				child_create(kvm, vms, vcpus, &n);
				child_destroy(vms, vcpus, &n);
			}
		else if (command == 'f' && fork() == 0) { /* a copy of the files, no VMM */
			prctl(PR_SET_PDEATHSIG, 0);
			sleep(30);
			_exit(0);
		}
		if (write(STDOUT_FILENO, &command, 1) != 1)
			return 1;
	}
	return 0;
}

/* Of the names of this test's VMs: others' come and go, too. */
static char prefix[32];

struct child {
	pid_t pid;
	int to, from;
};

/* fork(), to a pid of choice where want is not 0: -1 where it is taken. */
static pid_t fork_as(pid_t want)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = want ? (uintptr_t)&want : 0,
		.set_tid_size = want ? 1 : 0,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static struct child child_start_as(const char *name, pid_t want)
{
	struct child c;
	char guest[160];
	int to[2], from[2];

	snprintf(guest, sizeof(guest), "guest=%s%s,debug-threads=on", prefix, name);
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		abort();
	c.pid = fork_as(want);
	if (c.pid < 0 && !want)
		abort();
	if (c.pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl("/proc/self/exe", "qemu-system-x86_64", "-name", guest, (char *)NULL);
		_exit(4);
	}
	close(to[0]);
	close(from[1]);
	c.to = to[1];
	c.from = from[0];
	return c;
}

static struct child child_start(const char *name)
{
	return child_start_as(name, 0);
}

static void child_do(const struct child *c, const char *commands)
{
	char answer;

	for (; *commands; commands++)
		if (write(c->to, commands, 1) != 1 || read(c->from, &answer, 1) != 1)
			abort();
}

static void child_kill(struct child *c)
{
	close(c->to);
	close(c->from);
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
}

/* ---- What discovery tells. ---- */

#define KNOWN_MAX 4096

static struct {
	struct cetd_identity vms[KNOWN_MAX];
	unsigned int n, adds, removes, forgets, settled;
	uint64_t removed_key, forgotten_key;
} seen;

static struct cetd_identity *find_key(uint64_t key)
{
	for (unsigned int i = 0; i < seen.n; i++)
		if (seen.vms[i].key == key)
			return seen.vms + i;
	return NULL;
}

static int on_message(void *userdata _unused_, const struct cetd_message *m)
{
	struct cetd_identity *known;

	if (m->type == CETD_MESSAGE_VM_ADD) {
		const struct cetd_identity *i = m->payload;

		if (strncmp(i->name, prefix, strlen(prefix)))
			return 0;
		known = find_key(i->key);
		if (!known && seen.n < KNOWN_MAX)
			known = seen.vms + seen.n++;
		if (known)
			*known = *i;
		seen.adds++;
	} else if (m->type == CETD_MESSAGE_VM_REMOVE) {
		seen.removed_key = *(const __u64 *)m->payload;
		known = find_key(seen.removed_key);
		if (known) {
			*known = seen.vms[--seen.n];
			seen.removes++;
		}
	} else if (m->type == CETD_MESSAGE_SETTLED)
		seen.settled++;
	return 0;
}

static int on_forget(void *userdata _unused_, uint64_t key)
{
	if (find_key(key)) {
		seen.forgets++;
		seen.forgotten_key = key;
	}
	return 0;
}

static const struct cetd_identity *find_child(const struct child *c)
{
	return find_key(CETD_KEY_TGID | (uint64_t)c->pid);
}

/* ---- Checks. ---- */

static sd_event *loop;
static unsigned int n_failed;

static uint64_t now_usec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

static bool run_for(uint64_t usec)
{
	uint64_t end = now_usec() + usec;

	while (now_usec() < end)
		if (sd_event_run(loop, end - now_usec() + 1) < 0)
			return false;
	return true;
}

/* Run the loop until the condition holds, at most WAIT_USEC. */
#define wait_until(condition)                                           \
	({                                                              \
		uint64_t _end = now_usec() + WAIT_USEC;                 \
		while (!(condition) && now_usec() < _end)               \
			if (sd_event_run(loop, 20 * USEC_PER_MSEC) < 0) \
				break;                                  \
		(condition);                                            \
	})

static void _printf_(3, 4) check(bool ok, const char *name, const char *why, ...)
{
	va_list ap;

	if (ok) {
		printf("ok %s\n", name);
	} else {
		printf("not ok %s: ", name);
		va_start(ap, why);
		vprintf(why, ap);
		va_end(ap);
		putchar('\n');
		n_failed++;
	}
	fflush(stdout);
}

static void test_existing(const struct child *c)
{
	const struct cetd_identity *i;

	check(wait_until(find_child(c)), "discovery: a VM from before the start is found",
	      "no VM_ADD for process %d", (int)c->pid);
	i = find_child(c);
	if (!i)
		return;
	check(!strcmp(i->name + strlen(prefix), "early") && !strcmp(i->vmm, "qemu") &&
		      i->vms_in_process == 1 && i->attribution == CETD_ATTRIBUTION_PROCESS,
	      "discovery: it has its name and VMM", "name %s, vmm %s, %u VMs", i->name, i->vmm,
	      i->vms_in_process);
}

static void test_life(void)
{
	struct child c = child_start("late");
	const struct cetd_identity *i;
	unsigned int removes;

	run_for(50 * USEC_PER_MSEC);
	check(!find_child(&c), "discovery: a process without VMs is none", "it was added");

	/* The interval between scans is an hour here. */
	child_do(&c, "c");
	check(wait_until(find_child(&c)), "discovery: a new VM is found as it comes", "no VM_ADD");

	child_do(&c, "c");
	check(wait_until((i = find_child(&c)) && i->vms_in_process == 2 &&
			 i->attribution == CETD_ATTRIBUTION_AMBIGUOUS),
	      "discovery: two VMs in a process are ambiguous", "not said so");
	child_do(&c, "d");
	check(wait_until((i = find_child(&c)) && i->vms_in_process == 1) &&
		      i->attribution == CETD_ATTRIBUTION_AMBIGUOUS,
	      "discovery: with one of them gone the counts are still of both", "not said so");

	removes = seen.removes;
	child_do(&c, "d");
	check(wait_until(!find_child(&c)),
	      "discovery: the last VM closed without an exit is removed", "still there");
	check(seen.removes == removes + 1 && seen.forgets == seen.removes &&
		      seen.forgotten_key == seen.removed_key,
	      "discovery: counters are asked for before the removal", "%u removals, %u asked",
	      seen.removes, seen.forgets);

	child_do(&c, "c");
	check(wait_until((i = find_child(&c)) && i->attribution == CETD_ATTRIBUTION_PROCESS),
	      "discovery: the process's next VM starts afresh", "not added anew");
	removes = seen.removes;
	child_do(&c, "r");
	check(wait_until(seen.removes == removes + 1 && find_child(&c)),
	      "discovery: a VM that took another's place is another one", "%u removals",
	      seen.removes - removes);

	child_do(&c, "v");
	run_for(QUIET_USEC);
	check(find_child(&c), "discovery: a VM held by its vCPU alone is still one", "removed");
	child_kill(&c);
	check(wait_until(!find_child(&c)), "discovery: a killed VMM's VM is removed",
	      "still there");
}

static void test_fork(void)
{
	struct child c = child_start("forker");
	unsigned int n;

	child_do(&c, "c");
	wait_until(find_child(&c));
	n = seen.n;
	child_do(&c, "f");
	run_for(QUIET_USEC);
	check(seen.n == n, "discovery: a fork with a VM's files is no VMM", "%u VMs, not %u",
	      seen.n, n);
	child_kill(&c);
	check(wait_until(!find_child(&c)), "discovery: nor does it keep the VM alive",
	      "still there");
}

static void test_storm(void)
{
	struct child c = child_start("storm");
	unsigned int settled = seen.settled;
	uint64_t start = now_usec();

	child_do(&c, "s");
	child_do(&c, "c");
	check(wait_until(find_child(&c)), "discovery: after 200 VMs in a row the last is known",
	      "not found");
	run_for(QUIET_USEC);
	check(seen.settled - settled <= 2 + (now_usec() - start) / (20 * USEC_PER_MSEC),
	      "discovery: scans keep their distance in a storm", "%u rounds",
	      seen.settled - settled);
	child_kill(&c);
	check(wait_until(!find_child(&c)), "discovery: and nothing is left of it", "still there");
}

static void test_many(void)
{
	struct child children[40];
	unsigned int before = seen.n;

	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		char name[16];

		snprintf(name, sizeof(name), "many-%zu", i);
		children[i] = child_start(name);
		child_do(children + i, "c");
	}
	check(wait_until(seen.n == before + ARRAY_SIZE(children)), "discovery: 40 VMMs at once",
	      "%u found", seen.n - before);
	for (size_t i = 0; i < ARRAY_SIZE(children); i++)
		child_kill(children + i);
	check(wait_until(seen.n == before), "discovery: 40 VMMs gone at once", "%u left",
	      seen.n - before);
}

static void test_reused_pid(void)
{
	static const char name[] = "discovery: a reused pid is another VM";
	struct child a = child_start("first"), b;
	const struct cetd_identity *i;
	pid_t pid = a.pid;

	child_do(&a, "c");
	wait_until(find_child(&a));
	child_kill(&a);
	/* The loop has not run: discovery does not know yet. */
	b = child_start_as("second", pid);
	if (b.pid != pid) {
		printf("skip %s: the pid could not be had again\n", name);
		return;
	}
	child_do(&b, "c");
	check(wait_until((i = find_child(&b)) && !strcmp(i->name + strlen(prefix), "second")), name,
	      "still has the first one's name");
	child_kill(&b);
	wait_until(!find_child(&b));
}

static void test_nudge(struct discovery *d)
{
	uint64_t key = CETD_KEY_TGID | 4194303; /* PID_MAX_LIMIT - 1: nobody's here */

	seen.removed_key = 0;
	discovery_nudge(d, key);
	check(wait_until(seen.removed_key == key), "discovery: a key whose VM is gone is removed",
	      "no VM_REMOVE");
	seen.removed_key = 0;
	discovery_nudge(d, 123456);
	check(wait_until(seen.removed_key == 123456), "discovery: likewise an unknown VM id",
	      "no VM_REMOVE");
}

/* Say what the kernel would say, from a socket of our own. */
static void test_forged_uevent(void)
{
	static const char forged[] = "change@/devices/virtual/misc/kvm\0ACTION=change\0"
				     "DEVPATH=/devices/virtual/misc/kvm\0SUBSYSTEM=misc\0"
				     "EVENT=create\0PID=1";
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	socklen_t size = sizeof(to);
	struct uevent event;
	int fd = uevent_open(), from, r;

	check(uevent_parse(forged, sizeof(forged), &event) == 1, "uevent: the forgery is well made",
	      "refused for its form");
	from = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	if (fd < 0 || from < 0 || getsockname(fd, (struct sockaddr *)&to, &size) < 0)
		abort();
	to.nl_groups = 0;
	if (sendto(from, forged, sizeof(forged), 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
		printf("skip uevent: a forged one is refused: cannot send it: %s\n",
		       strerror(errno));
	} else {
		do
			r = uevent_receive(fd, &event);
		while (r == -EAGAIN);
		check(r == 0, "uevent: a forged one is refused", "uevent_receive() gave %d", r);
	}
	close(from);
	close(fd);
}

static bool drop_bpf(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	data[CAP_SYS_ADMIN / 32].effective &= ~(1U << (CAP_SYS_ADMIN % 32));
	data[CAP_BPF / 32].effective &= ~(1U << (CAP_BPF % 32));
	return syscall(SYS_capset, &header, data) == 0;
}

/* Without CAP_BPF the scan reads /proc, and finds the same. */
static int test_without_bpf(const struct child *c)
{
	const struct cetd_scan *records;
	unsigned int vms = 0;
	struct scan *s;
	size_t n;

	log_set_max_level(LOG_CRIT);
	if (!drop_bpf() || scan_new(&s) < 0)
		return 2;
	if (scan_is_complete(s) || scan_run(s, 0, &records, &n) < 0)
		return 3;
	if (procfs_count_vms((uint32_t)c->pid, &vms) == -EACCES)
		return 5;
	vms = 0;
	for (size_t i = 0; i < n; i++)
		vms += records[i].tgid == (uint32_t)c->pid;
	scan_free(s);
	return vms == 2 ? 0 : 4;
}

static void check_without_bpf(void)
{
	static const char name[] = "discovery: without BPF /proc tells of both VMs of a process";
	struct child c = child_start("plain");
	int status;
	pid_t pid;

	child_do(&c, "cc");
	pid = fork();
	if (pid == 0)
		_exit(test_without_bpf(&c));
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 5)
		printf("skip %s: it may not be looked into\n", name);
	else
		check(WIFEXITED(status) && WEXITSTATUS(status) == 0, name, "status %#x", status);
	child_kill(&c);
	wait_until(!find_child(&c));
}

/* In a PID namespace the kernel's ids mean other processes: nothing may be told. */
static int test_in_pid_namespace(const struct child *c)
{
	struct cetd_sink sink = {.send = on_message};
	struct discovery_params params = {.scan_interval_usec = USEC_PER_SEC};
	unsigned int adds = seen.adds, removes = seen.removes;
	struct discovery *d;

	log_set_max_level(LOG_CRIT);
	if (sd_event_new(&loop) < 0 || discovery_new(loop, &params, &sink, &d) < 0)
		return 2;
	seen.removed_key = 0;
	discovery_nudge(d, CETD_KEY_TGID | (uint64_t)c->pid);
	if (!run_for(QUIET_USEC) || seen.adds != adds || seen.removes != removes)
		return 3;
	discovery_free(d);
	return seen.removed_key ? 4 : 0;
}

static void check_pid_namespace(const struct child *c)
{
	static const char name[] = "discovery: in a PID namespace no VM gets another's name";
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		/* The namespace is that of the next process. */
		if (unshare(CLONE_NEWPID) < 0)
			_exit(77);
		pid = fork();
		if (pid == 0)
			_exit(test_in_pid_namespace(c));
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 5);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("skip %s: it may not be made\n", name);
	else
		check(WIFEXITED(status) && WEXITSTATUS(status) == 0, name, "status %#x", status);
}

int main(int argc _unused_, char *argv[])
{
	struct cetd_sink sink = {.send = on_message};
	struct discovery_params params = {
		.scan_interval_usec = 3600 * USEC_PER_SEC,
		.before_remove = on_forget,
	};
	struct discovery *d;
	struct child early;

	if (!strcmp(argv[0], "qemu-system-x86_64"))
		return child_main();
	if (geteuid() != 0 || access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("skip discovery: needs root and /dev/kvm\n");
		return 0;
	}

	snprintf(prefix, sizeof(prefix), "cetd-test-%d-", (int)getpid());
	early = child_start("early");
	child_do(&early, "c");
	if (sd_event_default(&loop) < 0 || discovery_new(loop, &params, &sink, &d) < 0)
		return 1;
	test_existing(&early);
	test_life();
	test_fork();
	test_storm();
	test_many();
	test_reused_pid();
	test_nudge(d);
	test_forged_uevent();
	check_without_bpf();
	check_pid_namespace(&early);
	check(find_child(&early), "discovery: the first VM is still there", "lost");
	child_kill(&early);
	check(wait_until(seen.n == 0), "discovery: no VM is left", "%u left", seen.n);
	discovery_free(d);
	sd_event_unref(loop);
	return n_failed ? 1 : 0;
}
