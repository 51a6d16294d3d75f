// SPDX-License-Identifier: GPL-2.0-only
/* A storm goes by its VM, its rate and when it began. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cetd/ratelimit.h"

#include "policy/storms.h"
#include "util/macro.h"

struct storms {
	storms_tell_t tell;
	void *userdata;
	struct storms_vm *vms;
};

const char *storm_end_to_string(int end)
{
	static const char *const names[_STORM_END_MAX] = {"none", "quiet", "policy_changed",
							  "vm_gone"};

	return end >= 0 && end < _STORM_END_MAX ? names[end] : NULL;
}

int storms_new(storms_tell_t tell, void *userdata, struct storms **ret)
{
	struct storms *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->tell = tell;
	s->userdata = userdata;
	*ret = s;
	return 0;
}

struct storms *storms_free(struct storms *s)
{
	struct storms_vm *vm, *next;

	if (!s)
		return NULL;
	HASH_ITER (hh, s->vms, vm, next) {
		HASH_DEL(s->vms, vm);
		free(vm);
	}
	free(s);
	return NULL;
}

static struct storms_vm *find(const struct storms *s, uint64_t key)
{
	struct storms_vm *vm;

	HASH_FIND(hh, s->vms, &key, sizeof(key), vm);
	return vm;
}

static bool is_active(const struct storm *t)
{
	return t->since_ns && !t->ended_ns;
}

static void tell(struct storms *s, struct storms_vm *vm, struct storm *t)
{
	if (!vm->is_known || !t->since_ns)
		return;
	if (!t->is_start_told) {
		struct storm start = *t;

		/* It may be over by now; then that is told next. */
		t->is_start_told = true;
		start.ended_ns = 0;
		start.end = STORM_END_NONE;
		s->tell(s->userdata, vm, &start);
	}
	if (t->ended_ns && !t->is_end_told) {
		t->is_end_told = true;
		s->tell(s->userdata, vm, t);
	}
}

static void begin(struct storms_vm *vm, unsigned int rate, uint64_t since_ns)
{
	vm->storms[rate] = (struct storm){
		.since_ns = since_ns,
		.over = 1,
		.cpl = CETD_CPL_UNKNOWN,
		.rate = (uint8_t)rate,
		.then = vm->policy.rates[rate].then,
		.mode = vm->policy.mode,
	};
}

static void end(struct storms *s, struct storms_vm *vm, struct storm *t, enum storm_end why,
		uint64_t now_ns)
{
	if (!is_active(t))
		return;
	t->ended_ns = now_ns;
	t->end = (uint8_t)why;
	tell(s, vm, t);
}

static void end_all(struct storms *s, struct storms_vm *vm, enum storm_end why, uint64_t now_ns)
{
	for (unsigned int i = 0; i < CETD_POLICY_RATES_MAX; i++)
		end(s, vm, vm->storms + i, why, now_ns);
}

/* An earlier daemon has told of what is in the state, unless the kernel's message still waits to be read. */
static void adopt(struct storms_vm *vm, const struct cetd_policy_state *state)
{
	vm->state = *state;
	vm->has_state = true;
	for (unsigned int i = 0; i < vm->policy.n_rates && i < CETD_POLICY_RATES_MAX; i++) {
		const struct cetd_bucket *b = state->buckets + i;

		if (state->generation != vm->policy.generation || !b->storm_ns)
			continue;
		begin(vm, i, b->storm_ns);
		vm->storms[i].over = b->storm_over;
		vm->storms[i].is_start_told = true;
		vm->storms[i].is_adopted = true;
	}
}

int storms_set_policy(struct storms *s, uint64_t key, const struct cetd_policy *policy,
		      bool is_known, const struct cetd_policy_state *state, uint64_t now_ns)
{
	struct storms_vm *vm = find(s, key);

	if (!vm) {
		vm = calloc(1, sizeof(*vm));
		if (!vm)
			return -ENOMEM;
		vm->key = key;
		vm->policy = *policy;
		HASH_ADD(hh, s->vms, key, sizeof(vm->key), vm);
		if (state)
			adopt(vm, state);
	}
	if (vm->policy.generation != policy->generation)
		end_all(s, vm, STORM_END_POLICY, now_ns);
	vm->policy = *policy;
	vm->is_known |= is_known;
	for (unsigned int i = 0; i < CETD_POLICY_RATES_MAX; i++)
		tell(s, vm, vm->storms + i);
	return 0;
}

void storms_remove(struct storms *s, uint64_t key, enum storm_end why, uint64_t now_ns)
{
	struct storms_vm *vm = find(s, key);

	if (!vm)
		return;
	end_all(s, vm, why, now_ns);
	HASH_DEL(s->vms, vm);
	free(vm);
}

static void note_fault(struct storm *t, const struct cetd_storm *m)
{
	t->rip = m->rip;
	t->vcpu = m->vcpu;
	t->error_code = m->error_code;
	t->cpl = m->cpl;
	t->has_fault = true;
}

void storms_take_message(struct storms *s, const struct cetd_storm *m)
{
	struct storms_vm *vm = find(s, m->key);
	struct storm *t;

	if (!vm || m->rate >= CETD_POLICY_RATES_MAX || !m->since_ns)
		return;
	t = vm->storms + m->rate;
	/* One that has been seen: nothing is new but its end. */
	if (m->since_ns <= t->since_ns) {
		if (m->since_ns == t->since_ns && m->type == CETD_STORM_ENDED && is_active(t)) {
			t->over = m->over;
			end(s, vm, t, STORM_END_QUIET, m->time_ns);
		}
		/* The state was read before this came; or no earlier daemon has read it. */
		if (m->since_ns == t->since_ns && m->type == CETD_STORM_STARTED) {
			note_fault(t, m);
			t->is_start_told &= !t->is_adopted;
			t->is_adopted = false;
			tell(s, vm, t);
		}
		return;
	}
	end(s, vm, t, STORM_END_QUIET, m->time_ns);
	begin(vm, m->rate, m->since_ns);
	t->over = m->over;
	t->then = m->then < _CETD_THEN_MAX ? m->then : CETD_THEN_ALERT;
	t->mode = m->mode < _CETD_MODE_MAX ? m->mode : CETD_MODE_MONITOR;
	if (m->type == CETD_STORM_STARTED)
		note_fault(t, m);
	tell(s, vm, t);
	if (m->type == CETD_STORM_ENDED)
		end(s, vm, t, STORM_END_QUIET, m->time_ns);
	else if (m->generation != vm->policy.generation)
		end(s, vm, t, STORM_END_POLICY, m->time_ns);
}

static void take_bucket(struct storms *s, struct storms_vm *vm, unsigned int i, uint64_t now_ns)
{
	const struct cetd_bucket *b = vm->state.buckets + i;
	struct storm *t = vm->storms + i;

	if (b->storm_ns > t->since_ns) {
		/* Its message was lost. */
		end(s, vm, t, STORM_END_QUIET, b->storm_ns);
		begin(vm, i, b->storm_ns);
		t->over = b->storm_over;
		tell(s, vm, t);
	}
	if (!is_active(t) || (b->storm_ns && b->storm_ns < t->since_ns))
		return;
	t->over = b->storm_over;
	if (!b->storm_ns)
		end(s, vm, t, STORM_END_QUIET, now_ns);
	else if (cetd_storm_is_over(vm->policy.rates + i, b, now_ns))
		end(s, vm, t, STORM_END_QUIET, b->over_ns + vm->policy.rates[i].quiet_ns);
}

void storms_take_state(struct storms *s, uint64_t key, const struct cetd_policy_state *state,
		       uint64_t now_ns)
{
	struct storms_vm *vm = find(s, key);

	if (!vm)
		return;
	vm->state = *state;
	vm->has_state = true;
	/* Until the first fault under new rates the buckets are those of the old ones. */
	if (state->generation != vm->policy.generation)
		return;
	for (unsigned int i = 0; i < vm->policy.n_rates && i < CETD_POLICY_RATES_MAX; i++)
		take_bucket(s, vm, i, now_ns);
}

const struct storms_vm *storms_find(const struct storms *s, uint64_t key)
{
	return s ? find(s, key) : NULL;
}

unsigned int storms_count_active(const struct storms_vm *vm)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < CETD_POLICY_RATES_MAX; i++)
		n += is_active(vm->storms + i);
	return n;
}

uint64_t storms_count(const struct storms_vm *vm)
{
	uint64_t n = 0;

	for (int then = 0; then < _CETD_THEN_MAX; then++)
		n += vm->state.storms[0][then] + vm->state.storms[1][then];
	return n;
}

const struct storms_vm *storms_next(const struct storms *s, const struct storms_vm *after)
{
	return after ? after->hh.next : s->vms;
}

uint64_t storms_vm_next_ns(const struct storms_vm *vm)
{
	uint64_t next_ns = 0;

	for (unsigned int i = 0; i < CETD_POLICY_RATES_MAX; i++) {
		const struct cetd_bucket *b = vm->state.buckets + i;
		const struct storm *t = vm->storms + i;
		/* Where it has not been read since, the storm is as young as it can be. */
		uint64_t over_ns = b->storm_ns == t->since_ns ? b->over_ns : t->since_ns;
		uint64_t end_ns = MAX(over_ns, t->since_ns) + vm->policy.rates[i].quiet_ns;

		if (is_active(t) && (!next_ns || end_ns < next_ns))
			next_ns = end_ns;
	}
	return next_ns;
}

uint64_t storms_next_ns(const struct storms *s)
{
	uint64_t next_ns = 0;

	for (const struct storms_vm *vm = s->vms; vm; vm = vm->hh.next) {
		uint64_t vm_ns = storms_vm_next_ns(vm);

		if (vm_ns && (!next_ns || vm_ns < next_ns))
			next_ns = vm_ns;
	}
	return next_ns;
}
