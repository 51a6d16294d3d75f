// SPDX-License-Identifier: GPL-2.0-only
/* What an operator set for one VM, for how long. */
#include <string.h>

#include "policy/policy.h"

void policy_override_set(struct policy_override *o, enum policy_lifetime lifetime,
			 const struct policy_values *values, uint64_t until_usec)
{
	struct policy_layer *layer = o->layers + lifetime;

	for (int s = 0; s < POLICY_OVERRIDABLE_MAX; s++) {
		if (!(values->sets & 1U << s))
			continue;
		policy_values_take(&layer->values, values, s);
		layer->until_usec[s] = until_usec;
	}
}

uint32_t policy_override_clear(struct policy_override *o, uint32_t lifetimes, uint32_t settings)
{
	uint32_t lost = 0;

	for (int l = 0; l < _POLICY_LIFETIME_MAX; l++) {
		uint32_t *sets = &o->layers[l].values.sets;

		if (!(lifetimes & 1U << l) || !(*sets & settings))
			continue;
		*sets &= ~settings;
		lost |= 1U << l;
	}
	return lost;
}

uint32_t policy_override_expire(struct policy_override *o, uint64_t now_usec)
{
	uint32_t lost = 0;

	for (int l = 0; l < _POLICY_LIFETIME_MAX; l++)
		for (int s = 0; s < POLICY_OVERRIDABLE_MAX; s++)
			if (policy_layer_has_ended(o->layers + l, s, now_usec))
				lost |= policy_override_clear(o, 1U << l, 1U << s);
	return lost;
}

uint64_t policy_override_next_usec(const struct policy_override *o)
{
	uint64_t next = 0;

	for (int l = 0; l < _POLICY_LIFETIME_MAX; l++)
		for (int s = 0; s < POLICY_OVERRIDABLE_MAX; s++) {
			uint64_t until = o->layers[l].until_usec[s];

			if (o->layers[l].values.sets & 1U << s && until && (!next || until < next))
				next = until;
		}
	return next;
}

bool policy_override_is_empty(const struct policy_override *o)
{
	for (int l = 0; l < _POLICY_LIFETIME_MAX; l++)
		if (o->layers[l].values.sets)
			return false;
	return true;
}
