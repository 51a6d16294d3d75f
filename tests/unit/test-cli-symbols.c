// SPDX-License-Identifier: GPL-2.0-only
/* cli/symbols.c and cli/symfile.c: what is a symbol file, what an address is called, where KASLR's offset is certain. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "symfile.h"

#define KERNEL                                                                           \
	"ffffffff81000000 T _text\nffffffff81000000 T startup_64\n"                      \
	"ffffffff81000100 t local\nffffffff81000100 T global\nffffffff81000100 W weak\n" \
	"ffffffff81e00000 D data\nffffffff83000000 T _etext\n"

static int parse(const char *text, size_t size, struct symbols **ret, unsigned int *ret_line,
		 const char **ret_expected)
{
	char *copy = malloc(size + 1);

	assert_non_null(copy);
	memcpy(copy, text, size);
	return symfile_parse(copy, size, ret, ret_line, ret_expected);
}

static struct symbols *parsed(const char *text)
{
	struct symbols *s = NULL;
	const char *expected;
	unsigned int line;

	assert_int_equal(parse(text, strlen(text), &s, &line, &expected), 0);
	return s;
}

static void test_lines(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		int r;
		unsigned int line;
		const char *expected;
	} cases[] = {
#define TEXT(s) s, sizeof(s) - 1
		{TEXT("401000 T main\n"), 0, 0, NULL},
		{TEXT("401000 T main"), 0, 0, NULL},
		{TEXT("401000T main\n"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("x01000 T main\n"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT(" 401000 T main\n"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("-401000 T main\n"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("401000 TT main\n"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("401000 T \n"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("401000 T"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("401000 "), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("401000"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("ffffffffffffffff T f\n"), 0, 0, NULL},
		{TEXT("0ffffffffffffffff T f\n"), -EBADMSG, 1, "ADDRESS TYPE NAME"},
		{TEXT("1 T f\n\n2 T g\n"), -EBADMSG, 2, "ADDRESS TYPE NAME"},
		{TEXT("1 T f\n2 T g\0x\n"), -EBADMSG, 2, "zero bytes"},
		{TEXT("1 t f\t[mod]\n"), 0, 0, NULL},
		{TEXT("1 t f\t[mod\n"), -EBADMSG, 1, "in brackets"},
		{TEXT("1 D data\n"), -EBADMSG, 0, "symbols of code"},
		{TEXT(""), -EBADMSG, 0, "symbols of code"},
		{TEXT("0 T f\n0 t g\n"), -EBADMSG, 0, "root only"},
		{TEXT("0 T f\n1 t g\n"), 0, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct symbols *s = NULL;
		const char *expected;
		unsigned int line;
		int r = parse(cases[i].text, cases[i].size, &s, &line, &expected);

		if (r != cases[i].r || line != cases[i].line || !s != (r < 0))
			fail_msg("case %zu: %d in line %u", i, r, line);
		if (cases[i].expected && !strstr(expected, cases[i].expected))
			fail_msg("case %zu: '%s'", i, expected);
		symbols_free(s);
	}
}

static void test_long_names_are_refused(void **state)
{
	char text[600];
	struct symbols *s = NULL;
	const char *expected;
	unsigned int line;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "1 T ", 4);
	assert_int_equal(parse(text, 4 + SYMBOLS_NAME_MAX, &s, &line, &expected), 0);
	symbols_free(s);
	s = NULL;
	assert_int_equal(parse(text, 4 + SYMBOLS_NAME_MAX + 1, &s, &line, &expected), -EBADMSG);
	assert_int_equal(line, 1);
	assert_null(s);
}

static void test_too_many_symbols_are_refused(void **state)
{
	const size_t n = SYMBOLS_MAX + 1;
	struct symbols *s = NULL;
	const char *expected;
	unsigned int line;
	char *text = malloc(n * 6 + 1);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		memcpy(text + i * 6, "1 T f\n", 6);
	assert_int_equal(symfile_parse(text, n * 6, &s, &line, &expected), -EBADMSG);
	assert_int_equal(line, n);
	assert_non_null(strstr(expected, "4000000"));
}

static void test_lookup(void **state)
{
	static const struct {
		uint64_t address;
		const char *name;
		uint64_t offset;
	} cases[] = {
		{0xffffffff81000000, "startup_64", 0},
		{0xffffffff810000ff, "startup_64", 0xff},
		{0xffffffff80ffffff, NULL, 0},
		{0xffffffff81000100, "global", 0}, /* of three at one place */
		{0xffffffff810fffff, "global", 0xffeff},
		{0xffffffff81100100, NULL, 0}, /* a mebibyte on: in nothing that is known */
		{0xffffffff83000000, NULL, 0}, /* _etext: no code */
		{0xffffffffc0000008, "f [mod]", 8},
		{0, NULL, 0},
		{UINT64_MAX, NULL, 0},
	};
	struct symbols *s = parsed(KERNEL "ffffffffc0000000 t f\t[mod]\n");

	(void)state;
	assert_int_equal(symbols_kind(s), SYMBOLS_LINUX);
	assert_int_equal(symbols_set_offset(s, "0", NULL, 0), CETCTL_OK);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t offset = 0;
		const char *name = symbols_find(s, cases[i].address, &offset);

		if (!name != !cases[i].name || (name && strcmp(name, cases[i].name)) ||
		    offset != cases[i].offset)
			fail_msg("case %zu: %s+0x%lx", i, name ?: "-", (unsigned long)offset);
	}
	assert_null(symbols_find(NULL, 1, &(uint64_t){0}));
	symbols_free(s);
}

static void test_offset(void **state)
{
	static const struct {
		const char *kaslr;
		enum exit_code code;
		enum symbols_offset how;
		uint64_t offset;
	} cases[] = {
		{"0", CETCTL_OK, SYMBOLS_OFFSET_GIVEN, 0},
		{"0x1a000000", CETCTL_OK, SYMBOLS_OFFSET_GIVEN, 0x1a000000},
		{"0x1a000001", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0}, /* Linux moves by 2 MiB */
		{"0x3d000000", CETCTL_OK, SYMBOLS_OFFSET_GIVEN, 0x3d000000},
		{"0x3d200000", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0}, /* out of its room */
		{"_text=ffffffff9b000000", CETCTL_OK, SYMBOLS_OFFSET_SYMBOL, 0x1a000000},
		{"global=0xffffffff9b000100", CETCTL_OK, SYMBOLS_OFFSET_SYMBOL, 0x1a000000},
		{"global=ffffffff9b000000", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
		{"_text=ffffffff80000000", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
		{"nowhere=ffffffff9b000000", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
		{"=ffffffff9b000000", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
		{"_text=", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
		{"", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
		{"-1", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
		{"0x1a000000x", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
		{"0x10000000000000000", CETCTL_USAGE, SYMBOLS_OFFSET_UNKNOWN, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct symbols *s = parsed(KERNEL);
		uint64_t offset;

		if (symbols_set_offset(s, cases[i].kaslr, NULL, 0) != cases[i].code ||
		    symbols_offset(s, &offset) != cases[i].how || offset != cases[i].offset)
			fail_msg("case %zu: %s", i, cases[i].kaslr);
		symbols_free(s);
	}
}

/* 32 MiB of code: an address far enough up or down leaves one place for the kernel, others leave several. */
static void test_offset_is_derived_only_where_it_is_certain(void **state)
{
	static const struct {
		uint64_t addresses[2];
		size_t n;
		unsigned int fitting;
		uint64_t offset;
	} cases[] = {
		{{0xffffffff81000010}, 1, 1, 0},
		{{0xffffffff811fffff}, 1, 1, 0},
		{{0xffffffff81200000}, 1, 2, 0},
		{{0xffffffffbfffffff}, 1, 1, 0x3d000000},
		{{0xffffffffbe000000}, 1, 16, 0},
		{{0xffffffff9a000000, 0xffffffff9bffffff}, 2, 1, 0x19000000},
		{{0xffffffff9a000000, 0xffffffff9bdfffff}, 2, 2, 0},
		{{0xffffffff9a000000, 0xffffffff9c000000},
		 2,
		 0,
		 0}, /* too far apart for this kernel */
		{{0xffffffff80ffffff}, 1, 0, 0},
		{{0x401000, 0xffffffffc0000000}, 2, 0, 0}, /* programs and modules say nothing */
		{{0xffffffff81000010, 0x401000}, 2, 1, 0},
		{{0}, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct symbols *s = parsed(KERNEL);
		uint64_t offset;
		int how;

		assert_int_equal(symbols_set_offset(s, NULL, cases[i].addresses, cases[i].n),
				 CETCTL_OK);
		how = symbols_offset(s, &offset);
		if (symbols_fitting(s) != cases[i].fitting || offset != cases[i].offset ||
		    how != (cases[i].fitting == 1 ? SYMBOLS_OFFSET_ONLY : SYMBOLS_OFFSET_UNKNOWN))
			fail_msg("case %zu: %u fit, 0x%lx", i, symbols_fitting(s),
				 (unsigned long)offset);
		if (cases[i].fitting != 1)
			assert_null(symbols_find(s, 0xffffffff81000010, &offset));
		symbols_free(s);
	}
}

static void test_kallsyms_needs_no_offset(void **state)
{
	struct symbols *s = parsed("ffffffff9a000000 T _text\nffffffff9c000000 T _etext\n");
	uint64_t offset;

	(void)state;
	assert_int_equal(symbols_kind(s), SYMBOLS_RUNNING);
	assert_int_equal(symbols_set_offset(s, NULL, NULL, 0), CETCTL_OK);
	assert_int_equal(symbols_offset(s, &offset), SYMBOLS_OFFSET_NONE);
	assert_string_equal(symbols_find(s, 0xffffffff9a000004, &offset), "_text");
	assert_int_equal(offset, 4);
	symbols_free(s);
}

/* This very program: an ELF file that may be loaded anywhere, and whose place is known here. */
static void test_elf(void **state)
{
	uint64_t here = (uintptr_t)&symfile_load, offset;
	struct symbols *s = NULL;
	char kaslr[64];

	(void)state;
	assert_int_equal(symfile_load("/proc/self/exe", &s), CETCTL_OK);
	assert_int_equal(symbols_kind(s), SYMBOLS_MOVABLE);
	assert_null(symbols_find(s, here, &offset));
	snprintf(kaslr, sizeof(kaslr), "symfile_parse=%lx",
		 (unsigned long)(uintptr_t)&symfile_parse);
	assert_int_equal(symbols_set_offset(s, kaslr, NULL, 0), CETCTL_OK);
	assert_string_equal(symbols_find(s, here + 1, &offset), "symfile_load");
	assert_int_equal(offset, 1);
	symbols_free(s);
}

static void write_file(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	close(fd);
}

/* Bytes of the headers and tables changed, and the file cut off: an error or symbols, never more. */
static void test_broken_elf(void **state)
{
	char path[] = "/tmp/cetd-symbols-XXXXXX";
	int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), out = mkstemp(path);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), err = dup(STDERR_FILENO);
	static unsigned char data[8 << 20], broken[8 << 20];
	unsigned int refused = 0, seed = 1;
	ssize_t size = read(in, data, sizeof(data));
	uint64_t headers;

	(void)state;
	assert_true(size > 64 && out >= 0 && null >= 0 && err >= 0);
	memcpy(&headers, data + 40, sizeof(headers)); /* e_shoff */
	dup2(null, STDERR_FILENO);
	for (unsigned int i = 0; i < 300; i++) {
		size_t length = i % 4 ? (size_t)size : (size_t)size * i / 300;
		struct symbols *s = NULL;

		memcpy(broken, data, (size_t)size);
		for (unsigned int j = 0; j < 1 + i % 8; j++) {
			size_t at;

			seed = seed * 1103515245U + 12345U;
			at = seed >> 8;
			at = i % 3 && headers < (uint64_t)size
				     ? headers + at % ((uint64_t)size - headers)
				     : 16 + at % 48;
			broken[at] = (unsigned char)(seed >> 3);
		}
		write_file(path, broken, length);
		if (symfile_load(path, &s))
			refused++;
		else
			assert_true(symbols_count(s) > 0);
		symbols_free(s);
	}
	dup2(err, STDERR_FILENO);
	unlink(path);
	close(in);
	close(out);
	close(null);
	close(err);
	assert_in_range(refused, 1, 300);
}

static void test_no_symbol_files(void **state)
{
	static const char *const files[] = {"/nonexistent", "/", "/dev/null", "/proc/self/cmdline"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct symbols *s = NULL;

		assert_int_equal(symfile_load(files[i], &s), CETCTL_FAILURE);
		assert_null(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long_names_are_refused),
		cmocka_unit_test(test_too_many_symbols_are_refused),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_offset),
		cmocka_unit_test(test_offset_is_derived_only_where_it_is_certain),
		cmocka_unit_test(test_kallsyms_needs_no_offset),
		cmocka_unit_test(test_elf),
		cmocka_unit_test(test_broken_elf),
		cmocka_unit_test(test_no_symbol_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
