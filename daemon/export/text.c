// SPDX-License-Identifier: GPL-2.0-only
/* A growing text with the escapes that the exported formats need. */
#include <errno.h>
#include <stdlib.h>

#include "export/text.h"
#include "util/macro.h"
#include "util/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

bool text_grow(struct text *t, size_t size)
{
	size_t wanted = MAX(t->allocated, (size_t)4096);
	char *data;

	if (t->has_failed)
		return false;
	while (wanted - t->size < size)
		wanted *= 2;
	data = realloc(t->data, wanted);
	if (!data) {
		t->has_failed = true;
		return false;
	}
	t->data = data;
	t->allocated = wanted;
	return true;
}

void text_u64(struct text *t, uint64_t v)
{
	char digits[20], *p = digits + sizeof(digits);

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	text_append(t, p, (size_t)(digits + sizeof(digits) - p));
}

void text_seconds(struct text *t, uint64_t ns)
{
	char digits[10] = ".000000000";
	size_t size = sizeof(digits);
	uint64_t rest = ns % NSEC_PER_SEC;

	text_u64(t, ns / NSEC_PER_SEC);
	if (!rest)
		return;
	for (size_t i = sizeof(digits) - 1; i > 0; i--) {
		digits[i] = (char)('0' + rest % 10);
		rest /= 10;
	}
	while (digits[size - 1] == '0')
		size--;
	text_append(t, digits, size);
}

/* Append s with replace(c) in the place of each ASCII character for which it is not NULL. */
static inline void text_escape(struct text *t, const char *s, const char *(*replace)(char c))
{
	const char *start = s;

	while (*s) {
		/* The NUL ends a sequence that is cut short. */
		size_t length = utf8_sequence_length(s, SIZE_MAX);
		const char *replacement = length == 0	? REPLACEMENT
					  : length == 1 ? replace(*s)
							: NULL;

		if (!replacement) {
			s += length;
			continue;
		}
		text_append(t, start, (size_t)(s - start));
		text_puts(t, replacement);
		start = ++s;
	}
	text_append(t, start, (size_t)(s - start));
}

static inline const char *label_replacement(char c)
{
	switch (c) {
	case '\\':
		return "\\\\";
	case '"':
		return "\\\"";
	case '\n':
		return "\\n";
	default:
		return NULL;
	}
}

static inline const char *html_replacement(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		/* HTML has no control characters but white space. */
		return ((unsigned char)c < 0x20 && c != '\t' && c != '\n') || c == 0x7f
			       ? REPLACEMENT
			       : NULL;
	}
}

void text_label_value(struct text *t, const char *s)
{
	text_escape(t, s, label_replacement);
}

void text_html(struct text *t, const char *s)
{
	text_escape(t, s, html_replacement);
}

int text_take(struct text *t, char **ret, size_t *ret_size)
{
	text_append(t, "", 1);
	if (t->has_failed) {
		text_done(t);
		return -ENOMEM;
	}
	*ret_size = t->size - 1;
	*ret = take_ptr(t->data);
	*t = (struct text){0};
	return 0;
}

void text_done(struct text *t)
{
	free(t->data);
	*t = (struct text){0};
}
