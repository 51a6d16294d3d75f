// SPDX-License-Identifier: GPL-2.0-only
/* Where the exporter listens: addresses as the configuration writes them, and their sockets. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "export/listen.h"
#include "util/log.h"
#include "util/macro.h"

#define BACKLOG 64

static int refuse(const char **ret_why, const char *why)
{
	if (ret_why)
		*ret_why = why;
	return -EINVAL;
}

static int port_from_string(const char *s, in_port_t *ret)
{
	unsigned int port = 0;
	size_t n;

	for (n = 0; s[n]; n++) {
		if (!isdigit((unsigned char)s[n]) || n == 5)
			return -EINVAL;
		port = port * 10 + (unsigned int)(s[n] - '0');
	}
	if (n == 0 || port > 65535)
		return -EINVAL;
	*ret = htons((in_port_t)port);
	return 0;
}

static int unix_from_string(const char *path, struct listen_address *ret, const char **ret_why)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&ret->sockaddr;

	if (path[0] != '/')
		return refuse(ret_why, "the path after \"unix:\" must be absolute");
	if (strlen(path) >= sizeof(un->sun_path))
		return refuse(ret_why, "the path of a unix socket must be shorter than 108 bytes");
	if (path[strlen(path) - 1] == '/')
		return refuse(ret_why, "the path of a unix socket must name a file");
	ret->family = un->sun_family = AF_UNIX;
	ret->size = sizeof(*un);
	memcpy(un->sun_path, path, strlen(path) + 1);
	return 0;
}

/* host is what stands before the last colon, without brackets. */
static int inet_from_string(int family, const char *host, const char *port,
			    struct listen_address *ret, const char **ret_why)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&ret->sockaddr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->sockaddr;
	bool is_v6 = family == AF_INET6;

	if (inet_pton(family, host, is_v6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr) != 1)
		return refuse(ret_why, "the host must be a numeric address: A.B.C.D or [IPv6]");
	/* The port stands at the same place in both. */
	if (port_from_string(port, &in->sin_port) < 0)
		return refuse(ret_why, "the port must be a number from 0 to 65535");
	ret->family = ret->sockaddr.ss_family = (sa_family_t)family;
	ret->size = is_v6 ? sizeof(*in6) : sizeof(*in);
	return 0;
}

int listen_address_from_string(const char *s, struct listen_address *ret, const char **ret_why)
{
	struct listen_address a = {.family = AF_UNSPEC};
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon;
	size_t n;
	int r = 0;

	if (!strncmp(s, "unix:", 5)) {
		r = unix_from_string(s + 5, &a, ret_why);
	} else if (strcmp(s, "off")) {
		colon = strrchr(s, ':');
		if (!colon)
			return refuse(ret_why, "expected HOST:PORT, unix:/PATH or off");
		n = (size_t)(colon - s);
		if (n >= sizeof(host))
			return refuse(ret_why,
				      "the host must be a numeric address: A.B.C.D or [IPv6]");
		memcpy(host, s, n);
		host[n] = 0;
		if (host[0] == '[' && host[n - 1] == ']') {
			host[n - 1] = 0;
			r = inet_from_string(AF_INET6, host + 1, colon + 1, &a, ret_why);
		} else {
			r = inet_from_string(AF_INET, host, colon + 1, &a, ret_why);
		}
	}
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

void listen_address_to_string(const struct listen_address *a, char ret[LISTEN_TEXT_MAX])
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sockaddr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sockaddr;
	const struct sockaddr_un *un = (const struct sockaddr_un *)&a->sockaddr;
	char host[INET6_ADDRSTRLEN];

	switch (a->family) {
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(ret, LISTEN_TEXT_MAX, "%s:%u", host, ntohs(in->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(ret, LISTEN_TEXT_MAX, "[%s]:%u", host, ntohs(in6->sin6_port));
		break;
	case AF_UNIX:
		snprintf(ret, LISTEN_TEXT_MAX, "unix:%.*s", (int)sizeof(un->sun_path),
			 un->sun_path);
		break;
	default:
		snprintf(ret, LISTEN_TEXT_MAX, "off");
	}
}

bool listen_address_is_local(const struct listen_address *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->sockaddr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->sockaddr;

	if (a->family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (a->family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) &&
			in6->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	return true;
}

/* A socket file whose owner is gone keeps its name: clear it away, but only if nobody answers. */
static int clear_stale(const struct listen_address *a)
{
	const char *path = ((const struct sockaddr_un *)&a->sockaddr)->sun_path;
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a->sockaddr, a->size) >= 0 || errno == EAGAIN)
		return -EADDRINUSE;
	if (errno != ECONNREFUSED)
		return -errno;
	return unlink(path) < 0 ? -errno : 0;
}

static int log_listen_error(int r, const struct listen_address *a)
{
	char text[LISTEN_TEXT_MAX];
	const char *advice = "";

	listen_address_to_string(a, text);
	if (r == -EADDRINUSE)
		advice = ": another process has it; find it with \"ss -lxtnp\" and stop it, or "
			 "choose another (metrics.listen in cetd.conf, or --metrics)";
	else if (r == -EADDRNOTAVAIL)
		advice = ": no interface of this host has it; choose one that \"ip address\" shows";
	else if (r == -EEXIST)
		advice = ": the file there is not a socket; move it away, or choose another path";
	else if (r == -EACCES)
		advice = a->family == AF_UNIX ? ": let the user that cetd runs as write there"
					      : ": ports below 1024 need CAP_NET_BIND_SERVICE";
	else if (r == -ENOENT && a->family == AF_UNIX)
		advice = ": make the directory first";
	return log_error_errno(r, "Failed to listen on %s for metrics: %m%s", text, advice);
}

static int open_socket(const struct listen_address *a)
{
	const int on = 1;
	_cleanup_(closep) int fd = socket(a->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (a->family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (a->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&a->sockaddr, a->size) < 0)
		return -errno;
	/* Counters may be read by anyone who reaches the directory. */
	if (a->family == AF_UNIX &&
	    chmod(((const struct sockaddr_un *)&a->sockaddr)->sun_path, 0666) < 0)
		return -errno;
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	return take_fd(&fd);
}

static int get_bound(int fd, struct listen_address *ret)
{
	struct listen_address a = {.size = sizeof(a.sockaddr)};

	if (getsockname(fd, (struct sockaddr *)&a.sockaddr, &a.size) < 0)
		return -errno;
	a.family = a.sockaddr.ss_family;
	*ret = a;
	return 0;
}

int listen_open(const struct listen_address *a, bool may_be_remote, struct listen_address *bound)
{
	_cleanup_(closep) int fd = -1;
	char text[LISTEN_TEXT_MAX];
	int r;

	listen_address_to_string(a, text);
	if (!listen_address_is_local(a)) {
		if (!may_be_remote)
			return log_error_errno(
				EPERM,
				"Refusing to serve metrics on %s: other hosts could read the names "
				"of all VMs; use a loopback address or unix:/PATH, or set "
				"metrics.allow_remote to true in cetd.conf",
				text);
		log_notice("Serving metrics on %s: other hosts may read them, unencrypted", text);
	}
	if (a->family == AF_UNIX) {
		r = clear_stale(a);
		if (r < 0)
			return log_listen_error(r, a);
	}
	fd = open_socket(a);
	if (fd < 0)
		return log_listen_error(fd, a);
	r = get_bound(fd, bound);
	if (r < 0)
		return log_listen_error(r, a);
	return take_fd(&fd);
}

int listen_adopt(int fd, struct listen_address *bound)
{
	int type = 0, is_listening = 0;
	socklen_t size = sizeof(int);
	struct listen_address a;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return log_error_errno(errno,
				       "File descriptor %d, inherited for metrics, is no "
				       "socket: %m",
				       fd);
	size = sizeof(int);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0)
		return log_error_errno(errno, "Failed to examine the inherited socket %d: %m", fd);
	if (type != SOCK_STREAM || !is_listening)
		return log_error_errno(EINVAL,
				       "The socket inherited for metrics (%d) does not listen for "
				       "streams: use ListenStream= in the socket unit",
				       fd);
	r = get_bound(fd, &a);
	if (r < 0)
		return log_error_errno(r, "Failed to name the inherited socket %d: %m", fd);
	if (a.family != AF_INET && a.family != AF_INET6 && a.family != AF_UNIX)
		return log_error_errno(EAFNOSUPPORT,
				       "The socket inherited for metrics (%d) is of "
				       "address family %d: expected IPv4, IPv6 or "
				       "unix",
				       fd, a.family);
	r = fcntl(fd, F_GETFL);
	if (r < 0 || fcntl(fd, F_SETFL, r | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return log_error_errno(errno, "Failed to set up the inherited socket %d: %m", fd);
	*bound = a;
	return 0;
}

void listen_unlink(const struct listen_address *bound, const struct stat *own)
{
	const char *path = ((const struct sockaddr_un *)&bound->sockaddr)->sun_path;
	struct stat st;

	if (bound->family == AF_UNIX && path[0] == '/' && lstat(path, &st) >= 0 &&
	    st.st_dev == own->st_dev && st.st_ino == own->st_ino)
		unlink(path);
}
