// SPDX-License-Identifier: GPL-2.0-only
/* Policy files: from text to rules, by the table of keys. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "policy/keys.h"
#include "policy/parse.h"
#include "util/jsontext.h"
#include "util/macro.h"

struct parser {
	struct jsontext text;
	struct policy_set *set;
	const char *file; /* owned by the set */
};

/* Where the parser is, for messages and places. */
struct place {
	const struct place *parent;
	const char *name;
	size_t at; /* of the key or element */
};

/* Two objects deep at the most, and lists have no name of their own. */
static void path_of(const struct place *place, char *buffer, size_t size)
{
	const struct place *parent = place->parent;

	if (parent && parent->name && parent->parent && parent->parent->name)
		snprintf(buffer, size, "%s.%s.%s", parent->parent->name, parent->name, place->name);
	else if (parent && parent->name)
		snprintf(buffer, size, "%s.%s", parent->name, place->name);
	else
		snprintf(buffer, size, "%s", place->name);
}

static int refuse(struct parser *p, const struct place *place, const struct policy_key *key,
		  struct json_object *found)
{
	char path[256], valid[256];

	path_of(place, path, sizeof(path));
	policy_key_valid(key, valid, sizeof(valid));
	return jsontext_fail(&p->text, place->at, "%s is %.200s, valid is %s", path,
			     jsontext_quote(found), valid);
}

/* A string without a NUL in it; NULL where it is none. */
static const char *string_of(struct json_object *value)
{
	const char *text = json_object_get_string(value);

	if (!json_object_is_type(value, json_type_string) ||
	    strlen(text) != (size_t)json_object_get_string_len(value))
		return NULL;
	return text;
}

static bool is_id(const char *text)
{
	size_t n =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n && n < POLICY_ID_SIZE && !text[n];
}

/* The word's value, or -1. */
static int word_of(const struct policy_key *key, struct json_object *value)
{
	const char *text = string_of(value);

	for (int i = 0; text && key->to_string(i); i++)
		if (!strcmp(text, key->to_string(i)))
			return i;
	return -1;
}

static int read_words(const struct policy_key *key, struct json_object *value, uint8_t *ret)
{
	uint8_t mask = 0;

	if (!json_object_is_type(value, json_type_array))
		return -EBADMSG;
	for (size_t i = 0; i < json_object_array_length(value); i++) {
		int word = word_of(key, json_object_array_get_idx(value, i));

		if (word < 0)
			return -EBADMSG;
		mask |= (uint8_t)(1U << word);
	}
	*ret = mask;
	return mask ? 0 : -EBADMSG;
}

static int read_pattern(const struct policy_key *key, struct json_object *value, char **ret)
{
	const char *text = string_of(value);
	char *copy;

	if (!text || !text[0] || (key->to_string && word_of(key, value) < 0))
		return -EBADMSG;
	/* A UUID without dashes grows by four. */
	copy = malloc(strlen(text) + 5);
	if (!copy)
		return -ENOMEM;
	strcpy(copy, text);
	*ret = copy;
	return key->normalise && !key->normalise(copy) ? -EBADMSG : 0;
}

/* The array is the target's as soon as it is there: half filled, it is freed with the rule. */
static int read_patterns(const struct policy_key *key, struct json_object *value, char ***ret)
{
	bool is_array = json_object_is_type(value, json_type_array);
	size_t n = is_array ? json_object_array_length(value) : 1;

	if (!n)
		return -EBADMSG;
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = read_pattern(key, is_array ? json_object_array_get_idx(value, i) : value,
				     &(*ret)[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_scalar(const struct policy_key *key, struct json_object *value, void *field)
{
	int64_t number = json_object_get_int64(value);
	int word;

	switch (key->type) {
	case POLICY_KEY_VERSION:
		return json_object_is_type(value, json_type_int) && number == POLICY_FILE_VERSION
			       ? 0
			       : -EBADMSG;
	case POLICY_KEY_ID:
		if (!string_of(value) || !is_id(string_of(value)))
			return -EBADMSG;
		snprintf(field, POLICY_ID_SIZE, "%s", string_of(value));
		return 0;
	case POLICY_KEY_TEXT:
		return string_of(value) ? 0 : -EBADMSG;
	case POLICY_KEY_BOOL:
		if (!json_object_is_type(value, json_type_boolean))
			return -EBADMSG;
		*(bool *)field = json_object_get_boolean(value);
		return 0;
	case POLICY_KEY_U32:
		if (!json_object_is_type(value, json_type_int) || number < key->min ||
		    number > key->max)
			return -EBADMSG;
		*(uint32_t *)field = (uint32_t)number;
		return 0;
	case POLICY_KEY_ENUM:
		word = word_of(key, value);
		if (word < 0)
			return -EBADMSG;
		*(uint8_t *)field = (uint8_t)word;
		return 0;
	case POLICY_KEY_ENUM_SET:
		return read_words(key, value, field);
	case POLICY_KEY_PATTERNS:
		return read_patterns(key, value, field);
	default:
		return -EBADMSG;
	}
}

static int read_object(struct parser *p, const struct policy_object *object,
		       struct json_object *json, const struct place *place, void *target,
		       uint32_t *ret_given);
static int read_rule(struct parser *p, struct json_object *json, const struct place *place);
static int read_rate(struct parser *p, struct json_object *json, const struct place *place,
		     struct policy_rule *rule);

/* An array of objects, or one object. Elements keep the name of the list: the line says which one. */
static int read_list(struct parser *p, const struct policy_key *key, struct json_object *json,
		     const struct place *place, size_t value_at, void *target)
{
	bool is_array = json_object_is_type(json, json_type_array);
	size_t n = is_array ? json_object_array_length(json) : 1;
	struct place element = *place;
	int r = 0;

	if ((!is_array && key->type == POLICY_KEY_LIST) || n > key->max || n < key->min)
		return refuse(p, place, key, json);
	element.at = is_array ? jsontext_first(&p->text, value_at) : value_at;
	for (size_t i = 0; i < n && r >= 0; i++) {
		struct json_object *item = is_array ? json_object_array_get_idx(json, i) : json;

		if (!json_object_is_type(item, json_type_object))
			return refuse(p, &element, key, item);
		r = key->object == &policy_rule_object ? read_rule(p, item, &element)
						       : read_rate(p, item, &element, target);
		element.at = jsontext_next(&p->text, element.at);
	}
	return r;
}

static int read_key(struct parser *p, const struct policy_key *key, struct json_object *value,
		    const struct place *place, size_t value_at, void *target)
{
	struct place inner = {place->parent, place->name, value_at};
	uint32_t given;
	int r;

	switch (key->type) {
	case POLICY_KEY_OBJECT:
		if (!json_object_is_type(value, json_type_object))
			return refuse(p, place, key, value);
		return read_object(p, key->object, value, &inner, target, &given);
	case POLICY_KEY_LIST:
	case POLICY_KEY_ONE_OR_LIST:
		return read_list(p, key, value, place, value_at, target);
	default:
		/* Of the file itself nothing is kept. */
		r = read_scalar(key, value, target ? (char *)target + key->offset : NULL);
		return r == -EBADMSG ? refuse(p, place, key, value) : r;
	}
}

static int unknown_key(struct parser *p, const struct policy_object *object,
		       const struct place *place)
{
	const char *names[16];

	for (size_t i = 0; i < object->n_keys; i++)
		names[i] = object->keys[i].name;
	return jsontext_unknown_key(&p->text, place->at, place->name, names, object->n_keys,
				    "cetctl policy schema");
}

/* place: the object's own. ret_given: which keys of the table were there, a bit each. */
static int read_object(struct parser *p, const struct policy_object *object,
		       struct json_object *json, const struct place *place, void *target,
		       uint32_t *ret_given)
{
	uint32_t given = 0;
	int r;

	json_object_object_foreach (json, name, value) {
		struct place here = {place, name, JSONTEXT_NOWHERE};
		size_t i = 0, value_at = JSONTEXT_NOWHERE;

		here.at = jsontext_find_key(&p->text, place->at, name, JSONTEXT_NOWHERE, &value_at);
		if (here.at == JSONTEXT_NOWHERE)
			here.at = place->at;
		else if (jsontext_find_key(&p->text, place->at, name, here.at, &value_at) !=
			 JSONTEXT_NOWHERE)
			return jsontext_fail(&p->text, value_at, "%s is there twice", name);
		while (i < object->n_keys && strcmp(object->keys[i].name, name))
			i++;
		if (i == object->n_keys)
			return unknown_key(p, object, &here);
		r = read_key(p, object->keys + i, value, &here, value_at, target);
		if (r < 0)
			return r;
		given |= 1U << i;
	}
	for (size_t i = 0; i < object->n_keys; i++) {
		char valid[256];

		if (!object->keys[i].is_required || given & 1U << i)
			continue;
		policy_key_valid(object->keys + i, valid, sizeof(valid));
		return jsontext_fail(&p->text, place->at, "%s is missing in the %s, valid is %s",
				     object->keys[i].name, object->title, valid);
	}
	*ret_given = given;
	return 0;
}

static int refuse_rate(struct parser *p, const struct place *place, enum policy_rate_key key,
		       const char *format, ...) _printf_(4, 5);
static int refuse_rate(struct parser *p, const struct place *place, enum policy_rate_key key,
		       const char *format, ...)
{
	const char *name = policy_rate_object.keys[key].name;
	size_t at, value_at;
	char what[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	at = jsontext_find_key(&p->text, place->at, name, JSONTEXT_NOWHERE, &value_at);
	return jsontext_fail(&p->text, at == JSONTEXT_NOWHERE ? place->at : at, "cp_rate.%s %s",
			     name, what);
}

/* What goes with what, and the values of the keys that were left out. */
static int complete_rate(struct parser *p, const struct place *place, uint32_t given,
			 struct policy_rate_text *t)
{
	bool has_delay = t->then != CETD_THEN_ALERT;
	uint32_t least_quiet;

	if (given & 1U << POLICY_RATE_MIN_DELAY && t->then != CETD_THEN_THROTTLE)
		return refuse_rate(p, place, POLICY_RATE_MIN_DELAY,
				   "is given, valid only where then is \"throttle\"");
	if (given & 1U << POLICY_RATE_MAX_DELAY && !has_delay)
		return refuse_rate(p, place, POLICY_RATE_MAX_DELAY,
				   "is given, not valid where then is \"alert\"");
	if (!(given & 1U << POLICY_RATE_INTERVAL))
		t->interval_ms = 1000;
	if (!(given & 1U << POLICY_RATE_BURST))
		t->burst = t->limit;
	if (!t->limit != !t->burst)
		return refuse_rate(p, place, POLICY_RATE_BURST,
				   "is %u, valid with a limit of %u is %s", t->burst, t->limit,
				   t->limit ? "at least 1" : "0");
	if (!(given & 1U << POLICY_RATE_MAX_DELAY))
		t->max_delay_ms = has_delay ? CETD_POLICY_DELAY_MAX_NS / NSEC_PER_MSEC : 0;
	if (!(given & 1U << POLICY_RATE_MIN_DELAY))
		t->min_delay_ms = t->then == CETD_THEN_THROTTLE;
	if (t->min_delay_ms > t->max_delay_ms)
		return refuse_rate(p, place, POLICY_RATE_MIN_DELAY,
				   "is %u, valid is at most max_delay_ms, %u", t->min_delay_ms,
				   t->max_delay_ms);
	least_quiet = MAX(t->interval_ms, 2 * t->max_delay_ms);
	if (!(given & 1U << POLICY_RATE_QUIET))
		t->quiet_ms = MAX(10000U, least_quiet);
	if (t->quiet_ms < least_quiet)
		return refuse_rate(
			p, place, POLICY_RATE_QUIET,
			"is %u, valid is at least %u: interval_ms and twice max_delay_ms",
			t->quiet_ms, least_quiet);
	return 0;
}

static int read_rate(struct parser *p, struct json_object *json, const struct place *place,
		     struct policy_rule *rule)
{
	struct policy_rate_text t = {.kinds = CETD_KINDS_ALL, .privileges = CETD_PRIVILEGES_ALL};
	struct cetd_rate *rate = rule->values.rates + rule->values.n_rates;
	uint32_t given;
	int r;

	r = read_object(p, &policy_rate_object, json, place, &t, &given);
	if (r >= 0)
		r = complete_rate(p, place, given, &t);
	if (r < 0)
		return r;
	*rate = (struct cetd_rate){
		.interval_ns = t.interval_ms * NSEC_PER_MSEC,
		.quiet_ns = t.quiet_ms * NSEC_PER_MSEC,
		.min_delay_ns = t.min_delay_ms * NSEC_PER_MSEC,
		.max_delay_ns = t.max_delay_ms * NSEC_PER_MSEC,
		.limit = t.limit,
		.burst = t.burst,
		.kinds = t.kinds,
		.privileges = t.privileges,
		.then = t.then,
	};
	rule->values.n_rates++;
	return 0;
}

static int read_rule(struct parser *p, struct json_object *json, const struct place *place)
{
	_cleanup_(policy_rule_freep) struct policy_rule *rule = policy_rule_new();
	uint32_t given;
	int r;

	if (!rule)
		return -ENOMEM;
	rule->file = p->file;
	rule->line = jsontext_line(&p->text, place->at);
	r = read_object(p, &policy_rule_object, json, place, rule, &given);
	if (r < 0)
		return r;
	rule->values.sets = given >> POLICY_RULE_FIRST_SETTING;
	if (!rule->values.sets)
		return jsontext_fail(&p->text, place->at,
				     "rule %s sets nothing, valid is at least one of mode, ibt, "
				     "shstk, cp_rate, record",
				     rule->id);
	r = policy_set_add(p->set, take_ptr(rule));
	if (r == -E2BIG)
		return jsontext_fail(&p->text, place->at, "more than %d rules", POLICY_RULES_MAX);
	return r;
}

static int parse(struct parser *p, const struct policy_object *object, void *target,
		 uint32_t *ret_given)
{
	struct place root = {};
	struct json_object *json;
	int r;

	*p->text.ret_message = NULL;
	r = jsontext_parse(&p->text, &json, &root.at);
	if (r < 0)
		return r;
	r = read_object(p, object, json, &root, target, ret_given);
	json_object_put(json);
	return r;
}

int policy_parse(struct policy_set *set, const char *name, const char *text, size_t size,
		 char **ret_message)
{
	struct parser p = {
		.text = {.name = name, .text = text, .size = size, .ret_message = ret_message},
		.set = set};
	uint32_t given;

	p.file = policy_set_add_file(set, name);
	return p.file ? parse(&p, &policy_file_object, NULL, &given) : -ENOMEM;
}

int policy_parse_settings(const char *name, const char *text, size_t size,
			  struct policy_values *ret, char **ret_message)
{
	struct parser p = {
		.text = {.name = name, .text = text, .size = size, .ret_message = ret_message}};
	struct policy_rule rule = {};
	uint32_t given = 0;
	int r;

	r = parse(&p, &policy_settings_object, &rule, &given);
	if (r < 0)
		return r;
	*ret = rule.values;
	ret->sets = given;
	return 0;
}
