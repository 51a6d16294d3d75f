// SPDX-License-Identifier: GPL-2.0-only
/* Symbols by address, and how far the guest's addresses are from those of the file. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "symbols.h"
#include "text.h"

/* Linux, Documentation/arch/x86/x86_64/mm.rst and arch/x86/Kconfig: where the kernel's image may be, where it is
 * linked to, and the least distance between two places that KASLR chooses from. */
#define LINUX_IMAGE 0xffffffff80000000ULL
#define LINUX_IMAGE_END 0xffffffffc0000000ULL
#define LINUX_TEXT 0xffffffff81000000ULL
#define LINUX_ALIGN 0x200000ULL

/* No function is longer: an address further from a symbol of unknown size is in none. */
#define FUNCTION_BYTES_MAX (1U << 20)

struct symbols {
	struct symbol *symbols;
	size_t n, n_allocated;
	enum symbols_kind kind;
	enum symbols_offset how;
	uint64_t offset;
	uint64_t text, text_end; /* of a Linux kernel */
	unsigned int fitting;
	void *data;
	void (*free_data)(void *data);
};

const char *symbols_kind_to_string(int kind)
{
	static const char *const names[_SYMBOLS_KIND_MAX] = {
		[SYMBOLS_LINUX] = "linux",
		[SYMBOLS_RUNNING] = "running",
		[SYMBOLS_PROGRAM] = "program",
		[SYMBOLS_MOVABLE] = "movable",
	};

	return kind >= 0 && kind < _SYMBOLS_KIND_MAX ? names[kind] : NULL;
}

const char *symbols_offset_to_string(int how)
{
	static const char *const names[_SYMBOLS_OFFSET_MAX] = {
		[SYMBOLS_OFFSET_UNKNOWN] = "unknown", [SYMBOLS_OFFSET_GIVEN] = "given",
		[SYMBOLS_OFFSET_SYMBOL] = "symbol",   [SYMBOLS_OFFSET_NONE] = "none",
		[SYMBOLS_OFFSET_ONLY] = "only",
	};

	return how >= 0 && how < _SYMBOLS_OFFSET_MAX ? names[how] : NULL;
}

struct symbols *symbols_new(void)
{
	return calloc(1, sizeof(struct symbols));
}

struct symbols *symbols_free(struct symbols *s)
{
	if (!s)
		return NULL;
	free(s->symbols);
	if (s->free_data)
		s->free_data(s->data);
	free(s);
	return NULL;
}

void symbols_keep(struct symbols *s, void *data, void (*free_data)(void *data))
{
	s->data = data;
	s->free_data = free_data;
}

int symbols_add(struct symbols *s, const struct symbol *symbol)
{
	if (s->n >= SYMBOLS_MAX)
		return -E2BIG;
	if (s->n == s->n_allocated) {
		size_t n = s->n_allocated ? 2 * s->n_allocated : 1024;
		struct symbol *more = reallocarray(s->symbols, n, sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->symbols = more;
		s->n_allocated = n;
	}
	s->symbols[s->n++] = *symbol;
	return 0;
}

/* By address; of several at one, the one to show comes last, so that the search finds it. */
static int compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if (x->is_end != y->is_end)
		return x->is_end ? -1 : 1;
	if (x->is_global != y->is_global)
		return x->is_global ? 1 : -1;
	if (!!x->size != !!y->size)
		return x->size ? 1 : -1;
	/* startup_64 says more than _text. */
	return strcmp(x->name, y->name);
}

static const struct symbol *by_name(const struct symbols *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->symbols[i].name, name))
			return s->symbols + i;
	return NULL;
}

void symbols_finish(struct symbols *s, bool is_text, bool is_movable)
{
	const struct symbol *text, *end;

	if (s->n)
		qsort(s->symbols, s->n, sizeof(*s->symbols), compare);
	text = by_name(s, "_text") ?: by_name(s, "_stext");
	end = by_name(s, "_einittext") ?: by_name(s, "_etext");
	if (text && end && text->address == LINUX_TEXT && end->address > LINUX_TEXT &&
	    end->address < LINUX_IMAGE_END) {
		s->kind = SYMBOLS_LINUX;
		s->text = text->address;
		s->text_end = end->address;
		return;
	}
	s->kind = is_text ? SYMBOLS_RUNNING : is_movable ? SYMBOLS_MOVABLE : SYMBOLS_PROGRAM;
	s->how = is_movable && !is_text ? SYMBOLS_OFFSET_UNKNOWN : SYMBOLS_OFFSET_NONE;
}

enum symbols_kind symbols_kind(const struct symbols *s)
{
	return s->kind;
}

size_t symbols_count(const struct symbols *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += !s->symbols[i].is_end;
	return n;
}

enum symbols_offset symbols_offset(const struct symbols *s, uint64_t *ret)
{
	*ret = s->offset;
	return s->how;
}

unsigned int symbols_fitting(const struct symbols *s)
{
	return s->fitting;
}

/* Every offset that Linux could have chosen and that has all addresses of its image in its code. */
static void derive(struct symbols *s, const uint64_t *addresses, size_t n)
{
	uint64_t last = LINUX_IMAGE_END - s->text_end;
	size_t seen = 0;

	for (size_t i = 0; i < n; i++)
		seen += addresses[i] >= LINUX_IMAGE && addresses[i] < LINUX_IMAGE_END;
	if (!seen)
		return;
	for (uint64_t offset = 0; offset <= last; offset += LINUX_ALIGN) {
		bool fits = true;

		for (size_t i = 0; fits && i < n; i++)
			fits = addresses[i] < LINUX_IMAGE || addresses[i] >= LINUX_IMAGE_END ||
			       (addresses[i] >= s->text + offset &&
				addresses[i] < s->text_end + offset);
		if (fits && !s->fitting++)
			s->offset = offset;
	}
	if (s->fitting == 1)
		s->how = SYMBOLS_OFFSET_ONLY;
	else
		s->offset = 0;
}

static bool parse_number(const char *text, int base, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, base);
	return !errno && end != text && !*end && *text != '-' && *text != '+' && *text != ' ';
}

static enum exit_code refuse(const char *kaslr)
{
	text_error("--kaslr: '%s' is neither an offset such as 0x1a000000 nor SYMBOL=ADDRESS",
		   kaslr);
	text_hint(
		"in the guest, as root: grep ' _text$' /proc/kallsyms; then --kaslr=_text=ADDRESS");
	return CETCTL_USAGE;
}

enum exit_code symbols_set_offset(struct symbols *s, const char *kaslr, const uint64_t *addresses,
				  size_t n)
{
	const char *equals = kaslr ? strrchr(kaslr, '=') : NULL;
	_cleanup_(freep) char *name = NULL;
	const struct symbol *symbol;
	uint64_t value;

	if (!kaslr) {
		if (s->kind == SYMBOLS_LINUX)
			derive(s, addresses, n);
		return CETCTL_OK;
	}
	if (!parse_number(equals ? equals + 1 : kaslr, equals ? 16 : 0, &value) || equals == kaslr)
		return refuse(kaslr);
	if (equals) {
		name = strndup(kaslr, (size_t)(equals - kaslr));
		symbol = name ? by_name(s, name) : NULL;
		if (!symbol) {
			text_error("--kaslr: the symbol file has no '%s' among its %zu symbols of "
				   "code",
				   name ?: "", symbols_count(s));
			return CETCTL_USAGE;
		}
		value -= symbol->address;
	}
	if (s->kind == SYMBOLS_LINUX &&
	    (value % LINUX_ALIGN || value > LINUX_IMAGE_END - s->text_end)) {
		text_error("--kaslr: 0x%" PRIx64
			   " is no offset of this kernel: Linux moves itself by "
			   "multiples of 0x200000, to 0x%" PRIx64 " at most",
			   value, (uint64_t)(LINUX_IMAGE_END - s->text_end));
		text_hint("is the symbol file of the very kernel that runs in the guest?");
		return CETCTL_USAGE;
	}
	s->offset = value;
	s->how = equals ? SYMBOLS_OFFSET_SYMBOL : SYMBOLS_OFFSET_GIVEN;
	return CETCTL_OK;
}

const char *symbols_find(const struct symbols *s, uint64_t address, uint64_t *ret_offset)
{
	size_t low = 0, high;
	const struct symbol *found;

	if (!s || s->how == SYMBOLS_OFFSET_UNKNOWN)
		return NULL;
	address -= s->offset;
	high = s->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	found = s->symbols + low - 1;
	if (found->is_end || address - found->address >= (found->size ?: FUNCTION_BYTES_MAX))
		return NULL;
	*ret_offset = address - found->address;
	return found->name;
}
