// SPDX-License-Identifier: GPL-2.0-only
/* Filling struct cetd_host: bounded strings, bounded causes. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "source/source.h"

void host_add_cause(struct cetd_host *host, const char *code, const char *advice,
		    const char *format, ...)
{
	struct cetd_cause *c = host->causes + host->n_causes;
	va_list ap;

	for (uint32_t i = 0; i < host->n_causes; i++)
		if (!strcmp(host->causes[i].code, code))
			return;
	if (host->n_causes == CETD_CAUSES_MAX)
		return;

	snprintf(c->code, sizeof(c->code), "%s", code);
	snprintf(c->advice, sizeof(c->advice), "%s", advice);
	va_start(ap, format);
	vsnprintf(c->text, sizeof(c->text), format, ap);
	va_end(ap);
	host->n_causes++;
}

void host_set_fact(struct cetd_host *host, enum cetd_fact fact, enum cetd_coverage state,
		   const char *format, ...)
{
	va_list ap;

	host->facts[fact].state = state;
	va_start(ap, format);
	vsnprintf(host->facts[fact].reason, sizeof(host->facts[fact].reason), format, ap);
	va_end(ap);
}
