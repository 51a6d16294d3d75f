// SPDX-License-Identifier: GPL-2.0-only
/* cetctl policy: its actions; policy files checked without a daemon. */
#include <string.h>

#include "cetd/policy-file.h"

#include "policy.h"
#include "text.h"

static enum exit_code check_files(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(freep) char *message = NULL;
	size_t n_rules;
	int r;

	r = cetd_policy_check((const char *const *)argv, (size_t)argc, &n_rules, &message);
	if (r < 0) {
		text_error("%s", message ?: strerror(-r));
		return CETCTL_FAILURE;
	}
	if (ctl->options.has_legend)
		printf("%zu rule%s, all good.\n", n_rules, n_rules == 1 ? "" : "s");
	return CETCTL_OK;
}

static enum exit_code print_schema(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_(freep) char *schema = cetd_policy_schema();

	(void)ctl;
	(void)argc;
	(void)argv;
	if (!schema) {
		text_error("out of memory");
		return CETCTL_FAILURE;
	}
	printf("%s\n", schema);
	return CETCTL_OK;
}

static const struct action {
	const char *name, *arguments;
	int min, max;
	unsigned int takes;
	enum exit_code (*run)(struct ctl *ctl, int argc, char **argv);
} actions[] = {
	{"list", "", 0, 0, 0, policy_list},
	{"show", "[VM]", 0, 1, 0, policy_show},
	{"explain", "VM", 1, 1, 0, policy_explain},
	{"set", "VM SETTING=VALUE...", 2, 63, TAKES_LIFETIME | TAKES_FOR, policy_set},
	{"clear", "VM [SETTING...]", 1, 63, TAKES_LIFETIME, policy_clear},
	{"check", "FILE...", 1, 63, 0, check_files},
	{"schema", "", 0, 0, 0, print_schema},
};

static enum exit_code run_action(const struct action *a, struct ctl *ctl, int argc, char **argv)
{
	const struct options *o = &ctl->options;

	if (argc < a->min || argc > a->max) {
		text_error("policy %s was given too %s", a->name,
			   argc < a->min ? "little" : "much");
		text_hint("usage: cetctl policy %s %s", a->name, a->arguments);
		return CETCTL_USAGE;
	}
	if ((o->lifetime && !(a->takes & TAKES_LIFETIME)) ||
	    (o->for_usec && !(a->takes & TAKES_FOR))) {
		text_error("policy %s does not take %s", a->name,
			   o->lifetime && !(a->takes & TAKES_LIFETIME) ? "--runtime or --persistent"
								       : "--for");
		text_hint("see `cetctl help policy`");
		return CETCTL_USAGE;
	}
	return a->run(ctl, argc, argv);
}

enum exit_code verb_policy(struct ctl *ctl, int argc, char **argv)
{
	const char *nearest = NULL;
	unsigned int best = 64;

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!strcmp(argv[0], actions[i].name))
			return run_action(actions + i, ctl, argc - 1, argv + 1);
		if (text_is_nearer(argv[0], actions[i].name, &best))
			nearest = actions[i].name;
	}
	text_error("there is no `cetctl policy %s`", argv[0]);
	if (nearest)
		text_hint("did you mean `cetctl policy %s`?", nearest);
	else
		text_hint("try `cetctl help policy`");
	return CETCTL_USAGE;
}
