/* SPDX-License-Identifier: GPL-2.0-only */
/* "Did you mean …?" */
#pragma once

#include <stddef.h>

/* The word of words[0..n) that is nearest to text, or NULL where none is near (more than a third of its
 * letters, at least two, would have to change). */
const char *nearest_word(const char *text, const char *const *words, size_t n);
