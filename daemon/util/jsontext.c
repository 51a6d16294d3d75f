// SPDX-License-Identifier: GPL-2.0-only
/* JSON with comments, and where in the text things stand. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/jsontext.h"
#include "util/macro.h"
#include "util/nearest.h"
#include "util/utf8.h"

unsigned int jsontext_line(struct jsontext *t, size_t at)
{
	if (!t->line || at < t->line_at) {
		t->line_at = 0;
		t->line = 1;
	}
	for (; t->line_at < at && t->text[t->line_at]; t->line_at++)
		t->line += t->text[t->line_at] == '\n';
	return t->line;
}

int jsontext_fail(struct jsontext *t, size_t at, const char *format, ...)
{
	_cleanup_(freep) char *what = NULL, *text = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&what, format, ap);
	va_end(ap);
	if (n < 0)
		what = NULL;
	n = at == JSONTEXT_NOWHERE
		    ? asprintf(&text, "%s: %s", t->name, what ?: "")
		    : asprintf(&text, "%s:%u: %s", t->name, jsontext_line(t, at), what ?: "");
	if (n < 0)
		text = NULL;
	/* It quotes what was found, and goes to terminals and onto the bus. */
	*t->ret_message = text ? malloc(n + 1) : NULL;
	if (*t->ret_message)
		utf8_sanitize(text, *t->ret_message, n + 1);
	return -EBADMSG;
}

const char *jsontext_quote(struct json_object *value)
{
	return json_object_to_json_string_ext(value, JSON_C_TO_STRING_SPACED |
							     JSON_C_TO_STRING_NOSLASHESCAPE);
}

int jsontext_read(const char *path, char **ret_text, size_t *ret_size, char **ret_message)
{
	return jsontext_read_max(path, JSONTEXT_MAX, ret_text, ret_size, ret_message);
}

int jsontext_read_max(const char *path, size_t max, char **ret_text, size_t *ret_size,
		      char **ret_message)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct jsontext t = {.name = path, .ret_message = ret_message};
	_cleanup_(freep) char *text = NULL;
	struct stat st;
	size_t size = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int error = errno;

		if (error == ENOENT && lstat(path, &st) == 0)
			return jsontext_fail(&t, JSONTEXT_NOWHERE,
					     "is a link to what is not there");
		if (error != ENOENT)
			jsontext_fail(&t, JSONTEXT_NOWHERE, "cannot be read: %s", strerror(error));
		return -error;
	}
	if (!S_ISREG(st.st_mode))
		return jsontext_fail(&t, JSONTEXT_NOWHERE, "is not a regular file");
	if ((uint64_t)st.st_size > max)
		return jsontext_fail(&t, JSONTEXT_NOWHERE, "has %lld bytes, at most %zu are read",
				     (long long)st.st_size, max);
	text = calloc(1, (size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while ((n = read(fd, text + size, (size_t)st.st_size - size)) > 0)
		size += (size_t)n;
	if (n < 0)
		return jsontext_fail(&t, JSONTEXT_NOWHERE, "cannot be read: %s", strerror(errno));
	t.text = text;
	if (memchr(text, 0, size))
		return jsontext_fail(&t, strlen(text), "holds a NUL byte");
	*ret_text = take_ptr(text);
	*ret_size = size;
	return 0;
}

/* Step over a comment or a string at s; s itself where there is neither. */
static const char *skip_token(const char *s)
{
	const char *end;

	if (s[0] == '/' && s[1] == '*') {
		end = strstr(s + 2, "*/");
		return end ? end + 2 : s + strlen(s);
	}
	if (s[0] == '/' && s[1] == '/')
		return s + strcspn(s, "\n");
	if (s[0] != '"')
		return s;
	for (s++; *s && *s != '"'; s++)
		if (*s == '\\' && s[1])
			s++;
	return *s ? s + 1 : s;
}

static const char *skip_blank(const char *s)
{
	for (;;) {
		const char *start = s;

		s += strspn(s, " \t\r\n");
		if (*s == '/')
			s = skip_token(s);
		if (s == start)
			return s;
	}
}

/* To what follows the value at s: a comma, a bracket or the end. */
static const char *skip_value(const char *s)
{
	int depth = 0;

	while (*s) {
		const char *end = skip_token(s);

		if (end != s) {
			s = end;
			continue;
		}
		if (*s == '{' || *s == '[')
			depth++;
		else if (!depth && strchr(",}]:", *s))
			return s;
		else if (*s == '}' || *s == ']')
			depth--;
		s++;
	}
	return s;
}

int jsontext_parse(struct jsontext *t, struct json_object **ret, size_t *ret_at)
{
	struct json_tokener *tokener = json_tokener_new_ex(16);
	struct json_object *root;
	enum json_tokener_error error;
	size_t end;
	int r = 0;

	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
	/* The NUL is handed in too: it tells json-c that a number at the very end is complete. */
	root = json_tokener_parse_ex(tokener, t->text, (int)t->size + 1);
	error = json_tokener_get_error(tokener);
	/* It may have taken the NUL for a part of what it read, and point behind it. */
	end = MIN(json_tokener_get_parse_end(tokener), t->size);
	json_tokener_free(tokener);

	if (error == json_tokener_continue || error == json_tokener_error_parse_eof)
		r = jsontext_fail(t, t->size, "the file ends in the middle of an object");
	else if (error != json_tokener_success)
		r = jsontext_fail(t, end, "not JSON: %s", json_tokener_error_desc(error));
	else if (!json_object_is_type(root, json_type_object))
		r = jsontext_fail(t, 0, "the file must hold one JSON object { … }");
	else if (*skip_blank(t->text + end))
		r = jsontext_fail(t, (size_t)(skip_blank(t->text + end) - t->text),
				  "something follows the end of the object");
	if (r < 0) {
		json_object_put(root);
		return r;
	}
	*ret_at = (size_t)(skip_blank(t->text) - t->text);
	*ret = root;
	return 0;
}

size_t jsontext_find_key(const struct jsontext *t, size_t at, const char *key, size_t after,
			 size_t *ret_value)
{
	const char *s, *start, *end;
	size_t length = strlen(key);

	if (at == JSONTEXT_NOWHERE || t->text[at] != '{')
		return JSONTEXT_NOWHERE;
	for (s = skip_blank(t->text + at + 1); *s == '"'; s = skip_blank(s)) {
		start = s;
		end = skip_token(s);
		s = skip_blank(end);
		if (*s == ':')
			s = skip_blank(s + 1);
		if ((size_t)(end - start) == length + 2 && !strncmp(start + 1, key, length) &&
		    (after == JSONTEXT_NOWHERE || (size_t)(start - t->text) > after)) {
			*ret_value = (size_t)(s - t->text);
			return (size_t)(start - t->text);
		}
		s = skip_value(s);
		s += *s == ',';
	}
	return JSONTEXT_NOWHERE;
}

static size_t element(const struct jsontext *t, const char *s)
{
	s = skip_blank(s);
	return *s && *s != ']' ? (size_t)(s - t->text) : JSONTEXT_NOWHERE;
}

size_t jsontext_first(const struct jsontext *t, size_t at)
{
	if (at == JSONTEXT_NOWHERE || t->text[at] != '[')
		return JSONTEXT_NOWHERE;
	return element(t, t->text + at + 1);
}

size_t jsontext_next(const struct jsontext *t, size_t at)
{
	const char *s;

	if (at == JSONTEXT_NOWHERE)
		return at;
	s = skip_value(t->text + at);
	return *s == ',' ? element(t, s + 1) : JSONTEXT_NOWHERE;
}

int jsontext_unknown_key(struct jsontext *t, size_t at, const char *key, const char *const *names,
			 size_t n, const char *all_are_where)
{
	const char *near = nearest_word(key, names, n);

	if (near)
		return jsontext_fail(t, at, "unknown key %s, did you mean %s?", key, near);
	return jsontext_fail(t, at, "unknown key %s (%s lists the known ones)", key, all_are_where);
}
