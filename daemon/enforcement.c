// SPDX-License-Identifier: GPL-2.0-only
/* Verdicts in, effects out. What is pinned goes on when this ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cetd/names.h"

#include "enforcement.h"
#include "model/model.h"
#include "source/source.h"
#include "util/log.h"

struct enforcement {
	const struct model *model;
	struct enforcer *enforcer; /* NULL: this kernel has no hook */
	sd_event *event;
	sd_event_source *lease;
	struct enforcement_params params;
	char pin_dir[ENFORCEMENT_PIN_DIR_SIZE]; /* of policies */
	bool has_hook;
};

int enforcement_pin_dir(const char *pin_dir, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s-policy", pin_dir);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void on_storm(void *userdata, const struct cetd_storm *s)
{
	const struct enforcement *e = userdata;
	const struct vm *vm = model_find_key(e->model, s->key);
	const char *id = vm ? vm->identity.id : "of an unknown id";

	if (s->type == CETD_STORM_STARTED)
		log_warning("VM %s: #CP come faster than rate %u allows (%s, mode %s)", id, s->rate,
			    cetd_then_to_string(s->then), cetd_mode_to_string(s->mode));
	else
		log_notice("VM %s: the storm of #CP of rate %u was over", id, s->rate);
}

/* Well before the lease ends. */
static int on_lease(sd_event_source *s, uint64_t usec _unused_, void *userdata)
{
	struct enforcement *e = userdata;
	int r;

	e->enforcer->ops->set_lease(e->enforcer, now_ns() + e->params.lease_sec * NSEC_PER_SEC);
	r = sd_event_source_set_time_relative(s, e->params.lease_sec * USEC_PER_SEC / 3);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int start_lease(struct enforcement *e)
{
	uint64_t lapsed = e->enforcer->ops->get_lapsed(e->enforcer);

	if (lapsed)
		log_notice("%llu #CP were delivered without a policy, as no cetd had renewed the "
			   "lease",
			   (unsigned long long)lapsed);
	if (!e->params.lease_sec) {
		e->enforcer->ops->set_lease(e->enforcer, 0);
		return 0;
	}
	return sd_event_add_time_relative(e->event, &e->lease, CLOCK_MONOTONIC, 0, 0, on_lease, e);
}

/* Once: what failed is not tried again. */
static int start_kernel(struct enforcement *e)
{
	const struct enforce_params kernel = {
		.pin_dir = e->params.pin_dir ? e->pin_dir : NULL,
		.max_vms = e->params.max_vms,
		.storm = on_storm,
		.userdata = e,
	};
	int r;

	e->has_hook = false;
	r = enforce_kernel_new(e->event, &kernel, &e->enforcer);
	if (r >= 0)
		r = start_lease(e);
	return r;
}

static void start_at_once(struct enforcement *e, struct cetd_host *host)
{
	int r = start_kernel(e);

	if (r == -EBUSY)
		host_set_fact(host, CETD_FACT_ENFORCEMENT, CETD_COVERAGE_UNOBSERVABLE,
			      "another program has the kernel's kvm_cet_ops hook");
	else if (r < 0)
		host_set_fact(host, CETD_FACT_ENFORCEMENT, CETD_COVERAGE_UNOBSERVABLE,
			      "the kernel's kvm_cet_ops hook cannot be used: %s", strerror(-r));
	else
		host_set_fact(host, CETD_FACT_ENFORCEMENT, CETD_COVERAGE_OBSERVED,
			      "policies are enforced by the kernel's kvm_cet_ops hook");
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
	if (r < 0) {
		enforcement_free(e);
		return log_error_errno(r, "Failed to set up enforcement: %m");
	}
	e->has_hook = !params->is_dry_run &&
		      host->facts[CETD_FACT_ENFORCEMENT].state != CETD_COVERAGE_UNOBSERVABLE;
	if (e->has_hook && (params->is_wanted || has_pins(e)))
		start_at_once(e, host);
	*ret = e;
	return 0;
}

struct enforcement *enforcement_free(struct enforcement *e)
{
	if (!e)
		return NULL;
	sd_event_source_disable_unref(e->lease);
	enforcer_free(e->enforcer);
	sd_event_unref(e->event);
	free(e);
	return NULL;
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

	if (vm->is_provisional || key & CETD_KEY_TGID)
		return;
	if (!e->enforcer && e->has_hook && !is_plain)
		start_kernel(e);
	if (!e->enforcer)
		return;
	ops = e->enforcer->ops;
	r = ops->get_policy(e->enforcer, key, &previous);
	if (r == -ENOENT && is_plain)
		return;
	policy_verdict_to_kernel(verdict, r < 0 ? NULL : &previous, &policy);
	if (r >= 0 && !is_plain && !memcmp(&previous, &policy, sizeof(policy)))
		return;
	r = ops->apply(e->enforcer, key, is_plain ? NULL : &policy);
	if (r == -EOPNOTSUPP)
		log_debug("VM %s has no vCPU with CET: its policy has nothing to do",
			  vm->identity.id);
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

	log_info("VM %s: of its #CP, %llu would have been delivered at once, %llu delayed, %llu "
		 "suppressed; %llu, %llu and %llu were; %llu ms of delay, %llu storms",
		 vm->identity.id, would[CETD_ACTION_DELIVER], would[CETD_ACTION_DELAY],
		 would[CETD_ACTION_SUPPRESS], did[CETD_ACTION_DELIVER], did[CETD_ACTION_DELAY],
		 did[CETD_ACTION_SUPPRESS], s->delayed_ns / NSEC_PER_MSEC,
		 s->storms[0][CETD_THEN_THROTTLE] + s->storms[1][CETD_THEN_THROTTLE]);
}

void enforcement_forget(struct enforcement *e, const struct vm *vm)
{
	struct cetd_policy_state state;
	struct cetd_policy policy;
	uint64_t key = vm->identity.key;

	if (!e->enforcer || key & CETD_KEY_TGID ||
	    e->enforcer->ops->get_policy(e->enforcer, key, &policy) < 0)
		return;
	if (enforcement_get_state(e, key, &state) >= 0)
		log_state(vm, &state);
	e->enforcer->ops->apply(e->enforcer, key, NULL);
}

int enforcement_get_state(struct enforcement *e, uint64_t key, struct cetd_policy_state *ret)
{
	return e->enforcer ? e->enforcer->ops->get_state(e->enforcer, key, ret) : -ENOENT;
}
