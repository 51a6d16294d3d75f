// SPDX-License-Identifier: GPL-2.0-only
/* Write a recording of made-up VMs with counters and full fault histories, for the real cetd to replay. */
#include "../lib/sample-model.h"
#include "source/recording.h"

DEFINE_CLEANUP(struct recorder *, recorder_free)

static int write_message(struct recorder *r, unsigned int type, unsigned int size,
			 const void *payload)
{
	const struct cetd_message message = {
		.type = type, .size = size, .time_ns = SAMPLE_START_NS, .payload = payload};

	return recorder_write(r, &message);
}

static int write_vm(struct recorder *r, unsigned int i)
{
	const struct cetd_identity id = sample_identity(i);
	const struct cetd_counters_message c = sample_make_counters(id.key, i);
	const struct cetd_history_message h = sample_make_history(id.key);

	if (write_message(r, CETD_MESSAGE_VM_ADD, sizeof(id), &id) < 0 ||
	    write_message(r, CETD_MESSAGE_COUNTERS, sizeof(c), &c) < 0)
		return -1;
	return write_message(r, CETD_MESSAGE_HISTORY, sizeof(h), &h);
}

/* usage: make-recording FILE VMS */
int main(int argc, char **argv)
{
	const enum cetd_coverage states[_CETD_FACT_MAX] = {
		CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED,
		CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED};
	const struct cetd_host host = sample_make_host(states, CETD_FAMILY_PATCHED);
	_cleanup_(recorder_freep) struct recorder *r = NULL;
	unsigned int n = argc == 3 ? (unsigned int)atoi(argv[2]) : 0;

	if (!n)
		return 2;
	if (recorder_new(argv[1], "made up by tests/bench/make-recording.c", &r) < 0 ||
	    write_message(r, CETD_MESSAGE_HOST, sizeof(host), &host) < 0)
		return 1;
	for (unsigned int i = 0; i < n; i++)
		if (write_vm(r, i) < 0)
			return 1;
	if (write_message(r, CETD_MESSAGE_SETTLED, 0, NULL) < 0)
		return 1;
	return recorder_flush(r) < 0;
}
