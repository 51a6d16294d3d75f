/* SPDX-License-Identifier: GPL-2.0-only */
/* The terminal as a screen: keys without echo, the alternate screen, and back again whatever happens. */
#pragma once

#include <stddef.h>

#include "cetctl.h"

enum term_key {
	TERM_KEY_NONE,
	TERM_KEY_UP = 0x100,
	TERM_KEY_DOWN,
	TERM_KEY_LEFT,
	TERM_KEY_RIGHT,
	TERM_KEY_PAGE_UP,
	TERM_KEY_PAGE_DOWN,
	TERM_KEY_HOME,
	TERM_KEY_END,
};

/*
 * Take the terminal on stdin and stdout over. It is given back by term_leave(), by exit() and by every
 * signal that ends the process, SIGKILL excepted. Logging.
 */
enum exit_code term_enter(void);
void term_leave(void);

/* Columns and rows; 80 by 24 where the terminal does not say. */
void term_size(unsigned int *ret_columns, unsigned int *ret_rows);

/* Decode the key at *p, and move *p past it: a character, an enum term_key, or TERM_KEY_NONE for others. */
int term_key(const char **p, const char *end);
