/*
 * Deadlines of connections.  libmicrohttpd knows inactivity only, so a client
 * that sends a byte now and then would live for ever.  One thread shuts down
 * sockets whose deadline has passed; libmicrohttpd then sees them closed and
 * cleans up.  The lock guards the list, and with it every fd on it: a
 * connection leaves the list before its fd is closed.
 */
#include <sys/socket.h>
#include <errno.h>
#include <time.h>

#include "base/text.h"
#include "registry/http_impl.h"

#define LOOK_MS INT64_C(5000)

void
conn_idle(const struct http_server *s, struct conn *c)
{
	atomic_store(&c->deadline, text_monotonic_ms() + s->params.idle_ms);
}

void
conn_receiving(const struct http_server *s, struct conn *c, const struct req *r)
{
	int64_t begun = r->started / 1000000;

	atomic_store(&c->deadline,
	    begun + s->params.patience_ms + (int64_t)(r->body_received * 1000 / s->params.min_rate));
}

void
conn_working(struct conn *c)
{
	atomic_store(&c->deadline, INT64_MAX);
}

void
conn_sending(const struct http_server *s, struct conn *c, uint64_t length)
{
	atomic_store(&c->deadline,
	    text_monotonic_ms() + s->params.patience_ms + (int64_t)(length / s->params.min_rate * 1000));
}

void
reaper_add(struct http_server *s, struct conn *c)
{
	pthread_mutex_lock(&s->lock);
	c->next = s->conns;
	if (c->next != NULL)
		c->next->prev = c;
	s->conns = c;
	if (s->n_conns++ == 0)
		pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

void
reaper_remove(struct http_server *s, struct conn *c)
{
	pthread_mutex_lock(&s->lock);
	if (c->next != NULL)
		c->next->prev = c->prev;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	s->n_conns--;
	pthread_mutex_unlock(&s->lock);
}

static void *
reap(void *arg)
{
	struct http_server *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		struct timespec until;
		int64_t now = text_monotonic_ms();

		for (struct conn *c = s->conns; c != NULL; c = c->next) {
			if (atomic_load(&c->deadline) <= now) {
				(void)shutdown(c->fd, SHUT_RDWR);
				atomic_store(&c->deadline, INT64_MAX);
			}
		}
		if (s->n_conns == 0) {
			pthread_cond_wait(&s->wake, &s->lock);
			continue;
		}
		/* No deadline is ever set nearer than a look away. */
		now += LOOK_MS;
		until.tv_sec = now / 1000;
		until.tv_nsec = now % 1000 * 1000000;
		(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int
reaper_start(struct http_server *s, struct err *e)
{
	pthread_condattr_t attr;
	int rc;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	rc = pthread_create(&s->reaper, NULL, reap, s);
	if (rc != 0)
		return err_sysno(e, rc, "start a thread");
	s->reaping = true;
	return 0;
}

void
reaper_stop(struct http_server *s)
{
	if (!s->reaping)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->reaper, NULL);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
}
