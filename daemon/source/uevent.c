// SPDX-License-Identifier: GPL-2.0-only
/* Receive and decode KVM's uevents; trust none that the kernel did not send. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>

#include "source/uevent.h"
#include "util/macro.h"

#define GROUP_KERNEL 1	  /* lib/kobject_uevent.c; group 2 is udev's */
#define DATAGRAM_MAX 8192 /* the kernel's own limit is 2048 bytes of variables and a path */
#define RECEIVE_BUFFER_BYTES (1 << 20)
#define PID_MAX (1U << 22) /* PID_MAX_LIMIT, linux/threads.h */

int uevent_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = GROUP_KERNEL};
	_cleanup_(closep) int fd = -1;
	int size = RECEIVE_BUFFER_BYTES, on = 1;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -errno;
	/* As much as the system allows: a burst that does not fit costs a scan, no VM. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int parse_tid(const char *text, uint32_t *ret)
{
	unsigned long v;
	char *end;

	if (*text < '1' || *text > '9')
		return -EBADMSG;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || v > PID_MAX)
		return -EBADMSG;
	*ret = (uint32_t)v;
	return 0;
}

int uevent_parse(const char *datagram, size_t size, struct uevent *ret)
{
	const char *devpath = NULL, *event = NULL, *pid = NULL, *end = datagram + size, *s;
	struct uevent e;
	size_t n;

	/* "ACTION@DEVPATH", then variables, each with its NUL. */
	if (size == 0 || datagram[size - 1] != '\0' || !strchr(datagram, '@'))
		return -EBADMSG;
	for (s = datagram + strlen(datagram) + 1; s < end; s += n + 1) {
		n = strlen(s);
		if (!strchr(s, '='))
			return -EBADMSG;
		if (!strncmp(s, "DEVPATH=", 8))
			devpath = s + 8;
		else if (!strncmp(s, "EVENT=", 6))
			event = s + 6;
		else if (!strncmp(s, "PID=", 4))
			pid = s + 4;
	}

	if (!devpath || strcmp(devpath, "/devices/virtual/misc/kvm"))
		return 0;
	if (!event) /* the device itself came or went */
		return 0;
	if (!strcmp(event, "create"))
		e.type = UEVENT_VM_CREATED;
	else if (!strcmp(event, "destroy"))
		e.type = UEVENT_VM_DESTROYED;
	else
		return -EBADMSG;
	if (!pid || parse_tid(pid, &e.tid) < 0)
		return -EBADMSG;
	*ret = e;
	return 1;
}

static bool is_from_kernel(const struct msghdr *message)
{
	const struct sockaddr_nl *sender = message->msg_name;
	const struct ucred *credentials;
	struct cmsghdr *c = CMSG_FIRSTHDR(message);

	if (message->msg_namelen < sizeof(*sender) || sender->nl_pid != 0 ||
	    sender->nl_groups != GROUP_KERNEL)
		return false;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
		return false;
	credentials = (const struct ucred *)(const void *)CMSG_DATA(c);
	return credentials->pid == 0;
}

int uevent_receive(int fd, struct uevent *ret)
{
	union {
		char space[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	char datagram[DATAGRAM_MAX];
	struct sockaddr_nl sender = {0};
	struct iovec iov = {.iov_base = datagram, .iov_len = sizeof(datagram)};
	struct msghdr message = {
		.msg_name = &sender,
		.msg_namelen = sizeof(sender),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	int r;

	n = recvmsg(fd, &message, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !is_from_kernel(&message))
		return 0;
	r = uevent_parse(datagram, (size_t)n, ret);
	return r == -EBADMSG ? 0 : r;
}
