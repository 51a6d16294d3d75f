// SPDX-License-Identifier: GPL-2.0-only
/* Run a fuzz target on the files of directories, without libFuzzer: a check a directory. */
#include <dirent.h>
#include <errno.h>

#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Nothing is mutated here; for targets that bring a mutator of their own. */
size_t LLVMFuzzerMutate(uint8_t *data _unused_, size_t size, size_t max_size _unused_)
{
	return size;
}

static int run_file(const char *path)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "re");
	static uint8_t data[1024 * 1024];
	size_t n;

	if (!f)
		return -errno;
	n = fread(data, 1, sizeof(data), f);
	/* So that a sanitizer's report can be told from those of other inputs. */
	fprintf(stderr, "%s\n", path);
	/* In memory of exactly this size: a byte too far is seen. */
	uint8_t *exact = malloc(n ?: 1);

	memcpy(exact, data, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		unsigned int n = 0;
		struct dirent *e;

		while (dir && (e = readdir(dir))) {
			_cleanup_(freep) char *path = NULL;

			if (e->d_name[0] == '.' || asprintf(&path, "%s/%s", argv[i], e->d_name) < 0)
				continue;
			if (run_file(path) < 0)
				failed = printf("not ok %s cannot be read\n", path);
			else
				n++;
		}
		if (dir)
			closedir(dir);
		printf(n ? "ok %s: %u inputs\n" : "not ok %s: %u inputs\n", argv[i], n);
		failed |= !n;
	}
	return failed;
}
