// SPDX-License-Identifier: GPL-2.0-only
/* Root may all, others nothing that changes anything or shows addresses. */
#include <unistd.h>

#include "export/authorize.h"
#include "util/macro.h"

static const char *const names[] = {
	[AUTHORIZE_INSPECT] = "org.cetd1.inspect",
	[AUTHORIZE_MANAGE] = "org.cetd1.manage",
	[AUTHORIZE_ENFORCE] = "org.cetd1.enforce",
};
_Static_assert(ARRAY_SIZE(names) == _AUTHORIZE_ACTION_MAX, "names of actions");

const char *authorize_action_to_string(int action)
{
	return action >= 0 && action < _AUTHORIZE_ACTION_MAX ? names[action] : NULL;
}

int authorize_is_root(sd_bus_message *message, sd_bus_error *error)
{
	sd_bus_creds *creds = NULL;
	uid_t uid;
	int r;

	r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);
	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, &uid);
	sd_bus_creds_unref(creds);
	if (r < 0)
		return sd_bus_error_set_errnof(error, r, "Failed to find out who is asking: %m");
	return uid == 0 || uid == geteuid();
}

int authorize(struct bus *b, sd_bus_message *message, const struct vm *vm,
	      const struct guarded_method *method, sd_bus_error *error)
{
	int r = authorize_is_root(message, error);

	if (r < 0)
		return r;
	if (!r)
		return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Only root may %s",
					 method->what);
	return method->run(b, message, vm, error);
}
