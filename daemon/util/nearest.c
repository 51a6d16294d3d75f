// SPDX-License-Identifier: GPL-2.0-only
/* "Did you mean …?", by edit distance. */
#include <string.h>

#include "util/macro.h"
#include "util/nearest.h"

#define WORD_MAX 64

/* Levenshtein distance of words of at most WORD_MAX bytes. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t above = row[j];
			size_t change = diagonal + (a[i - 1] != b[j - 1]);

			row[j] = MIN(MIN(above, row[j - 1]) + 1, change);
			diagonal = above;
		}
	}
	return row[n];
}

const char *nearest_word(const char *text, const char *const *words, size_t n)
{
	const char *best = NULL;
	size_t best_distance = 0;

	if (strlen(text) > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t length = strlen(words[i]), d;

		if (length > WORD_MAX)
			continue;
		d = distance(text, words[i]);
		if (d > MAX(length / 3, 2) || d >= length)
			continue;
		if (!best || d < best_distance) {
			best = words[i];
			best_distance = d;
		}
	}
	return best;
}
