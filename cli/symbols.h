/* SPDX-License-Identifier: GPL-2.0-only */
/* Names for guest addresses, from a System.map, a copy of /proc/kallsyms or an ELF file that the caller gives. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cetctl.h"

/* What the file is, as far as it tells how the guest's addresses follow from its own. */
enum symbols_kind {
	SYMBOLS_LINUX,	 /* a Linux kernel at the address it was linked for: KASLR moves it */
	SYMBOLS_RUNNING, /* addresses as they are in the guest, such as a copy of /proc/kallsyms */
	SYMBOLS_PROGRAM, /* an ELF file that says where it is loaded */
	SYMBOLS_MOVABLE, /* an ELF file that may be loaded anywhere */
	_SYMBOLS_KIND_MAX,
};

/* How the offset between the file's addresses and the guest's became known. */
enum symbols_offset {
	SYMBOLS_OFFSET_UNKNOWN, /* nothing is resolved */
	SYMBOLS_OFFSET_GIVEN,
	SYMBOLS_OFFSET_SYMBOL, /* from the address of one symbol in the guest */
	SYMBOLS_OFFSET_NONE,   /* the file's addresses are the guest's */
	SYMBOLS_OFFSET_ONLY,   /* no other one puts all the addresses inside the kernel */
	_SYMBOLS_OFFSET_MAX,
};

/* "linux", "running", "program", "movable"; "unknown", "given", "symbol", "none", "only". */
const char *symbols_kind_to_string(int kind);
const char *symbols_offset_to_string(int how);

/* More than any kernel has: a file with more is refused. */
#define SYMBOLS_MAX 4000000U
#define SYMBOLS_NAME_MAX 512U
#define SYMBOLS_TEXT_BYTES_MAX (128U << 20)
/* A debug vmlinux is below 2 GiB. Only its section headers, symbols and names are read. */
#define SYMBOLS_ELF_BYTES_MAX (4ULL << 30)
#define SYMBOLS_STRINGS_BYTES_MAX (512U << 20)

struct symbols;

struct symbols *symbols_free(struct symbols *s);
static inline void symbols_freep(struct symbols **s)
{
	symbols_free(*s);
}

/*
 * Take over --kaslr: OFFSET, or SYMBOL=ADDRESS with the symbol's address in the guest. NULL: find it out from
 * the n addresses of kernel code, if only one offset is possible. Logging.
 */
enum exit_code symbols_set_offset(struct symbols *s, const char *kaslr, const uint64_t *addresses,
				  size_t n);

enum symbols_kind symbols_kind(const struct symbols *s);
size_t symbols_count(const struct symbols *s);
enum symbols_offset symbols_offset(const struct symbols *s, uint64_t *ret);

/* How many offsets could be the guest's, as far as its addresses tell; 0 where none fits, or none were looked for. */
unsigned int symbols_fitting(const struct symbols *s);

/* The symbol that address lies in, with kallsyms as "NAME [MODULE]", borrowed; NULL where it is in none. s may be NULL. */
const char *symbols_find(const struct symbols *s, uint64_t address, uint64_t *ret_offset);

/* For symfile.c, which fills them. */
struct symbol {
	uint64_t address, size; /* size 0: up to the next */
	const char *name;
	bool is_global;
	bool is_end; /* no code follows, as at _etext */
};

struct symbols *symbols_new(void);
/* -E2BIG beyond SYMBOLS_MAX, -ENOMEM. The name must live as long as s: see symbols_keep(). */
int symbols_add(struct symbols *s, const struct symbol *symbol);
/* Called at the end of s with data: frees what names point into. One at most. */
void symbols_keep(struct symbols *s, void *data, void (*free_data)(void *data));
/* Sort; is_movable: an ELF file of type ET_DYN. is_text: no ELF. */
void symbols_finish(struct symbols *s, bool is_text, bool is_movable);
