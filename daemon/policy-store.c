// SPDX-License-Identifier: GPL-2.0-only
/* Persistent overrides on disk. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "policy-store.h"
#include "policy/parse.h"
#include "policy/print.h"
#include "util/jsontext.h"
#include "util/macro.h"
#include "util/utf8.h"

static inline void put_jsonp(struct json_object **o)
{
	json_object_put(*o);
}
DEFINE_CLEANUP(struct ledger *, ledger_free)

/* Each setting by itself: {"vm": ID, "until_usec": N, "set": {SETTING: VALUE}}, or "frozen": true. */
static struct json_object *entry_to_json(const char *id, const struct policy_layer *layer, int s)
{
	struct json_object *o = json_object_new_object();
	struct policy_values one = layer->values;

	json_object_object_add(o, "vm", json_object_new_string(id));
	json_object_object_add(o, "until_usec", json_object_new_uint64(layer->until_usec[s]));
	one.sets = 1U << s;
	if (s == POLICY_FROZEN)
		json_object_object_add(o, "frozen", json_object_new_boolean(true));
	else
		json_object_object_add(o, "set", policy_settings_to_json(&one));
	return o;
}

static struct json_object *to_json(const struct ledger *l)
{
	struct json_object *o = json_object_new_object(), *entries = json_object_new_array();
	const struct policy_override *override;
	const char *id = NULL;

	json_object_object_add(o, "version", json_object_new_int(POLICY_STORE_VERSION));
	while ((override = ledger_next_override(l, id, &id))) {
		const struct policy_layer *layer = override->layers + POLICY_PERSISTENT;

		for (int s = 0; s < POLICY_OVERRIDABLE_MAX; s++)
			if (layer->values.sets & 1U << s)
				json_object_array_add(entries, entry_to_json(id, layer, s));
	}
	json_object_object_add(o, "overrides", entries);
	return o;
}

static int write_new(int dir, const char *name, struct json_object *o)
{
	_cleanup_(closep) int fd = openat(dir, name,
					  O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
					  S_IRUSR | S_IWUSR);

	if (fd < 0)
		return -errno;
	errno = 0;
	if (json_object_to_fd(fd, o, JSON_C_TO_STRING_PLAIN) < 0)
		return errno ? -errno : -ENOMEM;
	return fsync(fd) < 0 ? -errno : 0;
}

int policy_store_write(const char *dir, const struct ledger *l)
{
	_cleanup_(put_jsonp) struct json_object *o = to_json(l);
	_cleanup_(closep) int fd = -1;
	static const char new[] = POLICY_STORE_FILE ".new";
	int r;

	if (mkdir(dir, S_IRWXU) < 0 && errno != EEXIST)
		return -errno;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_new(fd, new, o);
	if (r >= 0 && renameat(fd, new, fd, POLICY_STORE_FILE) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(fd, new, 0);
		return r;
	}
	return fsync(fd) < 0;
}

/* What is wrong with an entry, or NULL; *ret_setting is what it sets. */
static const char *read_entry(struct json_object *entry, const char **ret_id,
			      struct policy_values *ret_values, uint64_t *ret_until, char **ret_why)
{
	struct json_object *vm, *until, *set, *frozen;
	const char *id, *text;
	bool has_set, has_frozen;

	if (!json_object_is_type(entry, json_type_object))
		return "it is no object";
	has_set = json_object_object_get_ex(entry, "set", &set);
	has_frozen = json_object_object_get_ex(entry, "frozen", &frozen);
	if (json_object_object_length(entry) != 3 || has_set == has_frozen)
		return "its keys are not vm, until_usec and set or frozen";
	if (!json_object_object_get_ex(entry, "vm", &vm) ||
	    !json_object_is_type(vm, json_type_string))
		return "vm is no string";
	id = json_object_get_string(vm);
	if (!*id || strlen(id) != (size_t)json_object_get_string_len(vm) ||
	    strlen(id) >= sizeof(((struct cetd_identity *)0)->id) ||
	    !utf8_is_valid(id, strlen(id) + 1))
		return "vm is no id";
	if (!json_object_object_get_ex(entry, "until_usec", &until) ||
	    !json_object_is_type(until, json_type_int) || json_object_get_int64(until) < 0)
		return "until_usec is no time";
	*ret_id = id;
	*ret_until = json_object_get_uint64(until);
	*ret_values = (struct policy_values){.sets = 1U << POLICY_FROZEN};
	if (has_frozen)
		return json_object_is_type(frozen, json_type_boolean) &&
				       json_object_get_boolean(frozen)
			       ? NULL
			       : "frozen is not true";
	text = json_object_to_json_string(set);
	if (policy_parse_settings("set", text, strlen(text), ret_values, ret_why) < 0)
		return *ret_why ?: "out of memory";
	return ret_values->sets ? NULL : "set is empty";
}

static int fail(char **ret_message, const char *path, const char *what)
{
	if (asprintf(ret_message, "%s: %s", path, what) < 0)
		*ret_message = NULL;
	return -EBADMSG;
}

static int add_entry(struct ledger *l, struct json_object *entry, size_t index, const char *path,
		     char **ret_message)
{
	_cleanup_(freep) char *why = NULL;
	struct policy_override override = {};
	const struct policy_override *old;
	struct policy_values values;
	const char *id, *wrong;
	uint64_t until;
	int r;

	wrong = read_entry(entry, &id, &values, &until, &why);
	if (wrong) {
		if (asprintf(ret_message, "%s: override %zu: %s", path, index + 1, wrong) < 0)
			*ret_message = NULL;
		return -EBADMSG;
	}
	old = ledger_find_override(l, id);
	if (old)
		override = *old;
	policy_override_set(&override, POLICY_PERSISTENT, &values, until);
	r = ledger_set_override(l, id, &override);
	return r == -E2BIG ? fail(ret_message, path, "holds too many overrides") : r;
}

static int add_all(struct ledger *l, struct json_object *root, const char *path, char **ret_message)
{
	struct json_object *version, *entries;
	int r = 0;

	if (!json_object_object_get_ex(root, "version", &version) ||
	    !json_object_is_type(version, json_type_int))
		return fail(ret_message, path, "version is missing");
	if (json_object_get_int64(version) != POLICY_STORE_VERSION) {
		if (asprintf(ret_message, "%s: version is %lld, this cetd knows %d", path,
			     (long long)json_object_get_int64(version), POLICY_STORE_VERSION) < 0)
			*ret_message = NULL;
		return -EBADMSG;
	}
	if (json_object_object_length(root) != 2 ||
	    !json_object_object_get_ex(root, "overrides", &entries) ||
	    !json_object_is_type(entries, json_type_array))
		return fail(ret_message, path, "its keys are not version and overrides");
	for (size_t i = 0; i < json_object_array_length(entries) && r >= 0; i++)
		r = add_entry(l, json_object_array_get_idx(entries, i), i, path, ret_message);
	return r;
}

static int read_file(const char *path, struct ledger *l, char **ret_message)
{
	_cleanup_(put_jsonp) struct json_object *root = NULL;
	_cleanup_(freep) char *text = NULL;
	struct jsontext t = {.name = path, .ret_message = ret_message};
	size_t at;
	int r;

	r = jsontext_read_max(path, POLICY_STORE_MAX_BYTES, &text, &t.size, ret_message);
	if (r < 0)
		return r;
	t.text = text;
	r = jsontext_parse(&t, &root, &at);
	return r < 0 ? r : add_all(l, root, path, ret_message);
}

/* All or nothing: first into a ledger of its own. */
int policy_store_read(const char *dir, struct ledger *l, char **ret_message)
{
	_cleanup_(ledger_freep) struct ledger *stored = NULL;
	_cleanup_(freep) char *path = NULL;
	const struct policy_override *override;
	const char *id = NULL;
	int r;

	*ret_message = NULL;
	if (asprintf(&path, "%s/" POLICY_STORE_FILE, dir) < 0)
		return -ENOMEM;
	r = ledger_new(&stored);
	if (r >= 0)
		r = read_file(path, stored, ret_message);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (r >= 0 && (override = ledger_next_override(stored, id, &id)))
		r = ledger_set_override(l, id, override);
	return r;
}

int policy_store_set_aside(const char *dir, uint64_t now_usec, char **ret_path)
{
	_cleanup_(freep) char *from = NULL, *to = NULL;

	if (asprintf(&from, "%s/" POLICY_STORE_FILE, dir) < 0)
		return -ENOMEM;
	if (asprintf(&to, "%s.damaged-%llu", from, (unsigned long long)now_usec) < 0)
		return -ENOMEM;
	if (rename(from, to) < 0)
		return -errno;
	*ret_path = take_ptr(to);
	return 0;
}
