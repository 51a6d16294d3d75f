// SPDX-License-Identifier: GPL-2.0-only
/* Take a cgroup path apart, as systemd and container runtimes build them. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "source/cgroup.h"
#include "util/macro.h"

#define CONTAINER_DIGITS 12 /* as container tools show ids */

static bool has_suffix(const char *s, size_t n, const char *suffix)
{
	size_t k = strlen(suffix);

	return n > k && !memcmp(s + n - k, suffix, k);
}

/* systemd.unit(5): the characters and the length of a unit's name. */
static bool is_unit(const char *s, size_t n)
{
	if (!has_suffix(s, n, ".service") && !has_suffix(s, n, ".scope"))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr(":-_.\\@", s[i]))
			return false;
	return true;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *p = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* Undo systemd's escaping: "\x2d" is "-". */
static void unescape(const char *s, size_t n, char *ret, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < n && used < size - 1; used++) {
		if (n - i >= 4 && s[i] == '\\' && s[i + 1] == 'x' && hex_digit(s[i + 2]) >= 0 &&
		    hex_digit(s[i + 3]) >= 0 && (s[i + 2] != '0' || s[i + 3] != '0')) {
			ret[used] = (char)(hex_digit(s[i + 2]) << 4 | hex_digit(s[i + 3]));
			i += 4;
		} else
			ret[used] = s[i++];
	}
	ret[used] = '\0';
}

/* "libpod-0123….scope", "docker-0123….scope", "cri-containerd-0123….scope": the id's start. */
static void take_container(const char *s, size_t n, struct cgroup_facts *facts)
{
	size_t start, digits = 0;

	if (facts->container[0])
		return;
	if (has_suffix(s, n, ".scope"))
		n -= strlen(".scope");
	for (start = n; start > 0 && hex_digit(s[start - 1]) >= 0; start--)
		digits++;
	if (digits != 64 || (start > 0 && s[start - 1] != '-'))
		return;
	snprintf(facts->container, sizeof(facts->container), "%.*s", CONTAINER_DIGITS, s + start);
}

/* "machine-NAME.scope", or libvirt's "NAME.libvirt-qemu" where it made the cgroup itself. */
static void take_machine(const char *s, size_t n, struct cgroup_facts *facts)
{
	static const char prefix[] = "machine-", libvirt[] = ".libvirt-qemu";

	if (facts->machine[0])
		return;
	if (n > strlen(prefix) && !memcmp(s, prefix, strlen(prefix)) && has_suffix(s, n, ".scope"))
		unescape(s + strlen(prefix), n - strlen(prefix) - strlen(".scope"), facts->machine,
			 sizeof(facts->machine));
	else if (has_suffix(s, n, libvirt))
		snprintf(facts->machine, sizeof(facts->machine), "%.*s", (int)(n - strlen(libvirt)),
			 s);
}

static void take_component(const char *s, size_t n, struct cgroup_facts *facts)
{
	/* systemd prefixes what would clash with a kernel file by "_". */
	if (n && *s == '_') {
		s++;
		n--;
	}
	facts->is_kubernetes |= n >= 8 && !memcmp(s, "kubepods", 8);
	take_container(s, n, facts);
	take_machine(s, n, facts);
	/* The first unit is the system's own; below it a user's or a container's manager counts anew. */
	if (!facts->unit[0] && n < sizeof(facts->unit) && is_unit(s, n))
		snprintf(facts->unit, sizeof(facts->unit), "%.*s", (int)n, s);
}

void cgroup_parse(const char *text, struct cgroup_facts *ret)
{
	static const char deleted[] =
		" (deleted)"; /* the cgroup was removed with the process in it */
	const char *v2 = NULL, *systemd = NULL, *path, *end;
	size_t n;

	memset(ret, 0, sizeof(*ret));
	for (const char *line = text; line && *line; line = line ? line + 1 : NULL) {
		const char *colon = line + strcspn(line, ":\n");

		if (*colon == ':' && !strncmp(colon, ":name=systemd:", 14))
			systemd = colon + 14;
		else if (!strncmp(line, "0::", 3))
			v2 = line + 3;
		line = strchr(line, '\n');
	}
	/* Without systemd its hierarchy, where mounted at all, is not used. */
	path = systemd && strncmp(systemd, "/\n", 2) ? systemd : v2 ?: systemd;
	if (!path || *path != '/')
		return;

	n = strcspn(path, "\n");
	if (has_suffix(path, n, deleted))
		n -= strlen(deleted);
	end = path + n;
	snprintf(ret->path, sizeof(ret->path), "%.*s", (int)n, path);
	for (const char *s = path; s < end; s += n) {
		s++;
		n = (size_t)((const char *)memchr(s, '/', (size_t)(end - s)) ?: end) - (size_t)s;
		take_component(s, n, ret);
	}
}
