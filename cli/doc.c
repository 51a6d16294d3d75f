// SPDX-License-Identifier: GPL-2.0-only
/* The daemon's JSON: looking things up by path, and printing it. */
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "doc.h"
#include "text.h"

enum exit_code doc_parse(const char *text, const char *what, json_object **ret)
{
	enum json_tokener_error error;
	json_object *o = json_tokener_parse_verbose(text, &error);

	if (!o) {
		text_error("the daemon's %s is not valid JSON: %s", what,
			   json_tokener_error_desc(error));
		text_hint("are cetctl and cetd of the same version? see `cetctl version`");
		return CETCTL_FAILURE;
	}
	*ret = o;
	return CETCTL_OK;
}

/* The first component of path and what follows it, NULL at the end. */
static const char *split(const char *path, char name[64])
{
	const char *dot = strchrnul(path, '.');

	snprintf(name, 64, "%.*s", (int)(dot - path), path);
	return *dot ? dot + 1 : NULL;
}

json_object *doc_get(json_object *o, const char *path)
{
	char name[64];

	while (o && path && *path) {
		json_object *next = NULL;

		path = split(path, name);
		json_object_object_get_ex(o, name, &next);
		o = next;
	}
	return o;
}

const char *doc_text(json_object *o, const char *path)
{
	json_object *v = doc_get(o, path);

	return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

bool doc_is_true(json_object *o, const char *path)
{
	json_object *v = doc_get(o, path);

	return json_object_is_type(v, json_type_boolean) && json_object_get_boolean(v);
}

uint64_t doc_number(json_object *o, const char *path)
{
	json_object *v = doc_get(o, path);

	return json_object_is_type(v, json_type_int) ? json_object_get_uint64(v) : 0;
}

size_t doc_length(json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

bool doc_sum(json_object *o, const char *path, uint64_t *ret)
{
	const char *rest = NULL;
	char name[64] = "*";
	uint64_t sum = 0;

	if (!o)
		return false;
	if (json_object_is_type(o, json_type_int)) {
		if (path)
			return false;
		*ret = json_object_get_uint64(o);
		return true;
	}
	if (!json_object_is_type(o, json_type_object))
		return false;

	if (path)
		rest = split(path, name);
	if (strcmp(name, "*")) {
		json_object *next = NULL;

		json_object_object_get_ex(o, name, &next);
		return doc_sum(next, rest, ret);
	}
	json_object_object_foreach (o, key, value) {
		uint64_t part;

		(void)key;
		if (!doc_sum(value, rest, &part))
			return false;
		sum += part;
	}
	*ret = sum;
	return true;
}

bool doc_shows(json_object *coverage, const char *fact)
{
	const char *state = doc_text(doc_get(coverage, fact), "state");

	return state && strcmp(state, "unobservable");
}

void doc_say(json_object *array, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&text, format, ap);
	va_end(ap);
	if (r < 0)
		text = NULL;
	else
		json_object_array_add(array, json_object_new_string(text));
}

enum exit_code doc_print(FILE *f, json_object *o, enum json_mode mode)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	_cleanup_(freep) char *safe = NULL;

	if (mode == JSON_PRETTY || (mode == JSON_AUTO && isatty(fileno(f))))
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	safe = text_clean_json(json_object_to_json_string_ext(o, flags));
	if (!safe) {
		text_error("out of memory");
		return CETCTL_FAILURE;
	}
	fprintf(f, "%s\n", safe);
	return CETCTL_OK;
}

uint64_t doc_data_now(struct json_object *snapshot)
{
	return doc_number(snapshot, "data_usec") ?: doc_number(snapshot, "now_usec");
}
