/* SPDX-License-Identifier: GPL-2.0-only */
/* What every part of cetctl shares: exit codes, the options of one call, the verb table. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <systemd/sd-bus.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define USEC_PER_SEC UINT64_C(1000000)

/* Documented in `cetctl help`. A function that returns one has printed why it is not CETCTL_OK. */
enum exit_code {
	CETCTL_OK,
	CETCTL_FAILURE,
	CETCTL_USAGE,
	CETCTL_NO_VM,
	CETCTL_UNREACHABLE,
	CETCTL_DENIED,
	CETCTL_UNOBSERVABLE,
};

enum json_mode {
	JSON_OFF,
	JSON_AUTO, /* pretty on a terminal, else short */
	JSON_SHORT,
	JSON_PRETTY,
};

/* Groups of options that not every verb takes. */
#define TAKES_JSON (1U << 0)
#define TAKES_TABLE (1U << 1) /* --columns, --sort, --no-legend */
#define TAKES_LEGEND (1U << 2)
#define TAKES_LINES (1U << 3)
#define TAKES_INTERVAL (1U << 4)
#define TAKES_SYMBOLS (1U << 5)	 /* --symbols, --kaslr */
#define TAKES_LIFETIME (1U << 6) /* --runtime, --persistent */
#define TAKES_FOR (1U << 7)

struct options {
	const char *host, *machine, *address; /* at most one is set */
	enum json_mode json;
	bool is_color;
	bool has_legend;
	const char *columns, *sort; /* NULL: the verb's own */
	unsigned int lines;	    /* 0: not given */
	uint64_t interval_usec;
	const char *symbols, *kaslr; /* NULL: not given */
	uint64_t lifetime;	     /* CETD_BUS_RUNTIME or CETD_BUS_PERSISTENT; 0: not given */
	uint64_t for_usec;	     /* 0: not given */
};

/* One call of cetctl. bus is NULL until bus_open(). */
struct ctl {
	struct options options;
	sd_bus *bus;
	bool may_pass_fds;
};

struct verb {
	const char *name, *arguments, *summary;
	int min_args, max_args;
	unsigned int takes;
	enum exit_code (*run)(struct ctl *ctl, int argc,
			      char **argv); /* arguments after the verb */
	const char *more;		    /* for `cetctl help VERB` */
};

/* main.c; ends with an entry without a name. */
extern const struct verb verbs[];
const struct verb *verb_find(const char *name);
const char *verb_nearest(const char *name);

enum exit_code verb_status(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_list(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_show(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_faults(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_explain(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_monitor(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_top(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_probe(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_metrics(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_policy(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_freeze(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_thaw(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_dump(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_version(struct ctl *ctl, int argc, char **argv);
enum exit_code verb_help(struct ctl *ctl, int argc, char **argv);

/*
 * options.c: after it, the verb's arguments stand at argv + optind. A NULL verb with CETCTL_OK: all is done.
 */
enum exit_code options_parse(int argc, char **argv, struct options *ret,
			     const struct verb **ret_verb);
void options_print_help(FILE *f);

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
