// SPDX-License-Identifier: GPL-2.0-only
/* cetctl dump: the daemon's whole snapshot as JSON. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus.h"
#include "doc.h"
#include "text.h"

/* 65536 VMs with 64 faults each stay below this. */
#define DUMP_BYTES_MAX (2ULL << 30)

static enum exit_code read_snapshot(int fd, char **ret)
{
	_cleanup_(freep) char *text = NULL;
	size_t size, done = 0;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    (uint64_t)st.st_size > DUMP_BYTES_MAX) {
		text_error("the daemon's snapshot is not a file of a sensible size");
		return CETCTL_FAILURE;
	}
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	while (text && done < size) {
		ssize_t n = pread(fd, text + done, size - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			text_error("cannot read the daemon's snapshot: %s",
				   n ? strerror(errno) : "it ends early");
			return CETCTL_FAILURE;
		}
		done += (size_t)n;
	}
	if (!text) {
		text_error("out of memory");
		return CETCTL_FAILURE;
	}
	text[done] = 0;
	*ret = text;
	text = NULL;
	return CETCTL_OK;
}

enum exit_code verb_dump(struct ctl *ctl, int argc, char **argv)
{
	_cleanup_doc_ json_object *snapshot = NULL;
	_cleanup_(freep) char *text = NULL;
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
	code = read_snapshot(fd, &text);
	close(fd);
	if (!code)
		code = doc_parse(text, "snapshot", &snapshot);
	return code ?: doc_print(stdout, snapshot, mode);
}
