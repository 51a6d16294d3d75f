// SPDX-License-Identifier: GPL-2.0-only
/* Logging: one line a message, with the syslog level as the journal's prefix when stderr is not a terminal. */
#include <stdarg.h>
#include <string.h>

#include <systemd/sd-journal.h>

#include "util/log.h"

static int log_max_level = LOG_INFO;

static const char *const level_names[] = {
	[LOG_EMERG] = "emerg", [LOG_ALERT] = "alert",	  [LOG_CRIT] = "crit",
	[LOG_ERR] = "err",     [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

void log_set_max_level(int level)
{
	log_max_level = level;
}

int log_get_max_level(void)
{
	return log_max_level;
}

int log_level_from_string(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
		if (!strcmp(level_names[i], s))
			return (int)i;
	return -EINVAL;
}

const char *log_level_to_string(int level)
{
	return level >= 0 && (size_t)level < ARRAY_SIZE(level_names) ? level_names[level] : NULL;
}

/* "<N>" is how systemd learns the level of a line on stderr (sd-daemon(3)). */
static void put_line(int level, const char *line)
{
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "cetd: %s\n", line);
}

int log_full(int level, int error, const char *format, ...)
{
	char line[2048];
	va_list ap;

	error = error < 0 ? -error : error;
	if (level <= log_max_level) {
		va_start(ap, format);
		errno = error;
		vsnprintf(line, sizeof(line), format, ap);
		va_end(ap);
		put_line(level, line);
	}
	return -error;
}

void log_event(int level, const char *message_id, const char *const fields[], const char *format,
	       ...)
{
	char line[2048 + sizeof("MESSAGE=")] = "MESSAGE=", id[64], priority[16];
	struct iovec v[LOG_FIELDS_MAX + 3] = {{line}, {id}, {priority}};
	size_t n = strlen(line);
	int k = 3;
	va_list ap;

	if (level > log_max_level)
		return;
	va_start(ap, format);
	vsnprintf(line + n, sizeof(line) - n, format, ap);
	va_end(ap);
	snprintf(id, sizeof(id), "MESSAGE_ID=%s", message_id);
	snprintf(priority, sizeof(priority), "PRIORITY=%d", level);
	for (; fields[k - 3] && k < LOG_FIELDS_MAX + 3; k++)
		v[k].iov_base = (char *)fields[k - 3];
	for (int i = 0; i < k; i++)
		v[i].iov_len = strlen(v[i].iov_base);
	if (!getenv("JOURNAL_STREAM") || sd_journal_sendv(v, k) < 0)
		put_line(level, line + n);
}
