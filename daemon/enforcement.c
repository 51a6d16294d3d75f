// SPDX-License-Identifier: GPL-2.0-only
/* Verdicts in, effects out. What is pinned goes on when this ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cetd/message-ids.h"
#include "cetd/names.h"

#include "enforcement.h"
#include "model/model.h"
#include "source/source.h"
#include "util/clock.h"
#include "util/log.h"

struct enforcement {
	const struct model *model;
	struct enforcer *enforcer; /* NULL: this kernel has no hook */
	sd_event *event;
	sd_event_source *lease;
	sd_event_source *ends;	   /* of storms: when the next may show */
	sd_event_source *announce; /* of the fact */
	struct storms *storms;
	struct cetd_policy_control control; /* as last read */
	struct cetd_fact_coverage fact;
	struct enforcement_params params;
	char pin_dir[ENFORCEMENT_PIN_DIR_SIZE]; /* of policies */
	bool has_hook;
};

int enforcement_pin_dir(const char *pin_dir, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s-policy", pin_dir);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Look again at ns; 0: there is nothing to look at. */
static void set_ends(struct enforcement *e, uint64_t ns)
{
	if (ns)
		sd_event_source_set_time(e->ends, ns / NSEC_PER_USEC + 1);
	sd_event_source_set_enabled(e->ends, ns ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void on_message(void *userdata, const struct cetd_storm *m)
{
	struct enforcement *e = userdata;
	uint64_t set_usec, ns;
	int is_set;

	storms_take_message(e->storms, m);
	if (!storms_find(e->storms, m->key))
		return;
	ns = storms_vm_next_ns(storms_find(e->storms, m->key));
	if (sd_event_source_get_enabled(e->ends, &is_set) < 0 ||
	    sd_event_source_get_time(e->ends, &set_usec) < 0)
		return;
	if (ns && (!is_set || ns / NSEC_PER_USEC < set_usec))
		set_ends(e, ns);
}

/* The VM may be gone after this: a policy without a state is none. */
static void read_vm(struct enforcement *e, uint64_t key)
{
	struct cetd_policy_state state;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	int r = e->enforcer->ops->get_state(e->enforcer, key, &state);

	if (r == -ENOENT)
		storms_remove(e->storms, key, STORM_END_POLICY, now);
	else if (r >= 0)
		storms_take_state(e->storms, key, &state, now);
}

static int on_ends(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata)
{
	struct enforcement *e = userdata;
	const struct storms_vm *vm, *next;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	e->enforcer->ops->drain(e->enforcer);
	for (vm = storms_next(e->storms, NULL); vm; vm = next) {
		uint64_t vm_ns = storms_vm_next_ns(vm);

		next = storms_next(e->storms, vm);
		if (vm_ns && vm_ns <= now)
			read_vm(e, vm->key);
	}
	set_ends(e, storms_next_ns(e->storms));
	return 0;
}

void enforcement_refresh(struct enforcement *e)
{
	const struct storms_vm *vm, *next;

	if (!e->enforcer)
		return;
	e->enforcer->ops->drain(e->enforcer);
	e->enforcer->ops->get_control(e->enforcer, &e->control);
	for (vm = storms_next(e->storms, NULL); vm; vm = next) {
		next = storms_next(e->storms, vm);
		read_vm(e, vm->key);
	}
	set_ends(e, storms_next_ns(e->storms));
}

/* Well before the lease ends. */
static int on_lease(sd_event_source *s, uint64_t usec _unused_, void *userdata)
{
	struct enforcement *e = userdata;
	int r;

	e->enforcer->ops->set_lease(e->enforcer,
				    clock_ns(CLOCK_MONOTONIC) + e->params.lease_sec * NSEC_PER_SEC);
	r = sd_event_source_set_time_relative(s, e->params.lease_sec * USEC_PER_SEC / 3);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* As long as is wanted now, from now on; the first time is at once. */
static int begin_lease(struct enforcement *e)
{
	e->lease = sd_event_source_disable_unref(e->lease);
	if (!e->params.lease_sec) {
		e->enforcer->ops->set_lease(e->enforcer, 0);
		return 0;
	}
	return sd_event_add_time_relative(e->event, &e->lease, CLOCK_MONOTONIC, 0, 0, on_lease, e);
}

static int start_lease(struct enforcement *e)
{
	e->enforcer->ops->get_control(e->enforcer, &e->control);
	if (e->control.lapsed)
		log_notice("%llu #CP were delivered without a policy, as no cetd had renewed the "
			   "lease",
			   e->control.lapsed);
	return begin_lease(e);
}

void enforcement_set_lease(struct enforcement *e, uint32_t sec)
{
	int r;

	if (e->params.lease_sec == sec)
		return;
	e->params.lease_sec = sec;
	if (!e->enforcer)
		return;
	r = begin_lease(e);
	if (r < 0)
		log_error_errno(r, "Failed to set the time of the lease: %m");
	else if (sec)
		log_info("Policies end %u s after the last cetd from now on", sec);
	else
		log_info("Policies outlive cetd without end from now on");
}

/* What an earlier daemon put in force, and the storms that it told of; who the VMs are will show. */
static int adopt(struct enforcement *e)
{
	struct cetd_policy_state state;
	struct cetd_policy policy;
	uint64_t key = 0;
	int r = 0;

	while (r >= 0 && e->enforcer->ops->next(e->enforcer, &key) >= 0)
		if (e->enforcer->ops->get_policy(e->enforcer, key, &policy) >= 0 &&
		    e->enforcer->ops->get_state(e->enforcer, key, &state) >= 0)
			r = storms_set_policy(e->storms, key, &policy, false, &state,
					      clock_ns(CLOCK_MONOTONIC));
	e->enforcer->ops->drain(e->enforcer);
	return r;
}

static void set_fact(struct enforcement *e, int r)
{
	struct cetd_fact_coverage *f = &e->fact;

	f->state = r < 0 ? CETD_COVERAGE_UNOBSERVABLE : CETD_COVERAGE_OBSERVED;
	if (r == -EBUSY)
		snprintf(f->reason, sizeof(f->reason),
			 "another program has the kernel's kvm_cet_ops hook");
	else if (r < 0)
		snprintf(f->reason, sizeof(f->reason),
			 "the kernel's kvm_cet_ops hook cannot be used: %s", strerror(-r));
	else
		snprintf(f->reason, sizeof(f->reason),
			 "policies are enforced by the kernel's kvm_cet_ops hook");
}

static void log_fact(const struct cetd_fact_coverage *f)
{
	char reason[sizeof(f->reason) + 16];
	const char *const fields[] = {reason, NULL};
	bool is_attached = f->state == CETD_COVERAGE_OBSERVED;

	snprintf(reason, sizeof(reason), "CETD_REASON=%s", f->reason);
	log_event(is_attached ? LOG_INFO : LOG_ERR,
		  is_attached ? CETD_LOG_ENFORCEMENT_ATTACHED : CETD_LOG_ENFORCEMENT_FAILED, fields,
		  "Enforcement: %s", f->reason);
}

/* Once: what failed is not tried again. */
static void start_kernel(struct enforcement *e)
{
	const struct enforce_params kernel = {
		.pin_dir = e->params.pin_dir ? e->pin_dir : NULL,
		.max_vms = e->params.max_vms,
		.storm = on_message,
		.userdata = e,
	};
	int r;

	e->has_hook = false;
	r = enforce_kernel_new(e->event, &kernel, &e->enforcer);
	if (r >= 0)
		r = adopt(e);
	if (r >= 0)
		r = start_lease(e);
	set_fact(e, r);
	log_fact(&e->fact);
}

bool enforcement_may_load(const struct enforcement *e)
{
	return e && e->has_hook;
}

static int on_announce(sd_event_source *s _unused_, void *userdata)
{
	struct enforcement *e = userdata;

	e->params.fact(e->params.userdata, e->fact.state, e->fact.reason);
	return 0;
}

static bool has_pins(const struct enforcement *e)
{
	return e->params.pin_dir && access(e->pin_dir, F_OK) == 0;
}

int enforcement_new(sd_event *event, const struct model *model,
		    const struct enforcement_params *params, struct cetd_host *host,
		    struct enforcement **ret)
{
	struct enforcement *e = calloc(1, sizeof(*e));
	int r = 0;

	if (!e)
		return log_error_errno(-ENOMEM, "Failed to set up enforcement: %m");
	e->model = model;
	e->event = sd_event_ref(event);
	e->params = *params;
	if (params->pin_dir)
		r = enforcement_pin_dir(params->pin_dir, e->pin_dir, sizeof(e->pin_dir));
	if (r >= 0 && params->is_dry_run)
		r = enforce_dry_run_new(&e->enforcer);
	if (r >= 0)
		r = storms_new(params->storm, params->userdata, &e->storms);
	if (r >= 0)
		r = sd_event_add_time(event, &e->ends, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_ends,
				      e);
	if (r >= 0)
		r = sd_event_add_defer(event, &e->announce, on_announce, e);
	if (r >= 0)
		r = sd_event_source_set_enabled(e->announce, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_enabled(e->ends, SD_EVENT_OFF);
	if (r < 0) {
		enforcement_free(e);
		return log_error_errno(r, "Failed to set up enforcement: %m");
	}
	e->has_hook = !params->is_dry_run &&
		      host->facts[CETD_FACT_ENFORCEMENT].state != CETD_COVERAGE_UNOBSERVABLE;
	if (e->has_hook && (params->is_wanted || has_pins(e))) {
		start_kernel(e);
		host->facts[CETD_FACT_ENFORCEMENT] = e->fact;
	}
	*ret = e;
	return 0;
}

struct enforcement *enforcement_free(struct enforcement *e)
{
	if (!e)
		return NULL;
	sd_event_source_disable_unref(e->lease);
	sd_event_source_disable_unref(e->ends);
	sd_event_source_disable_unref(e->announce);
	enforcer_free(e->enforcer);
	storms_free(e->storms);
	sd_event_unref(e->event);
	free(e);
	return NULL;
}

/* Storms under the policy that was are over. */
static void note_policy(struct enforcement *e, uint64_t key, const struct cetd_policy *policy)
{
	if (!policy)
		storms_remove(e->storms, key, STORM_END_POLICY, clock_ns(CLOCK_MONOTONIC));
	else if (storms_set_policy(e->storms, key, policy, true, NULL, clock_ns(CLOCK_MONOTONIC)) <
		 0)
		log_error("Failed to watch for storms: out of memory");
}

/* A VM of which nothing but events is known is judged when it has a name: what an earlier daemon put in force for
 * it holds until then. */
void enforcement_apply(struct enforcement *e, const struct vm *vm,
		       const struct policy_verdict *verdict)
{
	struct cetd_policy previous, policy;
	const struct enforcer_ops *ops;
	uint64_t key = vm->identity.key;
	bool is_plain = policy_verdict_is_plain(verdict);
	int r;

	if (vm->is_provisional)
		return;
	if (!e->enforcer && e->has_hook && !is_plain) {
		start_kernel(e);
		sd_event_source_set_enabled(e->announce, SD_EVENT_ONESHOT);
	}
	if (!e->enforcer || (key & CETD_KEY_TGID && e->enforcer->ops->needs_vm_id))
		return;
	ops = e->enforcer->ops;
	r = ops->get_policy(e->enforcer, key, &previous);
	if (r == -ENOENT && is_plain)
		return;
	policy_verdict_to_kernel(verdict, r < 0 ? NULL : &previous, &policy);
	if (r >= 0) {
		/* Have what was counted under it before it changes. */
		note_policy(e, key, &previous);
		ops->drain(e->enforcer);
		read_vm(e, key);
	}
	if (r >= 0 && !is_plain && !memcmp(&previous, &policy, sizeof(policy)))
		return;
	r = ops->apply(e->enforcer, key, is_plain ? NULL : &policy);
	if (r >= 0 || r == -EOPNOTSUPP)
		note_policy(e, key, is_plain ? NULL : &policy);
	if (r == -EOPNOTSUPP)
		log_info("VM %s: %s", vm->identity.id,
			 is_plain ? "no policy any more"
				  : "policy in force for vCPUs with CET, of which it has none yet");
	else if (r == -ENOENT)
		log_debug("VM %s has ended: its policy has nothing to do", vm->identity.id);
	else if (r < 0)
		log_error_errno(r, "Failed to put the policy of VM %s in force: %m",
				vm->identity.id);
	else
		log_info("VM %s: %s", vm->identity.id,
			 is_plain ? "no policy any more" : "policy in force in the kernel");
}

static void log_state(const struct vm *vm, const struct cetd_policy_state *s)
{
	const __u64 *would = s->decision[0], *did = s->decision[1];
	unsigned long long storms = 0;

	for (int then = 0; then < _CETD_THEN_MAX; then++)
		storms += s->storms[0][then] + s->storms[1][then];
	log_info("VM %s: of its #CP, %llu would have been delivered at once, %llu delayed, %llu "
		 "suppressed; %llu, %llu and %llu were; %llu ms of delay, %llu storms",
		 vm->identity.id, would[CETD_ACTION_DELIVER], would[CETD_ACTION_DELAY],
		 would[CETD_ACTION_SUPPRESS], did[CETD_ACTION_DELIVER], did[CETD_ACTION_DELAY],
		 did[CETD_ACTION_SUPPRESS], s->delayed_ns / NSEC_PER_MSEC, storms);
}

/* Its last storms, and what was done about its faults. */
static void tell_last(struct enforcement *e, const struct vm *vm)
{
	const struct storms_vm *storms;
	uint64_t key = vm->identity.key;

	if (!storms_find(e->storms, key))
		return;
	e->enforcer->ops->drain(e->enforcer);
	read_vm(e, key);
	storms = storms_find(e->storms, key);
	if (storms && storms->has_state)
		log_state(vm, &storms->state);
	storms_remove(e->storms, key, STORM_END_VM, clock_ns(CLOCK_MONOTONIC));
}

/* Also what storms know nothing of, lest it fills the kernel's maps. */
void enforcement_forget(struct enforcement *e, const struct vm *vm)
{
	uint64_t key = vm->identity.key;

	if (!e->enforcer || (key & CETD_KEY_TGID && e->enforcer->ops->needs_vm_id))
		return;
	tell_last(e, vm);
	e->enforcer->ops->apply(e->enforcer, key, NULL);
}

const struct storms *enforcement_get_storms(const struct enforcement *e)
{
	return e->storms;
}

const struct cetd_policy_control *enforcement_get_control(const struct enforcement *e)
{
	return e->enforcer ? &e->control : NULL;
}

int enforcement_get_state(struct enforcement *e, uint64_t key, struct cetd_policy_state *ret)
{
	return e->enforcer ? e->enforcer->ops->get_state(e->enforcer, key, ret) : -ENOENT;
}
