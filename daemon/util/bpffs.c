// SPDX-License-Identifier: GPL-2.0-only
/* Pins: made, found and removed as files; whether a file is one is the kernel's to say. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util/bpffs.h"
#include "util/macro.h"

static int check_is_bpffs(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return -errno;
	return (unsigned long)st.f_type == BPF_FS_MAGIC ? 0 : -EOPNOTSUPP;
}

static int open_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Nothing is made in another file system, so look at the parent first. */
static int make_dir(const char *dir)
{
	_cleanup_(freep) char *parent = strdup(dir);
	_cleanup_(closep) int fd = -1;
	char *slash;
	int r;

	if (!parent)
		return -ENOMEM;
	slash = strrchr(parent, '/');
	if (!slash || slash == parent || !slash[1])
		return -EINVAL;
	*slash = '\0';
	fd = open_dir(parent);
	if (fd == -ENOENT)
		return -EOPNOTSUPP;
	if (fd < 0)
		return fd;
	r = check_is_bpffs(fd);
	if (r < 0)
		return r;
	return mkdir(dir, 0700) < 0 ? -errno : 0;
}

int bpffs_claim(const char *dir, int *ret_fd)
{
	_cleanup_(closep) int fd = -1;
	int r;

	fd = open_dir(dir);
	if (fd == -ENOENT) {
		r = make_dir(dir);
		if (r < 0 && r != -EEXIST)
			return r;
		fd = open_dir(dir);
	}
	if (fd < 0)
		return fd;
	r = check_is_bpffs(fd);
	if (r < 0)
		return r;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	bpffs_clear(dir, BPFFS_NEW);
	*ret_fd = take_fd(&fd);
	return 0;
}

int bpffs_path(const char *dir, const char *prefix, const char *name, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s/%s-%s", dir, prefix, name);

	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	for (char *p = strrchr(ret, '/'); *p; p++)
		if (*p == '.')
			*p = '_';
	return 0;
}

int bpffs_clear(const char *dir, const char *prefix)
{
	struct dirent *e;
	int n = 0, r = 0;
	DIR *d;

	d = opendir(dir);
	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0)
			r = -errno;
		else
			n++;
	}
	closedir(d);
	return r < 0 ? r : n;
}

int bpffs_remove(const char *dir)
{
	_cleanup_(closep) int fd = open_dir(dir);
	int r, n;

	if (fd < 0)
		return fd;
	r = check_is_bpffs(fd);
	if (r < 0)
		return r;
	n = bpffs_clear(dir, "");
	if (n < 0)
		return n;
	return rmdir(dir) < 0 ? -errno : n;
}
