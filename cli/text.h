/* SPDX-License-Identifier: GPL-2.0-only */
/* Text for people: safe on a terminal whatever it came from; times, counts, the nearest word. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cetctl.h"

/*
 * A copy in which nothing can steer a terminal: control characters (C0, DEL, C1), the bidirectional
 * overrides and isolates, line separators and bytes that are not UTF-8 become \xNN or \uNNNN. Owned by
 * the caller; NULL where memory ran out.
 */
char *text_clean(const char *s);

/* The same for JSON text, where such characters only stand inside strings: \u00NN there. */
char *text_clean_json(const char *s);

/* The length in bytes of the longest start of s that is at most width columns wide; colour sequences take none. */
size_t text_clip(const char *s, unsigned int width);

/* Print text of many lines, each cleaned. */
void text_print_lines(FILE *f, const char *text);

/* "cetctl: …" on stderr, cleaned. text_hint() adds a line that says what to do. */
void text_error(const char *format, ...) _printf_(1, 2);
void text_hint(const char *format, ...) _printf_(1, 2);
void text_note(const char *format, ...) _printf_(1, 2);

/* Local time with microseconds or without; "-" for 0. */
void text_time(char *buf, size_t size, uint64_t usec, bool with_usec);

/* "3min ago", "now"; "-" for 0. */
void text_age(char *buf, size_t size, uint64_t usec, uint64_t now_usec);

/* Edits (insert, delete, replace, swap neighbours) from a to b, case ignored; capped at 64 bytes of each. */
unsigned int text_distance(const char *a, const char *b);

/* Is candidate close enough to word to be offered instead, and closer than *best? Updates *best. */
bool text_is_nearer(const char *word, const char *candidate, unsigned int *best);
