// SPDX-License-Identifier: GPL-2.0-only
// cetvmm: the command line, one thread a vCPU, deadlines.

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "vmm.h"

static void usage(FILE *f)
{
	fputs("Usage: cetvmm [OPTION]... GUEST\n"
	      "Run a flat 64-bit guest program on /dev/kvm; exit 0 only if it reports success.\n\n"
	      "  --vcpus N      vCPUs of each VM, 1 to 8 (default 1)\n"
	      "  --vms N        VMs in this process, all at once, 1 to 64 (default 1)\n"
	      "  --count N      rounds for a guest that repeats something (default 1000)\n"
	      "  --seconds S    tell repeating guests to stop after S seconds, whatever the count\n"
	      "  --timeout S    give up after S seconds, exit 124 (default: never)\n"
	      "  --hold S       wait S seconds with the VMs made before guests run\n"
	      "  --linger S     keep the VMs for S seconds after the guests are done\n"
	      "  --no-cet       hide SHSTK and IBT from the guest's CPUID\n"
	      "  --expect LIST  also fail unless the reports match: 'cet' or 'no-cet', then as "
	      "wanted\n"
	      "                 'KIND@CPL=N' for #CP (those not named must be none), 'gp=N', "
	      "'ud=N'\n"
	      "  --name NAME    name of this process and in the report\n"
	      "  --bounce       move each vCPU to another CPU before it is run again\n"
	      "  --rate         print rounds a second\n"
	      "  --json         report as one JSON object\n"
	      "  --verbose      print every report of the guest\n"
	      "  --help\n",
	      f);
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

enum {
	OPT_VCPUS,
	OPT_VMS,
	OPT_COUNT,
	OPT_SECONDS,
	OPT_TIMEOUT,
	OPT_LINGER,
	OPT_HOLD,
	OPT_NUMBERS,
	OPT_NO_CET = OPT_NUMBERS,
	OPT_NAME,
	OPT_EXPECT,
	OPT_BOUNCE,
	OPT_RATE,
	OPT_JSON,
	OPT_VERBOSE,
	OPT_HELP
};

static const struct option long_options[] = {
	{"vcpus", required_argument, NULL, OPT_VCPUS},
	{"vms", required_argument, NULL, OPT_VMS},
	{"count", required_argument, NULL, OPT_COUNT},
	{"seconds", required_argument, NULL, OPT_SECONDS},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"linger", required_argument, NULL, OPT_LINGER},
	{"hold", required_argument, NULL, OPT_HOLD},
	{"no-cet", no_argument, NULL, OPT_NO_CET},
	{"name", required_argument, NULL, OPT_NAME},
	{"expect", required_argument, NULL, OPT_EXPECT},
	{"bounce", no_argument, NULL, OPT_BOUNCE},
	{"rate", no_argument, NULL, OPT_RATE},
	{"json", no_argument, NULL, OPT_JSON},
	{"verbose", no_argument, NULL, OPT_VERBOSE},
	{"help", no_argument, NULL, OPT_HELP},
	{},
};

/* 0: run; 1: help was asked for; -EINVAL */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const uint64_t limit[OPT_NUMBERS][2] = {
		[OPT_VCPUS] = {1, MAX_VCPUS},  [OPT_VMS] = {1, 64},
		[OPT_COUNT] = {1, UINT64_MAX}, [OPT_SECONDS] = {1, 86400},
		[OPT_TIMEOUT] = {1, 86400},    [OPT_LINGER] = {0, 86400},
		[OPT_HOLD] = {0, 86400},
	};
	uint64_t number[OPT_NUMBERS] = {[OPT_VCPUS] = 1, [OPT_VMS] = 1, [OPT_COUNT] = 1000};
	int opt;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (opt >= 0 && opt < OPT_NUMBERS) {
			if (!parse_number(optarg, limit[opt][0], limit[opt][1], number + opt)) {
				fprintf(stderr,
					"cetvmm: --%s: '%s' is not a number from %llu to %llu\n",
					long_options[opt].name, optarg,
					(unsigned long long)limit[opt][0],
					(unsigned long long)limit[opt][1]);
				return -EINVAL;
			}
			continue;
		}
		switch (opt) {
		case OPT_NO_CET:
			o->no_cet = true;
			break;
		case OPT_NAME:
			o->name = optarg;
			break;
		case OPT_EXPECT:
			if (!expect_valid(optarg))
				return -EINVAL;
			o->expect = optarg;
			break;
		case OPT_BOUNCE:
			o->bounce = true;
			break;
		case OPT_RATE:
			o->rate = true;
			break;
		case OPT_JSON:
			o->json = true;
			break;
		case OPT_VERBOSE:
			o->verbose = true;
			break;
		case OPT_HELP:
			return 1;
		default:
			return -EINVAL;
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "cetvmm: give one guest program (build/guest/NAME.bin)\n");
		return -EINVAL;
	}
	o->vcpus = number[OPT_VCPUS];
	o->vms = number[OPT_VMS];
	o->count = number[OPT_COUNT];
	o->seconds = number[OPT_SECONDS];
	o->timeout_seconds = number[OPT_TIMEOUT];
	o->linger_seconds = number[OPT_LINGER];
	o->hold_seconds = number[OPT_HOLD];
	o->guest = argv[optind];
	return 0;
}

static void *run_thread(void *arg)
{
	(void)vcpu_run(arg);
	return NULL;
}

static struct timespec deadline_after(unsigned int seconds)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += seconds;
	return t;
}

static void stop_guests(const struct options *o, struct vm *vms)
{
	uint64_t stop = 1;

	for (unsigned int i = 0; i < o->vms; i++) {
		for (unsigned int j = 0; j < o->vcpus; j++)
			memcpy(vm_param(vms + i, j, PARAM_STOP), &stop, sizeof(stop));
	}
}

/* Run all vCPUs to their end. Past the time limit the process ends: a hung guest has no other way. */
static int run_all(const struct options *o, struct vm *vms)
{
	unsigned int n = o->vms * o->vcpus, started = 0;
	pthread_t *threads = calloc(n, sizeof(*threads));
	struct timespec stop = deadline_after(o->seconds),
			limit = deadline_after(o->timeout_seconds);
	bool is_stopped = o->seconds == 0;
	int r = 0;

	if (!threads)
		return -ENOMEM;
	for (; started < n && r == 0; started += r == 0)
		r = -pthread_create(threads + started, NULL, run_thread,
				    &vms[started / o->vcpus].vcpus[started % o->vcpus]);
	for (unsigned int i = 0; i < started; i++) {
		if (!is_stopped && pthread_timedjoin_np(threads[i], NULL, &stop) == 0)
			continue;
		if (!is_stopped)
			stop_guests(o, vms);
		is_stopped = true;
		if (o->timeout_seconds == 0) {
			pthread_join(threads[i], NULL);
		} else if (pthread_timedjoin_np(threads[i], NULL, &limit) != 0) {
			fprintf(stderr, "cetvmm: no end after %u s\n", o->timeout_seconds);
			report_print(o, vms, o->timeout_seconds);
			fflush(stdout);
			_exit(124);
		}
	}
	free(threads);
	return r;
}

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct options o = {};
	struct vm *vms;
	unsigned int made = 0;
	double start;
	int r;

	r = parse_options(argc, argv, &o);
	if (r != 0) {
		usage(r < 0 ? stderr : stdout);
		return r < 0 ? 2 : 0;
	}
	if (o.name)
		prctl(PR_SET_NAME, o.name);
	vms = calloc(o.vms, sizeof(*vms));
	if (!vms)
		return 1;
	for (r = 0; made < o.vms && r >= 0; made++) {
		r = vm_new(&o, made, vms + made);
		if (r >= 0)
			r = vm_load(vms + made, o.guest);
	}
	if (r >= 0) {
		sleep(o.hold_seconds);
		start = now_seconds();
		r = run_all(&o, vms);
		report_print(&o, vms, now_seconds() - start);
		fflush(stdout);
		if (r >= 0 && (!report_ok(&o, vms) || (o.expect && !expect_met(&o, vms))))
			r = -EBADE;
		sleep(o.linger_seconds);
	}
	for (unsigned int i = 0; i < made; i++)
		vm_done(vms + i);
	free(vms);
	return r < 0 ? 1 : 0;
}
