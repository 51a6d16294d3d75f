// SPDX-License-Identifier: GPL-2.0-only
/* The files of page/ as they are; the Makefile knows that this depends on them. */
#include "export/assets.h"
#include "util/macro.h"

#define EMBED(name, file)                                                                  \
	__asm__(".pushsection .rodata\n" #name "_data: .incbin \"daemon/export/page/" file \
		"\"\n" #name "_end: .byte 0\n.popsection\n");                              \
	extern const char name##_data[] __attribute__((visibility("hidden")));             \
	extern const char name##_end[] __attribute__((visibility("hidden")))

EMBED(page_css, "page.css");
EMBED(page_js, "page.js");

const struct asset assets[] = {
	{"/page.css", "text/css; charset=utf-8", page_css_data, page_css_end},
	{"/page.js", "text/javascript; charset=utf-8", page_js_data, page_js_end},
};

const size_t n_assets = ARRAY_SIZE(assets);
