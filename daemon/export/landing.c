// SPDX-License-Identifier: GPL-2.0-only
/* The page that a browser finds at the exporter's address. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cetd/names.h"

#include "export/landing.h"
#include "export/text.h"
#include "util/macro.h"

/* What has data-live is taken over by the script when it changes; data-count is a counter to draw the rate of. */
static const char head[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n"
	"<title>cetd</title>\n"
	"<link rel=\"icon\" href=\"data:,\">\n"
	"<link rel=\"stylesheet\" href=\"page.css\">\n"
	"<script src=\"page.js\" defer></script>\n"
	"</head>\n"
	"<body>\n"
	"<a class=\"skip\" href=\"#vms\">Skip to the VMs</a>\n";

struct row {
	const struct vm *vm;
	const struct storms_vm *storms; /* NULL: no policy of its own is in the kernel */
	uint64_t keys[4];		/* the greatest come first */
};

struct view {
	struct text t;
	const struct model *model;
	const struct metrics_context *context;
	struct row *vms; /* all, sorted */
	size_t n_vms;
	unsigned int page, n_pages;
};

static void write_cell(struct text *t, const char *value)
{
	text_puts(t, "<td>");
	text_html(t, value[0] ? value : "-");
	text_puts(t, "</td>");
}

/* In groups of three digits. What the kernel does not show is a dash, never 0. */
static void write_grouped(struct text *t, bool is_shown, uint64_t value)
{
	char digits[32];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);

	if (!is_shown) {
		text_puts(t, "-");
		return;
	}
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			text_puts(t, ",");
		text_append(t, digits + i, 1);
	}
}

static void write_number(struct text *t, bool is_shown, uint64_t value)
{
	text_puts(t, "<td class=\"number\">");
	write_grouped(t, is_shown, value);
	text_puts(t, "</td>");
}

/* Counts since when they were 0, for the script. */
static void write_data_count(struct text *t, bool is_shown, uint64_t value)
{
	if (!is_shown)
		return;
	text_puts(t, " data-count=\"");
	text_u64(t, value);
	text_puts(t, "\"");
}

/* A counter, and the cell in which the script draws its rate. */
static void write_counter(struct text *t, bool is_shown, uint64_t value)
{
	write_number(t, is_shown, value);
	text_puts(t, "<td class=\"trend\"");
	write_data_count(t, is_shown, value);
	text_puts(t, "></td>");
}

static void write_header(struct view *v)
{
	const struct model *m = v->model;
	struct text *t = &v->t;

	text_puts(t, "<header>\n<h1>cetd <small>");
	text_html(t, v->context->version);
	text_puts(t, "</small></h1>\n<p>Intel CET in the KVM guests of this host, as far as its "
		     "kernel shows it.</p>\n");
	if (m->is_replayed)
		text_puts(t, "<p class=\"notice\"><strong>Replayed: everything here comes from a "
			     "recording.</strong></p>\n");
	if (m->has_host) {
		text_puts(t, "<p>Kernel <b>");
		text_html(t, m->host.kernel_release);
		text_puts(t, "</b>, KVM: <b>");
		text_html(t, m->host.kvm_vendor);
		text_puts(t, "</b>, tracepoints: <b>");
		text_html(t, cetd_family_to_string((int)m->host.family));
		text_puts(t, "</b>, CET offered to guests: <b>");
		text_html(t, cetd_guest_cet_to_string((int)m->host.guest_cet));
		text_puts(t, "</b></p>\n");
	}
	text_puts(t, "<p id=\"status\" role=\"status\"></p>\n</header>\n");
}

static void write_tile(struct text *t, const char *name, bool is_shown, bool is_counter,
		       uint64_t value)
{
	text_puts(t, "<div><dt>");
	text_puts(t, name);
	text_puts(t, "</dt><dd>");
	write_grouped(t, is_shown, value);
	text_puts(t, "</dd>");
	if (is_counter) {
		text_puts(t, "<dd class=\"trend\" data-key=\"");
		text_puts(t, name);
		text_puts(t, "\"");
		write_data_count(t, is_shown, value);
		text_puts(t, "></dd>");
	}
	text_puts(t, "</div>\n");
}

static void write_now(struct view *v)
{
	const struct model *m = v->model;
	uint64_t cp = 0, injected = 0, msr = 0, faulting = 0, storms = 0, lost = 0;

	for (size_t i = 0; i < v->n_vms; i++) {
		uint64_t n = vm_cp_total(v->vms[i].vm);

		cp += n;
		faulting += n > 0;
		storms += v->vms[i].keys[0];
		injected += v->vms[i].vm->kernel.counters.injected;
		msr += vm_msr_total(v->vms[i].vm);
	}
	for (int i = 0; i < _CETD_LOST_MAX; i++)
		if (i != CETD_LOST_SAMPLE_BUDGET)
			lost += m->lost[i];
	text_puts(&v->t, "<section aria-labelledby=\"now\">\n<h2 id=\"now\">This host</h2>\n"
			 "<dl class=\"tiles\" id=\"tiles\" data-live>\n");
	write_tile(&v->t, "VMs", true, false, v->n_vms);
	write_tile(&v->t, "VMs with #CP", model_shows(m, CETD_FACT_HARDWARE_CP), false, faulting);
	write_tile(&v->t, "storms now", v->context->storms, false, storms);
	write_tile(&v->t, "#CP", model_shows(m, CETD_FACT_HARDWARE_CP), true, cp);
	write_tile(&v->t, "injected #CP", model_shows(m, CETD_FACT_INJECTED_CP), true, injected);
	write_tile(&v->t, "CET MSR accesses", model_shows(m, CETD_FACT_CET_MSR), true, msr);
	write_tile(&v->t, "events lost", true, true, lost);
	text_puts(&v->t, "</dl>\n</section>\n");
}

static void write_kinds(struct view *v)
{
	bool is_shown = model_shows(v->model, CETD_FACT_HARDWARE_CP);
	struct text *t = &v->t;

	text_puts(t,
		  "<section aria-labelledby=\"kinds\">\n<h2 id=\"kinds\">#CP by kind</h2>\n"
		  "<div class=\"wide\" role=\"group\" aria-labelledby=\"kinds\" tabindex=\"0\">\n"
		  "<table>\n<caption>Of all VMs there are now</caption>\n"
		  "<thead><tr><th scope=\"col\">kind</th>"
		  "<th scope=\"col\" class=\"number\">supervisor</th>"
		  "<th scope=\"col\" class=\"number\">user</th>"
		  "<th scope=\"col\" class=\"number\">both</th>"
		  "<th scope=\"col\" class=\"trend\">a second</th></tr></thead>\n"
		  "<tbody id=\"kind-rows\" data-live>\n");
	for (int kind = 0; kind < _CETD_KIND_MAX; kind++) {
		uint64_t n[_CETD_PRIVILEGE_MAX] = {0};

		for (size_t i = 0; i < v->n_vms; i++)
			for (int p = 0; p < _CETD_PRIVILEGE_MAX; p++)
				n[p] += v->vms[i].vm->kernel.counters.cp[kind][p];
		text_puts(t, "<tr data-key=\"kind ");
		text_puts(t, cetd_kind_to_string(kind));
		text_puts(t, "\"><th scope=\"row\">");
		text_puts(t, cetd_kind_to_string(kind));
		text_puts(t, "</th>");
		write_number(t, is_shown, n[CETD_PRIVILEGE_SUPERVISOR]);
		write_number(t, is_shown, n[CETD_PRIVILEGE_USER]);
		write_counter(t, is_shown, n[CETD_PRIVILEGE_SUPERVISOR] + n[CETD_PRIVILEGE_USER]);
		text_puts(t, "</tr>\n");
	}
	text_puts(t, "</tbody>\n</table>\n</div>\n</section>\n");
}

static void write_coverage(struct view *v)
{
	const struct model *m = v->model;
	struct text *t = &v->t;

	if (!m->has_host)
		return;
	text_puts(
		t,
		"<section aria-labelledby=\"coverage\">\n<h2 id=\"coverage\">Coverage</h2>\n"
		"<div class=\"wide\" role=\"group\" aria-labelledby=\"coverage\" tabindex=\"0\">\n"
		"<table>\n<caption>How far this kernel shows what guests do</caption>\n"
		"<thead><tr><th scope=\"col\">fact</th><th scope=\"col\">state</th>"
		"<th scope=\"col\">reason</th></tr></thead>\n<tbody id=\"facts\" data-live>\n");
	for (int f = 0; f < _CETD_FACT_MAX; f++) {
		const char *state = cetd_coverage_to_string((int)m->host.facts[f].state);

		text_puts(t, "<tr><th scope=\"row\">");
		text_puts(t, cetd_fact_to_string(f));
		text_puts(t, "</th><td class=\"state ");
		text_puts(t, state);
		text_puts(t, "\">");
		text_puts(t, state);
		text_puts(t, "</td>");
		write_cell(t, m->host.facts[f].reason);
		text_puts(t, "</tr>\n");
	}
	text_puts(t, "</tbody>\n</table>\n</div>\n</section>\n");
}

/* Of the policy's rates: how many have a storm now, else how many had one ever. */
static void write_storms(struct text *t, const struct storms_vm *storms)
{
	unsigned int active = storms ? storms_count_active(storms) : 0;

	text_puts(t, active ? "<td class=\"number storm\">" : "<td class=\"number\">");
	if (active)
		text_puts(t, "<strong>now</strong>, ");
	write_grouped(t, storms, storms ? storms_count(storms) : 0);
	text_puts(t, "</td>");
}

/* Names are the guests' owners': <bdi> keeps those that are written from right to left to themselves. */
static void write_vm(struct text *t, const struct model *m, const struct row *row)
{
	const struct vm *vm = row->vm;
	const struct cetd_identity *identity = &vm->identity;

	text_puts(t, "<tr data-key=\"vm ");
	text_html(t, identity->id);
	text_puts(t, "\"><th scope=\"row\"><bdi>");
	text_html(t, identity->name[0] ? identity->name : "-");
	text_puts(t, "</bdi>");
	if (strcmp(identity->id, identity->name)) {
		text_puts(t, " <small>");
		text_html(t, identity->id);
		text_puts(t, "</small>");
	}
	text_puts(t, "</th>");
	write_counter(t, model_shows(m, CETD_FACT_HARDWARE_CP), vm_cp_total(vm));
	write_storms(t, row->storms);
	write_number(t, model_shows(m, CETD_FACT_INJECTED_CP), vm->kernel.counters.injected);
	write_number(t, model_shows(m, CETD_FACT_CET_MSR), vm_msr_total(vm));
	write_number(t, model_shows(m, CETD_FACT_CR4_CET), vm->kernel.counters.cr4_cet[1]);
	write_cell(t, vm_uses_cet(vm));
	write_cell(t, identity->vmm);
	write_cell(t, identity->unit);
	text_puts(t, "</tr>\n");
}

static void write_link(struct text *t, bool is_there, unsigned int page, const char *name)
{
	text_puts(t, "<li>");
	if (is_there) {
		text_puts(t, "<a href=\"?page=");
		text_u64(t, page);
		text_puts(t, "\">");
	}
	text_puts(t, name);
	text_puts(t, is_there ? "</a></li>" : "</li>");
}

static void write_pages(struct view *v)
{
	struct text *t = &v->t;

	text_puts(t, "<nav aria-label=\"Pages of VMs\" id=\"pages\" data-live>");
	if (v->n_pages > 1) {
		text_puts(t, "<ul>");
		write_link(t, v->page > 1, 1, "First");
		write_link(t, v->page > 1, v->page - 1, "Previous");
		text_puts(t, "<li aria-current=\"page\">Page ");
		text_u64(t, v->page);
		text_puts(t, " of ");
		text_u64(t, v->n_pages);
		text_puts(t, "</li>");
		write_link(t, v->page < v->n_pages, v->page + 1, "Next");
		write_link(t, v->page < v->n_pages, v->n_pages, "Last");
		text_puts(t, "</ul>");
	}
	text_puts(t, "</nav>\n");
}

static void write_vms(struct view *v)
{
	size_t first = (size_t)(v->page - 1) * LANDING_VMS_MAX;
	size_t end = MIN(first + LANDING_VMS_MAX, v->n_vms);
	struct text *t = &v->t;

	text_puts(t, "<section aria-labelledby=\"vms\">\n<h2 id=\"vms\" tabindex=\"-1\">VMs</h2>\n"
		     "<div class=\"wide\" role=\"group\" aria-labelledby=\"vms-caption\" "
		     "tabindex=\"0\">\n<table>\n<caption id=\"vms-caption\" data-live>");
	if (!v->n_vms) {
		text_puts(t, "None");
	} else {
		text_u64(t, first + 1);
		text_puts(t, " to ");
		text_u64(t, end);
		text_puts(t, " of ");
		text_u64(t, v->n_vms);
		text_puts(t, ", those with storms and the most #CP first");
	}
	text_puts(t, "</caption>\n<thead><tr><th scope=\"col\">name</th>"
		     "<th scope=\"col\" class=\"number\">#CP</th>"
		     "<th scope=\"col\" class=\"trend\">a second</th>"
		     "<th scope=\"col\" class=\"number\">storms</th>"
		     "<th scope=\"col\" class=\"number\">injected #CP</th>"
		     "<th scope=\"col\" class=\"number\">CET MSR accesses</th>"
		     "<th scope=\"col\" class=\"number\">CR4.CET set</th>"
		     "<th scope=\"col\">CET</th><th scope=\"col\">VMM</th>"
		     "<th scope=\"col\">unit</th></tr></thead>\n"
		     "<tbody id=\"vm-rows\" data-live>\n");
	for (size_t i = first; i < end; i++)
		write_vm(t, v->model, v->vms + i);
	text_puts(t, "</tbody>\n</table>\n</div>\n");
	write_pages(v);
	text_puts(t, "</section>\n");
}

/* Those that an operator looks for come first; the order is the same each time. */
static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	for (size_t i = 0; i < ARRAY_SIZE(x->keys); i++)
		if (x->keys[i] != y->keys[i])
			return x->keys[i] < y->keys[i] ? 1 : -1;
	return strcmp(x->vm->identity.id, y->vm->identity.id);
}

static int sort_vms(struct view *v)
{
	const struct storms *storms = v->context->storms;

	v->vms = calloc(v->model->n_vms + 1, sizeof(*v->vms));
	if (!v->vms)
		return -ENOMEM;
	FOREACH_VM (v->model, vm) {
		struct row *row = v->vms + v->n_vms;

		if (v->n_vms == v->model->n_vms)
			break;
		v->n_vms++;
		row->vm = vm;
		row->storms = storms ? storms_find(storms, vm->identity.key) : NULL;
		row->keys[0] = row->storms ? storms_count_active(row->storms) : 0;
		row->keys[1] = vm_cp_total(vm);
		row->keys[2] = vm->kernel.counters.injected;
		row->keys[3] = vm_msr_total(vm);
	}
	qsort(v->vms, v->n_vms, sizeof(*v->vms), compare_rows);
	v->n_pages = MAX(1U, (unsigned int)((v->n_vms + LANDING_VMS_MAX - 1) / LANDING_VMS_MAX));
	return 0;
}

int landing_render(const struct model *m, const struct metrics_context *context, unsigned int page,
		   char **ret_text, size_t *ret_size)
{
	struct view v = {.model = m, .context = context};
	int r = sort_vms(&v);

	if (r < 0)
		return r;
	v.page = MAX(1U, MIN(page, v.n_pages));
	text_puts(&v.t, head);
	write_header(&v);
	text_puts(&v.t, "<main>\n");
	write_now(&v);
	write_vms(&v);
	write_kinds(&v);
	write_coverage(&v);
	text_puts(&v.t, "</main>\n<footer>\n<p><a href=\"metrics\">Metrics</a> for Prometheus and "
			"OpenMetrics. A dash is what this kernel does not show; it is not 0.</p>\n"
			"</footer>\n</body>\n</html>\n");
	free(v.vms);
	return text_take(&v.t, ret_text, ret_size);
}
