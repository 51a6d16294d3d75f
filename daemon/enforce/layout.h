/* SPDX-License-Identifier: GPL-2.0-only */
/* The policies' maps and link in bpffs, and what they are. Quiet. */
#pragma once

#include <stdint.h>

#include <bpf/libbpf.h>

/* The value of the pinned map `layout`, which is pinned last: where it is, all else is. */
struct layout {
	uint32_t version; /* CETD_POLICY_ABI_VERSION of who made it */
	uint32_t reserved;
	uint64_t object; /* tells programs with other instructions apart */
};

/* What is to become of what is found, where something else may be wanted. */
enum layout_verdict {
	LAYOUT_SAME,	       /* it goes on */
	LAYOUT_OTHER_PROGRAMS, /* its maps go on under other programs */
	LAYOUT_OLDER,	       /* its maps mean something else */
	LAYOUT_NEWER,	       /* likewise */
	_LAYOUT_VERDICT_MAX,
};

enum layout_verdict layout_compare(const struct layout *found, const struct layout *wanted);

/* -ENOENT: nothing is pinned; -EBADMSG: something else is. */
int layout_read(const char *dir, struct layout *ret);
int layout_write(const char *dir, const struct layout *layout);

/* Pin the loaded object's maps, the link and the layout. */
int layout_add(const char *dir, const struct layout *layout, struct bpf_object *object, int link);

/* An fd of the pinned link. */
int layout_get_link(const char *dir);

/* Put the struct_ops map's programs in the place of the link's. */
int layout_update_link(int link, struct bpf_map *map);
