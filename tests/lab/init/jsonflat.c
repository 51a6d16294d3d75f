// SPDX-License-Identifier: GPL-2.0-only
/*
 * jsonflat [PATH...]: JSON from standard input, a document a line, as a line PATH=VALUE for each value, PATH as in
 * vms.0.name. With arguments a line for each document with the values of these paths in their order; null for what is
 * not there. For scripts in the emulated host, where starting jq takes 175 million instructions.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#define PATH_MAX_BYTES 512

static void print_all(const char *path, struct json_object *o)
{
	char child[PATH_MAX_BYTES];
	const char *dot = path[0] ? "." : "";

	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach (o, key, value) {
			snprintf(child, sizeof(child), "%s%s%s", path, dot, key);
			print_all(child, value);
		}
	} else if (json_object_is_type(o, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(o); i++) {
			snprintf(child, sizeof(child), "%s%s%zu", path, dot, i);
			print_all(child, json_object_array_get_idx(o, i));
		}
	} else {
		printf("%s=%s\n", path, o ? json_object_get_string(o) : "null");
	}
}

static struct json_object *find(struct json_object *o, const char *path)
{
	char buffer[PATH_MAX_BYTES], *rest = buffer, *key;

	snprintf(buffer, sizeof(buffer), "%s", path);
	while (o && (key = strsep(&rest, "."))) {
		if (json_object_is_type(o, json_type_array))
			o = json_object_array_get_idx(o, strtoul(key, NULL, 10));
		else if (!json_object_object_get_ex(o, key, &o))
			o = NULL;
	}
	return o;
}

static void print_found(struct json_object *document, char **paths, int n)
{
	for (int i = 0; i < n; i++) {
		struct json_object *o = find(document, paths[i]);

		printf("%s%s", o ? json_object_get_string(o) : "null", i + 1 < n ? " " : "\n");
	}
}

int main(int argc, char *argv[])
{
	struct json_object *document;
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		document = json_tokener_parse(line);
		if (!document)
			errx(1, "this is no JSON document: %s", line);
		if (argc > 1)
			print_found(document, argv + 1, argc - 1);
		else
			print_all("", document);
		json_object_put(document);
	}
	free(line);
	return fflush(stdout) ? 1 : 0;
}
