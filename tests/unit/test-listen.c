// SPDX-License-Identifier: GPL-2.0-only
/* Addresses to listen on: what is taken, what is refused and why; and the sockets, in a directory of our own. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "export/listen.h"
#include "util/log.h"
#include "util/macro.h"

#define PATH_107                                                       \
	"/01234567890123456789012345678901234567890123456789012345678" \
	"90123456789012345678901234567890123456789012345"

static const struct {
	const char *text;
	int family;
	bool is_local;
} accepted[] = {
	{"127.0.0.1:9752", AF_INET, true},
	{"127.255.255.254:1", AF_INET, true},
	{"0.0.0.0:65535", AF_INET, false},
	{"192.0.2.1:80", AF_INET, false},
	{"128.0.0.1:9752", AF_INET, false},
	{"127.0.0.1:0", AF_INET, true},
	{"[::1]:9752", AF_INET6, true},
	{"[::]:9752", AF_INET6, false},
	{"[2001:db8::1]:9752", AF_INET6, false},
	{"[::ffff:127.0.0.1]:9752", AF_INET6, true},
	{"[::ffff:192.0.2.1]:9752", AF_INET6, false},
	{"unix:/run/cetd/metrics", AF_UNIX, true},
	{"unix:/a:b", AF_UNIX, true},
	{"unix:" PATH_107, AF_UNIX, true},
	{"off", AF_UNSPEC, true},
};

static const struct {
	const char *text, *why;
} refused[] = {
	{"", "expected HOST:PORT"},
	{"127.0.0.1", "expected HOST:PORT"},
	{"9752", "expected HOST:PORT"},
	{":9752", "numeric"},
	{"127.0.0.1:", "port"},
	{"127.0.0.1:65536", "port"},
	{"127.0.0.1:99999", "port"},
	{"127.0.0.1:009752", "port"},
	{"127.0.0.1:+80", "port"},
	{"127.0.0.1:-1", "port"},
	{"127.0.0.1:80 ", "port"},
	{"127.0.0.1:0x50", "port"},
	{" 127.0.0.1:80", "numeric"},
	{"127.0.0.256:80", "numeric"},
	{"127.1:80", "numeric"},
	{"localhost:9752", "numeric"},
	{"http://127.0.0.1:9752", "numeric"},
	{"::1:9752", "numeric"},
	{"[::1]", "numeric"},
	{"[::1:9752", "numeric"},
	{"::1]:9752", "numeric"},
	{"[]:9752", "numeric"},
	{"[127.0.0.1]:9752", "numeric"},
	{"[fe80::1%lo]:9752", "numeric"},
	{"[::1]:", "port"},
	{"11111111111111111111111111111111111111111111111111111111111111111111:1", "numeric"},
	{"unix:", "absolute"},
	{"unix:metrics", "absolute"},
	{"unix:@metrics", "absolute"},
	{"unix:/", "name a file"},
	{"unix:/run/", "name a file"},
	{"unix:" PATH_107 "8", "108"},
	{"Off", "expected HOST:PORT"},
	{"off ", "expected HOST:PORT"},
};

static void test_good_addresses_are_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		struct listen_address a;
		char text[LISTEN_TEXT_MAX];

		if (listen_address_from_string(accepted[i].text, &a, NULL) != 0)
			fail_msg("%s is refused", accepted[i].text);
		assert_int_equal(a.family, accepted[i].family);
		assert_int_equal(listen_address_is_local(&a), accepted[i].is_local);
		listen_address_to_string(&a, text);
		assert_string_equal(text, accepted[i].text);
	}
}

static void test_bad_addresses_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct listen_address a = {.family = -7};
		const char *why = "nothing";

		if (listen_address_from_string(refused[i].text, &a, &why) != -EINVAL)
			fail_msg("%s is taken", refused[i].text);
		if (!strstr(why, refused[i].why))
			fail_msg("%s: the reason is \"%s\"", refused[i].text, why);
		assert_int_equal(a.family, -7);
	}
}

static int open_text(const char *text, bool may_be_remote, struct listen_address *bound)
{
	struct listen_address a;

	assert_int_equal(listen_address_from_string(text, &a, NULL), 0);
	return listen_open(&a, may_be_remote, bound);
}

static void test_kernel_chooses_a_port(void **state)
{
	struct listen_address bound;
	char text[LISTEN_TEXT_MAX];
	int fd = open_text("127.0.0.1:0", false, &bound);

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	listen_address_to_string(&bound, text);
	assert_string_not_equal(text, "127.0.0.1:0");

	/* Taken now. */
	assert_int_equal(open_text(text, false, &bound), -EADDRINUSE);
	close(fd);
	fd = open_text(text, false, &bound);
	assert_true(fd >= 0);
	close(fd);
}

static void test_remote_needs_leave(void **state)
{
	struct listen_address bound;
	int fd;

	(void)state;
	assert_int_equal(open_text("0.0.0.0:0", false, &bound), -EPERM);
	fd = open_text("0.0.0.0:0", true, &bound);
	assert_true(fd >= 0);
	close(fd);
}

static void test_stale_socket_is_replaced_live_one_not(void **state)
{
	const char *dir = *state;
	struct listen_address bound;
	struct stat own;
	char text[LISTEN_TEXT_MAX];
	int fd, r;

	snprintf(text, sizeof(text), "unix:%s/s", dir);
	fd = open_text(text, false, &bound);
	assert_true(fd >= 0);
	assert_int_equal(open_text(text, false, &bound), -EADDRINUSE);
	close(fd);
	fd = open_text(text, false, &bound);
	assert_true(fd >= 0);
	close(fd);

	r = stat(text + 5, &own);
	assert_int_equal(r, 0);
	assert_int_equal(own.st_mode & 0777, 0666);
	own.st_ino++;
	listen_unlink(&bound, &own);
	assert_int_equal(access(text + 5, F_OK), 0);
	own.st_ino--;
	listen_unlink(&bound, &own);
	assert_int_equal(access(text + 5, F_OK), -1);
}

static void test_other_files_are_left_alone(void **state)
{
	const char *dir = *state;
	struct listen_address bound;
	char text[LISTEN_TEXT_MAX];
	int fd;

	snprintf(text, sizeof(text), "unix:%s/f", dir);
	fd = open(text + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(open_text(text, false, &bound), -EEXIST);
	assert_int_equal(access(text + 5, F_OK), 0);
	unlink(text + 5);

	snprintf(text, sizeof(text), "unix:%s/no/f", dir);
	assert_int_equal(open_text(text, false, &bound), -ENOENT);
}

static void test_adopts_listening_sockets_only(void **state)
{
	struct listen_address bound, adopted;
	int fd = open_text("[::1]:0", false, &bound), pair[2], pipes[2];

	(void)state;
	if (fd < 0) /* a host without IPv6 */
		fd = open_text("127.0.0.1:0", false, &bound);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(listen_adopt(fd, &adopted), 0);
	assert_memory_equal(&adopted.sockaddr, &bound.sockaddr, bound.size);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(listen_adopt(pair[0], &adopted), -EINVAL);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	assert_int_equal(listen_adopt(pipes[0], &adopted), -ENOTSOCK);
	close(pipes[0]);
	close(pipes[1]);
}

static int make_directory(void **state)
{
	static char dir[] = "/tmp/cetd-listen.XXXXXX";

	log_set_max_level(LOG_EMERG);
	*state = mkdtemp(dir);
	return *state ? 0 : -1;
}

static int remove_directory(void **state)
{
	return rmdir(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_addresses_are_taken),
		cmocka_unit_test(test_bad_addresses_are_refused),
		cmocka_unit_test(test_kernel_chooses_a_port),
		cmocka_unit_test(test_remote_needs_leave),
		cmocka_unit_test(test_stale_socket_is_replaced_live_one_not),
		cmocka_unit_test(test_other_files_are_left_alone),
		cmocka_unit_test(test_adopts_listening_sockets_only),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
