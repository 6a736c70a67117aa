/*
 * The attached client: frames on its SOCK_SEQPACKET socket.  While a frame
 * waits, the pot's pipes are not read, so that a slow client slows the pot
 * instead of losing output; a dead one is dropped.
 */
#include "shim/shim.h"

void
client_drop(struct client *c)
{
	if (c->fd >= 0)
		sys_close(c->fd);
	if (c->queue != NULL)
		sys_unmap(c->queue, c->queuesize);
	c->fd = -1;
	c->queue = NULL;
	c->pendlen = c->queuelen = c->queuesize = 0;
}

void
client_reserve(struct client *c, size_t bytes)
{
	if (c->fd < 0)
		return;
	c->queue = sys_map(bytes);
	if (c->queue == NULL) {
		client_drop(c);
		return;
	}
	c->queuesize = bytes;
}

/* 1 sent, 0 would wait, -1 the client is gone. */
static int
frame_send(struct client *c, const char *frame, size_t len)
{
	long r;

	do
		r = sys_send(c->fd, frame, len);
	while (r == -SYS_EINTR);
	if (r >= 0)
		return 1;
	return sys_would_wait(r) ? 0 : -1;
}

bool
client_flush(struct client *c)
{
	while (c->fd >= 0 && (c->pendlen > 0 || c->queuelen > 0)) {
		size_t len = c->pendlen;
		int r;

		if (len > 0) {
			r = frame_send(c, c->pend, len);
		} else {
			memcpy(&len, c->queue, sizeof(len));
			r = frame_send(c, c->queue + sizeof(len), len);
		}
		if (r == 0)
			return false;
		if (r < 0) {
			client_drop(c);
		} else if (c->pendlen > 0) {
			c->pendlen = 0;
		} else {
			c->queuelen -= sizeof(len) + len;
			memmove(c->queue, c->queue + sizeof(len) + len, c->queuelen);
		}
	}
	return true;
}

void
client_send(struct client *c, char type, const void *data, size_t n)
{
	size_t len = n + 1;

	if (c->fd < 0)
		return;
	if (client_flush(c)) {
		c->pend[0] = type;
		memcpy(c->pend + 1, data, n);
		c->pendlen = len;
		client_flush(c);
		return;
	}
	/* Only at the end, when client_reserve has made room for all that can come. */
	if (c->queue == NULL || c->queuelen + sizeof(len) + len > c->queuesize) {
		client_drop(c);
		return;
	}
	memcpy(c->queue + c->queuelen, &len, sizeof(len));
	c->queue[c->queuelen + sizeof(len)] = type;
	memcpy(c->queue + c->queuelen + sizeof(len) + 1, data, n);
	c->queuelen += sizeof(len) + len;
}
