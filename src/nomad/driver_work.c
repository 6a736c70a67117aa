/*
 * Child processes that do for the driver what takes longer than a turn of the
 * loop: libpot's calls wait for locks, disks and users' commands. A child has a
 * context of its own and one socket to the driver, on which frames go: words,
 * an fd now and then, and at the end the result.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nomad/driver_impl.h"

#define FRAME_MAX (256u * 1024)
#define EVENT_BYTES 700

enum frame_kind { FRAME_TEXT = 1, FRAME_RESULT };
struct frame {
	uint32_t kind, len;
};

struct work {
	struct work *next, **prev;
	struct drv *d;
	const struct work_ops *ops; /* NULL: forgotten */
	void *arg;
	pid_t pid;
	int fd; /* -1: nothing more comes */
	int passed;
	struct loop_io *io;
	struct loop_child *child;
	struct buf in;
	struct kv out;
	struct err e;
	int rc;
	bool got;
};

/* ---- the child ----------------------------------------------------------------------- */

struct say {
	int fd;
	volatile bool cancel;
};

/* A handler finds what it is for nowhere else. */
static struct say *volatile said;

static void
on_term(int sig)
{
	struct say *s = said;

	(void)sig;
	if (s != NULL)
		s->cancel = true;
}

const volatile bool *
say_cancel(const struct say *s)
{
	return &s->cancel;
}

/* SIGPIPE, by which a child ends when its driver is gone, is at its default here. */
static void
say_frame(struct say *s, enum frame_kind kind, const void *data, size_t len, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct frame f = { kind, (uint32_t)len };
	struct iovec iov = { &f, sizeof(f) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	while (sendmsg(s->fd, &msg, 0) < 0)
		if (errno != EINTR)
			_exit(1);
	for (const char *p = data; len > 0;) {
		ssize_t n = write(s->fd, p, len);

		if (n < 0 && errno != EINTR)
			_exit(1);
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

void
say_text(struct say *s, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(FRAME_MAX / 2);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&b, fmt, ap);
	va_end(ap);
	say_frame(s, FRAME_TEXT, buf_cstr(&b), b.len, -1);
}

void
say_fd(struct say *s, const char *text, int fd)
{
	say_frame(s, FRAME_TEXT, text, strlen(text), fd);
}

static void
on_event(void *arg, const struct pot_event *ev)
{
	if (ev->kind == POT_EV_WARN)
		say_text(arg, "warning: %.*s", EVENT_BYTES, ev->text);
}

static void
child_result(struct say *s, int rc, struct kv *out, const struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(FRAME_MAX);
	const int32_t head[2] = { rc, e->code };

	buf_add(&b, head, sizeof(head));
	buf_add(&b, e->msg, sizeof(e->msg));
	buf_add(&b, e->hint, sizeof(e->hint));
	kv_print(out, &b);
	if (b.failed)
		_exit(1);
	say_frame(s, FRAME_RESULT, b.data, b.len, -1);
}

static _Noreturn void
child_run(struct drv *d, const struct work_ops *ops, void *arg, int fd)
{
	struct say s = { .fd = fd, .cancel = false };
	struct sigaction sa = { .sa_handler = on_term };
	AUTO_FINI(kv) struct kv out = KV_INIT;
	struct err e = ERR_INIT;
	struct pot_ctx *ctx = NULL;
	int rc;

	said = &s;
	sigemptyset(&sa.sa_mask);
	(void)sigaction(SIGTERM, &sa, NULL);
	rc = drv_open(d, &ctx, &s.cancel, (struct pot_events){ on_event, &s }, &e);
	if (rc == 0)
		rc = ops->run(arg, &s, ctx, &out, &e);
	child_result(&s, rc, &out, &e);
	/* Whatever the driver had in memory is not ours to clean up. */
	_exit(0);
}

/* ---- the driver's side --------------------------------------------------------------- */

static void
work_close(struct work *w)
{
	loop_io_free(take_ptr(w->io));
	fd_close(take_fd(w->fd));
	fd_close(take_fd(w->passed));
}

static void
work_free(struct work *w)
{
	work_close(w);
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	buf_fini(&w->in);
	kv_fini(&w->out);
	free(w);
}

static void
take_result(struct work *w, const char *p, size_t len)
{
	int32_t head[2];
	const size_t fixed = sizeof(head) + sizeof(w->e.msg) + sizeof(w->e.hint);

	if (len < fixed)
		return;
	memcpy(head, p, sizeof(head));
	memcpy(w->e.msg, p + sizeof(head), sizeof(w->e.msg));
	memcpy(w->e.hint, p + sizeof(head) + sizeof(w->e.msg), sizeof(w->e.hint));
	w->e.msg[sizeof(w->e.msg) - 1] = w->e.hint[sizeof(w->e.hint) - 1] = '\0';
	w->e.code = head[1];
	w->rc = head[0];
	w->got = kv_parse(&w->out, p + fixed, len - fixed, "result", NULL) == 0;
}

/* All whole frames of what has come. */
static void
take_frames(struct work *w)
{
	size_t at = 0;
	struct frame f;

	while (w->in.len - at >= sizeof(f)) {
		memcpy(&f, w->in.data + at, sizeof(f));
		if (f.len > FRAME_MAX || w->in.len - at - sizeof(f) < f.len)
			break;
		at += sizeof(f);
		if (f.kind == FRAME_RESULT) {
			take_result(w, w->in.data + at, f.len);
		} else if (w->ops != NULL && w->ops->told != NULL) {
			AUTO_FREE char *text = buf_dup(w->in.data + at, f.len);

			if (text != NULL)
				w->ops->told(w->arg, text, take_fd(w->passed));
		}
		at += f.len;
	}
	if (at > 0) {
		memmove(w->in.data, w->in.data + at, w->in.len - at);
		w->in.len -= at;
	}
}

/* 1: something came, 0: nothing for now, < 0: nothing ever. */
static int
receive(struct work *w)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char data[8192];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf) };
	ssize_t n = recvmsg(w->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c;

	if (n < 0)
		return errno == EINTR ? 1 : errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int))) {
		fd_close(take_fd(w->passed));
		memcpy(&w->passed, CMSG_DATA(c), sizeof(int));
	}
	if (n == 0)
		return -1;
	buf_add(&w->in, data, (size_t)n);
	return w->in.failed ? -1 : 1;
}

static void
on_readable(void *arg, short revents)
{
	struct work *w = arg;
	int rc = 1;

	(void)revents;
	while (rc == 1) {
		rc = receive(w);
		take_frames(w);
	}
	if (rc < 0)
		work_close(w);
}

static void
on_ended(void *arg, int status)
{
	struct work *w = arg;
	const struct work_ops *ops;

	w->child = NULL;
	if (w->fd >= 0)
		on_readable(w, POLLIN);
	ops = w->ops;
	if (ops != NULL && !w->got) {
		kv_fini(&w->out);
		w->rc = WIFSIGNALED(status)
		    ? err_set(
			  &w->e, E_SYS, "the process that did this was killed by signal %d", WTERMSIG(status))
		    : err_set(&w->e, E_SYS, "the process that did this ended without an answer");
	}
	if (ops != NULL)
		ops->done(w->arg, w->rc, &w->out, &w->e);
	work_free(w);
}

int
work_new_with(struct drv *d, const struct work_ops *ops, void *arg, const int keep[WORK_FDS],
    struct work **out, struct err *e)
{
	struct work *w = calloc(1, sizeof(*w));
	int sp[2], kept[WORK_FDS + 1];
	size_t nkeep = 0;

	if (w == NULL)
		return err_nomem(e);
	if (d->leaving) {
		free(w);
		return err_set(e, E_INTR, "the driver ends");
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sp) != 0) {
		free(w);
		return err_sys(e, "cannot make a socket pair");
	}
	*w = (struct work){
		.d = d, .ops = ops, .arg = arg, .fd = sp[0], .passed = -1, .in = BUF_INIT(4 * FRAME_MAX)
	};
	w->next = d->works;
	w->prev = &d->works;
	if (w->next != NULL)
		w->next->prev = &w->next;
	d->works = w;
	for (size_t i = 0; keep != NULL && i < WORK_FDS; i++)
		if (keep[i] >= 0)
			kept[nkeep++] = keep[i];
	kept[nkeep] = sp[1];
	w->pid = nomad_fork(d->nomad, kept, nkeep + 1);
	if (w->pid == 0)
		child_run(d, ops, arg, sp[1]);
	fd_close(sp[1]);
	if (w->pid < 0) {
		(void)err_sys(e, "cannot make a process");
		work_free(w);
		return -E_SYS;
	}
	w->child = loop_child_new(d->loop, w->pid, on_ended, w, e);
	w->io = loop_io_new(d->loop, w->fd, POLLIN, on_readable, w);
	if (w->child == NULL || w->io == NULL) {
		(void)kill(w->pid, SIGKILL);
		(void)waitpid(w->pid, NULL, 0);
		loop_child_free(w->child);
		work_free(w);
		return err_nomem(e);
	}
	if (out != NULL)
		*out = w;
	return 0;
}

void
work_end_all(struct drv *d)
{
	while (d->works != NULL) {
		struct work *w = d->works;
		const struct work_ops *ops = w->ops;
		struct err e = ERR_INIT;

		loop_child_free(take_ptr(w->child));
		(void)err_set(&e, E_INTR, "the driver ends");
		w->ops = NULL;
		if (ops != NULL)
			ops->done(w->arg, -E_INTR, &w->out, &e);
		work_free(w);
	}
}

void
work_cancel(struct work *w)
{
	if (w->child != NULL)
		(void)kill(w->pid, SIGTERM);
}

void
work_forget(struct work *w)
{
	w->ops = NULL;
}
