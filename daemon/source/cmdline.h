/* SPDX-License-Identifier: GPL-2.0-only */
/* What a VMM's command line tells of its VM. Pure: the text may come from anybody and is never trusted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct cmdline_facts {
	char vmm[24];	/* "qemu", "cloud-hypervisor" …; "" for none that is known */
	char name[128]; /* raw bytes, "" where it says none */
	char uuid[40];	/* lower case with dashes, or "" */
};

/* exe: the program's path, "" where it may not be read; comm: the process's short name; args: the arguments,
 * each with its NUL, size bytes in all (a last one without its NUL was cut off and is left out). Where an
 * option is given twice, the first counts: later ones may come from a guest's owner. */
void cmdline_parse(const char *exe, const char *comm, const char *args, size_t size,
		   struct cmdline_facts *ret);

/* The value of key in "KEY=VALUE,KEY=VALUE", where ",," stands for a comma in a value and a first part
 * without "=" is the value of implied_key (may be NULL). False, and ret untouched, where there is none. */
bool cmdline_get_value(const char *text, const char *key, const char *implied_key, char *ret,
		       size_t size);

/* 32 hex digits, with or without the four dashes: to lower case with dashes. False for anything else and for
 * the nil UUID, which names nothing. */
bool cmdline_parse_uuid(const char *text, char ret[static 40]);
