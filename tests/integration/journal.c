// SPDX-License-Identifier: GPL-2.0-only
/* Entries for the journal, with fields: what arrives at a stand-in for its socket, in a mount namespace of its own. */
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cetd/message-ids.h"
#include "util/log.h"

static unsigned int n_failed;
static char entry[8192];

static void check(bool ok, const char *name)
{
	printf(ok ? "ok journal: %s\n" : "not ok journal: %s: got \"%s\"\n", name, entry);
	n_failed += !ok;
}

/* Lines of the entry, but for the binary form of what has a newline in it. */
static bool has(const char *field)
{
	const char *at = strstr(entry, field);
	size_t n = strlen(field);

	return at && (at == entry || at[-1] == '\n') && at[n] == '\n';
}

static bool receive(int fd)
{
	ssize_t n = recv(fd, entry, sizeof(entry) - 1, MSG_DONTWAIT);

	entry[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

int main(void)
{
	const struct sockaddr_un address = {AF_UNIX, "/run/systemd/journal/socket"};
	const char *const fields[] = {"CETD_VM=web", "CETD_RULE=a\nPRIORITY=0", NULL};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0) {
		printf("skip journal: needs root for a mount namespace\n");
		return 77;
	}
	mkdir("/run/systemd", 0755);
	mkdir("/run/systemd/journal", 0755);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		printf("not ok journal: a socket in the namespace\n");
		return 1;
	}
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_event(LOG_WARNING, CETD_LOG_STORM_STARTED, fields, "VM %s: a storm began", "web");
	check(receive(fd), "an entry arrives");
	check(has("MESSAGE=VM web: a storm began") && has("PRIORITY=4"), "with text and priority");
	check(has("MESSAGE_ID=" CETD_LOG_STORM_STARTED), "and the message's id");
	check(has("CETD_VM=web"), "and fields");
	check(!has("PRIORITY=0"), "a newline in a field makes no other field");
	log_set_max_level(LOG_ERR);
	log_event(LOG_WARNING, CETD_LOG_STORM_STARTED, fields, "not seen");
	check(!receive(fd), "a level that is not wanted is not sent");
	log_set_max_level(LOG_INFO);
	unsetenv("JOURNAL_STREAM");
	log_event(LOG_NOTICE, CETD_LOG_STORM_ENDED, fields, "on stderr");
	check(!receive(fd), "without a journal it goes to stderr alone");
	return n_failed ? 1 : 0;
}
