// SPDX-License-Identifier: GPL-2.0-only
/* Pins have the names of what they hold: map-policies, link-ops, layout-policy. */
#include <errno.h>

#include <bpf/bpf.h>

#include "enforce/layout.h"
#include "util/macro.h"
#include "util/pinned.h"

#define NAME "policy"
#define LINK "ops"

static void bpf_link_destroyp(struct bpf_link **link)
{
	bpf_link__destroy(*link);
}

enum layout_verdict layout_compare(const struct layout *found, const struct layout *wanted)
{
	if (found->version != wanted->version)
		return found->version < wanted->version ? LAYOUT_OLDER : LAYOUT_NEWER;
	return found->object == wanted->object ? LAYOUT_SAME : LAYOUT_OTHER_PROGRAMS;
}

int layout_read(const char *dir, struct layout *ret)
{
	int r = pinned_read(dir, NAME, ret, sizeof(*ret));

	return r == -EMSGSIZE ? -EBADMSG : r;
}

int layout_write(const char *dir, const struct layout *layout)
{
	return pinned_write(dir, NAME, layout, sizeof(*layout));
}

int layout_add(const char *dir, const struct layout *layout, struct bpf_object *object, int link)
{
	int r = pinned_add_maps(dir, object);

	if (r >= 0)
		r = pinned_add(dir, "link", LINK, link);
	return r < 0 ? r : layout_write(dir, layout);
}

int layout_get_link(const char *dir)
{
	return pinned_get(dir, "link", LINK);
}

int layout_update_link(int link, struct bpf_map *map)
{
	_cleanup_(bpf_link_destroyp) struct bpf_link *other = NULL;

	/* libbpf alone can make the map ready for a link, and does so before it finds that the hook is taken. */
	other = bpf_map__attach_struct_ops(map);
	if (!other && errno != EBUSY && errno != EEXIST)
		return -errno;
	if (other) /* it is not: the pinned link is of another hook */
		return -ESTALE;
	return bpf_link_update(link, bpf_map__fd(map), NULL) < 0 ? -errno : 0;
}
