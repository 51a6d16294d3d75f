// SPDX-License-Identifier: GPL-2.0-only
/* Pins have the names of what they hold: map-policies, link-ops, layout-policy. */
#include <errno.h>
#include <stdbool.h>

#include <bpf/bpf.h>

#include "enforce/layout.h"
#include "util/bpffs.h"
#include "util/macro.h"

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

/* FNV-1a, 64 bits. */
uint64_t layout_object_id(const void *object, size_t size)
{
	const uint8_t *p = object;
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

static int get(const char *dir, const char *prefix, const char *name)
{
	char path[BPFFS_PATH_SIZE];
	int r, fd;

	r = bpffs_path(dir, prefix, name, path, sizeof(path));
	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static int add(const char *dir, const char *prefix, const char *name, int fd)
{
	char path[BPFFS_PATH_SIZE];
	int r;

	r = bpffs_path(dir, prefix, name, path, sizeof(path));
	if (r < 0)
		return r;
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

int layout_read(const char *dir, struct layout *ret)
{
	_cleanup_(closep) int fd = get(dir, "layout", "policy");
	struct bpf_map_info info = {};
	__u32 size = sizeof(info), zero = 0;

	if (fd < 0)
		return fd;
	if (bpf_map_get_info_by_fd(fd, &info, &size) < 0 || info.type != BPF_MAP_TYPE_ARRAY ||
	    info.value_size != sizeof(*ret))
		return -EBADMSG;
	return bpf_map_lookup_elem(fd, &zero, ret) < 0 ? -errno : 0;
}

int layout_write(const char *dir, const struct layout *layout)
{
	_cleanup_(closep) int fd = -1;
	__u32 zero = 0;
	int r;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "cetd_layout", sizeof(zero), sizeof(*layout), 1,
			    NULL);
	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(fd, &zero, layout, BPF_ANY) < 0)
		return -errno;
	r = bpffs_clear(dir, "layout-");
	return r < 0 ? r : add(dir, "layout", "policy", fd);
}

/* Constants and the struct_ops are of each load. */
static bool is_kept(const struct bpf_map *map)
{
	return !(bpf_map__map_flags(map) & BPF_F_RDONLY_PROG) &&
	       bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS;
}

int layout_reuse_maps(const char *dir, struct bpf_object *object)
{
	struct bpf_map *map;
	int r;

	bpf_object__for_each_map (map, object) {
		_cleanup_(closep) int fd = -1;

		if (!is_kept(map))
			continue;
		fd = get(dir, "map", bpf_map__name(map));
		if (fd < 0)
			return fd;
		r = bpf_map__reuse_fd(map, fd);
		if (r < 0)
			return r;
	}
	return 0;
}

int layout_add(const char *dir, const struct layout *layout, struct bpf_object *object, int link)
{
	struct bpf_map *map;
	int r;

	bpf_object__for_each_map (map, object) {
		r = is_kept(map) ? add(dir, "map", bpf_map__name(map), bpf_map__fd(map)) : 0;
		if (r < 0)
			return r;
	}
	r = add(dir, "link", "ops", link);
	return r < 0 ? r : layout_write(dir, layout);
}

int layout_get_link(const char *dir)
{
	return get(dir, "link", "ops");
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
