// SPDX-License-Identifier: GPL-2.0-only
/* The command line: options may stand anywhere, an option that a verb has no use for is an error. */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "cetd/bus.h"

#include "cetctl.h"
#include "text.h"

enum {
	OPT_BUS_ADDRESS = 0x100,
	OPT_JSON,
	OPT_NO_LEGEND,
	OPT_COLUMNS,
	OPT_SORT,
	OPT_COLOR,
	OPT_SYMBOLS,
	OPT_KASLR,
	OPT_RUNTIME,
	OPT_PERSISTENT,
	OPT_FOR,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"host", required_argument, NULL, 'H'},
	{"machine", required_argument, NULL, 'M'},
	{"bus-address", required_argument, NULL, OPT_BUS_ADDRESS},
	{"json", optional_argument, NULL, OPT_JSON},
	{"no-legend", no_argument, NULL, OPT_NO_LEGEND},
	{"columns", required_argument, NULL, OPT_COLUMNS},
	{"sort", required_argument, NULL, OPT_SORT},
	{"color", optional_argument, NULL, OPT_COLOR},
	{"lines", required_argument, NULL, 'n'},
	{"interval", required_argument, NULL, 'd'},
	{"symbols", required_argument, NULL, OPT_SYMBOLS},
	{"kaslr", required_argument, NULL, OPT_KASLR},
	{"runtime", no_argument, NULL, OPT_RUNTIME},
	{"persistent", no_argument, NULL, OPT_PERSISTENT},
	{"for", required_argument, NULL, OPT_FOR},
	{},
};

void options_print_help(FILE *f)
{
	fputs("  -H --host=[USER@]HOST     ask the cetd of another host, over ssh\n"
	      "  -M --machine=NAME         ask the cetd of a local container\n"
	      "     --bus-address=ADDRESS  D-Bus address (else $DBUS_SYSTEM_BUS_ADDRESS or the "
	      "system bus)\n"
	      "     --json[=short|pretty]  print the daemon's JSON; pretty by itself on a "
	      "terminal\n"
	      "     --columns=A,B,C        columns of a table; +A,B adds to the usual ones, help "
	      "lists all\n"
	      "     --sort=COLUMN[:desc]   order of a table\n"
	      "     --no-legend            no headings and totals\n"
	      "     --color=WHEN           auto (terminals only, and not where NO_COLOR is set), "
	      "always, never\n"
	      "  -n --lines=N              faults: show the newest N; monitor: end after N events\n"
	      "  -d --interval=SECONDS     top: time between refreshes, 0.1 to 3600 (1)\n"
	      "     --symbols=FILE         explain: System.map, kallsyms or an ELF file, to name "
	      "addresses\n"
	      "     --kaslr=OFFSET         explain: how far the guest's kernel was moved; or "
	      "SYMBOL=ADDRESS\n"
	      "     --runtime              policy set, freeze: until cetd ends (as by default); "
	      "policy clear:\n"
	      "                            what was set so\n"
	      "     --persistent           the same, stored: over restarts of cetd and of the VM\n"
	      "     --for=TIME             policy set, freeze: for so long, such as 90s, 2h30min, "
	      "7d\n"
	      "  -h --help                 this text; `cetctl help VERB` tells more of a verb\n"
	      "     --version              the version of cetctl\n",
	      f);
}

/* getopt has turned an option down: say which, and what was probably meant. */
static enum exit_code refuse(const char *word, int letter)
{
	const char *nearest = NULL;
	unsigned int best = 64;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (const struct option *o = long_options; letter && o->name; o++)
		if (o->val == letter && !strncmp(word, "--", 2) && strchr(word, '=')) {
			text_error("--%s takes no value", o->name);
			return CETCTL_USAGE;
		}
	if (letter) {
		text_error("unknown option '-%c'", letter);
		text_hint("`cetctl help` lists the options");
		return CETCTL_USAGE;
	}
	for (const struct option *o = long_options; o->name; o++)
		if (text_is_nearer(name, o->name, &best))
			nearest = o->name;
	text_error("unknown option '--%s'", name);
	if (nearest)
		text_hint("did you mean '--%s'?", nearest);
	else
		text_hint("`cetctl help` lists the options");
	return CETCTL_USAGE;
}

static enum exit_code parse_color(const char *value, bool *ret)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (!value || !strcmp(value, "always")) {
		*ret = true;
	} else if (!strcmp(value, "never")) {
		*ret = false;
	} else if (!strcmp(value, "auto")) {
		*ret = isatty(STDOUT_FILENO) && !(no_color && *no_color) && term &&
		       strcmp(term, "dumb");
	} else {
		text_error("--color: '%s' is none of auto, always, never", value);
		return CETCTL_USAGE;
	}
	return CETCTL_OK;
}

static enum exit_code parse_json(const char *value, enum json_mode *ret)
{
	if (!value) {
		*ret = JSON_AUTO;
	} else if (!strcmp(value, "short")) {
		*ret = JSON_SHORT;
	} else if (!strcmp(value, "pretty")) {
		*ret = JSON_PRETTY;
	} else if (!strcmp(value, "off")) {
		*ret = JSON_OFF;
	} else {
		text_error("--json: '%s' is none of short, pretty, off", value);
		return CETCTL_USAGE;
	}
	return CETCTL_OK;
}

static enum exit_code parse_lines(const char *value, unsigned int *ret)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || *value < '0' || *value > '9' || !n || n > 1000000) {
		text_error("--lines: '%s' is not a number from 1 to 1000000", value);
		return CETCTL_USAGE;
	}
	*ret = (unsigned int)n;
	return CETCTL_OK;
}

static enum exit_code parse_interval(const char *value, uint64_t *ret)
{
	char *end;
	double seconds = strtod(value, &end);

	if (*end || end == value || !(seconds >= 0.1 && seconds <= 3600)) {
		text_error("--interval: '%s' is not a number of seconds from 0.1 to 3600", value);
		return CETCTL_USAGE;
	}
	*ret = (uint64_t)(seconds * USEC_PER_SEC);
	return CETCTL_OK;
}

/* "2h30min": numbers with units, added up. */
static enum exit_code parse_for(const char *value, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {{"s", 1},	  {"sec", 1},	{"m", 60},     {"min", 60},
		     {"h", 3600}, {"d", 86400}, {"w", 604800}, {"y", 31557600}};
	uint64_t total = 0;
	const char *s = value;

	while (*s) {
		size_t digits = strspn(s, "0123456789");
		size_t letters = strcspn(s + digits, "0123456789");
		uint64_t n = strtoull(s, NULL, 10);
		size_t i = 0;

		while (i < ARRAY_SIZE(units) && (strlen(units[i].name) != letters ||
						 strncmp(units[i].name, s + digits, letters)))
			i++;
		if (!digits || digits > 9 || i == ARRAY_SIZE(units))
			break;
		total += n * units[i].seconds * USEC_PER_SEC;
		if (total > CETD_BUS_FOR_MAX_USEC)
			break;
		s += digits + letters;
	}
	if (*s || !total) {
		text_error("--for: '%s' is not a time up to ten years", value);
		text_hint("write it like 90s, 10min, 2h30min, 7d or 2w");
		return CETCTL_USAGE;
	}
	*ret = total;
	return CETCTL_OK;
}

static enum exit_code take_lifetime(uint64_t lifetime, uint64_t *ret)
{
	if (*ret && *ret != lifetime) {
		text_error("only one of --runtime and --persistent can be given");
		return CETCTL_USAGE;
	}
	*ret = lifetime;
	return CETCTL_OK;
}

static enum exit_code one_transport(const struct options *o)
{
	if (!!o->host + !!o->machine + !!o->address <= 1)
		return CETCTL_OK;
	text_error("only one of --host, --machine and --bus-address can be given");
	return CETCTL_USAGE;
}

static enum exit_code pick_verb(int argc, char **argv, unsigned int given, bool is_asking,
				const struct verb **ret)
{
	static const struct {
		unsigned int group;
		const char *name;
	} groups[] = {
		{TAKES_JSON, "--json"},
		{TAKES_TABLE, "--columns or --sort"},
		{TAKES_LEGEND, "--no-legend"},
		{TAKES_LINES, "--lines"},
		{TAKES_INTERVAL, "--interval"},
		{TAKES_SYMBOLS, "--symbols or --kaslr"},
		{TAKES_LIFETIME, "--runtime or --persistent"},
		{TAKES_FOR, "--for"},
	};
	const char *name = optind < argc ? argv[optind] : "status";
	const struct verb *verb = verb_find(name);
	int n = optind < argc ? argc - optind - 1 : 0;

	if (!verb) {
		const char *nearest = verb_nearest(name);

		text_error("unknown verb '%s'", name);
		if (nearest)
			text_hint("did you mean `cetctl %s`?", nearest);
		else
			text_hint("`cetctl help` lists the verbs");
		return CETCTL_USAGE;
	}
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (given & groups[i].group & ~verb->takes) {
			text_error("`cetctl %s` does not take %s", name, groups[i].name);
			if (verb->more)
				text_hint("see `cetctl help %s`", name);
			return CETCTL_USAGE;
		}
	/* To be told of the columns takes no VM. */
	if ((n < verb->min_args && !is_asking) || n > verb->max_args) {
		text_error("`cetctl %s` %s", name,
			   n > verb->max_args ? "was given too many arguments" : "needs a VM");
		text_hint("usage: cetctl %s %s", name, verb->arguments);
		return CETCTL_USAGE;
	}
	optind = argc - n;
	*ret = verb;
	return CETCTL_OK;
}

/* One option that getopt has taken apart; given collects the groups that it belongs to. */
static enum exit_code take(int c, struct options *o, unsigned int *given)
{
	switch (c) {
	case 'H':
		o->host = optarg;
		return CETCTL_OK;
	case 'M':
		o->machine = optarg;
		return CETCTL_OK;
	case OPT_BUS_ADDRESS:
		o->address = optarg;
		return CETCTL_OK;
	case OPT_JSON:
		*given |= TAKES_JSON;
		return parse_json(optarg, &o->json);
	case OPT_NO_LEGEND:
		*given |= TAKES_LEGEND;
		o->has_legend = false;
		return CETCTL_OK;
	case OPT_COLUMNS:
		*given |= TAKES_TABLE;
		o->columns = optarg;
		return CETCTL_OK;
	case OPT_SORT:
		*given |= TAKES_TABLE;
		o->sort = optarg;
		return CETCTL_OK;
	case OPT_COLOR:
		return parse_color(optarg, &o->is_color);
	case 'n':
		*given |= TAKES_LINES;
		return parse_lines(optarg, &o->lines);
	case OPT_SYMBOLS:
		*given |= TAKES_SYMBOLS;
		o->symbols = optarg;
		return CETCTL_OK;
	case OPT_KASLR:
		*given |= TAKES_SYMBOLS;
		o->kaslr = optarg;
		return CETCTL_OK;
	case OPT_RUNTIME:
		*given |= TAKES_LIFETIME;
		return take_lifetime(CETD_BUS_RUNTIME, &o->lifetime);
	case OPT_PERSISTENT:
		*given |= TAKES_LIFETIME;
		return take_lifetime(CETD_BUS_PERSISTENT, &o->lifetime);
	case OPT_FOR:
		*given |= TAKES_FOR;
		return parse_for(optarg, &o->for_usec);
	default: /* 'd' */
		*given |= TAKES_INTERVAL;
		return parse_interval(optarg, &o->interval_usec);
	}
}

enum exit_code options_parse(int argc, char **argv, struct options *ret,
			     const struct verb **ret_verb)
{
	struct options o = {.has_legend = true, .interval_usec = USEC_PER_SEC};
	enum exit_code code = parse_color("auto", &o.is_color);
	unsigned int given = 0;
	bool is_help = false;
	int c;

	opterr = 0;
	while (!code && (c = getopt_long(argc, argv, ":hH:M:n:d:", long_options, NULL)) >= 0) {
		if (c == 'h') {
			is_help = true;
		} else if (c == OPT_VERSION) {
			printf("cetctl " CETD_VERSION "\n");
			*ret_verb = NULL;
			return CETCTL_OK;
		} else if (c == ':') {
			text_error("option '%s' needs a value", argv[optind - 1]);
			code = CETCTL_USAGE;
		} else if (c == '?') {
			code = refuse(argv[optind - 1], optopt);
		} else {
			code = take(c, &o, &given);
		}
	}
	if (!code && is_help) {
		*ret = o;
		*ret_verb = verb_find("help");
		return CETCTL_OK;
	}
	if (!code)
		code = one_transport(&o);
	if (!code)
		code = pick_verb(argc, argv, given, o.columns && !strcmp(o.columns, "help"),
				 ret_verb);
	if (!code)
		*ret = o;
	return code;
}
