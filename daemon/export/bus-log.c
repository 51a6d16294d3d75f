// SPDX-License-Identifier: GPL-2.0-only
/* org.freedesktop.LogControl1: the log level, changed at run time (systemctl service-log-level). */
#include <errno.h>

#include "export/bus-internal.h"
#include "util/log.h"

static int get_level(sd_bus *bus _unused_, const char *path _unused_,
		     const char *interface _unused_, const char *property _unused_,
		     sd_bus_message *reply, void *userdata _unused_, sd_bus_error *error _unused_)
{
	return sd_bus_message_append(reply, "s", log_level_to_string(log_get_max_level()));
}

static int set_level(sd_bus *bus _unused_, const char *path _unused_,
		     const char *interface _unused_, const char *property _unused_,
		     sd_bus_message *value, void *userdata _unused_, sd_bus_error *error)
{
	const char *text;
	int r;

	r = sd_bus_message_read(value, "s", &text);
	if (r < 0)
		return r;
	r = log_level_from_string(text);
	if (r < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "LogLevel is '%s', valid are emerg, alert, crit, err, "
					 "warning, notice, info, debug",
					 text);
	log_set_max_level(r);
	return 0;
}

static int get_target(sd_bus *bus _unused_, const char *path _unused_,
		      const char *interface _unused_, const char *property _unused_,
		      sd_bus_message *reply, void *userdata _unused_, sd_bus_error *error _unused_)
{
	return sd_bus_message_append(reply, "s", getenv("JOURNAL_STREAM") ? "journal" : "console");
}

static int set_target(sd_bus *bus _unused_, const char *path _unused_,
		      const char *interface _unused_, const char *property _unused_,
		      sd_bus_message *value _unused_, void *userdata _unused_, sd_bus_error *error)
{
	return sd_bus_error_setf(error, SD_BUS_ERROR_NOT_SUPPORTED,
				 "LogTarget follows stderr and cannot be changed at run time");
}

static int get_identifier(sd_bus *bus _unused_, const char *path _unused_,
			  const char *interface _unused_, const char *property _unused_,
			  sd_bus_message *reply, void *userdata _unused_,
			  sd_bus_error *error _unused_)
{
	return sd_bus_message_append(reply, "s", "cetd");
}

const sd_bus_vtable log_control_vtable[] = {
	SD_BUS_VTABLE_START(0),
	/* Not SD_BUS_VTABLE_UNPRIVILEGED: sd-bus lets root only set them. */
	SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, 0),
	SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, set_target, 0, 0),
	SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};
