// SPDX-License-Identifier: GPL-2.0-only
/* Validation of messages before they touch the model. */
#include <errno.h>
#include <stdbool.h>

#include "model/valid.h"
#include "util/macro.h"
#include "util/utf8.h"

/* They go to terminals, the journal and the bus as they are. */
#define STRING_OK(field) utf8_is_clean(field, sizeof(field))

int message_payload_size(unsigned int type)
{
	static const unsigned int sizes[_CETD_MESSAGE_MAX] = {
		[CETD_MESSAGE_HOST] = sizeof(struct cetd_host),
		[CETD_MESSAGE_VM_ADD] = sizeof(struct cetd_identity),
		[CETD_MESSAGE_VM_REMOVE] = sizeof(__u64),
		[CETD_MESSAGE_COUNTERS] = sizeof(struct cetd_counters_message),
		[CETD_MESSAGE_HISTORY] = sizeof(struct cetd_history_message),
		[CETD_MESSAGE_EVENT] = sizeof(struct cetd_event),
		[CETD_MESSAGE_LOST] = sizeof(struct cetd_lost_message),
		[CETD_MESSAGE_SETTLED] = 0,
	};

	if (type < CETD_MESSAGE_HOST || type >= _CETD_MESSAGE_MAX)
		return -EBADMSG;
	return (int)sizes[type];
}

static bool host_is_valid(const struct cetd_host *h)
{
	if (!STRING_OK(h->kernel_release) || !STRING_OK(h->kvm_vendor) ||
	    h->family >= _CETD_FAMILY_MAX || h->guest_cet >= _CETD_GUEST_CET_MAX ||
	    h->n_causes > CETD_CAUSES_MAX)
		return false;
	for (int f = 0; f < _CETD_FACT_MAX; f++)
		if (h->facts[f].state >= _CETD_COVERAGE_MAX || !STRING_OK(h->facts[f].reason))
			return false;
	for (__u32 i = 0; i < h->n_causes; i++)
		if (!STRING_OK(h->causes[i].code) || !STRING_OK(h->causes[i].text) ||
		    !STRING_OK(h->causes[i].advice))
			return false;
	return true;
}

static bool identity_is_valid(const struct cetd_identity *i)
{
	return STRING_OK(i->id) && i->id[0] && STRING_OK(i->name) && STRING_OK(i->uuid) &&
	       STRING_OK(i->unit) && STRING_OK(i->vmm) && STRING_OK(i->cgroup) &&
	       i->attribution < _CETD_ATTRIBUTION_MAX && i->vms_in_process > 0;
}

static bool event_is_valid(const struct cetd_event *e)
{
	return e->type < _CETD_EVENT_MAX && e->kind < _CETD_KIND_MAX && e->msr < _CETD_MSR_MAX &&
	       e->action < _CETD_ACTION_MAX && (e->cpl <= 3 || e->cpl == CETD_CPL_UNKNOWN);
}

/* Slots that were never written are all zero, which is valid too. */
static bool history_is_valid(const struct cetd_history *h)
{
	for (int i = 0; i < CETD_HISTORY_FAULTS; i++)
		if (!event_is_valid(&h->faults[i]))
			return false;
	return true;
}

int message_validate(const struct cetd_message *message)
{
	const struct cetd_history_message *h = message->payload;
	int size = message_payload_size(message->type);
	bool ok = true;

	if (size < 0 || message->size != (unsigned int)size)
		return -EBADMSG;
	if (message->type == CETD_MESSAGE_HOST)
		ok = host_is_valid(message->payload);
	else if (message->type == CETD_MESSAGE_VM_ADD)
		ok = identity_is_valid(message->payload);
	else if (message->type == CETD_MESSAGE_EVENT)
		ok = event_is_valid(message->payload);
	else if (message->type == CETD_MESSAGE_HISTORY)
		ok = history_is_valid(&h->history);
	return ok ? 0 : -EBADMSG;
}
