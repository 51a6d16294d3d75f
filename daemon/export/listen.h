/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the exporter listens: addresses as the configuration writes them, and their sockets. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Longest text of an address with its NUL: "unix:" and a path, or "[IPv6]:PORT". */
#define LISTEN_TEXT_MAX 128

/* family: AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC for "off". */
struct listen_address {
	struct sockaddr_storage sockaddr;
	socklen_t size;
	int family;
};

/*
 * "A.B.C.D:PORT", "[IPv6]:PORT", "unix:/PATH" or "off"; port 0 lets the kernel choose. Pure. 0, or -EINVAL
 * and in *ret_why, where that is not NULL, what is wrong and what is expected.
 */
int listen_address_from_string(const char *s, struct listen_address *ret, const char **ret_why);

/* As above, for messages; of a socket without a name "unix:". */
void listen_address_to_string(const struct listen_address *a, char ret[LISTEN_TEXT_MAX]);

/* Can only processes of this host connect? */
bool listen_address_is_local(const struct listen_address *a);

/*
 * A listening, non-blocking socket. Logging: the message says what to do. *bound is the address with the
 * port that the kernel chose. A socket file that nobody listens on any more is replaced.
 */
int listen_open(const struct listen_address *a, bool may_be_remote, struct listen_address *bound);

/* The address of an inherited stream socket that listens; made non-blocking and CLOEXEC. Logging. */
int listen_adopt(int fd, struct listen_address *bound);

/* Remove the file of a unix socket that listen_open() made, unless another has taken its place since. */
void listen_unlink(const struct listen_address *bound, const struct stat *own);
