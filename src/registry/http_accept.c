/*
 * Connections coming in.  Of libmicrohttpd's threads whoever wakes first takes
 * up to ten connections in a row, so that one would serve all of a few busy
 * clients while the others sleep.  Here one thread takes them, and
 * libmicrohttpd deals them out.
 *
 * taken counts them until they are closed; what is over the limit waits in the
 * socket's queue.
 */
#include <sys/socket.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "registry/http_impl.h"

#define LOOK_MS 1000 /* how long a want of something is believed without a word of its end */

enum taking { TAKEN, NOTHING_LEFT, WANTING };

static enum taking
take_one(struct http_server *s)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd = accept4(s->listen_fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return NOTHING_LEFT;
		/* Else it was that one connection's matter. */
		return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM ? WANTING
												 : TAKEN;
	}
	pthread_mutex_lock(&s->lock);
	s->taken++;
	pthread_mutex_unlock(&s->lock);
	/* Closes it when it is one too many of its address. */
	if (MHD_add_connection(s->daemon, fd, (struct sockaddr *)&from, len) != MHD_YES)
		accept_closed(s);
	return TAKEN;
}

/* Is there room? Where not, accept_closed tells when there is. */
static bool
has_room(struct http_server *s)
{
	bool room;

	pthread_mutex_lock(&s->lock);
	room = s->taken < s->params.connections;
	s->full = !room;
	pthread_mutex_unlock(&s->lock);
	return room;
}

/* What libmicrohttpd gave up before it told us of it was counted, but is not there. */
static void
count_anew(struct http_server *s)
{
	pthread_mutex_lock(&s->lock);
	s->taken = s->n_conns;
	pthread_mutex_unlock(&s->lock);
}

static void *
accept_all(void *arg)
{
	struct http_server *s = arg;
	enum taking last = NOTHING_LEFT;

	while (!atomic_load(&s->closing)) {
		bool wait = !has_room(s) || last == WANTING;
		struct pollfd v[] = { { .fd = s->told[0], .events = POLLIN },
			{ .fd = wait ? -1 : s->listen_fd, .events = POLLIN } };
		char word[64];

		if (wait || last == NOTHING_LEFT) {
			if (poll(v, 2, wait ? LOOK_MS : -1) == 0)
				count_anew(s);
			while (read(s->told[0], word, sizeof(word)) > 0)
				;
		}
		if (wait)
			last = NOTHING_LEFT;
		else
			last = take_one(s);
	}
	return NULL;
}

static void
tell(struct http_server *s)
{
	(void)!write(s->told[1], "", 1); /* full: then it has been told */
}

void
accept_closed(struct http_server *s)
{
	bool full;

	pthread_mutex_lock(&s->lock);
	s->taken -= s->taken > 0;
	full = s->full;
	s->full = false;
	pthread_mutex_unlock(&s->lock);
	if (full)
		tell(s);
}

int
accept_start(struct http_server *s, struct err *e)
{
	int rc;

	if (pipe2(s->told, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_sys(e, "make a pipe");
	rc = pthread_create(&s->acceptor, NULL, accept_all, s);
	if (rc != 0)
		return err_sysno(e, rc, "start a thread");
	s->accepting = true;
	return 0;
}

void
accept_stop(struct http_server *s)
{
	if (s->accepting) {
		atomic_store(&s->closing, true);
		tell(s);
		pthread_join(s->acceptor, NULL);
		s->accepting = false;
	}
}
