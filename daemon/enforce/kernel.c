// SPDX-License-Identifier: GPL-2.0-only
/*
 * The backend that enforces: bpf/policy.bpf.c behind KVM's struct kvm_cet_ops. Map and link are pinned, so that
 * the kernel goes on by itself; a link that is there is taken over, or its programs replaced in one step.
 */
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "enforce/enforce.h"
#include "enforce/layout.h"
#include "policy.skel.h"
#include "util/bpffs.h"
#include "util/bss.h"
#include "util/log.h"
#include "util/pinned.h"

struct kernel {
	struct enforcer enforcer;
	struct policy_bpf *skel;
	struct bpf_link *link; /* NULL: pinned */
	struct ring_buffer *ring;
	sd_event_source *storms;
	enforce_storm_t storm;
	void *userdata;
	int pin_fd;
};

static struct kernel *kernel_of(struct enforcer *e)
{
	return container_of(e, struct kernel, enforcer);
}

/* A program of the daemon's own, with one argument. */
static int run_program(const struct bpf_program *program, uint64_t argument)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &argument, .ctx_size_in = sizeof(argument));
	int r = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);

	return r < 0 ? -errno : (int)opts.retval;
}

/* Have KVM look at the VM's parameters again. -EOPNOTSUPP: not one of its vCPUs has CET, so far. */
static int kernel_update(struct kernel *k, uint64_t key)
{
	return run_program(k->skel->progs.update, key);
}

static int kernel_drop(struct kernel *k, uint64_t key)
{
	int r = bpf_map_delete_elem(bpf_map__fd(k->skel->maps.policies), &key) < 0 ? -errno : 0;

	bpf_map_delete_elem(bpf_map__fd(k->skel->maps.states), &key);
	return r;
}

/* First its state, without which a policy is none to the programs. */
static int kernel_set(struct kernel *k, uint64_t key, const struct cetd_policy *policy)
{
	static const struct cetd_policy_state zero;

	if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.states), &key, &zero, BPF_NOEXIST) < 0 &&
	    errno != EEXIST)
		return -errno;
	return bpf_map_update_elem(bpf_map__fd(k->skel->maps.policies), &key, policy, BPF_ANY) < 0
		       ? -errno
		       : 0;
}

static int kernel_apply(struct enforcer *e, uint64_t key, const struct cetd_policy *policy)
{
	struct kernel *k = kernel_of(e);
	int r = policy ? kernel_set(k, key, policy) : kernel_drop(k, key);

	if (r < 0)
		return r == -ENOENT && !policy ? 0 : r;
	r = kernel_update(k, key);
	if (r != -ENOENT)
		return r;
	/* It has ended: nobody would drop what was just kept for it. */
	kernel_drop(k, key);
	return policy ? -ENOENT : 0;
}

static int kernel_get_policy(struct enforcer *e, uint64_t key, struct cetd_policy *ret)
{
	int fd = bpf_map__fd(kernel_of(e)->skel->maps.policies);

	return bpf_map_lookup_elem(fd, &key, ret) < 0 ? -errno : 0;
}

static int kernel_get_state(struct enforcer *e, uint64_t key, struct cetd_policy_state *ret)
{
	int fd = bpf_map__fd(kernel_of(e)->skel->maps.states);

	return bpf_map_lookup_elem_flags(fd, &key, ret, BPF_F_LOCK) < 0 ? -errno : 0;
}

static void kernel_set_lease(struct enforcer *e, uint64_t time_ns)
{
	int r = run_program(kernel_of(e)->skel->progs.grant, time_ns);

	if (r < 0)
		log_warning_errno(r, "Failed to set the lease of the policies in the kernel: %m");
}

static void kernel_get_control(struct enforcer *e, struct cetd_policy_control *ret)
{
	const struct cetd_policy_control *c = &kernel_of(e)->skel->bss->control;

	*ret = (struct cetd_policy_control){
		.abi_version = c->abi_version,
		.lease_ns = __atomic_load_n(&c->lease_ns, __ATOMIC_SEQ_CST),
		.lapsed = __atomic_load_n(&c->lapsed, __ATOMIC_SEQ_CST),
		.storms_lost = __atomic_load_n(&c->storms_lost, __ATOMIC_SEQ_CST),
	};
}

static int kernel_next(struct enforcer *e, uint64_t *key)
{
	int fd = bpf_map__fd(kernel_of(e)->skel->maps.policies);
	uint64_t next;

	if (bpf_map_get_next_key(fd, *key ? key : NULL, &next) < 0)
		return -errno;
	*key = next;
	return 0;
}

static void kernel_drain(struct enforcer *e)
{
	ring_buffer__consume(kernel_of(e)->ring);
}

static struct enforcer *kernel_free(struct enforcer *e)
{
	struct kernel *k = kernel_of(e);

	sd_event_source_disable_unref(k->storms);
	ring_buffer__free(k->ring);
	bpf_link__destroy(k->link);
	policy_bpf__destroy(k->skel);
	closep(&k->pin_fd);
	free(k);
	return NULL;
}

static const struct enforcer_ops kernel_ops = {
	.name = "kernel",
	.needs_vm_id = true,
	.apply = kernel_apply,
	.get_policy = kernel_get_policy,
	.get_state = kernel_get_state,
	.set_lease = kernel_set_lease,
	.get_control = kernel_get_control,
	.next = kernel_next,
	.drain = kernel_drain,
	.free = kernel_free,
};

static int on_storm(void *userdata, void *data, size_t size)
{
	struct kernel *k = userdata;

	if (size == sizeof(struct cetd_storm) && k->storm)
		k->storm(k->userdata, data);
	return 0;
}

static int on_storms(sd_event_source *s _unused_, int fd _unused_, uint32_t revents _unused_,
		     void *userdata)
{
	kernel_drain(userdata);
	return 0;
}

#define VERIFIER_LOG_BYTES 65536
#define BPF_LOG_STATS \
	4 /* include/linux/bpf_verifier.h: what is wrong and how much it was, not each step */

/* What the verifier found wrong, if it was that. */
static void log_verifier(const char *text)
{
	char line[512];

	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
		log_warning("Verifier: %s", line);
	}
}

static int kernel_load_object(struct kernel *k)
{
	_cleanup_(freep) char *text = calloc(1, VERIFIER_LOG_BYTES);
	int r;

	if (!text)
		return -ENOMEM;
	/* libbpf would try once more with every step in the log, which takes its time. */
	bpf_program__set_log_level(k->skel->progs.cp, BPF_LOG_STATS);
	bpf_program__set_log_buf(k->skel->progs.cp, text, VERIFIER_LOG_BYTES);
	r = policy_bpf__load(k->skel);
	bpf_program__set_log_buf(k->skel->progs.cp, NULL, 0);
	if (r < 0)
		log_verifier(text);
	return r;
}

/* With the programs, or without them where they run already. */
static int kernel_load(struct kernel *k, const struct enforce_params *params, bool has_maps,
		       bool has_programs)
{
	int r;

	k->skel = policy_bpf__open();
	if (!k->skel)
		return -errno;
	if (has_programs) {
		bpf_map__set_autocreate(k->skel->maps.ops, false);
		bpf_program__set_autoload(k->skel->progs.vcpu_policy, false);
		bpf_program__set_autoload(k->skel->progs.cp, false);
	}
	bpf_map__set_max_entries(k->skel->maps.policies, params->max_vms);
	bpf_map__set_max_entries(k->skel->maps.states, params->max_vms);
	bpf_map__set_max_entries(k->skel->maps.governed, params->max_vms);
	r = has_maps ? pinned_reuse_maps(params->pin_dir, k->skel->obj) : 0;
	if (r >= 0)
		r = kernel_load_object(k);
	if (r >= 0)
		r = bss_map(k->skel->bss, k->skel->maps.bss);
	if (r < 0) {
		policy_bpf__destroy(k->skel);
		k->skel = NULL;
	}
	return r;
}

/* Replace the programs of the pinned link by new ones, which have its maps: no fault goes past both. */
static int kernel_replace(struct kernel *k, const struct enforce_params *params)
{
	_cleanup_(closep) int link = -1;
	int r;

	link = layout_get_link(params->pin_dir);
	if (link < 0)
		return link;
	r = kernel_load(k, params, true, false);
	if (r < 0)
		return r;
	return layout_update_link(link, k->skel->maps.ops);
}

static int kernel_attach(struct kernel *k, const struct enforce_params *params)
{
	int r = kernel_load(k, params, false, false);

	if (r < 0)
		return r;
	k->skel->bss->control.abi_version = CETD_POLICY_ABI_VERSION;
	k->link = bpf_map__attach_struct_ops(k->skel->maps.ops);
	return k->link ? 0 : -errno;
}

static struct layout kernel_layout(void)
{
	struct layout l = {.version = CETD_POLICY_ABI_VERSION};
	const void *object;
	size_t size;

	object = policy_bpf__elf_bytes(&size);
	l.object = pinned_id(object, size);
	return l;
}

/* The maps of another version mean something else: what is in force ends with them, and is put in force anew as
 * VMs are judged. */
static int kernel_take_over_as(struct kernel *k, const struct enforce_params *params,
			       const struct layout *wanted, enum layout_verdict verdict)
{
	_cleanup_(closep) int link = -1;
	int r;

	switch (verdict) {
	case LAYOUT_SAME:
		link = layout_get_link(params->pin_dir);
		r = link < 0 ? link : kernel_load(k, params, true, true);
		if (r >= 0)
			log_notice("Went on with the policies pinned in %s", params->pin_dir);
		return r;
	case LAYOUT_OTHER_PROGRAMS:
		r = kernel_replace(k, params);
		if (r >= 0)
			r = layout_write(params->pin_dir, wanted);
		if (r >= 0)
			log_notice("The policies pinned in %s go on with this version's programs",
				   params->pin_dir);
		return r;
	case LAYOUT_OLDER:
	case LAYOUT_NEWER:
	case _LAYOUT_VERDICT_MAX:
		break;
	}
	return -EBADMSG;
}

/* 1: what was pinned goes on, and is as it should be; 0: there is nothing. */
static int kernel_take_over(struct kernel *k, const struct enforce_params *params)
{
	struct layout found, wanted = kernel_layout();
	enum layout_verdict verdict;
	int r;

	r = layout_read(params->pin_dir, &found);
	if (r == -ENOENT)
		return 0;
	verdict = layout_compare(&found, &wanted);
	if (r >= 0 && (verdict == LAYOUT_OLDER || verdict == LAYOUT_NEWER)) {
		log_notice(
			"Policies pinned in %s have layout %u, of %s cetd; this one has %u: they "
			"end, and are made anew",
			params->pin_dir, found.version,
			verdict == LAYOUT_OLDER ? "an older" : "a newer", wanted.version);
		return 0;
	}
	if (r >= 0)
		r = kernel_take_over_as(k, params, &wanted, verdict);
	if (r >= 0)
		return 1;
	log_warning_errno(r, "Policies pinned in %s cannot be used, they end and are made anew: %m",
			  params->pin_dir);
	policy_bpf__destroy(k->skel);
	k->skel = NULL;
	return 0;
}

/* VMs that ended while nobody looked; their ids do not come again. */
static void kernel_sweep(struct kernel *k)
{
	int fd = bpf_map__fd(k->skel->maps.policies);
	uint64_t key, next;
	int r = bpf_map_get_next_key(fd, NULL, &next);

	while (r == 0) {
		key = next;
		r = bpf_map_get_next_key(fd, &key, &next);
		if (kernel_update(k, key) == -ENOENT)
			kernel_drop(k, key);
	}
}

static int kernel_start(struct kernel *k, struct enforce_params *params)
{
	struct layout layout = kernel_layout();
	int r;

	if (params->pin_dir) {
		r = bpffs_claim(params->pin_dir, &k->pin_fd);
		if (r < 0) {
			log_warning_errno(r, "Policies end with this daemon, %s cannot be used: %m",
					  params->pin_dir);
			params->pin_dir = NULL;
		}
	}
	r = params->pin_dir ? kernel_take_over(k, params) : 0;
	if (r > 0) {
		kernel_sweep(k);
		return 0;
	}
	if (params->pin_dir)
		bpffs_clear(params->pin_dir, "");
	r = kernel_attach(k, params);
	if (r < 0 || !params->pin_dir)
		return r;
	r = layout_add(params->pin_dir, &layout, k->skel->obj, bpf_link__fd(k->link));
	if (r < 0) {
		log_warning_errno(r,
				  "Policies end with this daemon, they cannot be pinned in %s: %m",
				  params->pin_dir);
		bpffs_clear(params->pin_dir, "");
		return 0;
	}
	bpf_link__destroy(k->link); /* closes it; the pin keeps it */
	k->link = NULL;
	return 0;
}

int enforce_kernel_new(sd_event *event, const struct enforce_params *params, struct enforcer **ret)
{
	struct enforce_params use = *params;
	struct kernel *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	*k = (struct kernel){
		.enforcer = {&kernel_ops},
		.storm = params->storm,
		.userdata = params->userdata,
		.pin_fd = -1,
	};
	r = kernel_start(k, &use);
	if (r >= 0) {
		k->ring = ring_buffer__new(bpf_map__fd(k->skel->maps.storms), on_storm, k, NULL);
		r = k->ring ? sd_event_add_io(event, &k->storms, ring_buffer__epoll_fd(k->ring),
					      EPOLLIN, on_storms, &k->enforcer)
			    : -errno;
	}
	if (r < 0) {
		kernel_free(&k->enforcer);
		return log_warning_errno(r, "Policies cannot be enforced: %m");
	}
	*ret = &k->enforcer;
	return 0;
}
