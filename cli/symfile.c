// SPDX-License-Identifier: GPL-2.0-only
/* Symbol files: telling text from ELF, and the text forms, System.map and /proc/kallsyms. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symfile.h"
#include "text.h"

#define EXPECTED_LINE "expected 'ADDRESS TYPE NAME', as in System.map or /proc/kallsyms"

static const char *parse_line(char *line, struct symbol *ret, char *ret_type)
{
	char *end, *name;
	size_t digits = strspn(line, "0123456789abcdefABCDEF");

	if (!digits || digits > 16 || line[digits] != ' ')
		return EXPECTED_LINE;
	*ret = (struct symbol){.address = strtoull(line, &end, 16)};
	*ret_type = end[1];
	if (*ret_type <= ' ' || *ret_type > '~' || end[2] != ' ')
		return EXPECTED_LINE;
	name = end + 3;
	/* kallsyms: "NAME\t[MODULE]", which is kept as "NAME [MODULE]". */
	end = name + strcspn(name, "\t \r");
	if (end[0] == '\t' && end[1] == '[') {
		*end = ' ';
		end += strcspn(end, "]") + 1;
		if (end[-1] != ']')
			return "expected the module's name in brackets";
	}
	*end = 0;
	if (!*name)
		return EXPECTED_LINE;
	if (strlen(name) > SYMBOLS_NAME_MAX)
		return "expected a name of at most 512 bytes";
	ret->name = name;
	ret->is_global = *ret_type == 'T';
	ret->is_end = !strcmp(name, "_etext") || !strcmp(name, "_einittext");
	return NULL;
}

int symfile_parse(char *text, size_t size, struct symbols **ret, unsigned int *ret_line,
		  const char **ret_expected)
{
	_cleanup_(symbols_freep) struct symbols *s = symbols_new();
	char *line = text, *next, *end = text + size;
	bool has_address = false;

	*ret_line = 0;
	*ret_expected = NULL;
	if (!s) {
		free(text);
		return -ENOMEM;
	}
	*end = 0;
	symbols_keep(s, text, free);
	for (; line < end; line = next) {
		struct symbol symbol;
		char type;
		int r = 0;

		next = memchr(line, '\n', (size_t)(end - line)) ?: end;
		*next++ = 0;
		++*ret_line;
		*ret_expected = strlen(line) + 1 == (size_t)(next - line)
					? parse_line(line, &symbol, &type)
					: "expected text, without zero bytes";
		if (*ret_expected)
			return -EBADMSG;
		has_address |= symbol.address != 0;
		if (strchr("tTwW", type) || symbol.is_end || !strcmp(symbol.name, "_text"))
			r = symbols_add(s, &symbol);
		if (r == -E2BIG)
			*ret_expected = "expected at most 4000000 symbols";
		if (r < 0)
			return r == -E2BIG ? -EBADMSG : r;
	}
	*ret_line = 0;
	symbols_finish(s, true, false);
	if (!symbols_count(s))
		*ret_expected = "expected symbols of code (types t, T, w, W), it has none";
	else if (!has_address)
		*ret_expected = "expected addresses, all are 0: kallsyms shows them to root only";
	if (*ret_expected)
		return -EBADMSG;
	*ret = s;
	s = NULL;
	return 0;
}

/* All of fd, which may be a pipe. */
static enum exit_code read_text(const char *file, int fd, char **ret, size_t *ret_size)
{
	_cleanup_(freep) char *text = NULL;
	size_t size = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (size + 1 >= room) {
			char *more = realloc(text, room ? 2 * room : 1 << 20);

			if (!more) {
				text_error("out of memory");
				return CETCTL_FAILURE;
			}
			text = more;
			room = room ? 2 * room : 1 << 20;
		}
		n = read(fd, text + size, room - size - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			text_error("%s: cannot read it: %s", file, strerror(errno));
			return CETCTL_FAILURE;
		}
		if (!n)
			break;
		size += (size_t)n;
		if (size > SYMBOLS_TEXT_BYTES_MAX) {
			text_error("%s: expected at most %u bytes of text", file,
				   SYMBOLS_TEXT_BYTES_MAX);
			return CETCTL_FAILURE;
		}
	}
	*ret = text;
	*ret_size = size;
	text = NULL;
	return CETCTL_OK;
}

static enum exit_code load_text(const char *file, int fd, struct symbols **ret)
{
	const char *expected;
	unsigned int line;
	char *text = NULL;
	size_t size = 0;
	enum exit_code code = read_text(file, fd, &text, &size);
	int r;

	if (code)
		return code;
	r = symfile_parse(text, size, ret, &line, &expected);
	if (r >= 0)
		return CETCTL_OK;
	if (line)
		text_error("%s: line %u: %s", file, line, expected ?: strerror(-r));
	else
		text_error("%s: %s", file, expected ?: strerror(-r));
	text_hint(
		"--symbols takes System.map, a copy of the guest's /proc/kallsyms, or an ELF file");
	return CETCTL_FAILURE;
}

enum exit_code symfile_load(const char *file, struct symbols **ret)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum exit_code code;
	char magic[4] = "";
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		text_error("%s: cannot open it: %s", file, strerror(errno));
		if (fd >= 0)
			close(fd);
		return CETCTL_FAILURE;
	}
	if (S_ISDIR(st.st_mode)) {
		text_error("%s: expected a file, it is a directory", file);
		close(fd);
		return CETCTL_FAILURE;
	}
	if (S_ISREG(st.st_mode) && pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	    !memcmp(magic, "\177ELF", sizeof(magic))) {
		if ((uint64_t)st.st_size > SYMBOLS_ELF_BYTES_MAX) {
			text_error(
				"%s: expected an ELF file of at most %llu bytes, it has %" PRIu64,
				file, SYMBOLS_ELF_BYTES_MAX, (uint64_t)st.st_size);
			close(fd);
			return CETCTL_FAILURE;
		}
		return symfile_read_elf(file, fd, ret);
	}
	code = load_text(file, fd, ret);
	close(fd);
	return code;
}
