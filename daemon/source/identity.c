// SPDX-License-Identifier: GPL-2.0-only
/* Merge what command line, cgroup and machined say of a VMM. */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "source/cgroup.h"
#include "source/cmdline.h"
#include "source/identity.h"
#include "util/utf8.h"

#define MACHINE_NAME_MAX 64 /* HOST_NAME_MAX: libvirt cuts there */

static const char *skip_token(const char *s)
{
	const char *dash = strchr(s, '-');

	return dash ? dash + 1 : NULL;
}

/* Is the text up to the next dash a number? */
static bool is_number_token(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n > 0 && s[n] == '-';
}

const char *identity_strip_libvirt(const char *machine)
{
	const char *s = machine;

	if (strncmp(s, "qemu-", 5) && strncmp(s, "lxc-", 4) && strncmp(s, "ch-", 3))
		return machine;
	for (s = skip_token(s); s; s = skip_token(s))
		if (is_number_token(s)) {
			s = skip_token(s);
			return *s ? s : machine;
		}
	return machine;
}

bool identity_is_machine_of(const char *machine, const char *domain)
{
	size_t n = strlen(machine);
	const char *full = machine;

	machine = identity_strip_libvirt(machine);
	for (;; machine++, domain++) {
		while (*machine && !isalnum((unsigned char)*machine))
			machine++;
		while (*domain && !isalnum((unsigned char)*domain))
			domain++;
		if (!*machine)
			return *full && (!*domain || n >= MACHINE_NAME_MAX);
		if (*machine != *domain)
			return false;
	}
}

/* May the name serve as an id, that is, can it not be mistaken for one of another kind? */
static bool is_fit_for_id(const char *name)
{
	char uuid[40];

	return *name && strncmp(name, "pid-", 4) && !cmdline_parse_uuid(name, uuid);
}

static void resolve_name(const struct cmdline_facts *cmdline, const struct cgroup_facts *cgroup,
			 const struct identity_machine *machine, struct cetd_identity *ret)
{
	const char *registered = machine->name[0] ? machine->name : cgroup->machine;
	const char *name = cmdline->name;
	char text[sizeof(ret->name)];
	char *underscore;

	/* The registered name is to be trusted, the command line's is spelled in full: take that where they
	 * agree. */
	if (registered[0] && !(name[0] && identity_is_machine_of(registered, name)))
		name = identity_strip_libvirt(registered);
	if (!name[0])
		name = cgroup->container;

	snprintf(text, sizeof(text), "%s", name);
	/* KubeVirt names its domains NAMESPACE_NAME; a namespace has no underscore. */
	underscore = strchr(text, '_');
	if (cgroup->is_kubernetes && !strcmp(cmdline->vmm, "qemu") && underscore &&
	    underscore != text && underscore[1])
		*underscore = '/';
	utf8_sanitize(text, ret->name, sizeof(ret->name));
	if (!ret->name[0])
		snprintf(ret->name, sizeof(ret->name), "pid-%u", ret->pid);
}

static void resolve_vmm(const struct identity_process *process, const struct cmdline_facts *cmdline,
			struct cetd_identity *ret)
{
	const char *base = strrchr(process->exe, '/');

	if (cmdline->vmm[0])
		snprintf(ret->vmm, sizeof(ret->vmm), "%s", cmdline->vmm);
	else
		utf8_sanitize(base && base[1] ? base + 1 : process->comm, ret->vmm,
			      sizeof(ret->vmm));
}

void identity_resolve(const struct identity_process *process,
		      const struct identity_machine *machine, struct cetd_identity *ret)
{
	struct cmdline_facts cmdline;
	struct cgroup_facts cgroup;

	memset(ret, 0, sizeof(*ret));
	ret->pid = process->pid;
	ret->attribution = CETD_ATTRIBUTION_PROCESS;
	ret->vms_in_process = 1;

	cmdline_parse(process->exe, process->comm, process->args, process->args_size, &cmdline);
	cgroup_parse(process->cgroup, &cgroup);

	resolve_name(&cmdline, &cgroup, machine, ret);
	resolve_vmm(process, &cmdline, ret);
	utf8_sanitize(cgroup.path, ret->cgroup, sizeof(ret->cgroup));
	utf8_sanitize(machine->unit[0] ? machine->unit : cgroup.unit, ret->unit, sizeof(ret->unit));
	if (!cmdline_parse_uuid(machine->uuid, ret->uuid))
		snprintf(ret->uuid, sizeof(ret->uuid), "%s", cmdline.uuid);

	if (ret->uuid[0])
		snprintf(ret->id, sizeof(ret->id), "%s", ret->uuid);
	else if (is_fit_for_id(ret->name))
		utf8_sanitize(ret->name, ret->id, sizeof(ret->id));
	else
		snprintf(ret->id, sizeof(ret->id), "pid-%u", ret->pid);
}
