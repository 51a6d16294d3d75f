/* SPDX-License-Identifier: GPL-2.0-only */
/* What an operator can set in cetd.conf, with the defaults. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_FILE "/etc/cetd/cetd.conf"
#define SETTINGS_POLICY_DIR "/etc/cetd/policy.d"

struct settings {
	uint32_t max_vms;	     /* VMs that the maps and the registry hold */
	uint32_t scan_interval_sec;  /* between scans for VMs that no uevent told of */
	uint32_t samples_per_second; /* a VM's share of the ring buffer */
	char *metrics_listen;	     /* owned */
	bool metrics_allow_remote;   /* metrics_listen may be an address that other hosts reach */
	uint32_t policy_lease_sec;   /* policies end when no daemon has run for so long; 0: never */
	char *log_level;	     /* owned */
	char *policy_dir;	     /* owned; need not exist if it is SETTINGS_POLICY_DIR */
};

/* Defaults; -ENOMEM. */
int settings_init(struct settings *s);
void settings_done(struct settings *s);

/* Read path over the defaults. On failure *s is untouched and *ret_message, to be freed, says what is wrong.
 * A missing file is an error here: the caller knows whether one has to exist. */
int settings_read(const char *path, struct settings *s, char **ret_message);

/* Read file over the defaults; where that is NULL, or_file if there is one. As above; *ret_file is what was read, NULL
 * for nothing, and then s holds the defaults. */
int settings_load(const char *file, const char *or_file, struct settings *s, const char **ret_file,
		  char **ret_message);

/* Print each key with its default, range and meaning. */
void settings_help(void);
