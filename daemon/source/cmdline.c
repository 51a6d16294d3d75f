// SPDX-License-Identifier: GPL-2.0-only
/* The VMMs that are known, and which of their options name a VM. */
#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "source/cmdline.h"
#include "util/macro.h"

#define COMM_MAX 15 /* TASK_COMM_LEN - 1 */

/* What an option's value is. */
enum meaning {
	NAME,	     /* the name */
	NAME_LIST,   /* guest=NAME,… or NAME,… */
	UUID,	     /* the UUID */
	UUID_LIST,   /* …,uuid=UUID,… */
	SOCKET,	     /* a path whose last part names the VM, where nothing else does */
	SOCKET_LIST, /* path=PATH,… or PATH,… */
};

struct option {
	const char *text;
	enum meaning meaning;
};

struct syntax {
	const char *name;
	const char *programs[8]; /* shell patterns */
	struct option options[8];
};

static const struct syntax syntaxes[] = {
	{
		"qemu",
		{"qemu-system-*", "qemu-kvm", "kvm", "qemu"},
		{
			{"-name", NAME_LIST},
			{"--name", NAME_LIST},
			{"-uuid", UUID},
			{"--uuid", UUID},
			{"-smbios", UUID_LIST},
		},
	},
	{
		"cloud-hypervisor",
		{"cloud-hypervisor", "cloud-hypervisor-*", "clh"},
		{{"--platform", UUID_LIST}, {"--api-socket", SOCKET_LIST}},
	},
	{
		"firecracker",
		{"firecracker", "firecracker-*"},
		{{"--id", NAME}, {"--api-sock", SOCKET}},
	},
	{
		"crosvm",
		{"crosvm"},
		{{"--name", NAME}, {"-s", SOCKET}, {"--socket", SOCKET}},
	},
	{
		"libkrun",
		{"krunvm", "krunkit", "muvm", "krun", "crun"},
		{{"--name", NAME}},
	},
	{
		"kvmtool",
		{"lkvm", "lkvm-static", "kvmtool"},
		{{"--name", NAME}, {"-n", NAME}},
	},
	{
		"stratovirt",
		{"stratovirt"},
		{{"-name", NAME_LIST}, {"-uuid", UUID}},
	},
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static const struct syntax *match_syntax(const char *program, size_t cut_at)
{
	for (size_t i = 0; i < ARRAY_SIZE(syntaxes); i++)
		for (size_t p = 0; p < ARRAY_SIZE(syntaxes[i].programs) && syntaxes[i].programs[p];
		     p++) {
			const char *pattern = syntaxes[i].programs[p];

			if (!fnmatch(pattern, program, 0))
				return syntaxes + i;
			/* A comm is cut short, in the middle of a long name. */
			if (cut_at && strlen(program) == cut_at &&
			    !strncmp(pattern, program, cut_at))
				return syntaxes + i;
		}
	return NULL;
}

static const struct syntax *find_syntax(const char *exe, const char *comm, const char *argv0)
{
	static const char deleted[] = " (deleted)"; /* the program was replaced by an update */
	const struct syntax *syntax;
	char path[256];
	size_t n;

	n = (size_t)snprintf(path, sizeof(path), "%s", base_name(exe));
	if (n >= strlen(deleted) && n < sizeof(path) &&
	    !strcmp(path + n - strlen(deleted), deleted))
		path[n - strlen(deleted)] = '\0';
	syntax = match_syntax(path, 0);
	syntax = syntax ?: match_syntax(base_name(argv0), 0);
	return syntax ?: match_syntax(comm, COMM_MAX);
}

bool cmdline_get_value(const char *text, const char *key, const char *implied_key, char *ret,
		       size_t size)
{
	size_t n_key = strlen(key), used = 0;

	for (bool is_first = true; *text; is_first = false) {
		const char *equals = text + strcspn(text, "=,");
		bool is_implied = is_first && *equals != '=';
		bool is_wanted;

		/* A first part may hold ",,": it is a value all the same. */
		if (is_implied)
			is_wanted = implied_key && !strcmp(implied_key, key);
		else
			is_wanted = (size_t)(equals - text) == n_key && !strncmp(text, key, n_key);
		if (!is_implied)
			text = *equals == '=' ? equals + 1 : equals;

		for (; *text && (*text != ',' || text[1] == ','); text += *text == ',' ? 2 : 1)
			if (is_wanted && used < size - 1)
				ret[used++] = *text;
		if (is_wanted && used) {
			ret[used] = '\0';
			return true;
		}
		if (*text == ',')
			text++;
	}
	return false;
}

bool cmdline_parse_uuid(const char *text, char ret[static 40])
{
	static const unsigned char dash_after[] = {8, 12, 16, 20};
	bool has_dashes = strlen(text) == 36, is_nil = true;
	char uuid[40];
	size_t digits = 0, n = 0, d = 0;

	if (!has_dashes && strlen(text) != 32)
		return false;
	for (; *text; text++) {
		if (d < ARRAY_SIZE(dash_after) && digits == dash_after[d]) {
			d++;
			uuid[n++] = '-';
			if (has_dashes && *text++ != '-')
				return false;
		}
		if (!isxdigit((unsigned char)*text))
			return false;
		is_nil &= *text == '0';
		uuid[n++] = (char)tolower((unsigned char)*text);
		digits++;
	}
	if (digits != 32 || is_nil)
		return false;
	uuid[n] = '\0';
	memcpy(ret, uuid, n + 1);
	return true;
}

/* "/run/vms/web.sock" names "web"; "/run/vc/vm/web/clh-api.sock", whose own name says nothing, "web" too. */
static void name_from_socket(const char *path, char *ret, size_t size)
{
	static const char *const plain[] = {"api",	   "clh-api", "clh",	"ch",
					    "vmm",	   "control", "socket", "cloud-hypervisor",
					    "firecracker", "crosvm"};
	char copy[256];
	char *base, *dot;
	size_t n = (size_t)snprintf(copy, sizeof(copy), "%s", path);

	if (n >= sizeof(copy))
		return;
	for (int level = 0; level < 2; level++) {
		bool is_plain = false;

		base = strrchr(copy, '/');
		base = base ? base + 1 : copy;
		dot = level == 0 ? strrchr(base, '.') : NULL;
		if (dot && dot != base)
			*dot = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
			is_plain |= !strcmp(base, plain[i]);
		if (*base && !is_plain) {
			snprintf(ret, size, "%.*s", (int)size - 1, base);
			return;
		}
		if (base == copy)
			return;
		base[-1] = '\0';
	}
}

static void take_option(enum meaning meaning, const char *value, struct cmdline_facts *facts,
			char *socket, size_t socket_size)
{
	char text[256];

	switch (meaning) {
	case NAME:
		if (!facts->name[0])
			snprintf(facts->name, sizeof(facts->name), "%s", value);
		break;
	case NAME_LIST:
		if (!facts->name[0])
			cmdline_get_value(value, "guest", "guest", facts->name,
					  sizeof(facts->name));
		break;
	case UUID:
		if (!facts->uuid[0])
			cmdline_parse_uuid(value, facts->uuid);
		break;
	case UUID_LIST:
		if (!facts->uuid[0] && cmdline_get_value(value, "uuid", NULL, text, sizeof(text)))
			cmdline_parse_uuid(text, facts->uuid);
		break;
	case SOCKET:
		if (!socket[0])
			name_from_socket(value, socket, socket_size);
		break;
	case SOCKET_LIST:
		if (!socket[0] && cmdline_get_value(value, "path", "path", text, sizeof(text)))
			name_from_socket(text, socket, socket_size);
		break;
	}
}

/* The argument after arg, or NULL after the last whole one. */
static const char *next_arg(const char *arg, const char *end)
{
	const char *nul = memchr(arg, 0, (size_t)(end - arg));

	if (!nul || nul + 1 >= end || !memchr(nul + 1, 0, (size_t)(end - nul - 1)))
		return NULL;
	return nul + 1;
}

void cmdline_parse(const char *exe, const char *comm, const char *args, size_t size,
		   struct cmdline_facts *ret)
{
	const char *end = args + size, *arg = NULL;
	const struct syntax *syntax;
	char socket[128] = "";

	memset(ret, 0, sizeof(*ret));
	if (size && memchr(args, 0, size))
		arg = args;
	syntax = find_syntax(exe, comm, arg ?: "");
	if (!syntax)
		return;
	snprintf(ret->vmm, sizeof(ret->vmm), "%s", syntax->name);

	while (arg && (arg = next_arg(arg, end))) {
		for (size_t i = 0; i < ARRAY_SIZE(syntax->options) && syntax->options[i].text;
		     i++) {
			const struct option *o = syntax->options + i;
			size_t n = strlen(o->text);
			const char *value = NULL;

			if (strncmp(arg, o->text, n))
				continue;
			if (arg[n] == '=' && !strncmp(arg, "--", 2))
				value = arg + n + 1;
			else if (arg[n] == '\0')
				arg = value = next_arg(arg, end);
			if (value)
				take_option(o->meaning, value, ret, socket, sizeof(socket));
			if (value || !arg)
				break;
		}
	}
	if (!ret->name[0])
		memcpy(ret->name, socket, sizeof(socket));
}
