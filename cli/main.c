// SPDX-License-Identifier: GPL-2.0-only
/* cetctl: the verb table, and one call of one verb. */
#include <getopt.h>
#include <locale.h>
#include <string.h>

#include <libsmartcols/libsmartcols.h>

#include "bus.h"
#include "cetctl.h"
#include "text.h"

const struct verb verbs[] = {
	{"status", "", "the daemon, the kernel and what is going on, on one screen", 0, 0,
	 TAKES_JSON | TAKES_LEGEND, verb_status, NULL},
	{"list", "", "the VMs", 0, 0, TAKES_JSON | TAKES_TABLE | TAKES_LEGEND, verb_list,
	 "One line a VM. A dash stands for what this kernel cannot show; `cetctl probe` says why.\n"
	 "`cetctl list --columns=help` lists the columns."},
	{"show", "VM", "all that is known of one VM", 1, 1, TAKES_JSON | TAKES_LEGEND, verb_show,
	 "VM is an id, a name, a UUID in any spelling, or pid-N.\n"
	 "The most frequent faulting addresses are shown to root only."},
	{"faults", "VM", "the VM's newest control-protection faults, newest first (root)", 1, 1,
	 TAKES_JSON | TAKES_TABLE | TAKES_LEGEND | TAKES_LINES, verb_faults,
	 "The kernel keeps the last 64 faults of a VM. Exits with 6 where this kernel can show "
	 "none.\n"
	 "`cetctl faults VM --columns=help` lists the columns."},
	{"explain", "VM", "what faulted, what that means, likely causes, what to do next", 1, 1,
	 TAKES_JSON | TAKES_LEGEND | TAKES_SYMBOLS, verb_explain,
	 "Counts are for everyone, addresses and times for root. Exits with 6 where this kernel "
	 "can show\n"
	 "none; what else is known is explained all the same.\n\n"
	 "--symbols names addresses: System.map, a copy of the guest's /proc/kallsyms, vmlinux, or "
	 "a\n"
	 "program that is not position-independent. Linux moves its kernel at boot (KASLR): "
	 "--kaslr says\n"
	 "how far, as an offset, or as SYMBOL=ADDRESS with the address that the guest's "
	 "/proc/kallsyms\n"
	 "gives one of the file's symbols. Without it the offset is taken only where it is "
	 "certain:\n"
	 "kallsyms needs none, and sometimes only one offset is possible. What was assumed is "
	 "told."},
	{"monitor", "[VM]", "events as they happen (root)", 0, 1,
	 TAKES_JSON | TAKES_LINES | TAKES_LEGEND, verb_monitor,
	 "Ends with ctrl-c, or after --lines events. With --json: one object a line, as the "
	 "daemon\n"
	 "sends it. Over --host only the ControlProtection signal passes: counts without "
	 "addresses."},
	{"top", "", "the VMs, busiest first, refreshed in place", 0, 0,
	 TAKES_TABLE | TAKES_INTERVAL, verb_top,
	 "Keys: q quit, < > choose the column to sort by, R reverse, c #CP, r #CP a second, m MSR\n"
	 "accesses, n name, arrows and page keys scroll, space refreshes now."},
	{"probe", "", "what this host can show of CET, what not, and what to do about it", 0, 0,
	 TAKES_JSON | TAKES_LEGEND, verb_probe, NULL},
	{"metrics", "", "the daemon's metrics as Prometheus text", 0, 0, TAKES_JSON, verb_metrics,
	 "With --json: the text in an object. The same numbers as JSON values: `cetctl dump`."},
	{"policy", "ACTION", "what holds for a VM and why; set and check policies", 1, 64,
	 TAKES_JSON | TAKES_LEGEND | TAKES_LIFETIME | TAKES_FOR, verb_policy,
	 "cetctl policy list            the rules in force, and what was set for single VMs\n"
	 "cetctl policy show [VM]       each setting, what becomes of it, by which rule, what to "
	 "do\n"
	 "cetctl policy explain VM      the same in words\n"
	 "cetctl policy set VM SETTING=VALUE...\n"
	 "                              set for one VM what wins over all rules: mode=monitor or "
	 "enforce,\n"
	 "                              ibt=keep or off, shstk=keep or hide, record=true or "
	 "false,\n"
	 "                              cp_rate=none or as JSON, '{\"limit\": 100, \"then\": "
	 "\"throttle\"}'\n"
	 "cetctl policy clear VM [SETTING...]\n"
	 "                              drop it again, all of it unless settings are named\n"
	 "cetctl policy check FILE...   read files as cetd would, without it\n"
	 "cetctl policy schema          the JSON Schema of policy files"},
	{"freeze", "VM", "stop the VM as it is (root)", 1, 1, TAKES_LIFETIME | TAKES_FOR,
	 verb_freeze,
	 "By its systemd unit, which must be its own. --for thaws it when the time is over; with\n"
	 "--persistent also when cetd is restarted meanwhile, and a VM that comes back is frozen "
	 "again."},
	{"thaw", "VM", "let a frozen VM run on (root)", 1, 1, 0, verb_thaw,
	 "Whatever had it frozen: `cetctl freeze`, a policy, or somebody else."},
	{"dump", "", "the whole snapshot as JSON; to root with the fault records", 0, 0, TAKES_JSON,
	 verb_dump,
	 "Over --host no file descriptor passes, so fault records and addresses are left out."},
	{"version", "", "the versions of cetctl and of the daemon", 0, 0, TAKES_JSON, verb_version,
	 NULL},
	{"help", "[VERB]", "this text, or more about a verb", 0, 1, 0, verb_help, NULL},
	{},
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

const char *verb_nearest(const char *name)
{
	const char *nearest = NULL;
	unsigned int best = 64;

	for (const struct verb *v = verbs; v->name; v++)
		if (text_is_nearer(name, v->name, &best))
			nearest = v->name;
	return nearest;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {};
	const struct verb *verb = NULL;
	enum exit_code code;

	setlocale(LC_ALL, "");
	scols_init_debug(0);
	code = options_parse(argc, argv, &ctl.options, &verb);
	if (!code && verb)
		code = verb->run(&ctl, argc - optind, argv + optind);
	bus_close(&ctl);

	/* What did not reach the file must not look as if it had. */
	if ((fflush(stdout) || ferror(stdout)) && !code) {
		text_error("cannot write the output: %m");
		code = CETCTL_FAILURE;
	}
	return code;
}
