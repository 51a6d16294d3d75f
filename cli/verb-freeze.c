// SPDX-License-Identifier: GPL-2.0-only
/* cetctl freeze, cetctl thaw. */
#include "cetd/bus.h"

#include "bus.h"

static enum exit_code freeze(struct ctl *ctl, const char *name, const char *member)
{
	_cleanup_(freep) char *path = NULL, *id = NULL;
	_cleanup_(bus_message_unrefp) sd_bus_message *m = NULL;
	bool is_freeze = *member == 'F';
	enum exit_code code;
	int r = 0;

	code = bus_get_vm(ctl, name, &path, &id);
	if (!code)
		code = bus_new_change(ctl, path, member, &m);
	if (code)
		return code;
	if (is_freeze)
		r = sd_bus_message_append(m, "tt", ctl->options.lifetime ?: CETD_BUS_RUNTIME,
					  ctl->options.for_usec);
	return r < 0 ? bus_fail(ctl, NULL, r, member) : bus_send_change(ctl, m);
}

enum exit_code verb_freeze(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return freeze(ctl, argv[0], "Freeze");
}

enum exit_code verb_thaw(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return freeze(ctl, argv[0], "Thaw");
}
