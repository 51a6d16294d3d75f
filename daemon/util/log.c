// SPDX-License-Identifier: GPL-2.0-only
/* Logging: one line a message, with the syslog level as the journal's prefix when stderr is not a terminal. */
#include <stdarg.h>
#include <string.h>

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
		/* "<N>" is how systemd learns the level of a line on stderr (sd-daemon(3)). */
		if (getenv("JOURNAL_STREAM"))
			fprintf(stderr, "<%d>%s\n", level, line);
		else
			fprintf(stderr, "cetd: %s\n", line);
	}
	return -error;
}
