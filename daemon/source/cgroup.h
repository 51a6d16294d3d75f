/* SPDX-License-Identifier: GPL-2.0-only */
/* What /proc/PID/cgroup tells of a process: its place, its systemd unit, the machine it belongs to. Pure. */
#pragma once

#include <stdbool.h>

struct cgroup_facts {
	char path[256];	    /* raw bytes; "" where the text has none */
	char unit[128];	    /* "NAME.service" or "NAME.scope", or "" */
	char machine[128];  /* name of the machine scope, unescaped: raw bytes; or "" */
	char container[16]; /* start of a container's id, or "" */
	bool is_kubernetes;
};

/* Of the hierarchies the one that systemd names processes in: v1's "name=systemd", else v2. */
void cgroup_parse(const char *text, struct cgroup_facts *ret);
