// SPDX-License-Identifier: GPL-2.0-only
/* Recordings, replayed into a model that every view then renders. Checksums are made right after each mutation. */
#include <zlib.h>

#include "export/json.h"
#include "export/landing.h"
#include "fuzz.h"
#include "source/recording.h"
#include "util/utf8.h"

/* recording.h says what the file looks like. */
#define HEADER_BYTES 32
#define NOTE_LENGTH_AT 20
#define RECORD_BYTES 16
#define PAYLOAD_SIZE_AT 4

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static uint32_t u32_at(const uint8_t *data)
{
	uint32_t v;

	memcpy(&v, data, sizeof(v));
	return v;
}

/* Put the checksum of a piece behind it; where the next one starts, or 0 where it does not fit. */
static size_t seal(uint8_t *data, size_t size, size_t at, size_t bytes)
{
	uint32_t crc;

	if (at > size || bytes > size - at || size - at - bytes < sizeof(crc))
		return 0;
	crc = (uint32_t)crc32(crc32(0, NULL, 0), data + at, (uInt)bytes);
	memcpy(data + at + bytes, &crc, sizeof(crc));
	return at + bytes + sizeof(crc);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	size_t at;

	size = LLVMFuzzerMutate(data, size, max_size);
	/* Some stay as they are: damage is an input, too. */
	if (seed % 16 == 0 || size < HEADER_BYTES)
		return size;
	at = seal(data, size, 0, HEADER_BYTES + (size_t)u32_at(data + NOTE_LENGTH_AT));
	while (at && size - at >= RECORD_BYTES)
		at = seal(data, size, at,
			  RECORD_BYTES + (size_t)u32_at(data + at + PAYLOAD_SIZE_AT));
	return size;
}

static int on_message(void *userdata, const struct cetd_message *message)
{
	int r = model_apply(userdata, message);

	FUZZ_CHECK(r == 0 || r == -EBADMSG);
	return r;
}

static void on_done(void *userdata, enum replay_end end _unused_, uint64_t messages _unused_)
{
	*(bool *)userdata = true;
}

static void render(const struct model *m)
{
	const struct metrics_context context = {.version = "1"};
	const struct export_context ctx = {.recording = "fuzz"};
	struct json_object *o;
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	FUZZ_CHECK(f && json_write_model(f, m, &ctx, true) == 0);
	FUZZ_CHECK(utf8_is_valid(text, size + 1));
	o = json_tokener_parse(text);
	FUZZ_CHECK(json_object_is_type(o, json_type_object));
	json_object_put(o);
	fclose(f);
	free(text);
	for (int format = 0; format < _METRICS_FORMAT_MAX; format++) {
		FUZZ_CHECK(metrics_render(m, &context, format, &text, &size) == 0);
		FUZZ_CHECK(utf8_is_valid(text, size + 1));
		free(text);
	}
	FUZZ_CHECK(landing_render(m, &context, 1, &text, &size) == 0);
	FUZZ_CHECK(utf8_is_valid(text, size + 1));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static sd_event *event;
	struct cetd_sink sink = {.send = on_message};
	struct replay *replay = NULL;
	struct model *m;
	bool is_done = false;

	log_set_max_level(LOG_EMERG);
	if (!event)
		FUZZ_CHECK(sd_event_new(&event) >= 0);
	FUZZ_CHECK(model_new(8, &m) == 0);
	m->is_replayed = true;
	sink.userdata = m;
	if (replay_new(event, fuzz_file(data, size), 0, &sink, on_done, &is_done, &replay) >= 0) {
		while (!is_done)
			FUZZ_CHECK(sd_event_run(event, UINT64_MAX) >= 0);
		render(m);
	}
	replay_free(replay);
	model_free(m);
	return 0;
}
