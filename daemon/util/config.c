// SPDX-License-Identifier: GPL-2.0-only
/* Configuration files: parsing, and finding the line of a key for the message. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <json-c/json.h>

#include "util/config.h"
#include "util/macro.h"
#include "util/nearest.h"

struct reader {
	const char *path;
	char *text;
	size_t size;
	const struct config_item *items;
	size_t n;
	char **ret_message;
};

static int fail(struct reader *r, unsigned int line, const char *format, ...) _printf_(3, 4);
static int fail(struct reader *r, unsigned int line, const char *format, ...)
{
	_cleanup_(freep) char *what = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&what, format, ap);
	va_end(ap);
	if (n < 0)
		what = NULL;
	n = line ? asprintf(r->ret_message, "%s:%u: %s", r->path, line, what ?: "")
		 : asprintf(r->ret_message, "%s: %s", r->path, what ?: "");
	if (n < 0)
		*r->ret_message = NULL;
	return -EBADMSG;
}

static unsigned int line_of(const char *text, size_t offset)
{
	unsigned int line = 1;

	for (size_t i = 0; i < offset && text[i]; i++)
		line += text[i] == '\n';
	return line;
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

/* The line on which a key of the object that starts after from stands; *ret_end is where it ends. */
static unsigned int line_of_key(const struct reader *r, const char *key, size_t from,
				size_t *ret_end)
{
	size_t length = strlen(key);
	int depth = 0;

	for (const char *s = r->text + from; *s;) {
		const char *end = skip_token(s);

		if (*s == '"' && depth == 1 && (size_t)(end - s) == length + 2 &&
		    !strncmp(s + 1, key, length)) {
			*ret_end = (size_t)(end - r->text);
			return line_of(r->text, (size_t)(s - r->text));
		}
		if (end != s) {
			s = end;
			continue;
		}
		depth += *s == '{';
		depth -= *s == '}';
		s++;
	}
	*ret_end = from;
	return 0;
}

static int read_text(struct reader *r)
{
	_cleanup_(closep) int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int error = errno;

		if (error != ENOENT)
			fail(r, 0, "cannot be read: %s", strerror(error));
		return -error;
	}
	if (!S_ISREG(st.st_mode))
		return fail(r, 0, "is not a regular file");
	if (st.st_size > CONFIG_FILE_MAX)
		return fail(r, 0, "has %lld bytes, at most %d are read", (long long)st.st_size,
			    CONFIG_FILE_MAX);
	r->text = calloc(1, (size_t)st.st_size + 1);
	if (!r->text)
		return -ENOMEM;
	while ((n = read(fd, r->text + r->size, (size_t)st.st_size - r->size)) > 0)
		r->size += (size_t)n;
	if (n < 0)
		return fail(r, 0, "cannot be read: %s", strerror(errno));
	if (memchr(r->text, 0, r->size))
		return fail(r, line_of(r->text, strlen(r->text)), "holds a NUL byte");
	return 0;
}

static int set_value(struct reader *r, const struct config_item *item, struct json_object *value,
		     unsigned int line, void *target)
{
	void *field = (char *)target + item->offset;
	const char *found = json_object_to_json_string(value);

	if (item->type == CONFIG_BOOL) {
		if (!json_object_is_type(value, json_type_boolean))
			return fail(r, line, "%s is %s, valid is true or false", item->key, found);
		*(bool *)field = json_object_get_boolean(value);
		return 0;
	}
	if (item->type == CONFIG_U32) {
		int64_t v = json_object_get_int64(value);

		if (!json_object_is_type(value, json_type_int) || v < item->min || v > item->max)
			return fail(r, line, "%s is %s, valid is %s from %u to %u", item->key,
				    found, item->valid, item->min, item->max);
		*(uint32_t *)field = (uint32_t)v;
		return 0;
	}

	if (!json_object_is_type(value, json_type_string) ||
	    strlen(json_object_get_string(value)) != (size_t)json_object_get_string_len(value) ||
	    (item->check && !item->check(json_object_get_string(value))))
		return fail(r, line, "%s is %s, valid is %s", item->key, found, item->valid);
	free(*(char **)field);
	*(char **)field = strdup(json_object_get_string(value));
	return *(char **)field ? 0 : -ENOMEM;
}

static int unknown_key(struct reader *r, const char *key, unsigned int line)
{
	const char **keys = calloc(r->n, sizeof(*keys));
	const char *near;

	for (size_t i = 0; keys && i < r->n; i++)
		keys[i] = r->items[i].key;
	near = keys ? nearest_word(key, keys, r->n) : NULL;
	free(keys);
	if (near)
		return fail(r, line, "unknown key %s, did you mean %s?", key, near);
	return fail(r, line, "unknown key %s (cetd --help-config lists the known ones)", key);
}

static bool is_section(const struct reader *r, const char *key)
{
	size_t length = strlen(key);

	for (size_t i = 0; i < r->n; i++)
		if (!strncmp(r->items[i].key, key, length) && r->items[i].key[length] == '.')
			return true;
	return false;
}

static int read_object(struct reader *r, struct json_object *object, const char *section,
		       size_t from, void *target)
{
	int k;

	json_object_object_foreach (object, name, value) {
		const struct config_item *item = NULL;
		unsigned int line;
		char key[256];
		size_t end;

		snprintf(key, sizeof(key), "%s%s%s", section, section[0] ? "." : "", name);
		line = line_of_key(r, name, from, &end);
		for (size_t i = 0; i < r->n; i++)
			if (!strcmp(r->items[i].key, key))
				item = &r->items[i];
		if (item)
			k = set_value(r, item, value, line, target);
		else if (section[0] || !is_section(r, key))
			k = unknown_key(r, key, line);
		else if (!json_object_is_type(value, json_type_object))
			k = fail(r, line, "%s is %s, valid is an object", key,
				 json_object_to_json_string(value));
		else
			k = read_object(r, value, key, end, target);
		if (k < 0)
			return k;
	}
	return 0;
}

static int parse(struct reader *r, void *target)
{
	struct json_tokener *tokener = json_tokener_new_ex(16);
	struct json_object *root;
	enum json_tokener_error error;
	size_t end;
	int k;

	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_VALIDATE_UTF8);
	/* The NUL is handed in too: it tells json-c that a number at the very end is complete. */
	root = json_tokener_parse_ex(tokener, r->text, (int)r->size + 1);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);

	if (error == json_tokener_continue || error == json_tokener_error_parse_eof)
		k = fail(r, line_of(r->text, r->size), "the file ends in the middle of an object");
	else if (error != json_tokener_success)
		k = fail(r, line_of(r->text, end), "not JSON: %s", json_tokener_error_desc(error));
	else if (!json_object_is_type(root, json_type_object))
		k = fail(r, 1, "the file must hold one JSON object { … }");
	else if (r->text[end = end + strspn(r->text + end, " \t\r\n")] &&
		 skip_token(r->text + end) == r->text + end)
		k = fail(r, line_of(r->text, end), "something follows the end of the object");
	else
		k = read_object(r, root, "", 0, target);
	json_object_put(root);
	return k;
}

int config_read(const char *path, const struct config_item *items, size_t n, void *target,
		char **ret_message)
{
	struct reader r = {.path = path, .items = items, .n = n, .ret_message = ret_message};
	int k;

	*ret_message = NULL;
	k = read_text(&r);
	if (k >= 0)
		k = parse(&r, target);
	free(r.text);
	return k;
}
