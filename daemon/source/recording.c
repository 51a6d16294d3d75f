// SPDX-License-Identifier: GPL-2.0-only
/* Writing and replaying recordings. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "source/recording.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/utf8.h"

#define MAGIC "CETDREC\n"
#define FORMAT_VERSION 1
#define PAYLOAD_MAX (64 * 1024)
#define MESSAGES_PER_TURN 256
#define AFTER_MAX_USEC 3e16 /* a thousand years */

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "recordings are little-endian, as x86 is");

struct header {
	char magic[8];
	__u32 format_version;
	__u32 abi_version;
	__u32 stream_version;
	__u32 note_length;
	__u64 created_realtime_ns;
};

struct record {
	__u32 type;
	__u32 size;
	__u64 time_ns;
};

struct recorder {
	FILE *file;
	char *path;
	int error;
};

struct replay {
	FILE *file;
	char *path;
	char note[RECORDING_NOTE_MAX + 1];
	double speed;
	struct cetd_sink sink;
	replay_done_t done;
	void *userdata;
	sd_event *event;
	sd_event_source *timer;
	uint64_t messages;
	uint64_t start_usec; /* when the first message was sent, CLOCK_MONOTONIC */
	uint64_t first_ns;   /* its time in the recording */
	struct record next;  /* read, not yet sent */
	_Alignas(8) unsigned char payload[PAYLOAD_MAX];
};

/* zlib's crc32() of two parts; it takes a NULL buffer for "start again", so an empty part is left out. */
static __u32 checksum(const void *a, size_t a_size, const void *b, size_t b_size)
{
	uLong crc = crc32(0, a, (uInt)a_size);

	return (__u32)(b_size ? crc32(crc, b, (uInt)b_size) : crc);
}

static int write_summed(FILE *f, const void *a, size_t a_size, const void *b, size_t b_size)
{
	__u32 crc = checksum(a, a_size, b, b_size);

	if (fwrite(a, a_size, 1, f) != 1 || (b_size && fwrite(b, b_size, 1, f) != 1) ||
	    fwrite(&crc, sizeof(crc), 1, f) != 1)
		return errno ? -errno : -EIO;
	return 0;
}

DEFINE_CLEANUP(struct recorder *, recorder_free)

int recorder_new(const char *path, const char *note, struct recorder **ret)
{
	_cleanup_(recorder_freep) struct recorder *r = calloc(1, sizeof(*r));
	_cleanup_(closep) int fd = -1;
	struct header h = {
		.magic = MAGIC,
		.format_version = FORMAT_VERSION,
		.abi_version = CETD_ABI_VERSION,
		.stream_version = CETD_STREAM_VERSION,
		.note_length = (__u32)strlen(note),
	};
	int error;

	if (!r || !(r->path = strdup(path)))
		return log_error_errno(ENOMEM, "Failed to record to %s: %m", path);
	if (h.note_length > RECORDING_NOTE_MAX)
		return log_error_errno(E2BIG,
				       "Failed to record to %s: the note has %u bytes, at "
				       "most %d are kept",
				       path, h.note_length, RECORDING_NOTE_MAX);
	if (!utf8_is_clean(note, h.note_length + 1U))
		return log_error_errno(EINVAL,
				       "Failed to record to %s: the note is not UTF-8, or has "
				       "control characters",
				       path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return log_error_errno(errno, "Failed to create the recording %s: %m%s", path,
				       errno == EEXIST ? " (remove it or name another file)" : "");
	r->file = fdopen(fd, "we");
	if (!r->file)
		return log_error_errno(errno, "Failed to open the recording %s: %m", path);
	take_fd(&fd);

	h.created_realtime_ns = clock_ns(CLOCK_REALTIME);
	error = write_summed(r->file, &h, sizeof(h), note, h.note_length);
	if (error < 0)
		return log_error_errno(error, "Failed to write to the recording %s: %m", path);
	*ret = take_ptr(r);
	return 0;
}

static int recorder_fail(struct recorder *r, int error)
{
	r->error = error;
	return log_error_errno(error, "Failed to write to the recording %s, recording ends: %m",
			       r->path);
}

int recorder_write(struct recorder *r, const struct cetd_message *message)
{
	struct record rec = {message->type, message->size, message->time_ns};
	int error;

	if (r->error)
		return r->error;
	error = write_summed(r->file, &rec, sizeof(rec), message->payload, message->size);
	return error < 0 ? recorder_fail(r, error) : 0;
}

int recorder_flush(struct recorder *r)
{
	if (r->error)
		return r->error;
	return fflush(r->file) ? recorder_fail(r, -errno) : 0;
}

struct recorder *recorder_free(struct recorder *r)
{
	if (!r)
		return NULL;
	if (r->file && fclose(r->file) && !r->error)
		log_error_errno(errno, "Failed to write to the recording %s: %m", r->path);
	free(r->path);
	free(r);
	return NULL;
}

/* Read size bytes: 1, or 0 where the file ends before that. */
static int read_whole(FILE *f, void *buf, size_t size)
{
	return size == 0 || fread(buf, size, 1, f) == 1;
}

static int read_header(struct replay *r)
{
	struct header h;
	__u32 crc, expected;

	if (!read_whole(r->file, &h, sizeof(h)) || memcmp(h.magic, MAGIC, sizeof(h.magic)))
		return log_error_errno(EBADMSG,
				       "%s is not a recording: it does not start with "
				       "\"CETDREC\"",
				       r->path);
	if (h.format_version != FORMAT_VERSION || h.abi_version != CETD_ABI_VERSION ||
	    h.stream_version != CETD_STREAM_VERSION)
		return log_error_errno(EBADMSG,
				       "%s is a recording of version %u/%u/%u, this cetd "
				       "replays %d/%d/%d: use the cetd that made it",
				       r->path, h.format_version, h.abi_version, h.stream_version,
				       FORMAT_VERSION, CETD_ABI_VERSION, CETD_STREAM_VERSION);
	if (h.note_length > RECORDING_NOTE_MAX || !read_whole(r->file, r->note, h.note_length) ||
	    !read_whole(r->file, &crc, sizeof(crc)))
		return log_error_errno(EBADMSG, "%s: the header is cut off", r->path);
	expected = checksum(&h, sizeof(h), r->note, h.note_length);
	if (crc != expected)
		return log_error_errno(EBADMSG,
				       "%s: the header's checksum is wrong (found %08x, "
				       "expected %08x): the file is damaged",
				       r->path, crc, expected);
	if (!utf8_is_clean(r->note, sizeof(r->note)))
		return log_error_errno(EBADMSG,
				       "%s: the note in the header is not UTF-8, or has control "
				       "characters",
				       r->path);
	return 0;
}

/* Read the next record into r->next and r->payload; false, with the reason, at the end. */
static bool read_record(struct replay *r, enum replay_end *ret_end)
{
	__u32 crc;
	size_t n;

	n = fread(&r->next, 1, sizeof(r->next), r->file);
	if (n < sizeof(r->next)) {
		*ret_end = n ? REPLAY_END_CUT_OFF : REPLAY_END_COMPLETE;
		return false;
	}
	if (r->next.size > PAYLOAD_MAX) {
		*ret_end = REPLAY_END_CORRUPT;
		return false;
	}
	if (!read_whole(r->file, r->payload, r->next.size) ||
	    !read_whole(r->file, &crc, sizeof(crc))) {
		*ret_end = REPLAY_END_CUT_OFF;
		return false;
	}
	if (crc != checksum(&r->next, sizeof(r->next), r->payload, r->next.size)) {
		*ret_end = REPLAY_END_CORRUPT;
		return false;
	}
	return true;
}

static int replay_finish(struct replay *r, enum replay_end end)
{
	r->timer = sd_event_source_disable_unref(r->timer);
	if (end == REPLAY_END_CUT_OFF)
		log_warning("%s is cut off after %llu messages: replayed up to there", r->path,
			    (unsigned long long)r->messages);
	else if (end == REPLAY_END_CORRUPT)
		log_error("%s is damaged at byte %ld, after %llu messages: replay ends there",
			  r->path, ftell(r->file), (unsigned long long)r->messages);
	else
		log_info("%s: all %llu messages replayed", r->path,
			 (unsigned long long)r->messages);
	r->done(r->userdata, end, r->messages);
	return 0;
}

/* When the record that was read is due, in CLOCK_MONOTONIC microseconds; 0 for at once. Whatever time it has. */
static uint64_t replay_due_usec(const struct replay *r)
{
	double after_usec;

	if (r->speed <= 0 || r->next.time_ns <= r->first_ns)
		return 0;
	after_usec = (double)(r->next.time_ns - r->first_ns) / NSEC_PER_USEC / r->speed;
	return r->start_usec +
	       (after_usec < AFTER_MAX_USEC ? (uint64_t)after_usec : (uint64_t)AFTER_MAX_USEC);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
	struct replay *r = userdata;
	enum replay_end end;

	sd_event_now(r->event, CLOCK_MONOTONIC, &usec);
	for (int i = 0; i < MESSAGES_PER_TURN && replay_due_usec(r) <= usec; i++) {
		struct cetd_message m = {r->next.type, r->next.size, r->next.time_ns, r->payload};

		if (r->sink.send(r->sink.userdata, &m) < 0)
			return replay_finish(r, REPLAY_END_CORRUPT);
		r->messages++;
		if (!read_record(r, &end))
			return replay_finish(r, end);
	}
	sd_event_source_set_time(s, MAX(replay_due_usec(r), usec));
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

DEFINE_CLEANUP(struct replay *, replay_free)

int replay_new(sd_event *event, const char *path, double speed, const struct cetd_sink *sink,
	       replay_done_t done, void *userdata, struct replay **ret)
{
	_cleanup_(replay_freep) struct replay *r = calloc(1, sizeof(*r));
	enum replay_end end;
	int k;

	if (!r || !(r->path = strdup(path)))
		return log_error_errno(ENOMEM, "Failed to replay %s: %m", path);
	r->event = sd_event_ref(event);
	r->speed = speed;
	r->sink = *sink;
	r->done = done;
	r->userdata = userdata;
	r->file = fopen(path, "re");
	if (!r->file)
		return log_error_errno(errno, "Failed to open the recording %s: %m", path);
	k = read_header(r);
	if (k < 0)
		return k;
	if (!read_record(r, &end))
		return end == REPLAY_END_CORRUPT
			       ? log_error_errno(EBADMSG, "%s is damaged at byte %ld", path,
						 ftell(r->file))
			       : log_error_errno(EBADMSG, "%s holds no complete message", path);

	r->first_ns = r->next.time_ns;
	sd_event_now(event, CLOCK_MONOTONIC, &r->start_usec);
	k = sd_event_add_time(event, &r->timer, CLOCK_MONOTONIC, r->start_usec, 1000, on_timer, r);
	if (k < 0)
		return log_error_errno(k, "Failed to set the replay's timer: %m");
	*ret = take_ptr(r);
	return 0;
}

struct replay *replay_free(struct replay *r)
{
	if (!r)
		return NULL;
	sd_event_source_disable_unref(r->timer);
	sd_event_unref(r->event);
	if (r->file)
		fclose(r->file);
	free(r->path);
	free(r);
	return NULL;
}

const char *replay_get_note(const struct replay *r)
{
	return r->note;
}
