// SPDX-License-Identifier: GPL-2.0-only
/* cetctl metrics: the text that a scrape would get, for hosts where the exporter is off or out of reach. */
#include <json-c/json.h>

#include "bus.h"
#include "doc.h"
#include "text.h"

enum exit_code verb_metrics(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_doc_ json_object *o = NULL;
	const char *text;
	enum exit_code code;
	int r;

	(void)argc;
	(void)argv;
	code = bus_call(ctl, &reply, "Metrics", NULL);
	if (code)
		return code;
	r = sd_bus_message_read(reply, "s", &text);
	if (r < 0)
		return bus_fail(ctl, NULL, r, "Metrics");
	if (ctl->options.json != JSON_OFF) {
		o = json_object_new_object();
		json_object_object_add(o, "content_type",
				       json_object_new_string("text/plain; version=0.0.4"));
		json_object_object_add(o, "text", json_object_new_string(text));
		return doc_print(stdout, o, ctl->options.json);
	}
	text_print_lines(stdout, text);
	return CETCTL_OK;
}
