// SPDX-License-Identifier: GPL-2.0-only
/* Configuration files: from the keys to the fields of a struct. */
#include <errno.h>
#include <string.h>

#include "util/config.h"
#include "util/jsontext.h"
#include "util/macro.h"
#include "util/utf8.h"

struct reader {
	struct jsontext text;
	const struct config_item *items;
	size_t n;
};

static int set_value(struct reader *r, const struct config_item *item, struct json_object *value,
		     size_t at, void *target)
{
	void *field = (char *)target + item->offset;
	const char *found = jsontext_quote(value), *text;

	if (item->type == CONFIG_BOOL) {
		if (!json_object_is_type(value, json_type_boolean))
			return jsontext_fail(&r->text, at, "%s is %s, valid is true or false",
					     item->key, found);
		*(bool *)field = json_object_get_boolean(value);
		return 0;
	}
	if (item->type == CONFIG_U32) {
		int64_t v = json_object_get_int64(value);

		if (!json_object_is_type(value, json_type_int) || v < item->min || v > item->max)
			return jsontext_fail(&r->text, at, "%s is %s, valid is %s from %u to %u",
					     item->key, found, item->valid, item->min, item->max);
		*(uint32_t *)field = (uint32_t)v;
		return 0;
	}

	text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
	if (!text || strlen(text) != (size_t)json_object_get_string_len(value) ||
	    (item->check && !item->check(text)))
		return jsontext_fail(&r->text, at, "%s is %s, valid is %s", item->key, found,
				     item->valid);
	/* It is shown on terminals and on the bus. */
	if (!utf8_is_clean(text, strlen(text) + 1))
		return jsontext_fail(&r->text, at,
				     "%s is %s, valid is %s without control characters and "
				     "noncharacters",
				     item->key, found, item->valid);
	free(*(char **)field);
	*(char **)field = strdup(text);
	return *(char **)field ? 0 : -ENOMEM;
}

static int unknown_key(struct reader *r, const char *key, size_t at)
{
	_cleanup_(freep) const char **keys = calloc(r->n, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++)
		keys[i] = r->items[i].key;
	return jsontext_unknown_key(&r->text, at, key, keys, r->n, "cetd --help-config");
}

static bool is_section(const struct reader *r, const char *key)
{
	size_t length = strlen(key);

	for (size_t i = 0; i < r->n; i++)
		if (!strncmp(r->items[i].key, key, length) && r->items[i].key[length] == '.')
			return true;
	return false;
}

static int read_object(struct reader *r, struct json_object *object, const char *section, size_t at,
		       void *target)
{
	int k;

	json_object_object_foreach (object, name, value) {
		const struct config_item *item = NULL;
		size_t key_at, value_at = JSONTEXT_NOWHERE;
		char key[256];

		snprintf(key, sizeof(key), "%s%s%s", section, section[0] ? "." : "", name);
		key_at = jsontext_find_key(&r->text, at, name, JSONTEXT_NOWHERE, &value_at);
		for (size_t i = 0; i < r->n; i++)
			if (!strcmp(r->items[i].key, key))
				item = &r->items[i];
		if (item)
			k = set_value(r, item, value, key_at, target);
		else if (section[0] || !is_section(r, key))
			k = unknown_key(r, key, key_at);
		else if (!json_object_is_type(value, json_type_object))
			k = jsontext_fail(&r->text, key_at, "%s is %s, valid is an object", key,
					  jsontext_quote(value));
		else
			k = read_object(r, value, key, value_at, target);
		if (k < 0)
			return k;
	}
	return 0;
}

int config_read(const char *path, const struct config_item *items, size_t n, void *target,
		char **ret_message)
{
	struct reader r = {
		.text = {.name = path, .ret_message = ret_message}, .items = items, .n = n};
	_cleanup_(freep) char *text = NULL;
	struct json_object *root;
	size_t at;
	int k;

	*ret_message = NULL;
	k = jsontext_read(path, &text, &r.text.size, ret_message);
	if (k < 0)
		return k;
	r.text.text = text;
	k = jsontext_parse(&r.text, &root, &at);
	if (k < 0)
		return k;
	k = read_object(&r, root, "", at, target);
	json_object_put(root);
	return k;
}
