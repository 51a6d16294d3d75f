// SPDX-License-Identifier: GPL-2.0-only
/* A report on a VM in words. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "doc.h"
#include "explain.h"
#include "text.h"

#define WIDTH 96
#define CAUSES_SHOWN 4

/* What is read on the way out: the report, and how it is to look. */
struct page {
	FILE *f;
	const struct options *options;
	json_object *report;
};

/* Text wrapped at spaces, its first line after lead, the others as far to the right. */
static void put(const struct page *p, const char *lead, const char *format, ...) _printf_(3, 4);
static void put(const struct page *p, const char *lead, const char *format, ...)
{
	_cleanup_(freep) char *raw = NULL, *safe = NULL;
	unsigned int room = WIDTH - (unsigned int)strlen(lead);
	const char *s;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&raw, format, ap);
	va_end(ap);
	if (r < 0)
		raw = NULL;
	safe = raw ? text_clean(raw) : NULL;
	s = safe ?: "out of memory";
	fputs(lead, p->f);
	for (;;) {
		size_t n = text_clip(s, room), cut = n;

		if (s[n] && s[n] != ' ') {
			while (cut > 0 && s[cut - 1] != ' ')
				cut--;
			/* A word that is longer than a line is not cut: it may be a command. */
			if (!cut)
				cut = n + strcspn(s + n, " ");
		}
		n = cut;
		while (n > 0 && s[n - 1] == ' ')
			n--;
		fprintf(p->f, "%.*s\n", (int)n, s);
		s += cut;
		s += strspn(s, " ");
		if (!*s)
			break;
		fprintf(p->f, "%*s", (int)strlen(lead), "");
	}
}

/* A command stands on a line of its own, whole, so that it can be copied. Where it is to be run is the prompt. */
static void put_command(const struct page *p, const char *indent, json_object *o)
{
	const char *command = doc_text(o, "command"), *where = doc_text(o, "where");
	_cleanup_(freep) char *safe = command ? text_clean(command) : NULL;

	if (safe)
		fprintf(p->f, "%s%s$ %s\n", indent, where ?: "", safe);
}

static void put_heading(const struct page *p, const char *text)
{
	_cleanup_(freep) char *safe = text_clean(text);

	fprintf(p->f, "\n%s%s%s\n", p->options->is_color ? "\033[1m" : "", safe ?: "",
		p->options->is_color ? "\033[0m" : "");
}

/* "0, 1, 2 and 5 more" */
static void list_numbers(json_object *array, char *buf, size_t size)
{
	size_t n = doc_length(array), done = 0;

	*buf = 0;
	for (size_t i = 0; i < n && i < 8 && done < size; i++)
		done += (size_t)snprintf(
			buf + done, size - done, "%s%" PRIu64, i ? ", " : "",
			json_object_get_uint64(json_object_array_get_idx(array, i)));
	if (n > 8 && done < size)
		snprintf(buf + done, size - done, " and %zu more", n - 8);
}

/* "0xffffffff81000010 (do_thing+0x10)" */
static char *address(json_object *rip)
{
	const char *symbol = doc_text(rip, "symbol");
	char *text = NULL;

	if (asprintf(&text, "%s%s%s%s", doc_text(rip, "rip") ?: "-", symbol ? " (" : "",
		     symbol ?: "", symbol ? ")" : "") < 0)
		return NULL;
	return text;
}

static void put_when(const struct page *p, json_object *f)
{
	uint64_t first = doc_number(f, "first_usec"), last = doc_number(f, "last_usec"),
		 recorded = doc_number(f, "recorded"), count;
	bool has_count = doc_sum(f, "count", &count), is_known = doc_is_true(f, "is_first_known");
	json_object *rate = doc_get(f, "per_second");
	char since[32], until[32], age[32], often[64] = "";

	if (!has_count)
		count = recorded;
	if (json_object_is_type(rate, json_type_double))
		snprintf(often, sizeof(often),
			 json_object_get_double(rate) < 10 ? ", %.2g a second" : ", %.0f a second",
			 json_object_get_double(rate));
	if (!first) {
		put(p, "  How often  ", "%" PRIu64 " time%s; %s", count, count == 1 ? "" : "s",
		    doc_is_true(p->report, "has_addresses") ? "none is on record any more"
							    : "when and where is for root to see");
		return;
	}
	text_time(since, sizeof(since), first, false);
	text_time(until, sizeof(until), last, false);
	text_age(age, sizeof(age), last, doc_number(p->report, "now_usec"));
	if (count == 1 && is_known)
		put(p, "  How often  ", "once, at %s (%s)", until, age);
	else if (is_known)
		put(p, "  How often  ", "%" PRIu64 " times, from %s to %s (%s)%s", count, since,
		    until, age, often);
	else if (recorded == 1)
		put(p, "  How often  ",
		    "%" PRIu64 " times; only the latest is on record, of %s (%s)", count, until,
		    age);
	else
		put(p, "  How often  ",
		    "%" PRIu64 " time%s; the %" PRIu64 " latest on record are from %s to %s (%s)%s",
		    count, count == 1 ? "" : "s", recorded, since, until, age, often);
}

static void put_where(const struct page *p, json_object *f)
{
	json_object *rips = doc_get(f, "rips");
	size_t n = doc_length(rips);
	uint64_t all = doc_number(f, "distinct_rips"), recorded = doc_number(f, "recorded"),
		 nested = doc_number(f, "nested"), enclave = doc_number(f, "enclave");
	const char *is = doc_text(f, "rip_is"), *lead = "  Where      ";
	char vcpus[128], cpls[32];

	if (!recorded)
		return;
	for (size_t i = 0; i < n && i < 5; i++) {
		json_object *rip = json_object_array_get_idx(rips, i);
		_cleanup_(freep) char *text = address(rip);

		if (i)
			put(p, lead, "RIP %s, %" PRIu64 " of %" PRIu64, text ?: "-",
			    doc_number(rip, "count"), recorded);
		else
			put(p, lead, "RIP %s, %" PRIu64 " of %" PRIu64 ": %s", text ?: "-",
			    doc_number(rip, "count"), recorded, is ?: "-");
		lead = "             ";
	}
	if (n && all > 5) {
		put(p, lead, "and %" PRIu64 " more address%s", all - 5, all == 6 ? "" : "es");
	} else if (!n) {
		put(p, lead, "the address is not known");
		lead = "             ";
	}
	list_numbers(doc_get(f, "vcpus"), vcpus, sizeof(vcpus));
	list_numbers(doc_get(f, "cpls"), cpls, sizeof(cpls));
	put(p, lead, "vCPU %s, CPL %s%s", *vcpus ? vcpus : "not known", *cpls ? cpls : "not known",
	    nested == recorded ? ", in a nested guest"
	    : nested	       ? ", some in a nested guest"
			       : "");
	if (enclave)
		put(p, "             ", "%" PRIu64 " of %" PRIu64 " in an enclave", enclave,
		    recorded);
}

static void put_causes(const struct page *p, json_object *causes)
{
	size_t n = doc_length(causes);

	if (n)
		fputs("  Likely causes, the likeliest first:\n", p->f);
	for (size_t i = 0; i < n && i < CAUSES_SHOWN; i++) {
		json_object *cause = json_object_array_get_idx(causes, i),
			    *reasons = doc_get(cause, "reasons");
		size_t n_reasons = doc_length(reasons), done = 0;
		char lead[32], why[512] = "";

		for (size_t j = 0; j < n_reasons && done < sizeof(why); j++)
			done += (size_t)snprintf(
				why + done, sizeof(why) - done, "%s%s", j ? "; " : "",
				json_object_get_string(json_object_array_get_idx(reasons, j)));
		snprintf(lead, sizeof(lead), "  %3zu. ", i + 1);
		put(p, lead, "%s", doc_text(cause, "text"));
		if (*why)
			put(p, "       For it: ", "%s.", why);
		put(p, "       ", "%s", doc_text(cause, "check"));
		put_command(p, "       ", cause);
	}
	if (n > CAUSES_SHOWN)
		put(p, "       ", "Less likely ones: %zu, see --json.", n - CAUSES_SHOWN);
}

static void put_finding(const struct page *p, json_object *f, size_t number)
{
	const char *type = doc_text(f, "type"), *privilege = doc_text(f, "privilege");
	_cleanup_(freep) char *title = NULL;
	bool is_injected = type && !strcmp(type, "injected");
	const char *who = !privilege			     ? ""
			  : !strcmp(privilege, "supervisor") ? ", in the guest's kernel"
			  : !strcmp(privilege, "user")	     ? ", in a program of the guest"
							     : "";

	if (asprintf(&title, "%zu. %s%s%s%s%s", number, doc_text(f, "title") ?: "", who,
		     is_injected ? "" : " (", is_injected ? "" : doc_text(f, "kind") ?: "",
		     is_injected ? "" : ")") < 0)
		title = NULL;
	put_heading(p, title ?: "");
	put_when(p, f);
	put_where(p, f);
	put(p, "  Meaning    ", "%s", doc_text(f, "meaning") ?: "-");
	put_causes(p, doc_get(f, "causes"));
}

static void put_rips(const struct page *p)
{
	json_object *rips = doc_get(p->report, "top_rips");
	size_t n = doc_length(rips);

	if (!n)
		return;
	put_heading(p, "The most frequent addresses of all faults");
	for (size_t i = 0; i < n; i++) {
		json_object *rip = json_object_array_get_idx(rips, i);
		uint64_t count = doc_number(rip, "count"), least = doc_number(rip, "at_least");
		_cleanup_(freep) char *text = address(rip);

		if (least == count && count == 1)
			put(p, "  ", "%s: once", text ?: "-");
		else if (least == count)
			put(p, "  ", "%s: %" PRIu64 " times", text ?: "-", count);
		else
			put(p, "  ", "%s: %" PRIu64 " to %" PRIu64 " times", text ?: "-", least,
			    count);
	}
}

static void put_symbols(const struct page *p)
{
	json_object *s = doc_get(p->report, "symbols");
	const char *offset = doc_text(s, "offset");

	if (!s)
		return;
	put_heading(p, "Symbols");
	put(p, "  ", "%s: %" PRIu64 " symbols of code, %s%s; %s.", doc_text(s, "file") ?: "-",
	    doc_number(s, "count"), offset ? "offset " : "none used", offset ?: "",
	    doc_text(s, "assumed") ?: "-");
}

static void put_strings(const struct page *p, const char *title, json_object *array)
{
	size_t n = doc_length(array);

	if (n)
		put_heading(p, title);
	for (size_t i = 0; i < n; i++)
		put(p, "  ", "%s", json_object_get_string(json_object_array_get_idx(array, i)));
}

void explain_print(FILE *f, const struct options *options, json_object *report)
{
	const struct page p = {f, options, report};
	json_object *findings = doc_get(report, "findings"), *next = doc_get(report, "next");
	size_t n = doc_length(findings);

	if (options->has_legend)
		put(&p, "", "%s (%s, pid %" PRIu64 "): %s",
		    doc_text(report, "vm.name") ?: doc_text(report, "vm.id") ?: "-",
		    doc_text(report, "vm.vmm") ?: "-", doc_number(report, "vm.pid"),
		    doc_text(report, "headline") ?: "");
	else
		put(&p, "", "%s", doc_text(report, "headline") ?: "");
	for (size_t i = 0; i < n; i++)
		put_finding(&p, json_object_array_get_idx(findings, i), i + 1);
	put_rips(&p);
	put_symbols(&p);
	put_strings(&p, "What the policy did", doc_get(report, "policy.text"));
	put_strings(&p, "Also", doc_get(report, "notes"));
	put_heading(&p, "What to do next");
	n = doc_length(next);
	for (size_t i = 0; i < n; i++) {
		json_object *step = json_object_array_get_idx(next, i);

		put(&p, "  - ", "%s", doc_text(step, "text"));
		put_command(&p, "    ", step);
	}
}
