// SPDX-License-Identifier: GPL-2.0-only
/* The command line of cetd. */
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "options.h"
#include "settings.h"
#include "util/log.h"
#include "util/macro.h"
#include "util/nearest.h"
#include "util/utf8.h"

enum {
	OPT_BUS = 256,
	OPT_CHECK_CONFIG,
	OPT_DRY_RUN,
	OPT_EXIT_AFTER_REPLAY,
	OPT_HELP_CONFIG,
	OPT_LOG_LEVEL,
	OPT_METRICS,
	OPT_NOTE,
	OPT_PIN_DIR,
	OPT_RECORD,
	OPT_RELEASE,
	OPT_REPLAY,
	OPT_SPEED,
	OPT_STATE_DIR,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"bus", required_argument, NULL, OPT_BUS},
	{"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
	{"config", required_argument, NULL, 'c'},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"exit-after-replay", no_argument, NULL, OPT_EXIT_AFTER_REPLAY},
	{"help", no_argument, NULL, 'h'},
	{"help-config", no_argument, NULL, OPT_HELP_CONFIG},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"metrics", required_argument, NULL, OPT_METRICS},
	{"pin-dir", required_argument, NULL, OPT_PIN_DIR},
	{"record", required_argument, NULL, OPT_RECORD},
	{"record-note", required_argument, NULL, OPT_NOTE},
	{"release", no_argument, NULL, OPT_RELEASE},
	{"replay", required_argument, NULL, OPT_REPLAY},
	{"speed", required_argument, NULL, OPT_SPEED},
	{"state-dir", required_argument, NULL, OPT_STATE_DIR},
	{"version", no_argument, NULL, OPT_VERSION},
	{},
};

static void print_help(void)
{
	printf("cetd [OPTIONS]\n\n"
	       "Observe Intel CET in KVM guests: count and report control-protection faults and\n"
	       "CET MSR accesses per VM, over D-Bus (org.cetd1) and Prometheus metrics.\n\n"
	       "  -c, --config FILE         configuration (default " SETTINGS_FILE
	       ", if it exists)\n"
	       "      --check-config        read the configuration, say what is wrong, exit\n"
	       "      --help-config         list the keys of the configuration\n"
	       "      --dry-run             enforce no policy, log what would be done\n"
	       "      --bus BUS             \"system\" (default), \"user\", \"none\" or a D-Bus "
	       "address\n"
	       "      --metrics ADDRESS     where to serve metrics, instead of metrics.listen\n"
	       "      --pin-dir DIR         keep programs and counters in DIR, in a BPF file "
	       "system, "
	       "so that\n"
	       "                            they outlive this process (default " OPTIONS_PIN_DIR
	       ";\n"
	       "                            \"none\": nowhere)\n"
	       "      --state-dir DIR       keep what is persistent in DIR "
	       "(default " OPTIONS_STATE_DIR ";\n"
	       "                            \"none\": nowhere; a replay keeps nothing)\n"
	       "      --release             remove what was kept there, and exit: all VMs are as "
	       "if "
	       "cetd\n"
	       "                            had never run\n"
	       "      --record FILE         write the event stream to FILE (holds guest "
	       "addresses)\n"
	       "      --record-note TEXT    a line about where and how, kept in the recording\n"
	       "      --replay FILE         take events from a recording instead of the kernel\n"
	       "      --speed X             replay X times as fast, 0 as fast as possible (default "
	       "1)\n"
	       "      --exit-after-replay   leave when the recording is over\n"
	       "      --log-level LEVEL     emerg … info, debug; instead of log_level\n"
	       "  -h, --help                this text\n"
	       "      --version             the version\n\n"
	       "Exit codes: 0 ok, 1 failure while running, 2 bad command line, 3 bad "
	       "configuration,\n"
	       "4 another cetd owns the bus name, 5 no bus, 6 no BPF, BTF, KVM or privilege,\n"
	       "7 bad recording.\n");
}

static bool parse_speed(const char *text, double *ret)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !isfinite(v) || v < 0 || v > 1e6)
		return false;
	*ret = v;
	return true;
}

static enum options_verdict usage(const char *format, ...) _printf_(1, 2);
static enum options_verdict usage(const char *format, ...)
{
	va_list ap;

	fputs("cetd: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputs("\nTry 'cetd --help'.\n", stderr);
	return OPTIONS_USAGE;
}

static enum options_verdict unknown_option(const char *text)
{
	const char *names[ARRAY_SIZE(long_options) - 1], *near;
	char word[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		names[i] = long_options[i].name;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(text + strspn(text, "-"), "="),
		 text + strspn(text, "-"));
	near = nearest_word(word, names, ARRAY_SIZE(names));
	if (near)
		return usage("unknown option '%s', did you mean --%s?", text, near);
	return usage("unknown option '%s'", text);
}

/* Much of it is shown on terminals and on the bus. */
static enum options_verdict unprintable(const char *value)
{
	char shown[256];

	utf8_sanitize(value, shown, sizeof(shown));
	return usage("an option's value is '%s', where a ? stands for what is no printable UTF-8",
		     shown);
}

static enum options_verdict check_combination(const struct options *o, int argc, char *argv[])
{
	if (optind < argc)
		return usage("unexpected argument '%s'", argv[optind]);
	if (o->record && o->replay)
		return usage("--record and --replay exclude each other");
	if (o->record_note && !o->record)
		return usage("--record-note goes with --record");
	if (o->release && (o->replay || o->record || o->check_config))
		return usage("--release stands alone");
	if (o->release && !o->pin_dir)
		return usage("--release needs to know where: --pin-dir is \"none\"");
	if (!o->replay && (o->speed != 1 || o->exit_after_replay))
		return usage("--speed and --exit-after-replay go with --replay");
	return OPTIONS_RUN;
}

enum options_verdict options_parse(int argc, char *argv[], struct options *ret)
{
	struct options o = {.bus = "system",
			    .speed = 1,
			    .log_level = -1,
			    .pin_dir = OPTIONS_PIN_DIR,
			    .state_dir = OPTIONS_STATE_DIR};
	enum options_verdict verdict;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:h", long_options, NULL)) >= 0) {
		if (optarg && !utf8_is_clean(optarg, strlen(optarg) + 1))
			return unprintable(optarg);
		switch (c) {
		case 'h':
			print_help();
			return OPTIONS_DONE;
		case OPT_VERSION:
			printf("cetd %s\n", CETD_VERSION);
			return OPTIONS_DONE;
		case OPT_HELP_CONFIG:
			settings_help();
			return OPTIONS_DONE;
		case 'c':
			o.config = optarg;
			break;
		case OPT_BUS:
			o.bus = optarg;
			break;
		case OPT_CHECK_CONFIG:
			o.check_config = true;
			break;
		case OPT_EXIT_AFTER_REPLAY:
			o.exit_after_replay = true;
			break;
		case OPT_LOG_LEVEL:
			o.log_level = log_level_from_string(optarg);
			if (o.log_level < 0)
				return usage("--log-level is '%s', valid are emerg, alert, crit, "
					     "err, warning, notice, info, debug",
					     optarg);
			break;
		case OPT_METRICS:
			o.metrics = optarg;
			break;
		case OPT_DRY_RUN:
			o.dry_run = true;
			break;
		case OPT_PIN_DIR:
			o.pin_dir = strcmp(optarg, "none") ? optarg : NULL;
			break;
		case OPT_STATE_DIR:
			o.state_dir = strcmp(optarg, "none") ? optarg : NULL;
			break;
		case OPT_RELEASE:
			o.release = true;
			break;
		case OPT_RECORD:
			o.record = optarg;
			break;
		case OPT_NOTE:
			o.record_note = optarg;
			break;
		case OPT_REPLAY:
			o.replay = optarg;
			break;
		case OPT_SPEED:
			if (!parse_speed(optarg, &o.speed))
				return usage("--speed is '%s', valid is a number from 0 to 1000000",
					     optarg);
			break;
		case ':':
			return usage("%s needs a value", argv[optind - 1]);
		default:
			/* A letter that is none may stand among others; else a word is none, or takes no
			 * value. */
			if (optopt > 0 && optopt < OPT_BUS && optopt != 'h')
				return usage("unknown option '-%c'", optopt);
			return unknown_option(argv[optind - 1]);
		}
	}
	verdict = check_combination(&o, argc, argv);
	if (verdict == OPTIONS_RUN)
		*ret = o;
	return verdict;
}
