/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon as a whole, for the two files that make it up: cetd.c wires, commands.c does what it is asked. */
#pragma once

#include "acts.h"
#include "enforcement.h"
#include "export/bus.h"
#include "export/http.h"
#include "export/process.h"
#include "freezer.h"
#include "governor.h"
#include "options.h"
#include "settings.h"
#include "source/source.h"

struct cetd {
	struct options options;
	struct settings settings;
	const char *config_path;
	struct export_context ctx;
	struct process_stats process;
	sd_event *event;
	struct model *model;
	struct policy_set *rules; /* read, not yet in force */
	struct governor *governor;
	struct enforcement *enforcement;
	struct acts *acts;	 /* NULL in a replay: its VMs are not here */
	struct freezer *freezer; /* likewise */
	struct events *events;
	struct discovery *discovery;
	struct held *held; /* between these two and the model; NULL in a replay */
	struct recorder *recorder;
	struct replay *replay;
	struct bus *bus;
	struct http *http;
	bool has_odd_message; /* one came that is not valid: said once */
};

/* struct bus_commands; userdata is the struct cetd. */
int cmd_refresh(void *userdata);
int cmd_reload(void *userdata, char **ret_message);
int cmd_render_metrics(void *userdata, char **ret_text);
void cmd_set_monitored(void *userdata, bool is_monitored);
int cmd_set_override(void *userdata, const struct vm *vm, const struct bus_override *o,
		     char **ret_message);
int cmd_clear_override(void *userdata, const char *id, uint32_t lifetimes, uint32_t settings,
		       char **ret_message);
int cmd_freeze(void *userdata, const struct vm *vm, const struct bus_freeze *order,
	       char **ret_message);
int cmd_get_policy_state(void *userdata, uint64_t key, struct cetd_policy_state *ret);

void apply_log_level(const struct cetd *c);

/* Times are shown by the clock as it is now, whatever it was when something happened. Cheap. */
void follow_clock(struct cetd *c);

/* The exporter as the settings want it, NULL where they want none. Logging. */
int start_http(struct cetd *c, const struct settings *s, int inherited_fd, struct http **ret);
