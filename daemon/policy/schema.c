// SPDX-License-Identifier: GPL-2.0-only
/* The table of keys as a JSON Schema. */
#include "policy/keys.h"
#include "policy/parse.h"

static struct json_object *text(const char *value)
{
	return json_object_new_string(value);
}

static struct json_object *typed(const char *type)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "type", text(type));
	return o;
}

static void add_number(struct json_object *o, const char *key, uint32_t value)
{
	json_object_object_add(o, key, json_object_new_int64(value));
}

static struct json_object *words(const struct policy_key *key)
{
	struct json_object *o = typed("string"), *names = json_object_new_array();

	for (int i = 0; key->to_string(i); i++)
		json_object_array_add(names, text(key->to_string(i)));
	json_object_object_add(o, "enum", names);
	return o;
}

static struct json_object *pattern(const struct policy_key *key)
{
	struct json_object *o;

	if (key->to_string)
		return words(key);
	o = typed("string");
	add_number(o, "minLength", 1);
	if (key->valid)
		json_object_object_add(o, "description", text(key->valid));
	return o;
}

static struct json_object *array_of(struct json_object *items, uint32_t min, uint32_t max)
{
	struct json_object *o = typed("array");

	json_object_object_add(o, "items", items);
	if (min)
		add_number(o, "minItems", min);
	if (max)
		add_number(o, "maxItems", max);
	return o;
}

static struct json_object *either(struct json_object *a, struct json_object *b)
{
	struct json_object *o = json_object_new_object(), *both = json_object_new_array();

	json_object_array_add(both, a);
	json_object_array_add(both, b);
	json_object_object_add(o, "oneOf", both);
	return o;
}

static struct json_object *object_to_schema(const struct policy_object *object);

static struct json_object *key_to_schema(const struct policy_key *key)
{
	struct json_object *o;
	char id[32];

	switch (key->type) {
	case POLICY_KEY_VERSION:
		o = json_object_new_object();
		add_number(o, "const", POLICY_FILE_VERSION);
		return o;
	case POLICY_KEY_ID:
		o = typed("string");
		snprintf(id, sizeof(id), "^[A-Za-z0-9._-]{1,%d}$", POLICY_ID_SIZE - 1);
		json_object_object_add(o, "pattern", text(id));
		return o;
	case POLICY_KEY_TEXT:
		return typed("string");
	case POLICY_KEY_BOOL:
		return typed("boolean");
	case POLICY_KEY_U32:
		o = typed("integer");
		add_number(o, "minimum", key->min);
		add_number(o, "maximum", key->max);
		return o;
	case POLICY_KEY_ENUM:
		return words(key);
	case POLICY_KEY_ENUM_SET:
		return array_of(words(key), 1, 0);
	case POLICY_KEY_PATTERNS:
		return either(pattern(key), array_of(pattern(key), 1, 0));
	case POLICY_KEY_OBJECT:
		return object_to_schema(key->object);
	case POLICY_KEY_LIST:
		return array_of(object_to_schema(key->object), key->min, key->max);
	case POLICY_KEY_ONE_OR_LIST:
		return either(object_to_schema(key->object),
			      array_of(object_to_schema(key->object), key->min, key->max));
	case _POLICY_KEY_TYPE_MAX:
		break;
	}
	return json_object_new_object();
}

/* A rule that sets nothing is refused. */
static struct json_object *any_setting(void)
{
	struct json_object *any = json_object_new_array();

	for (int s = 0; s < _POLICY_SETTING_MAX; s++) {
		struct json_object *o = json_object_new_object(), *one = json_object_new_array();

		json_object_array_add(one, text(policy_setting_to_string(s)));
		json_object_object_add(o, "required", one);
		json_object_array_add(any, o);
	}
	return any;
}

static struct json_object *object_to_schema(const struct policy_object *object)
{
	struct json_object *o = typed("object"), *properties = json_object_new_object();
	struct json_object *required = json_object_new_array();

	for (size_t i = 0; i < object->n_keys; i++) {
		const struct policy_key *key = object->keys + i;
		struct json_object *schema = key_to_schema(key);

		json_object_object_add(schema, "description", text(key->about));
		json_object_object_add(properties, key->name, schema);
		if (key->is_required)
			json_object_array_add(required, text(key->name));
	}
	json_object_object_add(o, "properties", properties);
	json_object_object_add(o, "required", required);
	json_object_object_add(o, "additionalProperties", json_object_new_boolean(false));
	if (object == &policy_rule_object)
		json_object_object_add(o, "anyOf", any_setting());
	return o;
}

struct json_object *policy_schema(void)
{
	struct json_object *o = object_to_schema(&policy_file_object);

	json_object_object_add(o, "$schema", text("https://json-schema.org/draft/2020-12/schema"));
	json_object_object_add(o, "title", text("cetd policy, version 1"));
	return o;
}
