// SPDX-License-Identifier: GPL-2.0-only
/*
 * Have pinned policies say that another cetd made them: pins-layout DIR VERSION|same OBJECT. For the lab, which
 * looks at what cetd makes of that.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/layout.h"

int main(int argc, char *argv[])
{
	struct layout l;

	if (argc != 4)
		errx(2, "usage: pins-layout DIR VERSION|same OBJECT");
	if (layout_read(argv[1], &l) < 0)
		errx(1, "%s: no pinned policies", argv[1]);
	if (strcmp(argv[2], "same"))
		l.version = (uint32_t)atoi(argv[2]);
	l.object = strtoull(argv[3], NULL, 0);
	if (layout_write(argv[1], &l) < 0)
		errx(1, "%s: cannot be written", argv[1]);
	return 0;
}
