/* SPDX-License-Identifier: GPL-2.0-only */
/* The HTTP connections that are open, the longest waiting first: who has to go when there are too many. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "export/metrics.h"

struct client {
	struct client *previous, *next;
	struct clients *clients;
	int fd;			/* the HTTP library's */
	unsigned char peer[16]; /* IPv6 address, IPv4 mapped into it; zero for a unix socket */
	uint64_t since_usec;	/* CLOCK_MONOTONIC of the connection or of the last answer */
	bool is_cut, is_sending, has_served;
};

struct clients {
	struct client *first, *last;
	unsigned int max, max_per_peer;
	unsigned int n_sending;
	struct metrics_http *stats;
};

/* Add a connection and cut others where it is one too many. NULL where memory is short. */
struct client *client_add(struct clients *clients, int fd, const struct sockaddr *peer,
			  uint64_t now_usec);
struct client *client_remove(struct client *c);

/* A page for it was prepared; it was taken, or the connection is at its end. */
void client_begin_sending(struct client *c);
void client_end_request(struct client *c, uint64_t now_usec);

/* Shut the connection down and count why; the library closes it when it notices. */
void client_cut(struct client *c, enum metrics_http_drop reason);

/* Cut the one that has taken longest to take its page. */
void clients_cut_slowest(struct clients *clients);

/* Cut all that have been waiting since before a point in time. */
void clients_cut_before(struct clients *clients, uint64_t usec);

/* Since when the longest waiting has been; UINT64_MAX where there is none. */
uint64_t clients_oldest_usec(const struct clients *clients);
