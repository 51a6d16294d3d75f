/* SPDX-License-Identifier: GPL-2.0-only */
/* Between metrics.c, which writes families in either format, and metrics-families.c, which says what is in them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/metrics.h"
#include "export/text.h"

enum family_type {
	FAMILY_GAUGE,
	FAMILY_COUNTER,
	FAMILY_INFO,
	_FAMILY_TYPE_MAX,
};

/* A VM and where its escaped label stands: it is written thousands of times, and escaped once. */
struct labelled_vm {
	const struct vm *vm;
	size_t label, label_size;
};

struct writer {
	struct text text;
	enum metrics_format format;
	const struct model *model;
	const struct metrics_context *context;
	const struct family *family;
	struct text labels;
	struct labelled_vm *vms;
	size_t n_vms;
	char head[64]; /* of its samples: the name */
	size_t head_size;
	bool has_header; /* of the family being written */
	bool has_label;	 /* of the sample being written */
};

/* One of write and write_vm is set; the latter is called for each VM, where the kernel shows the fact. */
struct family {
	const char *name; /* without _total and _info */
	enum family_type type;
	const char *unit; /* the end of the name, where that is a unit */
	const char *help; /* no quote, backslash or newline */
	void (*write)(struct writer *w);
	void (*write_vm)(struct writer *w, const struct labelled_vm *v);
	enum cetd_fact fact;
	bool needs_fact;
};

extern const struct family metrics_families[];
extern const size_t metrics_n_families;

/* One sample is: begin, labels, end. v is the VM that it is about, or NULL. */
void sample_begin(struct writer *w, const struct labelled_vm *v);
void sample_label(struct writer *w, const char *name, const char *value);
void sample_end(struct writer *w, uint64_t value);
void sample_end_seconds(struct writer *w, uint64_t ns);

/* A label whose value is one of our own words, which need no escape: this is nearly all of the text. */
void sample_word(struct writer *w, const char *name, const char *word);

/* Whole samples: without labels, with one label, with the VM's. */
void sample_value(struct writer *w, uint64_t value);
void sample_with(struct writer *w, const char *name, const char *label, uint64_t value);
void sample_vm_value(struct writer *w, const struct labelled_vm *v, uint64_t value);
