// SPDX-License-Identifier: GPL-2.0-only
/* Policy files from disk. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cetd/policy-file.h"

#include "policy-dir.h"
#include "policy/parse.h"
#include "util/jsontext.h"
#include "util/macro.h"

static int is_policy_file(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && !strcmp(entry->d_name + n - 5, ".json");
}

/* Not alphasort(): the order must not depend on the locale. */
static int compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int fail(char **ret_message, const char *path, int error)
{
	struct jsontext t = {.name = path, .ret_message = ret_message};

	return jsontext_fail(&t, JSONTEXT_NOWHERE, "cannot be read: %s", strerror(error));
}

int policy_file_read(const char *path, struct policy_set *set, char **ret_message)
{
	_cleanup_(freep) char *text = NULL;
	size_t size;
	int r;

	*ret_message = NULL;
	r = jsontext_read(path, &text, &size, ret_message);
	/* Not to be taken for a directory that is not there. */
	if (r == -ENOENT)
		return fail(ret_message, path, ENOENT);
	return r < 0 ? r : policy_parse(set, path, text, size, ret_message);
}

static int read_all(const char *path, struct dirent **entries, int n, struct policy_set *set,
		    char **ret_message)
{
	for (int i = 0; i < n; i++) {
		_cleanup_(freep) char *file = NULL;
		int r;

		if (asprintf(&file, "%s/%s", path, entries[i]->d_name) < 0)
			return -ENOMEM;
		r = policy_file_read(file, set, ret_message);
		if (r < 0)
			return r;
	}
	return policy_set_finish(set, ret_message);
}

int policy_dir_read(const char *path, struct policy_set **ret, char **ret_message)
{
	_cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
	struct dirent **entries;
	struct stat st;
	int n, r;

	*ret_message = NULL;
	if (!set)
		return -ENOMEM;
	n = scandir(path, &entries, is_policy_file, compare);
	if (n < 0) {
		r = errno;
		return r == ENOENT && lstat(path, &st) < 0 ? -ENOENT : fail(ret_message, path, r);
	}
	if (n > POLICY_FILES_MAX) {
		if (asprintf(ret_message, "%s: has %d policy files, at most %d are read", path, n,
			     POLICY_FILES_MAX) < 0)
			*ret_message = NULL;
		r = -E2BIG;
	} else {
		r = read_all(path, entries, n, set, ret_message);
	}
	for (int i = 0; i < n; i++)
		free(entries[i]);
	free(entries);
	if (r < 0)
		return r;
	*ret = take_ptr(set);
	return 0;
}

int cetd_policy_check(const char *const *paths, size_t n, size_t *ret_rules, char **ret_message)
{
	_cleanup_(policy_set_freep) struct policy_set *set = policy_set_new();
	int r = set ? 0 : -ENOMEM;

	*ret_message = NULL;
	for (size_t i = 0; i < n && r >= 0; i++)
		r = policy_file_read(paths[i], set, ret_message);
	if (r >= 0)
		r = policy_set_finish(set, ret_message);
	if (r >= 0)
		*ret_rules = set->n_rules;
	return r;
}

char *cetd_policy_schema(void)
{
	struct json_object *schema = policy_schema();
	const char *text = json_object_to_json_string_ext(
		schema, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *copy = text ? strdup(text) : NULL;

	json_object_put(schema);
	return copy;
}
