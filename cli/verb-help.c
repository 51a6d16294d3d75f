// SPDX-License-Identifier: GPL-2.0-only
/* cetctl help: the verbs, the options and the exit codes, or more about one verb. */
#include "cetctl.h"
#include "text.h"

static const char *const exit_codes[] = {
	[CETCTL_OK] = "all went well",
	[CETCTL_FAILURE] = "something else went wrong",
	[CETCTL_USAGE] = "the command line is wrong",
	[CETCTL_NO_VM] = "there is no such VM, or several have the name",
	[CETCTL_UNREACHABLE] = "cetd does not run or cannot be reached",
	[CETCTL_DENIED] = "access denied: needs root",
	[CETCTL_UNOBSERVABLE] = "this kernel cannot show what was asked for",
};

static enum exit_code help_verb(const char *name)
{
	const struct verb *v = verb_find(name);

	if (!v) {
		const char *nearest = verb_nearest(name);

		text_error("there is no verb '%s' to help with", name);
		if (nearest)
			text_hint("did you mean `cetctl help %s`?", nearest);
		return CETCTL_USAGE;
	}
	printf("cetctl %s%s%s: %s\n", v->name, *v->arguments ? " " : "", v->arguments, v->summary);
	if (v->more)
		printf("\n%s\n", v->more);
	printf("\nOptions:%s%s%s%s%s%s%s%s --host --machine --bus-address --color\n",
	       v->takes & TAKES_JSON ? " --json" : "",
	       v->takes & TAKES_TABLE ? " --columns --sort" : "",
	       v->takes & TAKES_LEGEND ? " --no-legend" : "",
	       v->takes & TAKES_LINES ? " --lines" : "",
	       v->takes & TAKES_INTERVAL ? " --interval" : "",
	       v->takes & TAKES_SYMBOLS ? " --symbols --kaslr" : "",
	       v->takes & TAKES_LIFETIME ? " --runtime --persistent" : "",
	       v->takes & TAKES_FOR ? " --for" : "");
	return CETCTL_OK;
}

enum exit_code verb_help(struct ctl *ctl, int argc, char **argv)
{
	(void)ctl;
	if (argc > 0)
		return help_verb(argv[0]);

	printf("cetctl [OPTION…] [VERB] [VM]\n\n"
	       "See what the guests of this host do with Intel CET, as cetd sees it.\n\nVerbs:\n");
	for (const struct verb *v = verbs; v->name; v++)
		printf("  %-8s%-7s%s\n", v->name, v->arguments, v->summary);
	printf("\nOptions:\n");
	options_print_help(stdout);
	printf("\nExit codes:\n");
	for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++)
		printf("  %zu  %s\n", i, exit_codes[i]);
	return CETCTL_OK;
}
