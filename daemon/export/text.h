/* SPDX-License-Identifier: GPL-2.0-only */
/* A growing text with the escapes that the exported formats need. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* All zero is an empty text. Out of memory is remembered and told by text_take(). */
struct text {
	char *data;
	size_t size, allocated;
	bool has_failed;
};

/* Make room for size more bytes; false when out of memory. */
bool text_grow(struct text *t, size_t size);

static inline void text_append(struct text *t, const char *s, size_t size)
{
	if (!size || (t->allocated - t->size < size && !text_grow(t, size)))
		return;
	memcpy(t->data + t->size, s, size);
	t->size += size;
}

static inline void text_puts(struct text *t, const char *s)
{
	text_append(t, s, strlen(s));
}

void text_u64(struct text *t, uint64_t v);

/* Nanoseconds as decimal seconds, without trailing zeros. */
void text_seconds(struct text *t, uint64_t ns);

/* Between the quotes of a label value, or in element content and attributes of HTML. What is not UTF-8
 * becomes U+FFFD: one bad byte would make a scraper refuse the whole page. */
void text_label_value(struct text *t, const char *s);
void text_html(struct text *t, const char *s);

/* Hand the text over, NUL-terminated; 0 or -ENOMEM. The text is empty afterwards. */
int text_take(struct text *t, char **ret, size_t *ret_size);
void text_done(struct text *t);
