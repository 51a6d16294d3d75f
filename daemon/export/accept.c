// SPDX-License-Identifier: GPL-2.0-only
/* Content negotiation for /metrics (RFC 9110, "Accept"). */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "export/accept.h"
#include "util/macro.h"

#define WEIGHT_MAX 1000

/* A stretch of the header; not NUL-terminated. */
struct span {
	const char *start, *end;
};

static struct span span_strip(struct span s)
{
	while (s.start < s.end && (*s.start == ' ' || *s.start == '\t'))
		s.start++;
	while (s.end > s.start && (s.end[-1] == ' ' || s.end[-1] == '\t'))
		s.end--;
	return s;
}

/* Cut what stands before the next separator off rest; quoted separators do not count. */
static bool span_cut(struct span *rest, char separator, struct span *ret)
{
	const char *p = rest->start;
	bool is_quoted = false;

	if (p >= rest->end)
		return false;
	for (; p < rest->end && (is_quoted || *p != separator); p++) {
		if (*p == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && *p == '\\' && p + 1 < rest->end)
			p++;
	}
	*ret = span_strip((struct span){rest->start, p});
	rest->start = p < rest->end ? p + 1 : p;
	return true;
}

static bool span_equal(struct span s, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(s.end - s.start) == n && !strncasecmp(s.start, text, n);
}

/* qvalue: "0" or "1", with up to three decimals, at most 1. Thousandths, or -1. */
static int weight_from_span(struct span s)
{
	int weight, unit = WEIGHT_MAX;

	if (s.start == s.end || (*s.start != '0' && *s.start != '1'))
		return -1;
	weight = (*s.start++ - '0') * WEIGHT_MAX;
	if (s.start < s.end && *s.start++ != '.')
		return -1;
	for (; s.start < s.end; s.start++) {
		unit /= 10;
		if (*s.start < '0' || *s.start > '9' || unit == 0)
			return -1;
		weight += (*s.start - '0') * unit;
	}
	return weight <= WEIGHT_MAX ? weight : -1;
}

/* Read the parameters of a media range: its weight, -1 where malformed, and its version if it has one. */
static int read_parameters(struct span rest, struct span *ret_version)
{
	struct span parameter;
	int weight = WEIGHT_MAX;

	*ret_version = (struct span){NULL, NULL};
	while (span_cut(&rest, ';', &parameter)) {
		struct span name, value = parameter;

		if (!span_cut(&value, '=', &name))
			continue;
		value = span_strip(value);
		if (value.end - value.start >= 2 && *value.start == '"' && value.end[-1] == '"')
			value = (struct span){value.start + 1, value.end - 1};
		if (span_equal(name, "version"))
			*ret_version = value;
		else if (span_equal(name, "q"))
			weight = weight_from_span(value);
	}
	return weight;
}

void accept_init(struct accept *a)
{
	*a = (struct accept){-1, -1, -1, -1};
}

void accept_add(struct accept *a, const char *header)
{
	struct span rest = {header, header + strlen(header)}, range, type, version;

	while (span_cut(&rest, ',', &range)) {
		int *slot = NULL;
		int weight;

		if (!span_cut(&range, ';', &type))
			continue;
		weight = read_parameters(range, &version);
		if (span_equal(type, "application/openmetrics-text") &&
		    (!version.start || span_equal(version, "1.0.0")))
			slot = &a->openmetrics;
		else if (span_equal(type, "text/plain") &&
			 (!version.start || span_equal(version, "0.0.4")))
			slot = &a->text;
		else if (span_equal(type, "text/*"))
			slot = &a->text_any;
		else if (span_equal(type, "*/*"))
			slot = &a->any;
		if (slot)
			*slot = MAX(*slot, weight);
	}
}

enum metrics_format accept_choose(const struct accept *a)
{
	int text = a->text >= 0 ? a->text : a->text_any >= 0 ? a->text_any : a->any;

	return a->openmetrics > 0 && a->openmetrics >= text ? METRICS_FORMAT_OPENMETRICS
							    : METRICS_FORMAT_TEXT;
}
