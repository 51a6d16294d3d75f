/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables over arrays of the daemon's JSON objects: which columns, in which order, and how they look. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>

#include "cetctl.h"

enum column_kind {
	COLUMN_TEXT,  /* a string */
	COLUMN_WORD,  /* a string, coloured as table_word_color() says */
	COLUMN_RIGHT, /* a string or number, right-aligned */
	COLUMN_COUNT, /* doc_sum() of the path */
	COLUMN_ALERT, /* the same, red where not 0 */
	COLUMN_RATE,  /* a double, per second */
	COLUMN_TIME,  /* microseconds since the epoch, as local time */
	COLUMN_AGE,   /* the same, as "3min ago" */
	COLUMN_FLAG,  /* true or false */
};

struct column {
	const char *name;  /* for --columns and --sort */
	const char *title; /* heading */
	const char *path;  /* in the row's object */
	enum column_kind kind;
	bool is_default;
	double width; /* a share of the line: cut where it is too narrow; 0: as wide as need be */
	const char *help;
};

#define TABLE_COLUMNS_MAX 40

struct table {
	const struct column *columns;
	size_t n_columns;
	const struct column *shown[TABLE_COLUMNS_MAX];
	size_t n_shown;
	const struct column *sort; /* NULL: as the daemon sends them */
	bool is_descending;
	uint64_t now_usec; /* for COLUMN_AGE */
};

/* Take over --columns and --sort, NULL standing for the defaults. CETCTL_USAGE names the nearest column. */
enum exit_code table_init(struct table *t, const struct column *columns, size_t n,
			  const struct options *options, const char *default_sort);

/* `--columns=help`: print what there is to choose from and return true. */
bool table_help(const struct table *t, const struct options *options);

void table_sort(const struct table *t, json_object *rows);

/* The text of a cell, "-" where null; owned by the caller. */
char *table_cell(const struct table *t, const struct column *c, json_object *row);

/* Print rows first to first + max - 1. width 0: that of the terminal, unlimited where f is none. */
enum exit_code table_print(FILE *f, const struct table *t, const struct options *options,
			   json_object *rows, size_t first, size_t max, unsigned int width);

/* A smartcols table in the house's look. */
struct libscols_table *table_new(const struct options *options, FILE *f);
void table_column(struct libscols_table *s, const char *title, double width, int flags);
static inline void table_unrefp(struct libscols_table **t)
{
	scols_unref_table(*t);
}

/* Two columns without a heading: `key` right-aligned, the value wrapped. Both are cleaned. */
struct libscols_table *table_pairs_new(const struct options *options);
void table_pair(struct libscols_table *t, const char *key, const char *format, ...) _printf_(3, 4);

/* The colour that a word of CET ("observed", "off", "suppress"…) is shown in; NULL: none. */
const char *table_word_color(const char *word);
