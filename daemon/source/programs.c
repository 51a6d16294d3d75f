// SPDX-License-Identifier: GPL-2.0-only
/* Loading: look at the kernel's BTF first, load what has a hook, attach one by one, keep each result. */
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "cetd/event.h"

#include "cetd.skel.h"
#include "source/pins.h"
#include "source/programs.h"
#include "source/source.h"
#include "util/bpffs.h"
#include "util/bss.h"
#include "util/log.h"
#include "util/pinned.h"

_Static_assert(EVENTS_PROGRAMS_MAX >= _PROGRAM_MAX, "room for all");

#define STOCK (1U << CETD_FAMILY_STOCK)
#define PATCHED (1U << CETD_FAMILY_PATCHED)

/*
 * type and kind: what the kernel's BTF must have for the program to load; NULL: nothing. perf: the program that
 * does the same by perf's tracepoint; NULL: none does.
 */
static const struct {
	const char *name, *perf, *hook, *type;
	__u32 kind;
	unsigned int families;
} table[_PROGRAM_MAX] = {
	[PROGRAM_STOCK_MSR] = {"stock_msr", "perf_msr", "kvm_msr", .families = STOCK},
	[PROGRAM_STOCK_CR] = {"stock_cr", "perf_cr", "kvm_cr", .families = STOCK | PATCHED},
	[PROGRAM_STOCK_INJ_EXCEPTION] = {"stock_inj_exception", "perf_inj_exception",
					 "kvm_inj_exception", .families = STOCK | PATCHED},
	[PROGRAM_STOCK_VMCS_LOAD] = {"stock_vmcs_load", NULL, "vmx_vcpu_load_vmcs",
				     "vmx_vcpu_load_vmcs", BTF_KIND_FUNC, STOCK},
	[PROGRAM_PATCHED_CP] = {"patched_cp", "perf_cet_cp", "kvm_cet_cp", "btf_trace_kvm_cet_cp",
				BTF_KIND_TYPEDEF, PATCHED},
	[PROGRAM_PATCHED_MSR] = {"patched_msr", "perf_cet_msr", "kvm_cet_msr",
				 "btf_trace_kvm_cet_msr", BTF_KIND_TYPEDEF, PATCHED},
	[PROGRAM_PATCHED_VMCS_LOAD] = {"patched_vmcs_load", "perf_cet_vmcs_load",
				       "kvm_cet_vmcs_load", "btf_trace_kvm_cet_vmcs_load",
				       BTF_KIND_TYPEDEF, PATCHED},
};

const char *program_hook(enum program program)
{
	return table[program].hook;
}

const char *program_name(enum program program, bool is_perf)
{
	return is_perf && table[program].perf ? table[program].perf : table[program].name;
}

/* The kernel's types: vmlinux, then KVM's modules where they are modules. */
struct kernel_types {
	struct btf *btf[3];
};

static void kernel_types_done(struct kernel_types *t)
{
	for (size_t i = ARRAY_SIZE(t->btf); i-- > 0;)
		btf__free(t->btf[i]);
}

static int kernel_types_init(struct kernel_types *t)
{
	static const char *const modules[] = {"kvm", "kvm_intel"};

	t->btf[0] = btf__load_vmlinux_btf();
	if (!t->btf[0])
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		t->btf[i + 1] = btf__load_module_btf(modules[i], t->btf[0]);
	return 0;
}

static bool kernel_has(const struct kernel_types *t, const char *name, __u32 kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->btf); i++)
		if (t->btf[i] && btf__find_by_name_kind(t->btf[i], name, kind) > 0)
			return true;
	return false;
}

static bool kernel_has_member(const struct kernel_types *t, const char *name, const char *member)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->btf); i++) {
		const struct btf_type *type;
		const struct btf_member *m;
		int id;

		id = t->btf[i] ? btf__find_by_name_kind(t->btf[i], name, BTF_KIND_STRUCT) : -1;
		if (id <= 0)
			continue;
		type = btf__type_by_id(t->btf[i], id);
		m = btf_members(type);
		for (int k = 0; k < btf_vlen(type); k++)
			if (!strcmp(btf__name_by_offset(t->btf[i], m[k].name_off), member))
				return true;
	}
	return false;
}

/* result: -ENOENT where the kernel has no such hook, 1 where the family does not want it, else 0. */
static int programs_choose(struct programs_state *ret)
{
	_cleanup_(kernel_types_done) struct kernel_types types = {};
	int r;

	r = kernel_types_init(&types);
	if (r < 0)
		return log_error_errno(
			r, "Failed to read the kernel's types from /sys/kernel/btf/vmlinux: %m");

	ret->family = kernel_has(&types, table[PROGRAM_PATCHED_CP].type, BTF_KIND_TYPEDEF)
			      ? CETD_FAMILY_PATCHED
			      : CETD_FAMILY_STOCK;
	for (int i = 0; i < _PROGRAM_MAX; i++) {
		ret->result[i] = 0;
		if (!(table[i].families & 1U << ret->family))
			ret->result[i] = 1;
		else if (table[i].type && !kernel_has(&types, table[i].type, table[i].kind))
			ret->result[i] = -ENOENT;
	}
	ret->has_vm_id = kernel_has_member(&types, "kvm_arch", "vm_id");
	ret->has_fault = kernel_has_member(&types, "kvm_cet_fault", "rip");
	ret->has_cet_ops = kernel_has(&types, "kvm_cet_ops", BTF_KIND_STRUCT);
	return 0;
}

_printf_(2, 0) static int libbpf_log(enum libbpf_print_level level, const char *format, va_list ap)
{
	char line[1024];

	/* Debug messages of libbpf run to thousands of lines a load. */
	if (level == LIBBPF_DEBUG || log_get_max_level() < LOG_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), format, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug("%s", line);
	return 0;
}

static struct bpf_program *program_of(const struct cetd_bpf *skel, enum program program,
				      bool is_perf)
{
	return bpf_object__find_program_by_name(skel->obj, program_name(program, is_perf));
}

/* params->pin_dir: whose maps to use; NULL: make new ones. */
static int programs_open(const struct programs_state *state, const struct programs_params *params,
			 struct cetd_bpf **ret)
{
	struct bpf_program *p;
	struct cetd_bpf *skel;
	int r;

	skel = cetd_bpf__open();
	if (!skel)
		return -errno;
	skel->rodata->sample_budget = params->sample_budget;
	skel->rodata->is_patched = state->family == CETD_FAMILY_PATCHED;
	bpf_object__for_each_program (p, skel->obj)
		bpf_program__set_autoload(p, false);
	for (int i = 0; i < _PROGRAM_MAX; i++)
		bpf_program__set_autoload(program_of(skel, i, state->is_perf),
					  state->result[i] == 0);
	skel->rodata->max_vms = params->max_vms;
	bpf_map__set_max_entries(skel->maps.vms, params->max_vms);
	bpf_map__set_max_entries(skel->maps.slots, params->max_vms);
	bpf_map__set_max_entries(skel->maps.free_slots, params->max_vms);
	bpf_map__set_max_entries(skel->maps.histories, params->max_vms);
	r = params->pin_dir ? pinned_reuse_maps(params->pin_dir, skel->obj) : 0;
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

/* One program that the kernel will not take must not cost the others: find out which, by leaving each out. */
static int programs_open_most(struct programs_state *state, const struct programs_params *params,
			      struct cetd_bpf **ret)
{
	struct programs_state all = *state;
	int r, last;

	r = last = programs_open(state, params, ret);
	if (r >= 0)
		return 0;

	for (int i = 0; i < _PROGRAM_MAX; i++)
		if (all.result[i] == 0)
			state->result[i] = r;
	for (int i = 0; i < _PROGRAM_MAX; i++) {
		struct cetd_bpf *skel;

		if (all.result[i] != 0)
			continue;
		state->result[i] = 0;
		last = programs_open(state, params, &skel);
		if (last < 0) {
			log_debug("The program for %s does not load: %s", table[i].hook,
				  strerror(-last));
			state->result[i] = last;
			continue;
		}
		cetd_bpf__destroy(*ret);
		*ret = skel;
	}
	return *ret ? 0 : r;
}

/* The skeleton keeps its links in the order of its programs, and destroys them. */
static void programs_keep_link(struct cetd_bpf *skel, const struct bpf_program *program,
			       struct bpf_link *link)
{
	const struct bpf_object_skeleton *s = skel->skeleton;

	for (int i = 0; i < s->prog_cnt; i++)
		if (*s->progs[i].prog == program)
			*s->progs[i].link = link;
}

static int programs_attach(struct programs *p)
{
	int n = 0;

	for (int i = 0; i < _PROGRAM_MAX; i++) {
		struct bpf_program *program;
		struct bpf_link *link;

		if (p->state.result[i] != 0)
			continue;
		program = program_of(p->skel, i, p->state.is_perf);
		link = bpf_program__attach(program);
		if (!link) {
			p->state.result[i] = -errno;
			log_debug_errno(p->state.result[i],
					"The program for %s does not attach: %m", table[i].hook);
			continue;
		}
		programs_keep_link(p->skel, program, link);
		n++;
	}
	return n;
}

/* The programs that were there until now stop where the new ones begin. Returns how many are attached. */
static int programs_try(struct programs *p, const struct programs_params *params)
{
	int r;

	r = programs_open_most(&p->state, params, &p->skel);
	if (r >= 0 && params->pin_dir)
		r = pins_remove_programs(params->pin_dir);
	return r < 0 ? r : programs_attach(p);
}

/* Tracepoints run without disabling preemption since Linux 7.0. */
static bool tracepoints_are_preemptible(void)
{
	unsigned int major;
	struct utsname u;

	return uname(&u) == 0 && sscanf(u.release, "%u.", &major) == 1 && major >= 7;
}

/* Does one that has a program for perf's tracepoint not run? */
static bool programs_have_failed(const struct programs_state *wanted,
				 const struct programs_state *got)
{
	for (int i = 0; i < _PROGRAM_MAX; i++)
		if (table[i].perf && wanted->result[i] == 0 && got->result[i] != 0)
			return true;
	return false;
}

static size_t map_bytes(uint32_t n, size_t value_bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (n * value_bytes + page - 1) / page * page;
}

/* An array's values where the programs have them; NULL and errno. */
static void *map_values(const struct bpf_map *map)
{
	size_t bytes = map_bytes(bpf_map__max_entries(map), bpf_map__value_size(map));
	void *values = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	return values == MAP_FAILED ? NULL : values;
}

static int programs_map(struct programs *p)
{
	p->max_vms = bpf_map__max_entries(p->skel->maps.vms);
	p->vms = map_values(p->skel->maps.vms);
	if (!p->vms)
		return -errno;
	p->histories = map_values(p->skel->maps.histories);
	return p->histories ? 0 : -errno;
}

static void programs_unmap(struct programs *p)
{
	if (p->vms)
		munmap(p->vms, map_bytes(p->max_vms, sizeof(*p->vms)));
	if (p->histories)
		munmap(p->histories, map_bytes(p->max_vms, sizeof(*p->histories)));
	p->vms = NULL;
	p->histories = NULL;
}

/* Returns how many are attached. */
static int programs_load_new(struct programs *p, const struct programs_params *params)
{
	const struct programs_state chosen = p->state;
	int r;

	if (tracepoints_are_preemptible()) {
		p->state.is_perf = true;
		r = programs_try(p, params);
		if (r > 0 && !programs_have_failed(&chosen, &p->state))
			return r;
		log_debug("perf's tracepoints are not to be had (is tracefs mounted?), falling "
			  "back to "
			  "raw ones");
		cetd_bpf__destroy(p->skel);
		p->skel = NULL;
		p->state = chosen;
		p->state.is_preemptible = true;
	}
	r = programs_try(p, params);
	if (r <= 0) {
		cetd_bpf__destroy(p->skel);
		p->skel = NULL;
		if (r < 0)
			p->state = chosen;
	}
	return r;
}

static struct pins_layout programs_layout(const struct programs *p,
					  const struct programs_params *params)
{
	struct pins_layout l = {
		.version = PINS_LAYOUT_VERSION,
		.abi = CETD_ABI_VERSION,
		.max_vms = p->skel ? p->max_vms : params->max_vms,
		.sample_budget = params->sample_budget,
		.family = p->state.family,
		.is_perf = p->state.is_perf,
		.is_preemptible = p->state.is_preemptible,
		.cetd = CETD_VERSION,
	};
	const void *object;
	size_t size;

	object = cetd_bpf__elf_bytes(&size);
	l.object = pinned_id(object, size);
	memcpy(l.result, p->state.result, sizeof(l.result));
	return l;
}

/* Logs what is done about them, and why. params->max_vms becomes that of maps that are kept. */
static enum pins_verdict programs_find_pins(const struct programs *p,
					    struct programs_params *params,
					    struct pins_layout *ret_found)
{
	struct pins_layout wanted = programs_layout(p, params);
	enum pins_verdict verdict;
	const char *why;
	int r;

	r = pins_read(params->pin_dir, ret_found);
	verdict = r == -ENOENT ? PINS_NONE : pins_judge(ret_found, &wanted, &why);
	if (r < 0 && r != -ENOENT) {
		verdict = PINS_REPLACE_ALL;
		why = strerror(-r);
	}
	if (verdict == PINS_REPLACE_ALL)
		log_notice("The counters pinned in %s are dropped, and begin anew: %s",
			   params->pin_dir, why);
	if (verdict == PINS_REPLACE_PROGRAMS)
		log_notice("The counters pinned in %s by cetd %.*s go on with this version's "
			   "programs: %s",
			   params->pin_dir, (int)sizeof(ret_found->cetd), ret_found->cetd, why);
	if (verdict == PINS_ADOPT || verdict == PINS_REPLACE_PROGRAMS) {
		if (params->max_vms != ret_found->max_vms)
			log_notice("max_vms stays %u, that of the pinned counters, until `cetd "
				   "--release`",
				   ret_found->max_vms);
		params->max_vms = ret_found->max_vms;
	}
	return verdict;
}

/* Returns how many programs are attached, with the counters that were pinned or with new ones. */
static int programs_load_pinned(struct programs *p, struct programs_params params)
{
	const struct programs_state chosen = p->state;
	const uint32_t max_vms = params.max_vms;
	struct pins_layout found = {};
	int r;

	switch (programs_find_pins(p, &params, &found)) {
	case PINS_ADOPT:
		r = pins_adopt(params.pin_dir, &found, p);
		if (r > 0) {
			log_notice(
				"Went on with the programs and counters pinned in %s by cetd %.*s",
				params.pin_dir, (int)sizeof(found.cetd), found.cetd);
			return r;
		}
		log_warning_errno(r,
				  "The programs pinned in %s cannot be gone on with, they are "
				  "replaced: %m",
				  params.pin_dir);
		__attribute__((fallthrough));
	case PINS_REPLACE_PROGRAMS:
		r = programs_load_new(p, &params);
		if (r > 0) {
			p->is_adopted = true;
			return r;
		}
		break;
	default:
		r = 0;
	}
	if (r < 0)
		log_warning_errno(r, "The counters pinned in %s cannot be used, and begin anew: %m",
				  params.pin_dir);
	bpffs_clear(params.pin_dir, "");
	p->state = chosen;
	params.max_vms = max_vms;
	params.pin_dir = NULL;
	return programs_load_new(p, &params);
}

/* Where there is no bpffs everything works as ever, but ends with the daemon. */
static void programs_claim_pins(struct programs *p, struct programs_params *params)
{
	int r;

	if (!params->pin_dir)
		return;
	r = bpffs_claim(params->pin_dir, &p->pin_fd);
	if (r >= 0)
		return;
	if (r == -EOPNOTSUPP)
		log_notice("%s is not in a BPF file system (mount -t bpf bpf /sys/fs/bpf): "
			   "counters end with "
			   "this daemon",
			   params->pin_dir);
	else if (r == -EBUSY)
		log_notice("%s is another cetd's: counters end with this daemon", params->pin_dir);
	else
		log_warning_errno(r, "Failed to use %s, counters end with this daemon: %m",
				  params->pin_dir);
	params->pin_dir = NULL;
}

static bool has_pinned_programs(const struct programs *p)
{
	for (int i = 0; i < _PROGRAM_MAX; i++)
		if (p->program_fds[i] >= 0)
			return true;
	return false;
}

static void programs_pin(struct programs *p, const struct programs_params *params)
{
	struct pins_layout layout = programs_layout(p, params);
	int r;

	r = pins_add(params->pin_dir, &layout, p);
	if (r >= 0)
		return;
	log_warning_errno(r, "Failed to pin in %s, counters end with this daemon: %m",
			  params->pin_dir);
	bpffs_clear(params->pin_dir, "");
}

int programs_load(const struct programs_params *params, struct programs *ret)
{
	struct programs_params use = *params;
	int r;

	*ret = (struct programs){.pin_fd = -1};
	memset(ret->program_fds, -1, sizeof(ret->program_fds));
	libbpf_set_print(libbpf_log);
	r = programs_choose(&ret->state);
	if (r < 0)
		return r;
	programs_claim_pins(ret, &use);
	r = use.pin_dir ? programs_load_pinned(ret, use) : programs_load_new(ret, &use);
	if (r <= 0) {
		programs_done(ret);
		ret->state.family = CETD_FAMILY_NONE;
		if (r < 0)
			return log_error_errno(r, "Failed to load the BPF programs: %m");
		return log_error_errno(
			-ENODEV, "None of KVM's tracepoints is there: is the module kvm loaded?");
	}
	r = programs_map(ret);
	if (r < 0) {
		programs_done(ret);
		return log_error_errno(r, "Failed to map counters and histories: %m");
	}
	if (use.pin_dir && !has_pinned_programs(ret))
		programs_pin(ret, &use);
	/* The kernel's types took some 20 MiB while they were read. */
	malloc_trim(0);
	return 0;
}

static int program_fd(const struct programs *p, enum program program)
{
	if (p->program_fds[program] >= 0)
		return p->program_fds[program];
	return bpf_program__fd(program_of(p->skel, program, p->state.is_perf));
}

static int program_info(const struct programs *p, enum program program, struct bpf_prog_info *ret)
{
	__u32 size = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (p->state.result[program] != 0)
		return -ENOENT;
	return bpf_prog_get_info_by_fd(program_fd(p, program), ret, &size);
}

unsigned int programs_stats(const struct programs *p, struct events_program *ret_programs)
{
	struct bpf_prog_info info;
	unsigned int n = 0;

	for (int i = 0; i < _PROGRAM_MAX; i++)
		if (program_info(p, i, &info) >= 0)
			ret_programs[n++] = (struct events_program){.hook = table[i].hook,
								    .runs = info.run_cnt,
								    .run_ns = info.run_time_ns};
	return n;
}

uint64_t programs_missed(const struct programs *p)
{
	struct bpf_prog_info info;
	uint64_t n = 0;

	for (int i = 0; i < _PROGRAM_MAX; i++)
		if (program_info(p, i, &info) >= 0)
			n += info.recursion_misses;
	return n;
}

void programs_done(struct programs *p)
{
	programs_unmap(p);
	cetd_bpf__destroy(p->skel);
	p->skel = NULL;
	for (int i = 0; i < _PROGRAM_MAX; i++)
		closep(p->program_fds + i);
	memset(p->program_fds, -1, sizeof(p->program_fds));
	closep(&p->pin_fd);
	p->pin_fd = -1;
}
