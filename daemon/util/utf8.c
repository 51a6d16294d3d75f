// SPDX-License-Identifier: GPL-2.0-only
/* UTF-8 as sd-bus wants it (Unicode Standard, table 3-7, and section 23.7 for noncharacters). */
#include <string.h>

#include "util/utf8.h"

/* U+FDD0 to U+FDEF, and the last two code points of each plane; of a well-formed sequence. */
static bool is_noncharacter(const unsigned char *s, size_t n)
{
	if (n == 3)
		return (s[0] == 0xef && s[1] == 0xb7 && s[2] >= 0x90 && s[2] <= 0xaf) ||
		       (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe);
	return n == 4 && (s[1] & 0x0f) == 0x0f && s[2] == 0xbf && s[3] >= 0xbe;
}

size_t utf8_sequence_length(const char *text, size_t max)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (max == 0)
		return 0;
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > max)
		return 0;

	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return is_noncharacter(s, n) ? 0 : n;
}

bool utf8_is_valid(const char *buf, size_t size)
{
	const char *end = memchr(buf, 0, size);
	size_t n;

	if (!end)
		return false;
	for (; buf < end; buf += n) {
		n = utf8_sequence_length(buf, (size_t)(end - buf));
		if (!n)
			return false;
	}
	return true;
}

/* C0, DEL and C1 (U+0080 to U+009F, two bytes in UTF-8). */
static bool is_control(const unsigned char *s)
{
	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

bool utf8_is_clean(const char *buf, size_t size)
{
	if (!utf8_is_valid(buf, size))
		return false;
	for (const unsigned char *s = (const unsigned char *)buf; *s; s++)
		if (is_control(s))
			return false;
	return true;
}

void utf8_sanitize(const char *text, char *ret, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t left = strlen(text), used = 0;

	while (left) {
		size_t n = utf8_sequence_length((const char *)s, left);
		bool ok = n && !is_control(s);
		size_t put = ok ? n : 1;

		if (used + put >= size)
			break;
		if (ok)
			memcpy(ret + used, s, n);
		else
			ret[used] = '?';
		used += put;
		n = n ? n : 1;
		s += n;
		left -= n;
	}
	ret[used] = '\0';
}
