// SPDX-License-Identifier: GPL-2.0-only
/* Scrape an exporter many times, one after the other, as Prometheus does; print how long each took. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "util/macro.h"

static const char request[] =
	"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
	"Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n\r\n";

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static int connect_to(const char *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_(closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return take_fd(&fd);
}

/* Read one answer; returns its length with the headers, or -errno. */
static ssize_t read_answer(int fd, char *buf, size_t size)
{
	size_t used = 0, wanted = SIZE_MAX;

	while (used < wanted) {
		ssize_t n = read(fd, buf + used, size - 1 - used);
		const char *end, *length;

		if (n <= 0)
			return n < 0 ? -errno : -ECONNRESET;
		used += (size_t)n;
		buf[used] = 0;
		if (wanted != SIZE_MAX)
			continue;
		end = strstr(buf, "\r\n\r\n");
		if (!end)
			continue;
		length = strcasestr(buf, "\r\ncontent-length:");
		if (strncmp(buf, "HTTP/1.1 200", 12) || !length || length > end)
			return -EPROTO;
		wanted = (size_t)(end + 4 - buf) + strtoul(length + 17, NULL, 10);
		if (wanted >= size)
			return -EFBIG;
	}
	return (ssize_t)used;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* usage: scrape PORT COUNT */
int main(int argc, char **argv)
{
	const size_t size = 64 << 20;
	size_t n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	_cleanup_(freep) uint64_t *took = calloc(n + 1, sizeof(*took));
	_cleanup_(freep) char *buf = malloc(size);
	_cleanup_(closep) int fd = -1;
	ssize_t length = 0;

	if (!n || !took || !buf)
		return 2;
	fd = connect_to(argv[1]);
	if (fd < 0) {
		fprintf(stderr, "scrape: cannot connect to port %s: %s\n", argv[1], strerror(-fd));
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t start = now_ns();

		if (write(fd, request, sizeof(request) - 1) != (ssize_t)sizeof(request) - 1)
			return 1;
		length = read_answer(fd, buf, size);
		if (length < 0) {
			fprintf(stderr, "scrape: no answer to request %zu: %s\n", i + 1,
				strerror((int)-length));
			return 1;
		}
		took[i] = now_ns() - start;
	}
	qsort(took, n, sizeof(*took), compare);
	printf("bytes=%zd p50_us=%llu p90_us=%llu p99_us=%llu max_us=%llu\n", length,
	       (unsigned long long)took[n / 2] / 1000, (unsigned long long)took[n * 9 / 10] / 1000,
	       (unsigned long long)took[n * 99 / 100] / 1000,
	       (unsigned long long)took[n - 1] / 1000);
	return 0;
}
