/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line of cetd. */
#pragma once

#include <stdbool.h>

#define OPTIONS_PIN_DIR "/sys/fs/bpf/cetd"
#define OPTIONS_STATE_DIR "/var/lib/cetd"

/* Exit codes, also in `cetd --help` and cetd(8). */
enum cetd_exit {
	CETD_EXIT_OK,
	CETD_EXIT_FAILURE,     /* something failed while running */
	CETD_EXIT_USAGE,       /* bad command line */
	CETD_EXIT_CONFIG,      /* the configuration cannot be used */
	CETD_EXIT_NAME_TAKEN,  /* another cetd is on the bus */
	CETD_EXIT_NO_BUS,      /* no bus, or not allowed to claim the name */
	CETD_EXIT_UNSUPPORTED, /* no BPF, BTF, KVM or privilege */
	CETD_EXIT_RECORDING,   /* the recording cannot be read or written */
};

enum options_verdict {
	OPTIONS_RUN,
	OPTIONS_DONE,  /* --help and the like: exit 0 */
	OPTIONS_USAGE, /* a message was printed: exit CETD_EXIT_USAGE */
};

struct options {
	const char *config;  /* NULL: SETTINGS_FILE if it exists */
	const char *bus;     /* "system", "user", "none" or an address */
	const char *metrics; /* overrides metrics.listen; NULL */
	const char *record, *record_note, *replay;
	double speed;  /* of the replay; 0: as fast as it can */
	int log_level; /* overrides log_level; -1 */
	bool check_config;
	bool exit_after_replay;
	const char *pin_dir;   /* in bpffs; NULL: pin nothing */
	const char *state_dir; /* of what is persistent; NULL: nothing is */
	bool dry_run;	       /* enforce nothing, say what would be */
	bool release;	       /* remove the pins, and that is all */
};

/* Strings stay owned by argv. */
enum options_verdict options_parse(int argc, char *argv[], struct options *ret);
