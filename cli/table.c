// SPDX-License-Identifier: GPL-2.0-only
/* Tables over arrays of the daemon's JSON objects: which columns, in which order, and how they look. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "doc.h"
#include "table.h"
#include "text.h"

static const struct column *find(const struct table *t, const char *name, size_t length,
				 const char *option)
{
	const char *nearest = NULL;
	unsigned int best = 64;
	char word[64];

	snprintf(word, sizeof(word), "%.*s", (int)length, name);
	for (size_t i = 0; i < t->n_columns; i++)
		if (!strcmp(t->columns[i].name, word))
			return t->columns + i;
	for (size_t i = 0; i < t->n_columns; i++)
		if (text_is_nearer(word, t->columns[i].name, &best))
			nearest = t->columns[i].name;
	text_error("%s: there is no column '%s'", option, word);
	if (nearest)
		text_hint("did you mean '%s'? --columns=help lists them all", nearest);
	else
		text_hint("--columns=help lists them all");
	return NULL;
}

/* "a,b,c" replaces the defaults, "+a,b" adds to them. */
static enum exit_code choose(struct table *t, const char *list)
{
	if (!list || !strcmp(list, "help") || *list == '+') {
		for (size_t i = 0; i < t->n_columns; i++)
			if (t->columns[i].is_default)
				t->shown[t->n_shown++] = t->columns + i;
		if (!list || *list != '+')
			return CETCTL_OK;
		list++;
	}
	for (const char *p = list;; p++) {
		size_t n = strcspn(p, ",");
		const struct column *c = find(t, p, n, "--columns");

		if (!c)
			return CETCTL_USAGE;
		if (t->n_shown == TABLE_COLUMNS_MAX) {
			text_error("--columns: at most %d columns", TABLE_COLUMNS_MAX);
			return CETCTL_USAGE;
		}
		t->shown[t->n_shown++] = c;
		p += n;
		if (!*p)
			return CETCTL_OK;
	}
}

enum exit_code table_init(struct table *t, const struct column *columns, size_t n,
			  const struct options *options, const char *default_sort)
{
	const char *sort = options->sort ?: default_sort, *order;
	enum exit_code code;

	*t = (struct table){.columns = columns, .n_columns = n};
	code = choose(t, options->columns);
	if (code || !sort)
		return code;

	order = strchrnul(sort, ':');
	t->sort = find(t, sort, (size_t)(order - sort), "--sort");
	if (!t->sort)
		return CETCTL_USAGE;
	if (*order && strcmp(order, ":asc") && strcmp(order, ":desc")) {
		text_error("--sort: '%s' is neither :asc nor :desc", order);
		return CETCTL_USAGE;
	}
	t->is_descending = !strcmp(order, ":desc");
	return CETCTL_OK;
}

bool table_help(const struct table *t, const struct options *options)
{
	_cleanup_(table_unrefp) struct libscols_table *s = NULL;

	if (!options->columns || strcmp(options->columns, "help"))
		return false;
	s = table_new(options, stdout);
	table_column(s, "COLUMN", 0, 0);
	table_column(s, "DEFAULT", 0, 0);
	table_column(s, "MEANING", 0.5, SCOLS_FL_WRAP);
	for (size_t i = 0; i < t->n_columns; i++) {
		struct libscols_line *line = scols_table_new_line(s, NULL);

		scols_line_set_data(line, 0, t->columns[i].name);
		scols_line_set_data(line, 1, t->columns[i].is_default ? "yes" : "-");
		scols_line_set_data(line, 2, t->columns[i].help);
	}
	scols_print_table(s);
	return true;
}

/* Null before all else; then numbers by value and words so that vm-2 comes before vm-10. */
static int compare(const struct column *c, json_object *a, json_object *b)
{
	if (c->kind == COLUMN_COUNT || c->kind == COLUMN_ALERT) {
		uint64_t x = 0, y = 0;
		bool has_x = doc_sum(a, c->path, &x), has_y = doc_sum(b, c->path, &y);

		return has_x != has_y ? has_x - has_y : (x > y) - (x < y);
	}
	a = doc_get(a, c->path);
	b = doc_get(b, c->path);
	if (!a || !b)
		return !!a - !!b;
	if (json_object_is_type(a, json_type_string) && json_object_is_type(b, json_type_string)) {
		const char *s = json_object_get_string(a), *t = json_object_get_string(b);

		/* Addresses: shorter is smaller, "0x" aside they have no leading zeros. */
		if (!strncmp(s, "0x", 2) && !strncmp(t, "0x", 2) && strlen(s) != strlen(t))
			return strlen(s) < strlen(t) ? -1 : 1;
		return strverscmp(s, t);
	}
	if (c->kind == COLUMN_RATE) {
		double x = json_object_get_double(a), y = json_object_get_double(b);

		return (x > y) - (x < y);
	}
	return (json_object_get_uint64(a) > json_object_get_uint64(b)) -
	       (json_object_get_uint64(a) < json_object_get_uint64(b));
}

struct sorted {
	json_object *row;
	size_t position;
};

static int by_column(const void *a, const void *b, void *userdata)
{
	const struct sorted *x = a, *y = b;
	const struct table *t = userdata;
	int r = compare(t->sort, x->row, y->row);

	if (!r)
		return x->position < y->position ? -1 : 1;
	return t->is_descending ? -r : r;
}

void table_sort(const struct table *t, json_object *rows)
{
	size_t n = doc_length(rows);
	_cleanup_(freep) struct sorted *sorted = NULL;

	if (!t->sort || n < 2)
		return;
	sorted = calloc(n, sizeof(*sorted));
	if (!sorted)
		return;
	for (size_t i = 0; i < n; i++) {
		sorted[i].row = json_object_get(json_object_array_get_idx(rows, i));
		sorted[i].position = i;
	}
	qsort_r(sorted, n, sizeof(*sorted), by_column, (void *)t);
	for (size_t i = 0; i < n; i++)
		json_object_array_put_idx(rows, i, sorted[i].row);
}

char *table_cell(const struct table *t, const struct column *c, json_object *row)
{
	json_object *v = doc_get(row, c->path);
	char buf[64] = "-";
	uint64_t n;

	switch (c->kind) {
	case COLUMN_COUNT:
	case COLUMN_ALERT:
		if (doc_sum(row, c->path, &n))
			snprintf(buf, sizeof(buf), "%" PRIu64, n);
		break;
	case COLUMN_RATE:
		if (v)
			snprintf(buf, sizeof(buf), "%.1f", json_object_get_double(v));
		break;
	case COLUMN_TIME:
		text_time(buf, sizeof(buf), doc_number(row, c->path), true);
		break;
	case COLUMN_AGE:
		text_age(buf, sizeof(buf), doc_number(row, c->path), t->now_usec);
		break;
	case COLUMN_FLAG:
		if (v)
			snprintf(buf, sizeof(buf), "%s", json_object_get_boolean(v) ? "yes" : "no");
		break;
	case COLUMN_TEXT:
	case COLUMN_WORD:
	case COLUMN_RIGHT:
		if (v)
			return text_clean(json_object_get_string(v));
		break;
	}
	return strdup(buf);
}

const char *table_word_color(const char *word)
{
	static const struct {
		const char *word, *color;
	} words[] = {
		{"observed", "green"},	 {"on", "green"},	  {"yes", "green"},
		{"partial", "yellow"},	 {"attempted", "yellow"}, {"delay", "yellow"},
		{"ambiguous", "yellow"}, {"unobservable", "red"}, {"off", "red"},
		{"suppress", "magenta"}, {"fault", "red"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(words[i].word, word))
			return words[i].color;
	return NULL;
}

struct libscols_table *table_new(const struct options *options, FILE *f)
{
	struct libscols_table *s = scols_new_table();

	if (!s) {
		text_error("out of memory");
		exit(CETCTL_FAILURE);
	}
	scols_table_set_stream(s, f);
	scols_table_enable_colors(s, options->is_color);
	scols_table_enable_noheadings(s, !options->has_legend);
	return s;
}

/* Cells have been cleaned: smartcols must not escape the backslashes of that, or of unit names, again. */
void table_column(struct libscols_table *s, const char *title, double width, int flags)
{
	struct libscols_column *c = scols_table_new_column(s, title, width, flags);

	if (!c || scols_column_set_safechars(c, "\\")) {
		text_error("out of memory");
		exit(CETCTL_FAILURE);
	}
}

static void add_row(struct libscols_table *s, const struct table *t, json_object *row)
{
	struct libscols_line *line = scols_table_new_line(s, NULL);

	for (size_t i = 0; line && i < t->n_shown; i++) {
		const struct column *c = t->shown[i];
		char *text = table_cell(t, c, row);
		const char *color = NULL;

		if (c->kind == COLUMN_WORD || c->kind == COLUMN_FLAG)
			color = table_word_color(text ?: "");
		else if (c->kind == COLUMN_ALERT && text && strcmp(text, "0") && strcmp(text, "-"))
			color = "red";
		if (color)
			scols_cell_set_color(scols_line_get_cell(line, i), color);
		scols_line_refer_data(line, i, text);
	}
}

enum exit_code table_print(FILE *f, const struct table *t, const struct options *options,
			   json_object *rows, size_t first, size_t max, unsigned int width)
{
	_cleanup_(table_unrefp) struct libscols_table *s = table_new(options, f);
	size_t n = doc_length(rows);

	if (width) {
		scols_table_set_termforce(s, SCOLS_TERMFORCE_ALWAYS);
		scols_table_set_termwidth(s, width);
	}
	for (size_t i = 0; i < t->n_shown; i++) {
		const struct column *c = t->shown[i];
		bool is_left = c->kind == COLUMN_TEXT || c->kind == COLUMN_WORD ||
			       c->kind == COLUMN_TIME;
		bool is_long = c->width > 0 && c->width < 1;

		table_column(s, c->title, c->width,
			     (is_left ? 0 : SCOLS_FL_RIGHT) | (is_long ? SCOLS_FL_TRUNC : 0));
	}
	for (size_t i = first; i < n && i - first < max; i++)
		add_row(s, t, json_object_array_get_idx(rows, i));
	if (scols_print_table(s)) {
		text_error("cannot print the table: %m");
		return CETCTL_FAILURE;
	}
	return CETCTL_OK;
}

struct libscols_table *table_pairs_new(const struct options *options)
{
	struct libscols_table *s = table_new(options, stdout);

	scols_table_enable_noheadings(s, true);
	table_column(s, "KEY", 0, SCOLS_FL_RIGHT);
	table_column(s, "VALUE", 0.5, SCOLS_FL_WRAP);
	return s;
}

void table_pair(struct libscols_table *s, const char *key, const char *format, ...)
{
	_cleanup_(freep) char *raw = NULL, *title = text_clean(key);
	struct libscols_line *line;
	char name[64];
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&raw, format, ap);
	va_end(ap);
	line = r < 0 ? NULL : scols_table_new_line(s, NULL);
	if (!line) {
		raw = r < 0 ? NULL : raw;
		text_error("out of memory");
		exit(CETCTL_FAILURE);
	}
	snprintf(name, sizeof(name), "%s%s", title ?: "", *key ? ":" : "");
	scols_line_set_data(line, 0, name);
	scols_cell_set_color(scols_line_get_cell(line, 0), "bold");
	scols_line_refer_data(line, 1, text_clean(raw));
}
