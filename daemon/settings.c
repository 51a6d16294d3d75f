// SPDX-License-Identifier: GPL-2.0-only
/* What an operator can set in cetd.conf. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "cetd/bus.h"
#include "export/listen.h"
#include "settings.h"
#include "util/config.h"
#include "util/log.h"

static bool is_listen_address(const char *value)
{
	struct listen_address a;

	return listen_address_from_string(value, &a, NULL) >= 0;
}

static bool is_absolute(const char *value)
{
	return value[0] == '/';
}

static bool is_log_level(const char *value)
{
	return log_level_from_string(value) >= 0;
}

static const struct config_item items[] = {
	{"max_vms", CONFIG_U32, offsetof(struct settings, max_vms), 1, 65536, NULL,
	 "a number of VMs"},
	{"scan_interval_sec", CONFIG_U32, offsetof(struct settings, scan_interval_sec), 1, 3600,
	 NULL, "a number of seconds"},
	{"samples_per_second", CONFIG_U32, offsetof(struct settings, samples_per_second), 1, 100000,
	 NULL, "a number of samples a VM"},
	{"metrics.listen", CONFIG_STRING, offsetof(struct settings, metrics_listen), 0, 0,
	 is_listen_address, "\"ADDRESS:PORT\", \"[ADDRESS]:PORT\", \"unix:/PATH\" or \"off\""},
	{"metrics.allow_remote", CONFIG_BOOL, offsetof(struct settings, metrics_allow_remote), 0, 0,
	 NULL, "true or false"},
	{"policy_lease_sec", CONFIG_U32, offsetof(struct settings, policy_lease_sec), 0, 86400,
	 NULL, "a number of seconds without cetd after which policies end, 0 for never"},
	{"log_level", CONFIG_STRING, offsetof(struct settings, log_level), 0, 0, is_log_level,
	 "\"emerg\", \"alert\", \"crit\", \"err\", \"warning\", \"notice\", \"info\" or \"debug\""},
	{"policy_dir", CONFIG_STRING, offsetof(struct settings, policy_dir), 0, 0, is_absolute,
	 "the path of a directory"},
};

int settings_init(struct settings *s)
{
	*s = (struct settings){
		.max_vms = 4096,
		.scan_interval_sec = 60,
		.samples_per_second = 1000,
		.metrics_listen = strdup(CETD_METRICS_DEFAULT),
		.log_level = strdup("info"),
		.policy_dir = strdup(SETTINGS_POLICY_DIR),
	};
	if (s->metrics_listen && s->log_level && s->policy_dir)
		return 0;
	settings_done(s);
	return -ENOMEM;
}

void settings_done(struct settings *s)
{
	free(s->metrics_listen);
	free(s->log_level);
	free(s->policy_dir);
	*s = (struct settings){};
}

int settings_read(const char *path, struct settings *s, char **ret_message)
{
	struct settings next;
	int r;

	r = settings_init(&next);
	if (r < 0)
		return r;
	r = config_read(path, items, ARRAY_SIZE(items), &next, ret_message);
	if (r < 0) {
		settings_done(&next);
		return r;
	}
	settings_done(s);
	*s = next;
	return 0;
}

int settings_load(const char *file, const char *or_file, struct settings *s, const char **ret_file,
		  char **ret_message)
{
	const char *path = file ?: or_file;
	int r = settings_read(path, s, ret_message);

	if (r == -ENOENT && !file) {
		settings_done(s);
		path = NULL;
		r = settings_init(s);
	}
	if (r < 0)
		return r;
	*ret_file = path;
	return 0;
}

void settings_help(void)
{
	struct settings s;

	if (settings_init(&s) < 0)
		return;
	printf("Keys of cetd.conf (JSON with comments; \"a.b\" is b in the object a):\n");
	for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
		const void *field = (char *)&s + items[i].offset;

		if (items[i].type == CONFIG_BOOL)
			printf("  %-20s %s (default %s)\n", items[i].key, items[i].valid,
			       *(const bool *)field ? "true" : "false");
		else if (items[i].type == CONFIG_U32)
			printf("  %-20s %s, %u to %u (default %u)\n", items[i].key, items[i].valid,
			       items[i].min, items[i].max, *(const uint32_t *)field);
		else
			printf("  %-20s %s (default \"%s\")\n", items[i].key, items[i].valid,
			       *(char *const *)field);
	}
	settings_done(&s);
}
