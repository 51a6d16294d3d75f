// SPDX-License-Identifier: GPL-2.0-only
/* Pins have the names of what they hold: map-vms, layout-cetd. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "util/bpffs.h"
#include "util/macro.h"
#include "util/pinned.h"

#define VALUE "layout"
#define NEW_VALUE BPFFS_NEW VALUE

int pinned_get(const char *dir, const char *prefix, const char *name)
{
	char path[BPFFS_PATH_SIZE];
	int r, fd;

	r = bpffs_path(dir, prefix, name, path, sizeof(path));
	if (r < 0)
		return r;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

int pinned_add(const char *dir, const char *prefix, const char *name, int fd)
{
	char path[BPFFS_PATH_SIZE];
	int r;

	r = bpffs_path(dir, prefix, name, path, sizeof(path));
	if (r < 0)
		return r;
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

static bool is_kept(const struct bpf_map *map)
{
	return !(bpf_map__map_flags(map) & BPF_F_RDONLY_PROG) &&
	       bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS;
}

int pinned_add_maps(const char *dir, const struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map (map, object) {
		int r = is_kept(map) ? pinned_add(dir, "map", bpf_map__name(map), bpf_map__fd(map))
				     : 0;

		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

int pinned_reuse_maps(const char *dir, const struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map (map, object) {
		_cleanup_(closep) int fd = -1;
		int r;

		if (!is_kept(map))
			continue;
		fd = pinned_get(dir, "map", bpf_map__name(map));
		if (fd < 0)
			return fd;
		r = bpf_map__reuse_fd(map, fd);
		if (r < 0)
			return r;
	}
	return 0;
}

int pinned_read(const char *dir, const char *name, void *ret, size_t size)
{
	_cleanup_(closep) int fd = pinned_get(dir, VALUE, name);
	struct bpf_map_info info = {};
	__u32 info_size = sizeof(info), zero = 0;

	if (fd < 0)
		return fd;
	if (bpf_map_get_info_by_fd(fd, &info, &info_size) < 0)
		return errno == EINVAL ? -EBADMSG : -errno;
	if (info.type != BPF_MAP_TYPE_ARRAY)
		return -EBADMSG;
	if (info.value_size != size)
		return -EMSGSIZE;
	return bpf_map_lookup_elem(fd, &zero, ret) < 0 ? -errno : 0;
}

/* Pinned beside it and moved over it. */
int pinned_write(const char *dir, const char *name, const void *value, size_t size)
{
	char path[BPFFS_PATH_SIZE], new_path[BPFFS_PATH_SIZE];
	_cleanup_(closep) int fd = -1;
	__u32 zero = 0;
	int r;

	r = bpffs_path(dir, VALUE, name, path, sizeof(path));
	if (r >= 0)
		r = bpffs_path(dir, NEW_VALUE, name, new_path, sizeof(new_path));
	if (r < 0)
		return r;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "cetd_layout", sizeof(zero), (__u32)size, 1, NULL);
	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(fd, &zero, value, BPF_ANY) < 0)
		return -errno;
	if (unlink(new_path) < 0 && errno != ENOENT)
		return -errno;
	if (bpf_obj_pin(fd, new_path) < 0)
		return -errno;
	return rename(new_path, path) < 0 ? -errno : 0;
}

/* FNV-1a, 64 bits. */
uint64_t pinned_id(const void *object, size_t size)
{
	const uint8_t *p = object;
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < size; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}
