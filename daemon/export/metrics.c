// SPDX-License-Identifier: GPL-2.0-only
/* Write metric families as Prometheus text 0.0.4 or OpenMetrics 1.0. */
#include <assert.h>
#include <errno.h>

#include "export/metrics-internal.h"
#include "util/macro.h"

static const char *const type_names[_METRICS_FORMAT_MAX][_FAMILY_TYPE_MAX] = {
	[METRICS_FORMAT_TEXT] = {"gauge", "counter", "gauge"},
	[METRICS_FORMAT_OPENMETRICS] = {"gauge", "counter", "info"},
};
static const char *const suffixes[_FAMILY_TYPE_MAX] = {"", "_total", "_info"};

static void write_header_line(struct writer *w, const char *keyword, const char *value)
{
	const struct family *f = w->family;

	text_puts(&w->text, "# ");
	text_puts(&w->text, keyword);
	text_puts(&w->text, " ");
	text_puts(&w->text, f->name);
	/* In OpenMetrics the family goes by the bare name, in the older text by that of its samples. */
	if (w->format == METRICS_FORMAT_TEXT)
		text_puts(&w->text, suffixes[f->type]);
	text_puts(&w->text, " ");
	text_puts(&w->text, value);
	text_puts(&w->text, "\n");
}

void sample_begin(struct writer *w, const struct labelled_vm *v)
{
	const struct family *f = w->family;

	if (!w->has_header) {
		write_header_line(w, "HELP", f->help);
		write_header_line(w, "TYPE", type_names[w->format][f->type]);
		if (w->format == METRICS_FORMAT_OPENMETRICS && f->unit)
			write_header_line(w, "UNIT", f->unit);
		w->has_header = true;
	}
	text_append(&w->text, w->head, w->head_size);
	w->has_label = v;
	if (v)
		text_append(&w->text, w->labels.data + v->label, v->label_size);
}

static void sample_begin_label(struct writer *w, const char *name)
{
	text_append(&w->text, w->has_label ? "," : "{", 1);
	text_puts(&w->text, name);
	text_append(&w->text, "=\"", 2);
	w->has_label = true;
}

void sample_label(struct writer *w, const char *name, const char *value)
{
	sample_begin_label(w, name);
	text_label_value(&w->text, value);
	text_append(&w->text, "\"", 1);
}

void sample_word(struct writer *w, const char *name, const char *word)
{
	sample_begin_label(w, name);
	text_puts(&w->text, word);
	text_append(&w->text, "\"", 1);
}

static void sample_end_labels(struct writer *w)
{
	text_append(&w->text, "} ", w->has_label ? 2 : 0);
	text_append(&w->text, " ", w->has_label ? 0 : 1);
}

void sample_end(struct writer *w, uint64_t value)
{
	sample_end_labels(w);
	text_u64(&w->text, value);
	text_append(&w->text, "\n", 1);
}

void sample_end_seconds(struct writer *w, uint64_t ns)
{
	sample_end_labels(w);
	text_seconds(&w->text, ns);
	text_append(&w->text, "\n", 1);
}

void sample_value(struct writer *w, uint64_t value)
{
	sample_begin(w, NULL);
	sample_end(w, value);
}

void sample_with(struct writer *w, const char *name, const char *label, uint64_t value)
{
	sample_begin(w, NULL);
	sample_label(w, name, label);
	sample_end(w, value);
}

void sample_vm_value(struct writer *w, const struct labelled_vm *v, uint64_t value)
{
	sample_begin(w, v);
	sample_end(w, value);
}

static int label_vms(struct writer *w)
{
	size_t n = HASH_CNT(hh_key, w->model->vms_by_key);

	w->vms = calloc(n + 1, sizeof(*w->vms));
	if (!w->vms)
		return -ENOMEM;
	FOREACH_VM (w->model, vm) {
		struct labelled_vm *v = &w->vms[w->n_vms++];

		v->vm = vm;
		v->label = w->labels.size;
		text_puts(&w->labels, "{vm=\"");
		text_label_value(&w->labels, vm->identity.id);
		text_puts(&w->labels, "\"");
		v->label_size = w->labels.size - v->label;
	}
	return w->labels.has_failed ? -ENOMEM : 0;
}

static void write_family(struct writer *w, const struct family *f)
{
	w->family = f;
	w->has_header = false;
	w->head_size =
		(size_t)snprintf(w->head, sizeof(w->head), "%s%s", f->name, suffixes[f->type]);
	assert(w->head_size < sizeof(w->head));
	if (f->write) {
		f->write(w);
		return;
	}
	if (f->needs_fact && !model_shows(w->model, f->fact))
		return;
	for (size_t i = 0; i < w->n_vms; i++)
		f->write_vm(w, &w->vms[i]);
}

const char *metrics_content_type(enum metrics_format format)
{
	return format == METRICS_FORMAT_OPENMETRICS
		       ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
		       : "text/plain; version=0.0.4; charset=utf-8";
}

int metrics_render(const struct model *m, const struct metrics_context *context,
		   enum metrics_format format, char **ret_text, size_t *ret_size)
{
	struct writer w = {.format = format, .model = m, .context = context};
	int r;

	assert(format >= 0 && format < _METRICS_FORMAT_MAX);
	r = label_vms(&w);
	if (r >= 0) {
		for (size_t i = 0; i < metrics_n_families; i++)
			write_family(&w, &metrics_families[i]);
		if (format == METRICS_FORMAT_OPENMETRICS)
			text_puts(&w.text, "# EOF\n");
		r = text_take(&w.text, ret_text, ret_size);
	}
	text_done(&w.labels);
	free(w.vms);
	return r;
}
