// SPDX-License-Identifier: GPL-2.0-only
/* Recordings: what is written comes back; a cut-off tail is survived, damage is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <zlib.h>

#include <cmocka.h>

#include "source/recording.h"
#include "util/log.h"
#include "util/macro.h"

#define MESSAGES 5

static char dir[] = "/tmp/cetd-test-recording-XXXXXX";
static char path[64];

struct outcome {
	sd_event *event;
	uint64_t received, wrong, messages;
	enum replay_end end;
	char note[RECORDING_NOTE_MAX + 1];
	int refuse_at;
	uint64_t give_up_usec;
};

static void write_recording(const char *note)
{
	struct recorder *r;

	unlink(path);
	assert_int_equal(recorder_new(path, note, &r), 0);
	for (uint64_t i = 0; i < MESSAGES; i++) {
		struct cetd_event e = {.rip = i, .cpl = 3};
		const struct cetd_message m = {CETD_MESSAGE_EVENT, sizeof(e), i + 1, &e};

		assert_int_equal(recorder_write(r, &m), 0);
	}
	assert_int_equal(recorder_flush(r), 0);
	recorder_free(r);
}

static int on_message(void *userdata, const struct cetd_message *m)
{
	struct outcome *o = userdata;
	const struct cetd_event *e = m->payload;

	if (m->type != CETD_MESSAGE_EVENT || m->size != sizeof(*e) || e->rip != o->received ||
	    m->time_ns != o->received + 1)
		o->wrong++;
	o->received++;
	return o->refuse_at && (int)o->received == o->refuse_at ? -EBADMSG : 0;
}

static void on_done(void *userdata, enum replay_end end, uint64_t messages)
{
	struct outcome *o = userdata;

	o->end = end;
	o->messages = messages;
	sd_event_exit(o->event, 0);
}

static int replay_at(struct outcome *o, double speed)
{
	const struct cetd_sink sink = {on_message, o};
	struct replay *r = NULL;
	int k;

	assert_int_equal(sd_event_new(&o->event), 0);
	if (o->give_up_usec)
		assert_true(sd_event_add_time_relative(o->event, NULL, CLOCK_MONOTONIC,
						       o->give_up_usec, 1, NULL, NULL) >= 0);
	k = replay_new(o->event, path, speed, &sink, on_done, o, &r);
	if (k >= 0) {
		snprintf(o->note, sizeof(o->note), "%s", replay_get_note(r));
		assert_int_equal(sd_event_loop(o->event), 0);
	}
	replay_free(r);
	o->event = sd_event_unref(o->event);
	return k;
}

static int replay(struct outcome *o)
{
	return replay_at(o, 0);
}

static long file_size(void)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void flip_byte(long offset)
{
	FILE *f = fopen(path, "r+e");
	int c;

	assert_non_null(f);
	fseek(f, offset, SEEK_SET);
	c = fgetc(f);
	fseek(f, offset, SEEK_SET);
	fputc(c ^ 0x40, f);
	fclose(f);
}

/* Change the note "a note", and the header's checksum with it. */
static void set_note_byte(long at, char value)
{
	const long note = 8 + 4 * 4 + 8;
	unsigned char header[64];
	uint32_t crc;
	FILE *f = fopen(path, "r+e");

	assert_non_null(f);
	assert_int_equal(fread(header, (size_t)note + 6, 1, f), 1);
	header[note + at] = (unsigned char)value;
	crc = (uint32_t)crc32(0, header, (uInt)note + 6);
	rewind(f);
	assert_int_equal(fwrite(header, (size_t)note + 6, 1, f), 1);
	assert_int_equal(fwrite(&crc, sizeof(crc), 1, f), 1);
	fclose(f);
}

static void test_round_trip(void **state _unused_)
{
	struct outcome o = {};

	write_recording("made by a test, ünïcode");
	assert_int_equal(replay(&o), 0);
	assert_int_equal(o.end, REPLAY_END_COMPLETE);
	assert_int_equal(o.received, MESSAGES);
	assert_int_equal(o.messages, MESSAGES);
	assert_int_equal(o.wrong, 0);
	assert_string_equal(o.note, "made by a test, ünïcode");
}

static void test_empty_payload_round_trip(void **state _unused_)
{
	const struct cetd_message settled = {CETD_MESSAGE_SETTLED, 0, 1, NULL};
	struct outcome o = {};
	struct recorder *r;

	unlink(path);
	assert_int_equal(recorder_new(path, "", &r), 0);
	assert_int_equal(recorder_write(r, &settled), 0);
	recorder_free(r);
	assert_int_equal(replay(&o), 0);
	assert_int_equal(o.end, REPLAY_END_COMPLETE);
	assert_int_equal(o.messages, 1);
}

static void test_recording_is_private_and_not_overwritten(void **state _unused_)
{
	struct recorder *r = NULL;
	struct stat st;

	write_recording("");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(recorder_new(path, "", &r), -EEXIST);
	assert_null(r);
}

/* Cut at every length: nothing before the first record is accepted, every complete message after it is. */
static void test_every_cut_is_survived(void **state _unused_)
{
	const long header = 8 + 4 * 4 + 8 + 4 + 4, record = 16 + 64 + 4;

	write_recording("note");
	assert_int_equal(file_size(), header + MESSAGES * record);
	for (long size = file_size() - 1; size >= 0; size--) {
		struct outcome o = {};
		int k;

		assert_int_equal(truncate(path, size), 0);
		k = replay(&o);
		if (size < header + record) {
			assert_int_equal(k, -EBADMSG);
			continue;
		}
		assert_int_equal(k, 0);
		assert_int_equal(o.received, (size - header) / record);
		assert_int_equal(o.wrong, 0);
		assert_int_equal(o.end, (size - header) % record ? REPLAY_END_CUT_OFF
								 : REPLAY_END_COMPLETE);
	}
}

/* Flip a bit in every byte: never taken for good. */
static void test_every_damage_is_told(void **state _unused_)
{
	long size;

	write_recording("note");
	size = file_size();
	for (long offset = 0; offset < size; offset++) {
		struct outcome o = {};
		int k;

		flip_byte(offset);
		k = replay(&o);
		flip_byte(offset);
		if (k >= 0 && o.end == REPLAY_END_COMPLETE)
			fail_msg("damage at byte %ld went unnoticed", offset);
		assert_int_equal(o.wrong, 0);
	}
}

static void test_refused_message_ends_the_replay(void **state _unused_)
{
	struct outcome o = {.refuse_at = 2};

	write_recording("");
	assert_int_equal(replay(&o), 0);
	assert_int_equal(o.end, REPLAY_END_CORRUPT);
	assert_int_equal(o.received, 2);
}

/* Two messages as far apart as can be written: the second is not due, at no speed. */
static void test_far_times_are_not_now(void **state _unused_)
{
	static const double speeds[] = {1, 1e-300, 1e6};
	const struct cetd_message first = {CETD_MESSAGE_SETTLED, 0, 1, NULL},
				  last = {CETD_MESSAGE_SETTLED, 0, UINT64_MAX, NULL};
	struct recorder *r;

	unlink(path);
	assert_int_equal(recorder_new(path, "", &r), 0);
	assert_int_equal(recorder_write(r, &first), 0);
	assert_int_equal(recorder_write(r, &last), 0);
	recorder_free(r);
	for (size_t i = 0; i < ARRAY_SIZE(speeds); i++) {
		struct outcome o = {.give_up_usec = 20000};

		assert_int_equal(replay_at(&o, speeds[i]), 0);
		assert_int_equal(o.received, 1);
	}
}

/* The note is printed. One that could not be replayed is not recorded. */
static void test_note_must_be_text(void **state _unused_)
{
	static const char *const bad[] = {"\033]0;title\a", "two\nlines", "\xff"};
	struct recorder *r = NULL;
	struct outcome o = {};

	unlink(path);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(recorder_new(path, bad[i], &r), -EINVAL);
		assert_null(r);
		assert_int_equal(access(path, F_OK), -1);
	}
	/* One that somebody made up, with the right checksum. */
	write_recording("a note");
	set_note_byte(2, '\033');
	assert_int_equal(replay(&o), -EBADMSG);
	set_note_byte(2, 'n');
	assert_int_equal(replay(&o), 0);
}

static void test_missing_file_is_told(void **state _unused_)
{
	struct outcome o = {};

	unlink(path);
	assert_int_equal(replay(&o), -ENOENT);
}

static int setup(void **state _unused_)
{
	log_set_max_level(LOG_EMERG);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/recording", dir);
	return 0;
}

static int teardown(void **state _unused_)
{
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty_payload_round_trip),
		cmocka_unit_test(test_recording_is_private_and_not_overwritten),
		cmocka_unit_test(test_every_cut_is_survived),
		cmocka_unit_test(test_every_damage_is_told),
		cmocka_unit_test(test_refused_message_ends_the_replay),
		cmocka_unit_test(test_far_times_are_not_now),
		cmocka_unit_test(test_note_must_be_text),
		cmocka_unit_test(test_missing_file_is_told),
	};

	return cmocka_run_group_tests_name("recording", tests, setup, teardown);
}
