/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading symbol files, which may come from anyone: everything in them is bounded. */
#pragma once

#include "symbols.h"

/* Logging: messages name the file, and what was expected of it. */
enum exit_code symfile_load(const char *file, struct symbols **ret);

/*
 * System.map or kallsyms in memory, which is taken over, in all cases: text[size] must be writable. 0, or
 * -EBADMSG with *ret_line (0: the whole file) and what was expected there, or -ENOMEM. Quiet.
 */
int symfile_parse(char *text, size_t size, struct symbols **ret, unsigned int *ret_line,
		  const char **ret_expected);

/* The symbols of code in an ELF file; fd is taken over in all cases. Logging. */
enum exit_code symfile_read_elf(const char *file, int fd, struct symbols **ret);
