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
#include "source/programs.h"
#include "source/source.h"
#include "util/log.h"

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

static int libbpf_log(enum libbpf_print_level level, const char *format, va_list ap)
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
	const char *name = is_perf && table[program].perf ? table[program].perf
							  : table[program].name;

	return bpf_object__find_program_by_name(skel->obj, name);
}

static int programs_open(const struct programs_state *state, uint32_t max_vms,
			 uint32_t sample_budget, struct cetd_bpf **ret)
{
	struct bpf_program *p;
	struct cetd_bpf *skel;
	int r;

	skel = cetd_bpf__open();
	if (!skel)
		return -errno;
	skel->rodata->sample_budget = sample_budget;
	skel->rodata->is_patched = state->family == CETD_FAMILY_PATCHED;
	bpf_object__for_each_program (p, skel->obj)
		bpf_program__set_autoload(p, false);
	for (int i = 0; i < _PROGRAM_MAX; i++)
		bpf_program__set_autoload(program_of(skel, i, state->is_perf),
					  state->result[i] == 0);
	skel->rodata->max_vms = max_vms;
	bpf_map__set_max_entries(skel->maps.vms, max_vms);
	bpf_map__set_max_entries(skel->maps.slots, max_vms);
	bpf_map__set_max_entries(skel->maps.free_slots, max_vms);
	bpf_map__set_max_entries(skel->maps.histories, max_vms);
	r = cetd_bpf__load(skel);
	if (r < 0) {
		cetd_bpf__destroy(skel);
		return r;
	}
	*ret = skel;
	return 0;
}

/* One program that the kernel will not take must not cost the others: find out which, by leaving each out. */
static int programs_open_most(struct programs_state *state, uint32_t max_vms,
			      uint32_t sample_budget, struct cetd_bpf **ret)
{
	struct programs_state all = *state;
	int r, last;

	r = last = programs_open(state, max_vms, sample_budget, ret);
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
		last = programs_open(state, max_vms, sample_budget, &skel);
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

/* Returns how many are attached. */
static int programs_try(struct programs *p, uint32_t max_vms, uint32_t sample_budget)
{
	int r;

	r = programs_open_most(&p->state, max_vms, sample_budget, &p->skel);
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

static size_t slots_bytes(uint32_t max_vms)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (max_vms * sizeof(struct cetd_vm) + page - 1) / page * page;
}

static int programs_map(struct programs *p, uint32_t max_vms)
{
	void *vms = mmap(NULL, slots_bytes(max_vms), PROT_READ | PROT_WRITE, MAP_SHARED,
			 bpf_map__fd(p->skel->maps.vms), 0);

	if (vms == MAP_FAILED)
		return -errno;
	p->vms = vms;
	p->max_vms = max_vms;
	return 0;
}

int programs_load(uint32_t max_vms, uint32_t sample_budget, struct programs *ret)
{
	struct programs_state chosen;
	int r;

	*ret = (struct programs){};
	libbpf_set_print(libbpf_log);
	r = programs_choose(&ret->state);
	if (r < 0)
		return r;

	chosen = ret->state;
	if (tracepoints_are_preemptible()) {
		ret->state.is_perf = true;
		r = programs_try(ret, max_vms, sample_budget);
		if (r <= 0 || programs_have_failed(&chosen, &ret->state)) {
			log_debug("perf's tracepoints are not to be had (is tracefs mounted?), "
				  "falling back to raw ones");
			programs_done(ret);
			ret->state = chosen;
			ret->state.is_preemptible = true;
		}
	}
	if (!ret->skel)
		r = programs_try(ret, max_vms, sample_budget);
	if (r <= 0) {
		programs_done(ret);
		ret->state.family = CETD_FAMILY_NONE;
		if (r < 0)
			return log_error_errno(r, "Failed to load the BPF programs: %m");
		return log_error_errno(
			-ENODEV, "None of KVM's tracepoints is there: is the module kvm loaded?");
	}
	r = programs_map(ret, max_vms);
	if (r < 0) {
		programs_done(ret);
		return log_error_errno(r, "Failed to map the counters: %m");
	}
	/* The kernel's types took some 20 MiB while they were read. */
	malloc_trim(0);
	return 0;
}

static int program_info(const struct programs *p, enum program program, struct bpf_prog_info *ret)
{
	__u32 size = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (p->state.result[program] != 0)
		return -ENOENT;
	return bpf_prog_get_info_by_fd(
		bpf_program__fd(program_of(p->skel, program, p->state.is_perf)), ret, &size);
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

int programs_find(const struct programs *p, uint64_t key)
{
	__u32 slot;

	if (bpf_map_lookup_elem(bpf_map__fd(p->skel->maps.slots), &key, &slot) < 0)
		return -errno;
	return slot < p->max_vms ? (int)slot : -EBADMSG;
}

/* In this order: no program finds the slot any more, then it is cleared, then others may have it. */
void programs_forget(struct programs *p, uint32_t slot)
{
	struct cetd_vm *vm = p->vms + slot;
	__u64 key = vm_key(vm);
	__u64 *recent = p->skel->bss->recent;

	bpf_map_delete_elem(bpf_map__fd(p->skel->maps.slots), &key);
	bpf_map_delete_elem(bpf_map__fd(p->skel->maps.histories), &key);
	__atomic_store_n(recent + key % ARRAY_SIZE(p->skel->bss->recent), 0, __ATOMIC_SEQ_CST);
	memset(vm, 0, sizeof(*vm));
	__atomic_fetch_sub(&p->skel->bss->control.vms, 1, __ATOMIC_SEQ_CST);
	bpf_map_update_elem(bpf_map__fd(p->skel->maps.free_slots), NULL, &slot, BPF_ANY);
}

void programs_done(struct programs *p)
{
	if (p->vms)
		munmap(p->vms, slots_bytes(p->max_vms));
	p->vms = NULL;
	cetd_bpf__destroy(p->skel);
	p->skel = NULL;
}
