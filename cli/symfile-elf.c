// SPDX-License-Identifier: GPL-2.0-only
/* The symbols of code in an ELF file, such as vmlinux or a program, by libelf. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <gelf.h>
#include <libelf.h>

#include "symfile.h"
#include "text.h"

/* Names point into libelf's data, which lives as long as this. */
struct elf_file {
	Elf *elf;
	int fd;
};

static void elf_file_free(void *data)
{
	struct elf_file *f = data;

	if (f->elf)
		elf_end(f->elf);
	close(f->fd);
	free(f);
}

static bool is_code(Elf *elf, const GElf_Sym *symbol, const char *name)
{
	int type = GELF_ST_TYPE(symbol->st_info);
	Elf_Scn *section;
	GElf_Shdr header;

	if (!symbol->st_value || symbol->st_shndx == SHN_UNDEF)
		return false;
	if (type == STT_FUNC)
		return true;
	/* Assembly without a type, and the marks of the linker script. */
	if (type != STT_NOTYPE || symbol->st_shndx >= SHN_LORESERVE)
		return symbol->st_shndx == SHN_ABS && !strcmp(name, "_text");
	section = elf_getscn(elf, symbol->st_shndx);
	return section && gelf_getshdr(section, &header) && (header.sh_flags & SHF_EXECINSTR);
}

static const char *add_symbols(struct symbols *s, Elf *elf, Elf_Scn *section,
			       const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	Elf_Scn *strings = elf_getscn(elf, header->sh_link);
	GElf_Shdr string_header;
	size_t n;

	if (!data || !header->sh_entsize || !strings || !gelf_getshdr(strings, &string_header) ||
	    string_header.sh_type != SHT_STRTAB)
		return "expected a readable symbol table with its names";
	n = header->sh_size / header->sh_entsize;
	if (n > SYMBOLS_MAX)
		return "expected at most 4000000 symbols";
	if (string_header.sh_size > SYMBOLS_STRINGS_BYTES_MAX)
		return "expected at most 512 MiB of symbol names";
	for (size_t i = 0; i < n; i++) {
		GElf_Sym symbol;
		const char *name;
		bool is_end;
		int r = 0;

		if (!gelf_getsym(data, (int)i, &symbol))
			return "expected a symbol table of the length that its header says";
		/* NULL where it is outside of the names, or does not end there. */
		name = elf_strptr(elf, header->sh_link, symbol.st_name);
		if (!name || !*name || strnlen(name, SYMBOLS_NAME_MAX + 1) > SYMBOLS_NAME_MAX)
			continue;
		is_end = !strcmp(name, "_etext") || !strcmp(name, "_einittext");
		if (is_end || is_code(elf, &symbol, name))
			r = symbols_add(
				s, &(struct symbol){
					   .address = symbol.st_value,
					   .size = symbol.st_size,
					   .name = name,
					   .is_global = GELF_ST_BIND(symbol.st_info) != STB_LOCAL,
					   .is_end = is_end,
				   });
		if (r < 0)
			return r == -E2BIG ? "expected at most 4000000 symbols" : "out of memory";
	}
	return NULL;
}

/* The full symbol table, or else that of dynamic linking. */
static const char *read_tables(struct symbols *s, Elf *elf)
{
	static const GElf_Word types[] = {SHT_SYMTAB, SHT_DYNSYM};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		Elf_Scn *section = NULL;

		while ((section = elf_nextscn(elf, section))) {
			const char *expected;
			GElf_Shdr header;

			if (!gelf_getshdr(section, &header) || header.sh_type != types[i])
				continue;
			expected = add_symbols(s, elf, section, &header);
			if (expected)
				return expected;
		}
		if (symbols_count(s))
			return NULL;
	}
	return "expected symbols of code, it has none: is it stripped?";
}

enum exit_code symfile_read_elf(const char *file, int fd, struct symbols **ret)
{
	_cleanup_(symbols_freep) struct symbols *s = symbols_new();
	struct elf_file *f = calloc(1, sizeof(*f));
	const char *expected = NULL;
	GElf_Ehdr header = {};

	if (!s || !f) {
		free(f);
		close(fd);
		text_error("out of memory");
		return CETCTL_FAILURE;
	}
	f->fd = fd;
	symbols_keep(s, f, elf_file_free);
	elf_version(EV_CURRENT);
	f->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!f->elf || elf_kind(f->elf) != ELF_K_ELF || !gelf_getehdr(f->elf, &header))
		expected = "expected an ELF file with a valid header";
	else if (header.e_machine != EM_X86_64)
		expected = "expected an ELF file for x86-64";
	else if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		expected =
			"expected a vmlinux, a program or a library, not an object or a core file";
	else
		expected = read_tables(s, f->elf);
	if (expected) {
		text_error("%s: %s", file, expected);
		text_hint("`nm %s` shows symbols where there are any", file);
		return CETCTL_FAILURE;
	}
	symbols_finish(s, false, header.e_type == ET_DYN);
	*ret = s;
	s = NULL;
	return CETCTL_OK;
}
