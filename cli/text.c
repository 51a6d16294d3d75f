// SPDX-License-Identifier: GPL-2.0-only
/* Text for people: safe on a terminal whatever it came from; times, counts, the nearest word. */
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "text.h"

/* Decode one character: its length, or 0 where the bytes are not UTF-8 (overlong and surrogates included). */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80		   ? 1
		   : (s[0] & 0xe0) == 0xc0 ? 2
		   : (s[0] & 0xf0) == 0xe0 ? 3
		   : (s[0] & 0xf8) == 0xf0 ? 4
					   : 0;
	uint32_t c = n == 1 ? s[0] : n ? s[0] & (0x7f >> n) : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (n > 1 && (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)))
		return 0;
	*ret = c;
	return n;
}

/* Characters that a terminal acts on instead of showing them, or that reorder what is around them. */
static bool is_steering(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* Whitespace between JSON tokens is not in a string, so it stays. */
static char *clean(const char *s, bool is_json)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t length = strlen(s);
	/* A byte becomes at most 6: "\ufffd". */
	char *out = malloc(length * 6 + 1), *o = out;

	if (!out)
		return NULL;
	while (*p) {
		uint32_t c = 0;
		size_t n = decode(p, &c);

		if (!n) {
			o += sprintf(o, is_json ? "\\ufffd" : "\\x%02x", *p++);
			continue;
		}
		if (is_json && c < 0x20) {
			*o++ = *p;
		} else if (is_steering(c)) {
			o += is_json || c > 0xff ? sprintf(o, "\\u%04" PRIx32, c)
						 : sprintf(o, "\\x%02" PRIx32, c);
		} else {
			memcpy(o, p, n);
			o += n;
		}
		p += n;
	}
	*o = 0;
	return out;
}

char *text_clean(const char *s)
{
	return clean(s, false);
}

char *text_clean_json(const char *s)
{
	return clean(s, true);
}

size_t text_clip(const char *s, unsigned int width)
{
	size_t done = 0, length = strlen(s);
	mbstate_t state = {};

	while (done < length) {
		size_t escape = s[done] == '\033' ? strcspn(s + done, "m") + 1 : 0;
		wchar_t c;
		size_t n;
		int w;

		if (escape && done + escape <= length) {
			done += escape;
			continue;
		}
		n = mbrtowc(&c, s + done, length - done, &state);
		if (n == (size_t)-1 || n == (size_t)-2 || !n)
			break;
		w = wcwidth(c);
		if (w < 0 || (unsigned int)w > width)
			break;
		width -= (unsigned int)w;
		done += n;
	}
	return done;
}

void text_print_lines(FILE *f, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		_cleanup_(freep) char *line = strndup(text, n),
				      *safe = line ? text_clean(line) : NULL;

		fprintf(f, "%s\n", safe ?: "out of memory");
		text += n + (text[n] == '\n');
	}
}

static void say(const char *lead, const char *format, va_list ap)
{
	_cleanup_(freep) char *raw = NULL, *safe = NULL;

	if (vasprintf(&raw, format, ap) >= 0)
		safe = text_clean(raw);
	else
		raw = NULL;
	fflush(stdout);
	fprintf(stderr, "%s%s\n", lead, safe ?: "out of memory");
}

void text_error(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("cetctl: ", format, ap);
	va_end(ap);
}

void text_hint(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("hint: ", format, ap);
	va_end(ap);
}

void text_note(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("note: ", format, ap);
	va_end(ap);
}

void text_time(char *buf, size_t size, uint64_t usec, bool with_usec)
{
	time_t seconds = (time_t)(usec / USEC_PER_SEC);
	struct tm tm;
	size_t n;

	if (!usec || !localtime_r(&seconds, &tm)) {
		snprintf(buf, size, "-");
		return;
	}
	n = strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm);
	if (with_usec)
		snprintf(buf + n, size - n, ".%06" PRIu64, usec % USEC_PER_SEC);
}

void text_age(char *buf, size_t size, uint64_t usec, uint64_t now_usec)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	uint64_t seconds = now_usec > usec ? (now_usec - usec) / USEC_PER_SEC : 0;

	if (!usec) {
		snprintf(buf, size, "-");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (seconds >= units[i].seconds) {
			snprintf(buf, size, "%" PRIu64 "%s ago", seconds / units[i].seconds,
				 units[i].name);
			return;
		}
	snprintf(buf, size, "now");
}

/* Optimal string alignment: three rows are enough, the third for swapped neighbours. */
unsigned int text_distance(const char *a, const char *b)
{
	size_t n = strnlen(a, 64), m = strnlen(b, 64);
	unsigned int rows[3][65];

	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned int *row = rows[i % 3], *up = rows[(i + 2) % 3], *upup = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= m; j++) {
			int x = tolower((unsigned char)a[i - 1]),
			    y = tolower((unsigned char)b[j - 1]);
			unsigned int best = up[j - 1] + (x != y);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]) && upup[j - 2] + 1 < best)
				best = upup[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[n % 3][m];
}

bool text_is_nearer(const char *word, const char *candidate, unsigned int *best)
{
	unsigned int d = text_distance(word, candidate);
	size_t length = strlen(word);

	/* A start of the candidate is as good as one edit. */
	if (length >= 2 && !strncasecmp(word, candidate, length))
		d = 1;
	if (d > (length < 3 ? 1 : length < 6 ? 2 : 3) || d >= *best)
		return false;
	*best = d;
	return true;
}
