// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the programs cost a guest that does nothing but take the events they look at. Each case runs for a short
 * time in each round, all cases in turn, so that what else the machine does meets them alike. Nanoseconds are the
 * kernel's own run-time statistics, and "net" is what an empty program on the same tracepoint does not need.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "cetd/event.h"

#include "cetd.skel.h"
#include "tests/bench/programs.skel.h"
#include "util/macro.h"

#define ROUNDS_MAX 15
#define MAX_VMS 4096
/* The loop below, for bpftrace; tracepoint arguments as the kernel names them. */
#define BPFTRACE_PROGRAM                                                     \
	"tracepoint:kvm:kvm_msr /args->ecx >= 0x6a0 && args->ecx <= 0x6a8/ " \
	"{ @[pid, args->ecx, args->write, args->exception] = count(); }"

enum bench_case {
	CASE_NOTHING,
	CASE_EMPTY,
	CASE_FILTERED, /* measured along with CASE_COUNTED: #GP is injected for each access */
	CASE_COUNTED,
	CASE_SAMPLED,
	CASE_PERF, /* as on Linux 7: by perf's tracepoint, whose own work shows in the guest's speed only */
	CASE_FAULT_ONE,
	CASE_FAULT_MANY,
	CASE_BPFTRACE,
	_CASE_MAX,
};

static const struct {
	const char *name;
	double budget_ns; /* 0: none */
	bool is_run;
} cases[_CASE_MAX] = {
	[CASE_NOTHING] = {"no program", .is_run = true},
	[CASE_EMPTY] = {"empty program", .is_run = true},
	[CASE_FILTERED] = {"cetd, filtered out", .budget_ns = 10},
	[CASE_COUNTED] = {"cetd, counted", .budget_ns = 40, .is_run = true},
	[CASE_SAMPLED] = {"cetd, counted, sample", .is_run = true},
	[CASE_PERF] = {"cetd, counted, Linux 7's way", .is_run = true},
	[CASE_FAULT_ONE] = {"cetd, fault record", .budget_ns = 200, .is_run = true},
	[CASE_FAULT_MANY] = {"cetd, fault record, 64 RIPs", .budget_ns = 200, .is_run = true},
	[CASE_BPFTRACE] = {"bpftrace, counted", .is_run = true},
};

/* One measurement; ns is per run of the program, events a second is the guest's own figure. */
struct result {
	double ns, rate;
};

struct bench {
	struct result results[_CASE_MAX][ROUNDS_MAX];
	double empty_inj_ns[ROUNDS_MAX];
	const char *build;
	unsigned int rounds;
	double seconds;
	bool has_bpftrace;
};

static double run_guest(const struct bench *b)
{
	char command[512], line[4096] = "";
	unsigned long long rounds = 0;
	double seconds = 0;
	const char *p;
	FILE *f;

	snprintf(command, sizeof(command),
		 "%s/cetvmm --json --count 1000000000 --seconds %.0f --timeout 30 "
		 "%s/guest/msr-loop.bin",
		 b->build, b->seconds, b->build);
	f = popen(command, "re");
	if (!f)
		return 0;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	if (pclose(f) != 0)
		return 0;
	p = strstr(line, "\"seconds\":");
	if (p)
		seconds = atof(p + strlen("\"seconds\":"));
	p = strstr(line, "\"rounds\":");
	if (p)
		rounds = strtoull(p + strlen("\"rounds\":"), NULL, 10);
	return seconds > 0 ? rounds / seconds : 0;
}

static double program_ns(int fd)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (bpf_prog_get_info_by_fd(fd, &info, &size) < 0 || !info.run_cnt)
		return 0;
	return (double)info.run_time_ns / info.run_cnt;
}

static int on_sample(_unused_ void *userdata, _unused_ void *data, _unused_ size_t size)
{
	return 0;
}

/* Drain as the daemon does, until told to end. */
static pid_t start_drain(int map_fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct ring_buffer *ring = ring_buffer__new(map_fd, on_sample, NULL, NULL);

		for (;;) {
			usleep(10000);
			ring_buffer__consume(ring);
		}
	}
	return pid;
}

static bool is_attached(struct bpf_link *link)
{
	if (!link)
		fprintf(stderr, "bench: attach: %s\n", strerror(errno));
	return link;
}

static struct cetd_bpf *cetd_load(uint32_t budget, bool is_perf)
{
	struct cetd_bpf *skel = cetd_bpf__open();
	struct bpf_program *p;

	if (!skel)
		return NULL;
	bpf_object__for_each_program (p, skel->obj)
		bpf_program__set_autoload(p, false);
	bpf_program__set_autoload(skel->progs.perf_msr, is_perf);
	bpf_program__set_autoload(skel->progs.stock_msr, !is_perf);
	bpf_program__set_autoload(skel->progs.stock_inj_exception, !is_perf);
	skel->rodata->max_vms = MAX_VMS;
	bpf_map__set_max_entries(skel->maps.vms, MAX_VMS);
	bpf_map__set_max_entries(skel->maps.slots, MAX_VMS);
	bpf_map__set_max_entries(skel->maps.free_slots, MAX_VMS);
	bpf_map__set_max_entries(skel->maps.histories, MAX_VMS);
	skel->rodata->sample_budget = budget;
	if (cetd_bpf__load(skel) < 0) {
		cetd_bpf__destroy(skel);
		return NULL;
	}
	return skel;
}

static int measure_empty(struct bench *b, unsigned int round)
{
	struct programs_bpf *skel = programs_bpf__open_and_load();
	int r = -EIO;

	if (!skel)
		return -errno;
	skel->links.empty_msr = bpf_program__attach(skel->progs.empty_msr);
	skel->links.empty_inj_exception = bpf_program__attach(skel->progs.empty_inj_exception);
	if (is_attached(skel->links.empty_msr) && is_attached(skel->links.empty_inj_exception)) {
		struct result *e = &b->results[CASE_EMPTY][round];

		e->rate = run_guest(b);
		e->ns = program_ns(bpf_program__fd(skel->progs.empty_msr));
		b->empty_inj_ns[round] =
			program_ns(bpf_program__fd(skel->progs.empty_inj_exception));
		r = 0;
	}
	programs_bpf__destroy(skel);
	return r;
}

static int measure_cetd(struct bench *b, unsigned int round, bool is_sampled)
{
	struct cetd_bpf *skel = cetd_load(is_sampled ? 1000000 : 10, false);
	struct result *e = &b->results[is_sampled ? CASE_SAMPLED : CASE_COUNTED][round];
	pid_t drain = 0;
	int r = -EIO;

	if (!skel)
		return -errno;
	if (is_sampled) {
		skel->bss->control.sample_mask = 1U << CETD_EVENT_MSR;
		drain = start_drain(bpf_map__fd(skel->maps.samples));
	}
	skel->links.stock_msr = bpf_program__attach(skel->progs.stock_msr);
	skel->links.stock_inj_exception = bpf_program__attach(skel->progs.stock_inj_exception);
	if (is_attached(skel->links.stock_msr) && is_attached(skel->links.stock_inj_exception)) {
		e->rate = run_guest(b);
		e->ns = program_ns(bpf_program__fd(skel->progs.stock_msr));
		if (!is_sampled) {
			b->results[CASE_FILTERED][round].rate = e->rate;
			b->results[CASE_FILTERED][round].ns =
				program_ns(bpf_program__fd(skel->progs.stock_inj_exception));
		}
		r = 0;
	}
	if (drain > 0) {
		kill(drain, SIGTERM);
		waitpid(drain, NULL, 0);
	}
	cetd_bpf__destroy(skel);
	return r;
}

static int measure_perf(struct bench *b, unsigned int round)
{
	struct cetd_bpf *skel = cetd_load(10, true);
	int r = -EIO;

	if (!skel)
		return -errno;
	skel->links.perf_msr = bpf_program__attach(skel->progs.perf_msr);
	if (is_attached(skel->links.perf_msr)) {
		b->results[CASE_PERF][round].rate = run_guest(b);
		b->results[CASE_PERF][round].ns = program_ns(bpf_program__fd(skel->progs.perf_msr));
		r = 0;
	}
	cetd_bpf__destroy(skel);
	return r;
}

static int measure_fault(struct bench *b, unsigned int round, enum bench_case c)
{
	struct programs_bpf *skel = programs_bpf__open();
	int r = -EIO;

	if (!skel)
		return -errno;
	skel->rodata->addresses = c == CASE_FAULT_MANY ? 64 : 1;
	if (programs_bpf__load(skel) < 0) {
		programs_bpf__destroy(skel);
		return -errno;
	}
	skel->links.fault_record = bpf_program__attach(skel->progs.fault_record);
	if (is_attached(skel->links.fault_record)) {
		b->results[c][round].rate = run_guest(b);
		b->results[c][round].ns = program_ns(bpf_program__fd(skel->progs.fault_record));
		r = 0;
	}
	programs_bpf__destroy(skel);
	return r;
}

/* The newest program on the machine of that type, which is bpftrace's own if it was loaded since `after`. */
static int newest_program(__u32 after, __u32 *ret_id)
{
	__u32 id = after;

	*ret_id = 0;
	while (bpf_prog_get_next_id(id, &id) == 0) {
		struct bpf_prog_info info = {};
		__u32 size = sizeof(info);
		_cleanup_(closep) int fd = bpf_prog_get_fd_by_id(id);

		if (fd >= 0 && bpf_prog_get_info_by_fd(fd, &info, &size) == 0 &&
		    info.type == BPF_PROG_TYPE_TRACEPOINT)
			*ret_id = id;
	}
	return *ret_id ? bpf_prog_get_fd_by_id(*ret_id) : -ENOENT;
}

static __u32 last_program(void)
{
	__u32 id = 0, last = 0;

	while (bpf_prog_get_next_id(id, &id) == 0)
		last = id;
	return last;
}

static int measure_bpftrace(struct bench *b, unsigned int round)
{
	__u32 before = last_program(), id;
	_cleanup_(closep) int fd = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("sh", "sh", "-c", "exec bpftrace -e \"$0\" >/dev/null 2>&1",
		       BPFTRACE_PROGRAM, NULL);
		_exit(127);
	}
	for (int i = 0; i < 100 && fd < 0; i++) {
		usleep(50000);
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return -ENOENT;
		fd = newest_program(before, &id);
	}
	usleep(300000); /* from loaded to attached */
	b->results[CASE_BPFTRACE][round].rate = run_guest(b);
	b->results[CASE_BPFTRACE][round].ns = fd >= 0 ? program_ns(fd) : 0;
	/* bpftrace misses a signal that comes while it is still attaching. */
	kill(pid, SIGINT);
	for (int i = 0; waitpid(pid, NULL, WNOHANG) == 0; i++) {
		if (i == 20)
			kill(pid, SIGKILL);
		usleep(100000);
	}
	return 0;
}

static int measure(struct bench *b, enum bench_case c, unsigned int round)
{
	switch (c) {
	case CASE_NOTHING:
		b->results[c][round].rate = run_guest(b);
		return 0;
	case CASE_EMPTY:
		return measure_empty(b, round);
	case CASE_COUNTED:
		return measure_cetd(b, round, false);
	case CASE_SAMPLED:
		return measure_cetd(b, round, true);
	case CASE_PERF:
		return measure_perf(b, round);
	case CASE_FAULT_ONE:
	case CASE_FAULT_MANY:
		return measure_fault(b, round, c);
	case CASE_BPFTRACE:
		return b->has_bpftrace ? measure_bpftrace(b, round) : 0;
	default:
		return 0;
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double middle(const double *values, unsigned int n)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double least(const double *values, unsigned int n)
{
	double min = values[0];

	for (unsigned int i = 1; i < n; i++)
		min = MIN(min, values[i]);
	return min;
}

/* Nanoseconds are those of the best round: what else the machine does only adds to them. The guest's speed is the
 * middle of the rounds, each against that round's own. Returns false: over budget. */
static bool print_case(const struct bench *b, enum bench_case c)
{
	double values[ROUNDS_MAX] = {}, empty[ROUNDS_MAX] = {}, kept[ROUNDS_MAX], ns, net;
	bool is_over;

	for (unsigned int i = 0; i < b->rounds; i++) {
		values[i] = b->results[c][i].ns;
		empty[i] = c == CASE_FILTERED ? b->empty_inj_ns[i] : b->results[CASE_EMPTY][i].ns;
		kept[i] = b->results[c][i].rate / b->results[CASE_NOTHING][i].rate;
	}
	ns = least(values, b->rounds);
	net = ns - least(empty, b->rounds);
	printf("%-28s", cases[c].name);
	if (c == CASE_NOTHING)
		printf("%8s %8s", "", "");
	else if (c == CASE_EMPTY)
		printf("%8.1f %8s", ns, "0");
	else
		printf("%8.1f %8.1f", ns, net);
	printf(" %8.2f", middle(kept, b->rounds));
	if (cases[c].budget_ns == 0) {
		printf("\n");
		return true;
	}
	is_over = net > cases[c].budget_ns;
	printf(" %8.0f  %s\n", cases[c].budget_ns, is_over ? "OVER" : "ok");
	return !is_over;
}

static unsigned long long map_bytes(int fd)
{
	unsigned long long bytes = 0;
	char path[64], line[256];
	_cleanup_(fclosep) FILE *f = NULL;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "memlock: %llu", &bytes);
	return bytes;
}

static bool print_memory(void)
{
	struct cetd_bpf *skel = cetd_load(10, false);
	unsigned long long vms, index, samples;
	bool is_ok;

	if (!skel)
		return false;
	vms = map_bytes(bpf_map__fd(skel->maps.vms));
	index = map_bytes(bpf_map__fd(skel->maps.slots)) +
		map_bytes(bpf_map__fd(skel->maps.free_slots)) + sizeof(skel->bss->recent);
	samples = map_bytes(bpf_map__fd(skel->maps.samples));
	is_ok = (double)(vms + index) / MAX_VMS <= 1024;
	printf("\nMap memory for %u VMs: counters %.1f KiB, index %.1f KiB: %.0f bytes a VM "
	       "(budget "
	       "1024, %s); fault histories %.1f MiB, %zu bytes a VM; ring buffer %.0f KiB.\n",
	       MAX_VMS, vms / 1024.0, index / 1024.0, (double)(vms + index) / MAX_VMS,
	       is_ok ? "ok" : "OVER", map_bytes(bpf_map__fd(skel->maps.histories)) / 1048576.0,
	       sizeof(struct cetd_slot_history), samples / 1024.0);
	cetd_bpf__destroy(skel);
	return is_ok;
}

int main(int argc, char **argv)
{
	static struct bench b = {.build = "build", .rounds = 11, .seconds = 1};
	_cleanup_(closep) int stats = -1;
	bool is_ok = true;
	int r;

	if (argc > 1)
		b.build = argv[1];
	if (argc > 2)
		b.rounds = MAX(1, MIN(atoi(argv[2]), ROUNDS_MAX));
	libbpf_set_print(NULL);
	stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (stats < 0 || access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("skip bench-bpf: %s: %s\n", stats < 0 ? "BPF statistics" : "/dev/kvm",
		       strerror(errno));
		return 0;
	}
	/* Perf's tracepoints are found in tracefs: mount it, for this process and its children alone. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    (access("/sys/kernel/tracing/events", F_OK) < 0 &&
	     mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL) < 0)) {
		printf("skip bench-bpf: tracefs: %s\n", strerror(errno));
		return 0;
	}
	b.has_bpftrace = system("command -v bpftrace >/dev/null") == 0;

	for (unsigned int round = 0; round < b.rounds; round++)
		for (int c = 0; c < _CASE_MAX; c++) {
			if (!cases[c].is_run)
				continue;
			r = measure(&b, c, round);
			if (r == 0 && (c != CASE_BPFTRACE || b.has_bpftrace) &&
			    b.results[c][round].rate == 0)
				r = -EIO;
			if (r < 0) {
				fprintf(stderr, "bench-bpf: %s: %s\n", cases[c].name, strerror(-r));
				return 1;
			}
		}

	printf("%u rounds; a guest that does WRMSR in a loop, %.0f a second without any "
	       "program\n\n",
	       b.rounds, b.results[CASE_NOTHING][0].rate);
	printf("%-28s%8s %8s %8s %8s\n", "", "ns/run", "net ns", "kept", "budget");
	for (int c = 0; c < _CASE_MAX; c++) {
		if (c == CASE_BPFTRACE && !b.has_bpftrace)
			printf("skip bpftrace: not installed\n");
		else
			is_ok &= print_case(&b, c);
	}
	printf("\nns: of the best round. kept: the guest's speed, as a share of that without any "
	       "program in the same "
	       "round.\n");
	is_ok &= print_memory();
	return is_ok ? 0 : 1;
}
