/*
 * Bytes between sockets and h2.c. Nothing here blocks: what an agent does not
 * take waits, and no more is pulled meanwhile.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "nomad/server.h"
#include "nomad/sockdir.h"

#define CONNECTIONS_MAX 64
#define CHUNK 16384
#define READS_A_TURN 8
#define ACCEPTS_A_TURN 16
/* Whoever connects speaks at once; one that does not has no place for ever. */
#define SILENCE_MS 30000
/* The agent waits two seconds for our end. */
#define GOODBYE_MS 1000

struct conn {
	struct server *server;
	struct conn *next, **link;
	struct h2 *h2;
	int fd;
	struct loop_io *io;
	struct loop_timer *silence; /* until it has said something; and when it has been thrown out */
	const uint8_t *out;         /* pulled, not sent yet */
	size_t nout;
	bool is_over; /* to be closed when `out` is sent */
};

struct server {
	struct nomad *nomad;
	struct sockdir place;
	int fd;
	struct loop_io *io;
	struct conn *conns;
	size_t nconns;
	struct loop_timer *goodbye;
	struct loop_end *parent;
	bool is_orphan;
};

/* ---- connections ---------------------------------------------------------------- */

static void
conn_close(struct conn *c)
{
	struct server *s = c->server;

	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
	s->nconns--;
	loop_timer_free(c->silence);
	h2_free(c->h2);
	loop_io_free(c->io);
	fd_close(c->fd);
	free(c);
	if (s->conns == NULL && (s->nomad->is_leaving || (s->is_orphan && !s->nomad->is_used)))
		loop_stop(s->nomad->loop);
}

/* False: the connection is broken. */
static bool
flush_out(struct conn *c)
{
	for (;;) {
		ssize_t n;

		if (c->nout == 0) {
			n = h2_pull(c->h2, &c->out);
			if (n <= 0)
				return n == 0;
			c->nout = (size_t)n;
		}
		n = send(c->fd, c->out, c->nout, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		c->out += n;
		c->nout -= (size_t)n;
	}
}

/* Sends what there is, and closes when that was all; the connection may be gone afterwards. */
static void
conn_turn(struct conn *c)
{
	if (!flush_out(c)) {
		conn_close(c);
		return;
	}
	if (c->nout > 0) {
		loop_io_set(c->io, c->is_over ? POLLOUT : POLLIN | POLLOUT);
		return;
	}
	loop_io_set(c->io, POLLIN);
	if (c->is_over || h2_is_over(c->h2) || c->server->nomad->is_leaving)
		conn_close(c);
}

static void
conn_silent(void *arg)
{
	conn_close(arg);
}

/* False: there is nothing more to come. */
static bool
read_in(struct conn *c)
{
	uint8_t chunk[CHUNK];

	for (int i = 0; i < READS_A_TURN; i++) {
		ssize_t n = recv(c->fd, chunk, sizeof(chunk), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (n == 0)
			return false;
		loop_timer_free(take_ptr(c->silence));
		if (!h2_feed(c->h2, chunk, (size_t)n)) {
			/* It may still hear why. */
			c->is_over = true;
			c->silence = loop_timer_new(c->server->nomad->loop, GOODBYE_MS, conn_silent, c);
			return c->silence != NULL;
		}
	}
	return true;
}

static void
conn_ready(void *arg, short revents)
{
	struct conn *c = arg;

	if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !c->is_over && !read_in(c)) {
		conn_close(c);
		return;
	}
	conn_turn(c);
}

/* Something has been queued, in a turn of somebody else. */
static void
conn_wake(void *arg)
{
	struct conn *c = arg;

	if (c->io != NULL)
		loop_io_set(c->io, c->is_over ? POLLOUT : POLLIN | POLLOUT);
}

static void *
conn_open_call(void *arg, struct h2_stream *stream, const struct h2_request *request)
{
	struct conn *c = arg;

	return call_open(c->server->nomad, stream, request);
}

static const struct h2_ops conn_ops = {
	.open = conn_open_call,
	.data = call_data,
	.end = call_half_closed,
	.closed = call_closed,
	.drained = call_drained,
	.wake = conn_wake,
};

static void
conn_new(struct server *s, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		fd_close(fd);
		return;
	}
	*c = (struct conn){ .server = s, .fd = fd, .next = s->conns, .link = &s->conns };
	c->h2 = h2_new(&conn_ops, c);
	if (c->h2 != NULL)
		c->io = loop_io_new(s->nomad->loop, fd, POLLIN | POLLOUT, conn_ready, c);
	if (c->io == NULL) {
		if (c->h2 != NULL)
			h2_free(c->h2);
		fd_close(fd);
		free(c);
		return;
	}
	c->silence = loop_timer_new(s->nomad->loop, SILENCE_MS, conn_silent, c);
	if (c->next != NULL)
		c->next->link = &c->next;
	s->conns = c;
	s->nconns++;
}

/* ---- the socket ---------------------------------------------------------------------- */

static void
server_ready(void *arg, short revents)
{
	struct server *s = arg;

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (s->nconns >= CONNECTIONS_MAX || s->nomad->is_leaving)
			fd_close(fd);
		else
			conn_new(s, fd);
	}
}

static void
goodbye_over(void *arg)
{
	struct server *s = arg;

	loop_stop(s->nomad->loop);
}

static void
server_end(struct nomad *n)
{
	struct server *s = n->server;
	struct conn *next;

	nomad_leave(n);
	if (s->goodbye == NULL)
		s->goodbye = loop_timer_new(n->loop, GOODBYE_MS, goodbye_over, s);
	if (s->goodbye == NULL || s->conns == NULL)
		loop_stop(n->loop);
	for (struct conn *c = s->conns; c != NULL; c = next) {
		next = c->next;
		h2_goodbye(c->h2);
	}
}

/*
 * The agent has ended. It comes back, when it had begun to use us; else there is nobody for whom to wait.
 */
static void
orphaned(void *arg)
{
	struct server *s = arg;

	s->parent = NULL;
	s->is_orphan = true;
	if (s->conns == NULL && !s->nomad->is_used)
		loop_stop(s->nomad->loop);
}

static void
watch_parent(struct server *s)
{
	struct proc_id id;

	if (proc_id_get(getppid(), &id, NULL) == 0)
		s->parent = loop_end_new(s->nomad->loop, &id, orphaned, s, NULL);
}

/* The host may ask that a group of its own reaches the socket. */
static int
give_to_group(const struct server *s, struct err *e)
{
	const char *name = getenv("PLUGIN_UNIX_SOCKET_GROUP");
	const struct group *group;
	unsigned long id;
	char *end;

	if (name == NULL || name[0] == '\0')
		return 0;
	group = getgrnam(name);
	id = strtoul(name, &end, 10);
	if (group == NULL && *end != '\0')
		return err_set(e, E_NOENT, "PLUGIN_UNIX_SOCKET_GROUP: there is no group '%.64s'", name);
	if (chown(s->place.dir, (uid_t)-1, group != NULL ? group->gr_gid : (gid_t)id) < 0 ||
	    chmod(s->place.dir, 0750) < 0 ||
	    chown(s->place.path, (uid_t)-1, group != NULL ? group->gr_gid : (gid_t)id) < 0 ||
	    chmod(s->place.path, 0660) < 0)
		return err_sys(e, "give '%s' to the group '%.64s'", s->place.path, name);
	return 0;
}

static int
listen_on(struct server *s, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int rc = sockdir_make(&s->place, e);

	if (rc < 0)
		return rc;
	memcpy(sa.sun_path, s->place.path, strlen(s->place.path) + 1);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    chmod(s->place.path, 0600) < 0 || listen(s->fd, SOMAXCONN) < 0)
		return err_sys(e, "listen on '%s'", s->place.path);
	return give_to_group(s, e);
}

int
server_new(struct server **out, struct nomad *n, struct err *e)
{
	struct server *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_nomem(e);
	s->nomad = n;
	s->fd = -1;
	s->place = (struct sockdir)SOCKDIR_INIT;
	rc = listen_on(s, e);
	if (rc == 0) {
		s->io = loop_io_new(n->loop, s->fd, POLLIN, server_ready, s);
		rc = s->io == NULL ? err_nomem(e) : 0;
	}
	if (rc < 0) {
		server_free(s);
		return rc;
	}
	watch_parent(s);
	n->server = s;
	n->end = server_end;
	*out = s;
	return 0;
}

const char *
server_path(const struct server *s)
{
	return s->place.path;
}

void
server_free(struct server *s)
{
	if (s == NULL)
		return;
	while (s->conns != NULL)
		conn_close(s->conns);
	loop_timer_free(s->goodbye);
	loop_end_free(s->parent);
	loop_io_free(s->io);
	if (s->fd >= 0)
		fd_close(s->fd);
	sockdir_remove(&s->place);
	free(s);
}
