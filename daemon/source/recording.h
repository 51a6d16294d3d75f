/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recordings of the message stream. A file is a header and records, little-endian:
 *
 *   header  "CETDREC\n", u32 format version (1), u32 ABI version, u32 stream version, u32 note length,
 *           u64 CLOCK_REALTIME ns at creation, note (UTF-8, where and how it was made), u32 CRC
 *   record  u32 type, u32 payload size, u64 CLOCK_MONOTONIC ns, payload, u32 CRC
 *
 * The CRC is zlib's crc32 of all bytes of the header or record before it. A file that ends in the middle of
 * a record is replayed up to there; a record with a wrong CRC ends the replay with an error.
 */
#pragma once

#include <systemd/sd-event.h>

#include "cetd/stream.h"

#define RECORDING_NOTE_MAX 4096

struct recorder;
struct replay;

/* Create FILE (mode 0600: it holds guest addresses); refuses to overwrite. Logging. */
int recorder_new(const char *path, const char *note, struct recorder **ret);
/* Append one message; buffered. Logging, once: after a failure (ENOSPC) recording stops, the file stays
 * valid, and further calls return the same error. */
int recorder_write(struct recorder *r, const struct cetd_message *message);
int recorder_flush(struct recorder *r);
struct recorder *recorder_free(struct recorder *r);

enum replay_end {
	REPLAY_END_COMPLETE,
	REPLAY_END_CUT_OFF, /* the last record was incomplete */
	REPLAY_END_CORRUPT, /* bad CRC, unknown type or a size that does not fit */
};

/* Called once when the recording is over. */
typedef void (*replay_done_t)(void *userdata, enum replay_end end, uint64_t messages);

/*
 * Replay FILE on the loop at speed times real time, 0 for as fast as it can. Logging. -EBADMSG for a file
 * that is no recording or of another version. Times of the messages are those of the recording.
 */
int replay_new(sd_event *event, const char *path, double speed, const struct cetd_sink *sink,
	       replay_done_t done, void *userdata, struct replay **ret);
struct replay *replay_free(struct replay *r);
/* The note in the header; "" where there is none. */
const char *replay_get_note(const struct replay *r);
