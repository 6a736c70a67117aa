/* A thread that writes into a pipe, and whose failure explains the reader's. */
#include "image/sending.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/auto.h"

static void *
run(void *arg)
{
	struct sending *s = arg;

	s->rc = s->fn(s->arg, s->fd, &s->err);
	fd_close(take_fd(s->fd));
	return NULL;
}

int
sending_begin(struct sending *s, sending_fn *fn, void *arg, struct err *e)
{
	int ends[2], rc;

	*s = (struct sending){ .fn = fn, .arg = arg, .err = ERR_INIT };
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(e, "making a pipe");
	s->from = ends[0];
	s->fd = ends[1];
	rc = pthread_create(&s->thread, NULL, run, s);
	if (rc == 0)
		return s->from;
	fd_close(s->fd);
	fd_close(s->from);
	return err_sysno(e, rc, "starting a thread");
}

int
sending_end(struct sending *s, int rc, struct err *e)
{
	fd_close(take_fd(s->from)); /* if the reader failed, the sender ends of it */
	pthread_join(s->thread, NULL);
	if (s->rc == 0 || (rc < 0 && rc != -E_CORRUPT))
		return rc;
	*e = s->err;
	return s->rc;
}
