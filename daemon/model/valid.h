/* SPDX-License-Identifier: GPL-2.0-only */
/* Is a message what its type says? A recording is a file, so nothing in a payload is trusted. */
#pragma once

#include "cetd/stream.h"

/* The payload size that a type demands, or -EBADMSG for an unknown type. */
int message_payload_size(unsigned int type);

/* 0, or -EBADMSG: wrong size, enum out of range, string unterminated, not UTF-8 or with control characters. */
int message_validate(const struct cetd_message *message);
