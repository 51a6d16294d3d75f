// SPDX-License-Identifier: GPL-2.0-only
/* Pins have the names of what they hold: map-vms, link-stock_msr, prog-stock_msr, layout-cetd. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "cetd/event.h"

#include "cetd.skel.h"
#include "source/pins.h"
#include "util/bpffs.h"
#include "util/bss.h"
#include "util/macro.h"
#include "util/pinned.h"

#define NAME "cetd"

/* What was refused when the pins were made would be refused again; what was not there then may be now. */
static bool has_same_programs(const struct pins_layout *found, const struct pins_layout *wanted)
{
	for (int i = 0; i < _PROGRAM_MAX; i++) {
		bool was_tried = found->result[i] <= 0 && found->result[i] != -ENOENT;

		if (was_tried != (wanted->result[i] == 0))
			return false;
	}
	return true;
}

enum pins_verdict pins_judge(const struct pins_layout *found, const struct pins_layout *wanted,
			     const char **ret_reason)
{
	*ret_reason = NULL;
	if (!found)
		return PINS_NONE;
	if (found->version != wanted->version || found->abi != wanted->abi) {
		*ret_reason = "their layout is another version's";
		return PINS_REPLACE_ALL;
	}
	if (!found->max_vms || found->max_vms > 65536) {
		*ret_reason = "their size is not one that cetd makes";
		return PINS_REPLACE_ALL;
	}
	if (found->family != wanted->family)
		*ret_reason = "the kernel's tracepoints are others now";
	else if (found->object != wanted->object)
		*ret_reason = "the programs are another version's";
	else if (found->sample_budget != wanted->sample_budget)
		*ret_reason = "samples_per_second has changed";
	else if (!has_same_programs(found, wanted))
		*ret_reason = "the kernel's hooks are others now";
	return *ret_reason ? PINS_REPLACE_PROGRAMS : PINS_ADOPT;
}

int pins_read(const char *dir, struct pins_layout *ret)
{
	int r;

	*ret = (struct pins_layout){};
	r = pinned_read(dir, NAME, ret, sizeof(*ret));
	/* Version 0: of another layout than any that is known here. */
	return r == -EMSGSIZE ? 0 : r;
}

int pins_remove_programs(const char *dir)
{
	struct pins_layout layout;
	int r = pins_read(dir, &layout);

	layout.object = 0;
	if (r >= 0)
		r = pinned_write(dir, NAME, &layout, sizeof(layout));
	if (r >= 0)
		r = bpffs_clear(dir, "link-");
	return r < 0 ? r : bpffs_clear(dir, "prog-");
}

/* libbpf would disable a perf event along with the link that it frees: keep it from that, and close the link. */
static void let_go_of_link(struct bpf_link **link)
{
	if (!*link)
		return;
	close(bpf_link__fd(*link));
	bpf_link__disconnect(*link);
	bpf_link__destroy(*link);
	*link = NULL;
}

int pins_add(const char *dir, const struct pins_layout *layout, struct programs *p)
{
	const struct bpf_object_skeleton *s = p->skel->skeleton;
	int r;

	r = pinned_add_maps(dir, p->skel->obj);
	for (int i = 0; i < s->prog_cnt && r >= 0; i++) {
		const struct bpf_program *program = *s->progs[i].prog;
		const char *name = bpf_program__name(program);

		if (!*s->progs[i].link)
			continue;
		r = pinned_add(dir, "prog", name, bpf_program__fd(program));
		if (r >= 0)
			r = pinned_add(dir, "link", name, bpf_link__fd(*s->progs[i].link));
	}
	if (r >= 0)
		r = pinned_write(dir, NAME, layout, sizeof(*layout));
	if (r < 0)
		return r;
	for (int i = 0; i < s->prog_cnt; i++)
		let_go_of_link(s->progs[i].link);
	return 0;
}

/* An fd of a pinned program whose link is pinned, too. */
static int pins_get_program(const char *dir, const char *name)
{
	_cleanup_(closep) int link = pinned_get(dir, "link", name);

	return link < 0 ? link : pinned_get(dir, "prog", name);
}

static int pins_open(const char *dir, uint32_t max_vms, struct cetd_bpf **ret)
{
	struct bpf_program *program;
	struct cetd_bpf *skel;
	int r;

	skel = cetd_bpf__open();
	if (!skel)
		return -errno;
	bpf_object__for_each_program (program, skel->obj)
		bpf_program__set_autoload(program, false);
	bpf_map__set_max_entries(skel->maps.vms, max_vms);
	r = pinned_reuse_maps(dir, skel->obj);
	if (r >= 0)
		r = cetd_bpf__load(skel);
	if (r >= 0)
		r = bss_map(skel->bss, skel->maps.bss);
	if (r < 0) {
		cetd_bpf__destroy(skel);
		return r;
	}
	*ret = skel;
	return 0;
}

int pins_adopt(const char *dir, const struct pins_layout *found, struct programs *p)
{
	struct programs_state state = p->state;
	int fds[_PROGRAM_MAX];
	int n = 0, r = 0;

	memset(fds, -1, sizeof(fds));
	state.is_perf = found->is_perf;
	state.is_preemptible = found->is_preemptible;
	for (int i = 0; i < _PROGRAM_MAX && r >= 0; i++) {
		if (state.result[i] != 0)
			continue;
		state.result[i] = found->result[i];
		if (found->result[i] != 0)
			continue;
		r = fds[i] = pins_get_program(dir, program_name(i, state.is_perf));
		n++;
	}
	if (r >= 0)
		r = pins_open(dir, found->max_vms, &p->skel);
	if (r < 0) {
		for (int i = 0; i < _PROGRAM_MAX; i++)
			closep(fds + i);
		return r;
	}
	p->state = state;
	p->is_adopted = true;
	memcpy(p->program_fds, fds, sizeof(fds));
	return n;
}
