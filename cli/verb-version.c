// SPDX-License-Identifier: GPL-2.0-only
/* cetctl version: of cetctl, and of the daemon where one answers. */
#include <json-c/json.h>

#include "cetd/bus.h"

#include "bus.h"
#include "doc.h"
#include "text.h"

/* A daemon that does not answer is a finding here, not a failure: ask without a word on stderr. */
static char *daemon_version(struct ctl *ctl)
{
	char *version = NULL;

	if (ctl->options.host || ctl->options.machine || ctl->options.address) {
		if (bus_open(ctl))
			return NULL;
	} else if (sd_bus_open_system(&ctl->bus) < 0) {
		return NULL;
	}
	if (sd_bus_get_property_string(ctl->bus, CETD_BUS_NAME, CETD_BUS_PATH, CETD_BUS_MANAGER,
				       "Version", NULL, &version) < 0)
		return NULL;
	return version;
}

enum exit_code verb_version(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(freep) char *version = daemon_version(ctl), *safe = NULL;
	_cleanup_doc_ json_object *o = NULL;

	(void)argc;
	(void)argv;
	if (ctl->options.json != JSON_OFF) {
		o = json_object_new_object();
		json_object_object_add(o, "cetctl", json_object_new_string(CETD_VERSION));
		if (version)
			json_object_object_add(o, "daemon", json_object_new_string(version));
		return doc_print(stdout, o, ctl->options.json);
	}
	safe = version ? text_clean(version) : NULL;
	printf("cetctl %s\ndaemon %s\n", CETD_VERSION, safe ?: "does not answer");
	return CETCTL_OK;
}
