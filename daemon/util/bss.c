// SPDX-License-Identifier: GPL-2.0-only
/* The variables of a loaded BPF object, mapped over what libbpf has in their place. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "util/bss.h"

int bss_map(void *bss, const struct bpf_map *map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (bpf_map__value_size(map) + page - 1) / page * page;

	return mmap(bss, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, bpf_map__fd(map),
		    0) == MAP_FAILED
		       ? -errno
		       : 0;
}
