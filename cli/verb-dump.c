// SPDX-License-Identifier: GPL-2.0-only
/* cetctl dump: the daemon's whole snapshot as JSON. */
#include <unistd.h>

#include "bus.h"
#include "doc.h"
#include "text.h"

enum exit_code verb_dump(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_doc_ json_object *snapshot = NULL;
	enum json_mode mode = ctl->options.json;
	enum exit_code code = bus_open(ctl);
	int fd;

	(void)argc;
	(void)argv;
	if (code)
		return code;
	if (mode == JSON_OFF)
		mode = JSON_AUTO;
	if (!ctl->may_pass_fds) {
		text_note("no file descriptor passes over this connection: fault records and "
			  "addresses "
			  "are left out");
		code = bus_describe(ctl, NULL, &snapshot);
		return code ?: doc_print(stdout, snapshot, mode);
	}
	code = bus_call_fd(ctl, "DumpByFileDescriptor", NULL, &fd);
	if (code)
		return code;
	code = bus_read_dump(fd, &snapshot);
	close(fd);
	return code ?: doc_print(stdout, snapshot, mode);
}
