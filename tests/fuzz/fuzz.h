/* SPDX-License-Identifier: GPL-2.0-only */
/* What fuzz targets share. Each target is a function that libFuzzer calls, or run-corpus.c for each file of a corpus. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/log.h"
#include "util/macro.h"
#include "util/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Where a target has it: before all inputs, and before libFuzzer has threads of its own. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* What must hold whatever the input. */
#define FUZZ_CHECK(condition)                                                                   \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

/* What D-Bus takes as a string. */
static inline bool is_sendable(const char *text)
{
	return text && utf8_is_valid(text, strlen(text) + 1);
}

/* The input as a NUL-terminated text that ends at its first NUL; to be freed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = 0;
	return text;
}

/* The input as a file; its path is good until the next call. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_CHECK(pwrite(fd, data, size, 0) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

/* Bytes of the input, one after the other; zeros when it is used up. */
struct fuzz_bytes {
	const uint8_t *data;
	size_t size;
};

static inline uint64_t fuzz_take(struct fuzz_bytes *b, size_t n)
{
	uint64_t v = 0;

	while (n-- && b->size) {
		v = v << 8 | *b->data++;
		b->size--;
	}
	return v;
}
