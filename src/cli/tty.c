/*
 * Our terminal joined to the pty of a process in a pot: raw mode and its
 * restoring on every way out, window size, both directions of data, end of
 * input, end of the process. What the keys mean is the pty's business.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/file.h"
#include "cli/cli.h"

#define CHUNK 16384
#define DRAIN_READS 64 /* of at most 4 KiB each: more than a pty holds */

/* For the handler of deadly signals; changed only around raw mode. */
static struct termios saved_mode;
static volatile sig_atomic_t mode_is_raw;

struct way {
	int from, to;
	char data[CHUNK];
	size_t at, len; /* what is read and not yet written: data[at..len) */
	bool eof;
};

struct loop {
	struct pot_process *p;
	int master, signals;
	struct way in, out; /* terminal to pty, pty to terminal */
	bool raw, ended;
};

/* ---- raw mode ---------------------------------------------------------------- */

static void
mode_restore(void)
{
	if (mode_is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved_mode);
	mode_is_raw = 0;
}

static void
on_deadly(int sig)
{
	mode_restore();
	raise(sig); /* SA_RESETHAND: now with its default effect */
}

static int
mode_raw(struct err *e)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPIPE, SIGALRM, SIGXCPU };
	struct sigaction sa = { .sa_handler = on_deadly, .sa_flags = (int)SA_RESETHAND | SA_NODEFER };
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved_mode) != 0)
		return err_sys(e, "cannot read the mode of the terminal");
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
		sigaction(deadly[i], &sa, NULL);
	raw = saved_mode;
	cfmakeraw(&raw);
	mode_is_raw = 1;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) {
		(void)err_sys(e, "cannot set the mode of the terminal");
		mode_restore();
		return -e->code;
	}
	return 0;
}

/* ---- window size ---------------------------------------------------------------- */

static bool
our_size(struct winsize *ws)
{
	for (int fd = 0; fd <= 2; fd++)
		if (ioctl(fd, TIOCGWINSZ, ws) == 0 && ws->ws_row > 0 && ws->ws_col > 0)
			return true;
	return false;
}

void
tty_size(unsigned short *rows, unsigned short *cols)
{
	struct winsize ws = { .ws_row = 24, .ws_col = 80 };

	if (!our_size(&ws)) {
		ws.ws_row = 24;
		ws.ws_col = 80;
	}
	*rows = ws.ws_row;
	*cols = ws.ws_col;
}

static void
resize(const struct loop *l)
{
	struct winsize ws;

	if (l->master >= 0 && our_size(&ws))
		ioctl(l->master, TIOCSWINSZ, &ws);
}

/* ---- signals ------------------------------------------------------------------ */

/* Nobody has the other side of the pty open, or will look at it again. */
static void
pty_ended(struct loop *l)
{
	l->in.eof = l->out.eof = true;
	l->in.at = l->in.len = 0;
}

/* Hangs up: what the terminal of the process does when its line is cut. */
static void
pty_close(struct loop *l)
{
	fd_close(l->master);
	l->master = -1;
	pty_ended(l);
}

static void
check_ended(struct loop *l)
{
	siginfo_t si;

	/* WNOWAIT: pot_exec_wait is the one that reaps. */
	memset(&si, 0, sizeof(si));
	if (waitid(P_PID, (id_t)l->p->pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid == l->p->pid)
		l->ended = true;
}

static void
stop_ourselves(struct loop *l)
{
	struct err e = ERR_INIT;

	mode_restore();
	raise(SIGSTOP);
	if (l->raw)
		(void)mode_raw(&e);
	resize(l);
}

static void
take_signals(struct loop *l)
{
	unsigned char sigs[64];
	ssize_t n = read(l->signals, sigs, sizeof(sigs));

	for (ssize_t i = 0; i < n; i++) {
		switch (sigs[i]) {
		case SIGWINCH:
			resize(l);
			break;
		case SIGCHLD:
			check_ended(l);
			break;
		case SIGTSTP:
			stop_ourselves(l);
			break;
		default:
			kill(l->p->pid, sigs[i]);
			/* A shell ignores SIGTERM; that its terminal is gone it does not. */
			if (sigs[i] == SIGTERM || sigs[i] == SIGHUP)
				pty_close(l);
		}
	}
}

/* ---- data ------------------------------------------------------------------------ */

/* The end of input for who reads the pty: its end-of-file character, at the start of a line. */
static void
input_ended(struct loop *l, bool line_open)
{
	struct termios t;
	char c = 4;

	l->in.eof = true;
	if (l->raw) { /* the terminal itself is gone */
		kill(l->p->pid, SIGHUP);
		pty_close(l);
		return;
	}
	if (tcgetattr(l->master, &t) == 0 && (t.c_lflag & ICANON) != 0)
		c = (char)t.c_cc[VEOF];
	l->in.data[0] = l->in.data[1] = c;
	l->in.at = 0;
	l->in.len = line_open ? 2 : 1;
}

/*
 * Reads once; false at the end. A process may close its side and live on: the
 * pty is not closed then, because that would be a hang-up for it.
 */
static bool
way_read(struct way *w)
{
	ssize_t n = read(w->from, w->data, sizeof(w->data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0) /* EIO: the other side of the pty is closed */
		return false;
	w->at = 0;
	w->len = (size_t)n;
	return true;
}

static bool
way_write(struct way *w)
{
	ssize_t n = write(w->to, w->data + w->at, w->len - w->at);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	w->at += (size_t)n;
	return true;
}

static bool
pending(const struct way *w)
{
	return w->at < w->len;
}

/* What the pty still holds when its process has ended; others in the pot may keep it open. */
static void
drain(struct loop *l)
{
	struct err e = ERR_INIT;

	/* Bounded: what stays behind may never stop writing. */
	for (int rounds = 0; rounds < DRAIN_READS; rounds++) {
		if (pending(&l->out) &&
		    fd_write_all(
			l->out.to, l->out.data + l->out.at, l->out.len - l->out.at, "the output", &e) != 0)
			return;
		l->out.at = l->out.len = 0;
		if (l->out.eof || !way_read(&l->out) || !pending(&l->out))
			return;
	}
}

static int
wait_ready(struct loop *l, struct pollfd p[static 4])
{
	bool read_in = !l->in.eof && !pending(&l->in);
	bool write_in = pending(&l->in) && l->master >= 0;
	short events = 0;

	events |= !l->out.eof && !pending(&l->out) ? POLLIN : 0;
	events |= write_in ? POLLOUT : 0;
	p[0] = (struct pollfd){ l->signals, POLLIN, 0 };
	p[1] = (struct pollfd){ read_in ? l->in.from : -1, POLLIN, 0 };
	p[2] = (struct pollfd){ events != 0 ? l->master : -1, events, 0 };
	p[3] = (struct pollfd){ pending(&l->out) ? l->out.to : -1, POLLOUT, 0 };
	return poll(p, 4, -1);
}

static void
move_data(struct loop *l, const struct pollfd p[static 4])
{
	bool line_open = l->in.len > 0 && l->in.data[l->in.len - 1] != '\n';

	if (p[2].revents != 0 && l->master >= 0) {
		if (pending(&l->in) && (p[2].revents & POLLOUT) != 0 && !way_write(&l->in))
			pty_ended(l);
		if (!l->out.eof && !pending(&l->out) && (p[2].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
		    !way_read(&l->out))
			pty_ended(l);
	}
	if (p[1].revents != 0 && !l->in.eof && !pending(&l->in) && !way_read(&l->in) && l->master >= 0)
		input_ended(l, line_open);
	if (p[3].revents != 0 && pending(&l->out) && !way_write(&l->out))
		l->out.at = l->out.len = 0, l->out.eof = true;
}

static int
copy_until_end(struct loop *l, struct err *e)
{
	struct pollfd p[4];

	check_ended(l);
	while (!l->ended) {
		if (wait_ready(l, p) < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(e, "cannot wait for the terminal");
		}
		if (p[0].revents != 0)
			take_signals(l);
		move_data(l, p);
	}
	drain(l);
	return 0;
}

int
tty_run(struct pot_process *p, bool with_stdin, int *status, struct err *e)
{
	struct loop *l = calloc(1, sizeof(*l));
	int rc, flags;

	if (l == NULL)
		return err_nomem(e);
	l->p = p;
	l->master = take_fd(p->fd);
	l->in.from = STDIN_FILENO;
	l->in.to = l->out.from = l->master;
	l->out.to = STDOUT_FILENO;
	l->in.eof = !with_stdin;
	l->raw = with_stdin && isatty(STDIN_FILENO);
	flags = fcntl(l->master, F_GETFL);
	if (flags >= 0)
		fcntl(l->master, F_SETFL, flags | O_NONBLOCK);
	rc = l->signals = signals_to_fd(true, e);
	if (rc >= 0)
		rc = l->raw ? mode_raw(e) : 0;
	if (rc == 0) {
		resize(l);
		rc = copy_until_end(l, e);
	}
	mode_restore();
	fd_close(l->master); /* hangs up on whatever is still there */
	free(l);
	signals_to_child(p->pid);
	if (rc != 0) {
		struct err ignored = ERR_INIT;

		kill(p->pid, SIGKILL);
		(void)pot_exec_wait(p, status, &ignored);
		return rc;
	}
	return pot_exec_wait(p, status, e);
}
