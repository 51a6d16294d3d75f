/* SPDX-License-Identifier: GPL-2.0-only */
/* The variables of a loaded BPF object. Quiet. */
#pragma once

struct bpf_map;

/*
 * Have the memory of a skeleton's bss be the map. libbpf does that itself, but from 1.5 on only for a map that it made,
 * not for one that was there already (bpf_map__reuse_fd()).
 */
int bss_map(void *bss, const struct bpf_map *map);
