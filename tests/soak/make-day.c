// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write a recording of a day (or HOURS): ten VMs at a time, one a minute replaced by a new one, each with counters
 * every ten seconds, a fault history now and then and an event a minute. usage: make-day FILE HOURS
 */
#include "../lib/sample-model.h"
#include "source/recording.h"

#define AT_A_TIME 10
#define STEP_SECONDS 10

DEFINE_CLEANUP(struct recorder *, recorder_free)

struct day {
	struct recorder *recorder;
	uint64_t now_ns;
	unsigned int next_vm;
};

static int send_message(struct day *d, unsigned int type, unsigned int size, const void *payload)
{
	const struct cetd_message message = {
		.type = type, .size = size, .time_ns = d->now_ns, .payload = payload};

	return recorder_write(d->recorder, &message);
}

static int add_vm(struct day *d)
{
	const struct cetd_identity id = sample_identity(d->next_vm++);

	return send_message(d, CETD_MESSAGE_VM_ADD, sizeof(id), &id);
}

static int remove_vm(struct day *d, unsigned int i)
{
	const __u64 key = sample_identity(i).key;

	return send_message(d, CETD_MESSAGE_VM_REMOVE, sizeof(key), &key);
}

static int write_vm(struct day *d, unsigned int i, uint64_t step)
{
	const __u64 key = sample_identity(i).key;
	const struct cetd_counters_message c = sample_make_counters(key, step);
	const struct cetd_event event = {.time_ns = d->now_ns,
					 .key = key,
					 .type = CETD_EVENT_CP,
					 .kind = CETD_KIND_ENDBRANCH,
					 .error_code = 3,
					 .cpl = 3,
					 .rip = 0x401000 + step % 32,
					 .flags = CETD_FLAG_ADDRESS};
	struct cetd_history_message h;
	int r = send_message(d, CETD_MESSAGE_COUNTERS, sizeof(c), &c);

	if (r >= 0 && step % 6 == i % 6)
		r = send_message(d, CETD_MESSAGE_EVENT, sizeof(event), &event);
	if (r >= 0 && step % 60 == i % 60) {
		h = sample_make_history(key);
		r = send_message(d, CETD_MESSAGE_HISTORY, sizeof(h), &h);
	}
	return r;
}

static int write_step(struct day *d, uint64_t step)
{
	int r = 0;

	d->now_ns += STEP_SECONDS * NSEC_PER_SEC;
	for (unsigned int i = d->next_vm - AT_A_TIME; i < d->next_vm && r >= 0; i++)
		r = write_vm(d, i, step);
	if (r >= 0 && step % 6 == 0) {
		r = remove_vm(d, d->next_vm - AT_A_TIME);
		if (r >= 0)
			r = add_vm(d);
	}
	return r < 0 ? r : send_message(d, CETD_MESSAGE_SETTLED, 0, NULL);
}

/* So that nothing may be left of any. */
static int write_end(struct day *d)
{
	int r = 0;

	for (unsigned int i = d->next_vm - AT_A_TIME; i < d->next_vm && r >= 0; i++)
		r = remove_vm(d, i);
	return r < 0 ? r : send_message(d, CETD_MESSAGE_SETTLED, 0, NULL);
}

int main(int argc, char **argv)
{
	const enum cetd_coverage states[_CETD_FACT_MAX] = {
		CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED,
		CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED, CETD_COVERAGE_OBSERVED};
	const struct cetd_host host = sample_make_host(states, CETD_FAMILY_PATCHED);
	_cleanup_(recorder_freep) struct recorder *recorder = NULL;
	struct day d = {.now_ns = SAMPLE_START_NS};
	uint64_t steps = argc == 3 ? strtoull(argv[2], NULL, 10) * 3600 / STEP_SECONDS : 0;
	int r;

	if (!steps)
		return 2;
	if (recorder_new(argv[1], "made up by tests/soak/make-day.c", &recorder) < 0)
		return 1;
	d.recorder = recorder;
	r = send_message(&d, CETD_MESSAGE_HOST, sizeof(host), &host);
	for (int i = 0; i < AT_A_TIME && r >= 0; i++)
		r = add_vm(&d);
	for (uint64_t step = 1; step <= steps && r >= 0; step++)
		r = write_step(&d, step);
	if (r >= 0)
		r = write_end(&d);
	return r < 0 || recorder_flush(recorder) < 0;
}
