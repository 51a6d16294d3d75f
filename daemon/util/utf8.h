/* SPDX-License-Identifier: GPL-2.0-only */
/* UTF-8 as sd-bus wants it: it refuses noncharacters, which the D-Bus specification has allowed since 0.21. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length in bytes of the well-formed sequence at text, of which max bytes may be read; 0 where there is none. */
size_t utf8_sequence_length(const char *text, size_t max);

/* Is buf a NUL-terminated string within size bytes that D-Bus would take: valid UTF-8, no surrogates, no
 * noncharacters, no code point above U+10FFFF, no overlong form? */
bool utf8_is_valid(const char *buf, size_t size);

/* Likewise, and without control characters: does utf8_sanitize() leave it as it is? */
bool utf8_is_clean(const char *buf, size_t size);

/* Copy text into ret (size > 0 bytes with the NUL), each byte that is not part of valid UTF-8 and each
 * control character as '?'; cut at a character's boundary. */
void utf8_sanitize(const char *text, char *ret, size_t size);
