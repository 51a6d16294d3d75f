// SPDX-License-Identifier: GPL-2.0-only
/* cetctl policy set, cetctl policy clear. */
#include <string.h>

#include "cetd/bus.h"

#include "bus.h"
#include "doc.h"
#include "policy.h"
#include "text.h"

/* "true" and "false" are what they are, what looks like JSON is JSON, all else is a word. Which values there are is
 * known to the daemon. NULL where it is none. */
static json_object *parse_value(const char *setting, const char *text)
{
	if (!strcmp(text, "true") || !strcmp(text, "false"))
		return json_object_new_boolean(*text == 't');
	if (!strcmp(setting, "cp_rate") && !strcmp(text, "none"))
		return json_object_new_array();
	if (*text == '{' || *text == '[')
		return json_tokener_parse(text);
	return json_object_new_string(text);
}

static enum exit_code add_setting(json_object *settings, char *assignment)
{
	char *value = strchr(assignment, '=');
	json_object *parsed;

	if (!value || value == assignment || !value[1]) {
		text_error("'%s' is not SETTING=VALUE", assignment);
		text_hint("like ibt=off or mode=enforce; see `cetctl help policy`");
		return CETCTL_USAGE;
	}
	*value++ = 0;
	if (json_object_object_get_ex(settings, assignment, NULL)) {
		text_error("%s is set twice", assignment);
		return CETCTL_USAGE;
	}
	parsed = parse_value(assignment, value);
	if (!parsed) {
		text_error("%s: '%s' is not JSON", assignment, value);
		text_hint("quote it for the shell: cp_rate='{\"limit\": 100, \"then\": "
			  "\"throttle\"}'");
		return CETCTL_USAGE;
	}
	json_object_object_add(settings, assignment, parsed);
	return CETCTL_OK;
}

enum exit_code policy_set(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_doc_ json_object *settings = json_object_new_object();
	_cleanup_(freep) char *path = NULL, *id = NULL;
	_cleanup_(bus_message_unrefp) sd_bus_message *m = NULL;
	enum exit_code code = CETCTL_OK;
	int r;

	for (int i = 1; i < argc && !code; i++)
		code = add_setting(settings, argv[i]);
	if (!code)
		code = bus_get_vm(ctl, argv[0], &path, &id);
	if (!code)
		code = bus_new_change(ctl, path, "SetPolicy", &m);
	if (code)
		return code;
	r = sd_bus_message_append(m, "stt",
				  json_object_to_json_string_ext(settings, JSON_C_TO_STRING_SPACED),
				  ctl->options.lifetime ?: CETD_BUS_RUNTIME, ctl->options.for_usec);
	if (r < 0)
		return bus_fail(ctl, NULL, r, "SetPolicy");
	code = bus_send_change(ctl, m);
	/* What was asked for, and what became of it. */
	return code ? code : policy_show(ctl, 1, argv);
}

enum exit_code policy_clear(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *m = NULL;
	enum exit_code code = bus_new_change(ctl, NULL, "ClearOverride", &m);
	int r;

	if (code)
		return code;
	r = sd_bus_message_append(m, "s", argv[0]);
	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "s");
	for (int i = 1; i < argc && r >= 0; i++)
		r = sd_bus_message_append(m, "s", argv[i]);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	if (r >= 0)
		r = sd_bus_message_append(
			m, "t", ctl->options.lifetime ?: CETD_BUS_RUNTIME | CETD_BUS_PERSISTENT);
	if (r < 0) {
		text_error("cannot build the call ClearOverride: %s", strerror(-r));
		text_hint("arguments must be UTF-8");
		return CETCTL_USAGE;
	}
	return bus_send_change(ctl, m);
}
