// SPDX-License-Identifier: GPL-2.0-only
/* The HTTP connections that are open, the longest waiting first. */
#include <netinet/in.h>
#include <string.h>

#include "export/client.h"
#include "util/macro.h"

static void client_link(struct clients *clients, struct client *c)
{
	c->previous = clients->last;
	c->next = NULL;
	if (clients->last)
		clients->last->next = c;
	else
		clients->first = c;
	clients->last = c;
}

static void client_unlink(struct client *c)
{
	struct clients *clients = c->clients;

	if (c->previous)
		c->previous->next = c->next;
	else
		clients->first = c->next;
	if (c->next)
		c->next->previous = c->previous;
	else
		clients->last = c->previous;
}

static void peer_from_sockaddr(const struct sockaddr *address, unsigned char ret[16])
{
	memset(ret, 0, 16);
	if (address && address->sa_family == AF_INET6) {
		memcpy(ret, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	} else if (address && address->sa_family == AF_INET) {
		ret[10] = ret[11] = 0xff;
		memcpy(ret + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
	}
}

/* Cut the longest waiting, of one peer or of all where peer is NULL, until max are left. */
static void clients_shrink(struct clients *clients, const unsigned char *peer, unsigned int max)
{
	unsigned int n = 0;

	for (struct client *c = clients->first; c; c = c->next)
		n += !c->is_cut && (!peer || !memcmp(c->peer, peer, sizeof(c->peer)));
	for (struct client *c = clients->first; c && n > max; c = c->next) {
		if (c->is_cut || (peer && memcmp(c->peer, peer, sizeof(c->peer))))
			continue;
		client_cut(c, METRICS_HTTP_DROP_EVICTED);
		n--;
	}
}

struct client *client_add(struct clients *clients, int fd, const struct sockaddr *peer,
			  uint64_t now_usec)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->clients = clients;
	c->fd = fd;
	c->since_usec = now_usec;
	peer_from_sockaddr(peer, c->peer);
	client_link(clients, c);
	clients->stats->connections++;
	clients->stats->accepted++;
	clients_shrink(clients, c->peer, clients->max_per_peer);
	clients_shrink(clients, NULL, clients->max);
	return c;
}

struct client *client_remove(struct client *c)
{
	struct clients *clients;

	if (!c)
		return NULL;
	clients = c->clients;
	clients->stats->connections--;
	if (!c->has_served && !c->is_cut)
		clients->stats->dropped[METRICS_HTTP_DROP_NO_REQUEST]++;
	if (c->is_sending)
		clients->n_sending--;
	client_unlink(c);
	free(c);
	return NULL;
}

void client_begin_sending(struct client *c)
{
	if (!c->is_sending)
		c->clients->n_sending++;
	c->is_sending = true;
}

void client_end_request(struct client *c, uint64_t now_usec)
{
	if (c->is_sending)
		c->clients->n_sending--;
	c->is_sending = false;
	c->since_usec = now_usec;
	client_unlink(c);
	client_link(c->clients, c);
}

void client_cut(struct client *c, enum metrics_http_drop reason)
{
	if (c->is_cut)
		return;
	c->is_cut = true;
	c->clients->stats->dropped[reason]++;
	shutdown(c->fd, SHUT_RDWR);
}

void clients_cut_slowest(struct clients *clients)
{
	for (struct client *c = clients->first; c; c = c->next)
		if (c->is_sending && !c->is_cut) {
			client_cut(c, METRICS_HTTP_DROP_EVICTED);
			return;
		}
}

void clients_cut_before(struct clients *clients, uint64_t usec)
{
	for (struct client *c = clients->first; c && c->since_usec <= usec; c = c->next)
		client_cut(c, METRICS_HTTP_DROP_DEADLINE);
}

uint64_t clients_oldest_usec(const struct clients *clients)
{
	for (const struct client *c = clients->first; c; c = c->next)
		if (!c->is_cut)
			return c->since_usec;
	return UINT64_MAX;
}
