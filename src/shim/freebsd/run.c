/*
 * The parent of a pot's first process, and the reaper of all that is orphaned
 * in the pot: log and client while it lives, then the end of the jail, the
 * exit status on disk, the clean-up. Linux has the same order of things
 * (linux/run.c); the kernel there ends what is left of a pot, here
 * jail_remove(2) does.
 */
#include <sys/param.h>
#include <sys/event.h>
#include <sys/filio.h>
#include <sys/ioctl.h>
#include <sys/jail.h>
#include <sys/procctl.h>
#include <sys/procdesc.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <netlink/netlink.h>
#include <netlink/netlink_generic.h>
#include <netlink/netlink_sysevent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/freebsd/jailend.h"
#include "shim/freebsd/freebsd.h"

#define HAND_OVER_MS 200

struct run {
	int pid, desc, kq, jid, result, events;
	const char *jail;
	bool oom_ends;
	bool tied; /* the pot ends with its client */
	uint64_t run_id;
	struct log log;
	struct stream out, err;
	struct client client;
	char *const *cleanup;
};

static const int passed_on[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

static struct {
	char out[STREAM_BUF], err[STREAM_BUF], log[LOG_OUT], pend[SHIM_FRAME_MAX + 16];
} buffers;

_Static_assert(STREAM_BUF + 1 <= SHIM_FRAME_MAX + 16, "a whole read fits a frame");

/* One event of the kernel queue. True when the first process has ended. */
static bool
run_event(struct run *r, int *status)
{
	static const struct timespec now;
	struct kevent ev;

	if (kevent(r->kq, NULL, 0, &ev, 1, &now) != 1)
		return false;
	if (ev.filter == EVFILT_PROCDESC) {
		*status = (int)ev.data;
		return true;
	}
	if (ev.filter != EVFILT_SIGNAL)
		return false;
	if (ev.ident != SIGCHLD)
		(void)pdkill(r->desc, (int)ev.ident);
	else
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	return false;
}

/* ---- kills for want of memory */

/* The text of an event: "rule=jail:web:memoryuse:devctl=… pid=…"; NULL: it is none of this message. */
static const char *
event_text(const char *msg, size_t n)
{
	size_t at = NLMSG_HDRLEN + sizeof(struct genlmsghdr);

	while (at + sizeof(struct nlattr) <= n) {
		struct nlattr a;

		memcpy(&a, msg + at, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > n - at)
			return NULL;
		if (a.nla_type == NLSE_ATTR_DATA && a.nla_len > sizeof(a) && msg[at + a.nla_len - 1] == '\0')
			return msg + at + sizeof(a);
		at += NLMSG_ALIGN((size_t)a.nla_len);
	}
	return NULL;
}

static void
run_killed(struct run *r)
{
	(void)!write(FREEBSD_FD_KILLS, "", 1);
	if (r->oom_ends)
		(void)jail_end(r->jid);
}

/* All that the kernel has told so far: of a process that has ended, it has told why before. */
static void
run_kills(struct run *r)
{
	char key[256], msg[2048];
	ssize_t n;

	if (r->events < 0)
		return;
	snprintf(key, sizeof(key), "rule=jail:%s:memoryuse:devctl=", r->jail);
	/* ENOBUFS: more was told than anybody could read; there is more behind it. */
	while ((n = recv(r->events, msg, sizeof(msg), MSG_DONTWAIT)) > 0 || (n < 0 && errno == ENOBUFS)) {
		const char *text = n > 0 ? event_text(msg, (size_t)n) : NULL;

		if (text != NULL && strncmp(text, key, strlen(key)) == 0)
			run_killed(r);
	}
}

/* One wait and what it brought. */
static bool
run_once(struct run *r, int *status)
{
	bool blocked = r->client.pendlen > 0, partial = r->out.len > 0 || r->err.len > 0;
	/* A hang-up wakes only who asks for something. */
	struct pollfd p[5] = {
		{ r->kq, POLLIN, 0 },
		{ blocked ? -1 : r->out.fd, POLLIN, 0 },
		{ blocked ? -1 : r->err.fd, POLLIN, 0 },
		{ r->client.fd, POLLRDHUP | (blocked ? POLLOUT : 0), 0 },
		{ r->events, POLLIN, 0 },
	};
	int n = poll(p, 5, partial ? SHIM_LOG_IDLE_MS : -1);

	if (n == 0) {
		stream_partial(&r->out, &r->log);
		stream_partial(&r->err, &r->log);
	}
	if (n <= 0)
		return false;
	if ((p[3].revents & (POLLERR | POLLHUP | POLLRDHUP)) != 0)
		client_drop(&r->client);
	else if (p[3].revents != 0)
		client_flush(&r->client);
	if (p[1].revents != 0)
		stream_read(&r->out, &r->log, &r->client);
	if (p[2].revents != 0 && r->client.pendlen == 0)
		stream_read(&r->err, &r->log, &r->client);
	if (r->tied && r->client.fd < 0) {
		r->tied = false;
		(void)pdkill(r->desc, SIGKILL);
	}
	if (p[4].revents != 0)
		run_kills(r);
	return p[0].revents != 0 && run_event(r, status);
}

/* True when the command was executed; *status becomes its wait status. */
static bool
run_result(struct run *r, int *status)
{
	bool executed = false, failed = false, killed = WIFSIGNALED(*status);
	struct init_result res;

	while (read(r->result, &res, sizeof(res)) == (ssize_t)sizeof(res)) {
		if (res.kind == INIT_EXECUTED)
			executed = true;
		else if (res.kind == INIT_FAILED)
			failed = true;
		else if (res.kind == INIT_ENDED && !killed)
			*status = res.wait_status;
	}
	return executed && !failed;
}

/* What is left in the jail ends with its first process. */
static void
run_end_jail(struct run *r)
{
	int status;

	(void)jail_end(r->jid);
	/* Those that became ours; what others put there (exec) are theirs to wait for. */
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
}

static void
run_drain(struct run *r)
{
	int out = 0, err = 0;

	if (r->out.fd >= 0)
		(void)ioctl(r->out.fd, FIONREAD, &out);
	if (r->err.fd >= 0)
		(void)ioctl(r->err.fd, FIONREAD, &err);
	client_reserve(&r->client, (size_t)out + (size_t)err + 65536);
	stream_drain(&r->out, (size_t)out, &r->log, &r->client);
	stream_drain(&r->err, (size_t)err, &r->log, &r->client);
}

static void
run_record(struct run *r, int status, int64_t when, struct shim_exit *x)
{
	*x = (struct shim_exit){ .magic = SHIM_EXIT_MAGIC,
		.version = 1,
		.run_id = r->run_id,
		.wait_status = status,
		.time_ns = when,
		.log_lost = r->log.lost };
	x->crc = shim_crc32(x, offsetof(struct shim_exit, crc));
	(void)!pwrite(SHIM_FD_STATE, x, sizeof(*x), STATE_EXIT_OFF);
	(void)fdatasync(SHIM_FD_STATE);
}

/* As on Linux: a client that is slow keeps a process of its own. True when it has everything. */
static bool
run_linger(struct run *r)
{
	struct pollfd p = { r->client.fd, POLLOUT, 0 };

	if (client_flush(&r->client))
		return r->client.fd >= 0;
	if (fork() != 0)
		return false;
	close_range(SHIM_FD_STATE, SHIM_FD_ERR, 0);
	closefrom(SHIM_FD_CLIENT + 1);
	while (!client_flush(&r->client)) {
		(void)poll(&p, 1, -1);
		if ((p.revents & (POLLERR | POLLHUP)) != 0)
			break;
	}
	_exit(0);
}

static bool
run_handed_over(struct run *r)
{
	struct pollfd p = { r->client.fd, POLLIN, 0 };
	char answer = 0;

	client_send(&r->client, SHIM_FRAME_CLEAN, "", 0);
	if (r->client.fd < 0 || poll(&p, 1, HAND_OVER_MS) <= 0)
		return false;
	return read(r->client.fd, &answer, 1) == 1 && answer == SHIM_CLEANED;
}

_Noreturn static void
run_cleanup(struct run *r)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		    lang[] = "LANG=C.UTF-8";
	char *const envp[] = { path, lang, NULL };
	sigset_t none;

	if (r->client.fd < 0)
		close(SHIM_FD_CLIENT);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(r->cleanup[0], r->cleanup, envp);
	_exit(127);
}

/* ---- the beginning */

static uint64_t
number(const char *s)
{
	uint64_t n;

	if (!text_number(s, &n))
		_exit(2);
	return n;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
watch(struct run *r)
{
	struct kevent ev;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	r->kq = kqueuex(KQUEUE_CLOEXEC);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++) {
		EV_SET(&ev, passed_on[i], EVFILT_SIGNAL, EV_ADD, 0, 0, NULL);
		(void)kevent(r->kq, &ev, 1, NULL, 0, NULL);
	}
	EV_SET(&ev, SIGCHLD, EVFILT_SIGNAL, EV_ADD, 0, 0, NULL);
	(void)kevent(r->kq, &ev, 1, NULL, 0, NULL);
}

/* A child that dies with us, whoever kills us: its descriptor is closed then. */
static bool
start(struct run *r, struct command *c)
{
	struct kevent ev;
	int p[2];

	if (pipe2(p, O_CLOEXEC) != 0)
		return false;
	c->result = p[1];
	r->result = p[0];
	r->pid = pdfork(&r->desc, PD_CLOEXEC);
	if (r->pid == 0)
		first_run(c);
	close(p[1]);
	for (int fd = FREEBSD_FD_GATE; fd < FREEBSD_FD_EVENTS; fd++)
		close(fd);
	(void)fcntl(r->result, F_SETFL, O_NONBLOCK);
	if (r->pid < 0)
		return false;
	EV_SET(&ev, r->desc, EVFILT_PROCDESC, EV_ADD, NOTE_EXIT, 0, NULL);
	return kevent(r->kq, &ev, 1, NULL, 0, NULL) == 0;
}

static int
find_cleanup(int argc, char **argv, struct run *r, struct command *c)
{
	uint64_t n = number(argv[12]);

	if (n < 1 || n >= (uint64_t)argc - 13)
		_exit(2);
	c->argv = argv + 13 + n;
	r->cleanup = calloc((size_t)n + 1, sizeof(*r->cleanup));
	if (r->cleanup == NULL)
		_exit(2);
	memcpy((void *)(uintptr_t)r->cleanup, argv + 13, (size_t)n * sizeof(*r->cleanup));
	return 0;
}

void
shim_run(int argc, char **argv)
{
	struct run r = {
		.log = { .fd = -1, .out = buffers.log },
		.out = { .fd = is_open(SHIM_FD_OUT) ? SHIM_FD_OUT : -1,
		    .tag = 'o',
		    .frame = SHIM_FRAME_OUT,
		    .buf = buffers.out },
		.err = { .fd = is_open(SHIM_FD_ERR) ? SHIM_FD_ERR : -1,
		    .tag = 'e',
		    .frame = SHIM_FRAME_ERR,
		    .buf = buffers.err },
		.events = is_open(FREEBSD_FD_EVENTS) ? FREEBSD_FD_EVENTS : -1,
		.client = { .fd = is_open(SHIM_FD_CLIENT) ? SHIM_FD_CLIENT : -1, .pend = buffers.pend },
	};
	struct command c = { .groups = argv[10], .workdir = argv[11] };
	struct shim_exit x;
	int status = 0;
	int64_t when;

	c.jid = r.jid = (int)number(argv[2]);
	c.persistent = strchr(argv[4], INIT_FLAG_PERSISTENT) != NULL;
	r.jail = argv[3];
	r.oom_ends = strchr(argv[4], SHIM_FLAG_OOM_ENDS) != NULL;
	r.run_id = number(argv[5]);
	r.log.max = number(argv[6]);
	r.tied = number(argv[7]) == 0;
	r.log.files = r.tied ? 1 : (unsigned)number(argv[7]);
	c.uid = (uid_t)number(argv[8]);
	c.gid = (gid_t)number(argv[9]);
	find_cleanup(argc, argv, &r, &c);
	/* EBUSY: a reaper already, as init is. */
	(void)procctl(P_PID, 0, PROC_REAP_ACQUIRE, NULL);
	watch(&r);
	if (!start(&r, &c))
		_exit(2);
	setproctitle("-%s", argv[0]);
	while (!run_once(&r, &status))
		;
	when = now_ns();
	run_kills(&r);
	run_end_jail(&r);
	run_drain(&r);
	if (!run_result(&r, &status))
		_exit(0);
	run_record(&r, status, when, &x);
	client_send(&r.client, SHIM_FRAME_EXIT, &x, sizeof(x));
	bool handed_over = run_linger(&r) && run_handed_over(&r);
	close_range(SHIM_FD_LOGDIR, SHIM_FD_ERR, 0);
	if (handed_over)
		_exit(0);
	closefrom(SHIM_FD_CLIENT + 1);
	run_cleanup(&r);
}
