// SPDX-License-Identifier: GPL-2.0-only
/* The page that a browser finds at the exporter's address. */
#include "cetd/names.h"

#include "export/landing.h"
#include "export/text.h"
#include "util/macro.h"

static const char head[] =
	"<!doctype html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<title>cetd</title>\n"
	"<style>\n"
	"body { font-family: sans-serif; margin: 2em; color-scheme: light dark; }\n"
	"table { border-collapse: collapse; margin-bottom: 1.5em; }\n"
	"th, td { padding: 0.25em 0.75em; text-align: left; border-bottom: 1px solid #8888; }\n"
	".number { text-align: right; }\n"
	"</style>\n"
	"</head>\n"
	"<body>\n";

static const char vm_head[] = "<tr><th>name</th><th>id</th><th>VMM</th><th>unit</th>"
			      "<th class=\"number\">#CP</th><th class=\"number\">injected #CP</th>"
			      "<th class=\"number\">CET MSR accesses</th>"
			      "<th class=\"number\">CR4.CET set</th></tr>\n";

static void write_cell(struct text *t, const char *value)
{
	text_puts(t, "<td>");
	text_html(t, value[0] ? value : "-");
	text_puts(t, "</td>");
}

/* What the kernel does not show is a dash, never 0. */
static void write_number(struct text *t, bool is_shown, uint64_t value)
{
	text_puts(t, "<td class=\"number\">");
	if (is_shown)
		text_u64(t, value);
	else
		text_puts(t, "-");
	text_puts(t, "</td>");
}

static void write_summary(struct text *t, const struct model *m,
			  const struct metrics_context *context)
{
	text_puts(t, "<h1>cetd ");
	text_html(t, context->version);
	text_puts(t, "</h1>\n<p>Intel CET in the KVM guests of this host, as far as its kernel "
		     "shows it.\n<a href=\"/metrics\">Metrics</a> for Prometheus and "
		     "OpenMetrics.</p>\n");
	if (m->is_replayed)
		text_puts(t, "<p><strong>Replayed: everything here comes from a recording."
			     "</strong></p>\n");
	if (!m->has_host)
		return;
	text_puts(t, "<p>Kernel ");
	text_html(t, m->host.kernel_release);
	text_puts(t, ", KVM: ");
	text_html(t, m->host.kvm_vendor);
	text_puts(t, ", tracepoints: ");
	text_html(t, cetd_family_to_string((int)m->host.family));
	text_puts(t, ", CET offered to guests: ");
	text_html(t, cetd_guest_cet_to_string((int)m->host.guest_cet));
	text_puts(t, "</p>\n");
}

static void write_coverage(struct text *t, const struct model *m)
{
	if (!m->has_host)
		return;
	text_puts(t, "<h2>Coverage</h2>\n<table>\n"
		     "<tr><th>fact</th><th>state</th><th>reason</th></tr>\n");
	for (int f = 0; f < _CETD_FACT_MAX; f++) {
		text_puts(t, "<tr>");
		write_cell(t, cetd_fact_to_string(f));
		write_cell(t, cetd_coverage_to_string((int)m->host.facts[f].state));
		write_cell(t, m->host.facts[f].reason);
		text_puts(t, "</tr>\n");
	}
	text_puts(t, "</table>\n");
}

static void write_vm(struct text *t, const struct model *m, const struct vm *vm)
{
	text_puts(t, "<tr>");
	write_cell(t, vm->identity.name);
	write_cell(t, vm->identity.id);
	write_cell(t, vm->identity.vmm);
	write_cell(t, vm->identity.unit);
	write_number(t, model_shows(m, CETD_FACT_HARDWARE_CP), vm_cp_total(vm));
	write_number(t, model_shows(m, CETD_FACT_INJECTED_CP), vm->kernel.counters.injected);
	write_number(t, model_shows(m, CETD_FACT_CET_MSR), vm_msr_total(vm));
	write_number(t, model_shows(m, CETD_FACT_CR4_CET), vm->kernel.counters.cr4_cet[1]);
	text_puts(t, "</tr>\n");
}

static void write_vms(struct text *t, const struct model *m)
{
	uint32_t n = 0;

	text_puts(t, "<h2>VMs</h2>\n");
	if (!m->n_vms) {
		text_puts(t, "<p>None.</p>\n");
		return;
	}
	text_puts(t, "<table>\n");
	text_puts(t, vm_head);
	FOREACH_VM (m, vm) {
		if (n++ == LANDING_VMS_MAX)
			break;
		write_vm(t, m, vm);
	}
	text_puts(t, "</table>\n");
	if (m->n_vms > LANDING_VMS_MAX) {
		text_puts(t, "<p>And ");
		text_u64(t, m->n_vms - LANDING_VMS_MAX);
		text_puts(t, " more; the metrics have them all.</p>\n");
	}
}

int landing_render(const struct model *m, const struct metrics_context *context, char **ret_text,
		   size_t *ret_size)
{
	struct text t = {0};

	text_puts(&t, head);
	write_summary(&t, m, context);
	write_coverage(&t, m);
	write_vms(&t, m);
	text_puts(&t, "</body>\n</html>\n");
	return text_take(&t, ret_text, ret_size);
}
