/* SPDX-License-Identifier: GPL-2.0-only */
/* Logging: to the journal with fields when stderr is the journal's, to stderr otherwise. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <syslog.h>

#include "util/macro.h"

/* The highest syslog level that is written; LOG_INFO at start. */
void log_set_max_level(int level);
int log_get_max_level(void);

/* "emerg" … "debug"; returns the level, or -EINVAL. */
int log_level_from_string(const char *s);
const char *log_level_to_string(int level);

/* Write one line; error is an errno for %m, of either sign, or 0. Returns -abs(error). */
int log_full(int level, int error, const char *format, ...) _printf_(3, 4);

/*
 * Likewise, and as an entry with fields where stderr is the journal's: message_id is of cetd/message-ids.h, fields
 * are "NAME=value", ended by NULL, at most LOG_FIELDS_MAX.
 */
#define LOG_FIELDS_MAX 16
void log_event(int level, const char *message_id, const char *const fields[], const char *format,
	       ...) _printf_(4, 5);

#define log_error_errno(e, ...) log_full(LOG_ERR, e, __VA_ARGS__)
#define log_warning_errno(e, ...) log_full(LOG_WARNING, e, __VA_ARGS__)
#define log_debug_errno(e, ...) log_full(LOG_DEBUG, e, __VA_ARGS__)
#define log_error(...) log_full(LOG_ERR, 0, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, 0, __VA_ARGS__)
#define log_notice(...) log_full(LOG_NOTICE, 0, __VA_ARGS__)
#define log_info(...) log_full(LOG_INFO, 0, __VA_ARGS__)
#define log_debug(...) log_full(LOG_DEBUG, 0, __VA_ARGS__)
