// SPDX-License-Identifier: GPL-2.0-only
/* A bounded list of reasons; what does not fit turns into a full scan. */
#include <string.h>

#include "source/requests.h"
#include "util/macro.h"

#define RETRY_NS (20 * NSEC_PER_MSEC) /* doubled with each try */

static void set_due(struct requests *r, uint64_t due_ns)
{
	if (!r->due_ns || due_ns < r->due_ns)
		r->due_ns = due_ns;
}

void requests_add_all(struct requests *r, uint64_t due_ns)
{
	r->want_all = true;
	set_due(r, due_ns);
}

void requests_add(struct requests *r, const struct request *request, uint64_t due_ns)
{
	set_due(r, due_ns);
	for (unsigned int i = 0; i < r->n; i++) {
		struct request *other = r->list + i;

		if (other->pid != request->pid || other->key != request->key ||
		    other->is_create != request->is_create)
			continue;
		/* The older count stands: more VMs than that answer both. */
		other->tries = 0;
		return;
	}
	if (r->n == REQUESTS_MAX) {
		r->want_all = true;
		return;
	}
	r->list[r->n] = *request;
	r->list[r->n++].tries = 0;
}

bool requests_need_all(const struct requests *r)
{
	if (r->want_all || r->n > REQUESTS_SINGLE_MAX)
		return true;
	for (unsigned int i = 0; i < r->n; i++)
		if (!r->list[i].pid)
			return true;
	return false;
}

int requests_settle(struct requests *r, uint64_t now_ns,
		    bool (*is_satisfied)(void *userdata, const struct request *request),
		    int (*give_up)(void *userdata, const struct request *request), void *userdata)
{
	unsigned int kept = 0;
	int error = 0;

	r->want_all = false;
	r->due_ns = 0;
	for (unsigned int i = 0; i < r->n; i++) {
		struct request *request = r->list + i;

		if (is_satisfied(userdata, request))
			continue;
		if (++request->tries < REQUESTS_TRIES_MAX) {
			set_due(r, now_ns + (RETRY_NS << (request->tries - 1)));
			r->list[kept++] = *request;
		} else if (error >= 0)
			error = give_up(userdata, request);
	}
	r->n = kept;
	return error < 0 ? error : 0;
}
