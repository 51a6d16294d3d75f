/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counting programs and maps in bpffs. They count on while no daemon runs; the next one finds in `layout`
 * what they are, and goes on with them, puts its own programs on their maps, or begins anew.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "source/programs.h"

/* Goes up when a map, or what is in it, changes so that programs of before and after cannot share it. */
#define PINS_LAYOUT_VERSION 1

/* The only value of the pinned map `layout`. It is pinned last: where it is, all else is. */
struct pins_layout {
	uint32_t version; /* PINS_LAYOUT_VERSION of who made it */
	uint32_t abi;	  /* CETD_ABI_VERSION, likewise */
	uint64_t object;  /* of the programs: pinned_id(); 0: of none, others are to come */
	uint32_t max_vms;
	uint32_t sample_budget;
	uint32_t family; /* enum cetd_family */
	uint8_t is_perf;
	uint8_t is_preemptible;
	uint8_t reserved[2];
	int32_t result[_PROGRAM_MAX]; /* as in struct programs_state */
	char cetd[20];		      /* version, for people */
};

_Static_assert(sizeof(struct pins_layout) == 32 + 4 * _PROGRAM_MAX + 20, "no padding");

enum pins_verdict {
	PINS_NONE,	       /* nothing there, or nothing whole: begin anew */
	PINS_ADOPT,	       /* go on with the programs that run */
	PINS_REPLACE_PROGRAMS, /* other programs, the same maps: the counts go on */
	PINS_REPLACE_ALL,      /* another layout: the counts begin anew */
	_PINS_VERDICT_MAX,
};

/* What to do about pins that are described by found (NULL: there are none), if wanted is what this daemon would
 * load. Pure. *ret_reason, static, says why not to adopt; NULL where there is nothing to say. */
enum pins_verdict pins_judge(const struct pins_layout *found, const struct pins_layout *wanted,
			     const char **ret_reason);

/* The layout that is pinned in dir. -ENOENT: none; -EBADMSG: something else is. */
int pins_read(const char *dir, struct pins_layout *ret);

/*
 * Take over what is pinned in dir, described by found: the maps, and the programs that run on them. p->state is
 * what this kernel has, and becomes what is attached. Returns how many programs there are, or -errno.
 */
int pins_adopt(const char *dir, const struct pins_layout *found, struct programs *p);

/* Remove the programs, which others are to replace. That is noted first: whenever this process ends, the next one goes on
 * with the maps alone. */
int pins_remove_programs(const char *dir);

/* Pin what p has loaded and attached, and let go of the links: they are the directory's from then on. On failure
 * the links are still p's. */
int pins_add(const char *dir, const struct pins_layout *layout, struct programs *p);
