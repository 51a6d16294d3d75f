// SPDX-License-Identifier: GPL-2.0-only
/* The screen of cetctl top: a header, the rows that fit, a line of help. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "columns.h"
#include "doc.h"
#include "term.h"
#include "text.h"
#include "view.h"

/*
 * Replace the screen's line, in colour or not, by at most width columns. Cleared first: to clear what
 * is left of a full line would take its last character.
 */
static void put_line(FILE *f, const char *sequence, unsigned int width, const char *format, ...)
	_printf_(4, 5);

static void put_line(FILE *f, const char *sequence, unsigned int width, const char *format, ...)
{
	_cleanup_(freep) char *raw = NULL, *safe = NULL;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&raw, format, ap);
	va_end(ap);
	if (r < 0) {
		raw = NULL;
		return;
	}
	safe = text_clean(raw);
	if (!safe)
		return;
	safe[text_clip(safe, width)] = 0;
	fprintf(f, "\033[2K%s%s%s\r", sequence, safe, *sequence ? "\033[0m" : "");
}

static void put_header(const struct view *view, FILE *f, unsigned int width)
{
	json_object *d = view->snapshot, *vms = doc_get(d, "vms");
	size_t n = doc_length(vms);
	const char *bold = view->options->is_color ? "\033[1m" : "";
	const char *alarm = view->options->is_color ? "\033[1;33m" : "\033[7m";
	time_t now = time(NULL);
	uint64_t cp = 0, lost = 0;
	struct tm tm = {};
	char clock[16];

	localtime_r(&now, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	put_line(f, bold, width,
		 "cetctl top  %s  cetd %s  kernel %s  tracepoints: %s  guest CET: %s", clock,
		 doc_text(d, "version") ?: "-", doc_text(d, "host.kernel_release") ?: "-",
		 doc_text(d, "host.family") ?: "-", doc_text(d, "host.guest_cet") ?: "-");
	fputc('\n', f);
	for (size_t i = 0; i < n; i++)
		cp += doc_number(json_object_array_get_idx(vms, i), "control_protection_total");
	doc_sum(doc_get(d, "events_lost"), NULL, &lost);
	if (doc_shows(doc_get(d, "host.coverage"), "hardware_cp"))
		put_line(f, "", width, "%zu VMs, %u use CET  #CP %" PRIu64 "  events lost %" PRIu64,
			 n, vm_count_uses(vms, "yes"), cp, lost);
	else
		put_line(f, "", width, "%zu VMs, %u use CET  #CP - (%s)  events lost %" PRIu64, n,
			 vm_count_uses(vms, "yes"),
			 doc_text(d, "host.coverage.hardware_cp.reason") ?: "unobservable", lost);
	fputc('\n', f);
	if (view->trouble)
		put_line(f, alarm, width, "%s", view->trouble);
	else if (doc_is_true(d, "replayed"))
		put_line(f, alarm, width, "REPLAYED from %s: not what happens on the host now",
			 doc_text(d, "recording") ?: "a recording");
	else
		put_line(f, "", width, "%s", "");
	fputc('\n', f);
}

void view_draw(struct view *view)
{
	_cleanup_(freep) char *table = NULL;
	json_object *vms = doc_get(view->snapshot, "vms");
	size_t n = doc_length(vms), room, size = 0, table_size = 0;
	const struct table *t = &view->table;
	unsigned int width, height;
	char *screen = NULL;
	FILE *f, *g;

	term_size(&width, &height);
	/* Three lines above, the headings, one line below. */
	room = height > 5 ? height - 5 : 0;
	if (view->scroll + room > n)
		view->scroll = n > room ? n - room : 0;

	f = open_memstream(&screen, &size);
	g = open_memstream(&table, &table_size);
	if (!f || !g)
		goto out;
	fputs("\033[H", f);
	put_header(view, f, width);
	if (n && room)
		table_print(g, t, view->options, vms, view->scroll, room, width);
	fclose(g);
	g = NULL;
	for (char *line = table, *end; line && *line; line = end) {
		bool is_last;

		end = strchrnul(line, '\n');
		is_last = !*end;
		*end = 0;
		fprintf(f, "\033[2K%.*s%s\r\n", (int)text_clip(line, width), line,
			view->options->is_color ? "\033[0m" : "");
		end += !is_last;
	}
	fputs("\033[J", f);
	if (height > 5) {
		fprintf(f, "\033[%u;1H", height);
		put_line(f, "", width,
			 "%zu-%zu of %zu  sort by: %s%s  q quit  < > column  R reverse  c #CP  "
			 "r #CP/s  m MSR  n name",
			 n ? view->scroll + 1 : 0,
			 view->scroll + room < n ? view->scroll + room : n, n,
			 t->sort ? t->sort->title : "-", t->is_descending ? " (desc)" : "");
	}
out:
	if (g)
		fclose(g);
	if (f) {
		fclose(f);
		fwrite(screen, 1, size, stdout);
		fflush(stdout);
	}
	free(screen);
}
