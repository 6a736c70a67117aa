/*
 * The parent of a pot's PID 1: log and client while it lives, then the exit
 * status on disk, then the clean-up.  The order at the end is the promise of
 * this program: output, exit slot (durable), client, mounts, clean-up verb.
 */
#include "shim/linux/linux.h"

#include <linux/fcntl.h>
#include <linux/mman.h>
#include <asm/poll.h>

#define WNOHANG 1
#define FIONREAD 0x541B
#define SIGNALS                                                                                       \
	(SIGBIT(SIG_TERM) | SIGBIT(SIG_INT) | SIGBIT(SIG_HUP) | SIGBIT(SIG_QUIT) | SIGBIT(SIG_USR1) | \
	    SIGBIT(SIG_USR2) | SIGBIT(SIG_CHLD))
#define IDLE_NS 1000000000ul
#define HAND_OVER_NS 200000000ul

struct run {
	int pid, sigfd;
	uint64_t run_id;
	bool tied;  /* the pot ends with its client */
	bool dirty; /* buffers hold pages that an idle shim should not keep */
	struct log log;
	struct stream out, err;
	struct client client;
	char *const *cleanup;
};

/* Pages of these exist only once they are written to. */
static struct {
	char out[STREAM_BUF], err[STREAM_BUF], log[LOG_OUT], pend[SHIM_FRAME_MAX + 16];
} buffers __attribute__((aligned(4096)));

_Static_assert(STREAM_BUF + 1 <= SHIM_FRAME_MAX + 16, "a whole read fits a frame");

static bool
fd_is_open(int fd)
{
	return raw(__NR_fcntl, fd, F_GETFD) >= 0;
}

/* True when PID 1 has ended; *status is its wait status. */
static bool
run_signal(struct run *r, int *status)
{
	uint32_t info[32]; /* struct signalfd_siginfo; the first word is the number */

	if (raw(__NR_read, r->sigfd, info, sizeof(info)) != (long)sizeof(info))
		return false;
	if (info[0] != SIG_CHLD)
		raw(__NR_kill, r->pid, info[0]);
	else
		return raw(__NR_wait4, r->pid, status, WNOHANG, 0) == r->pid;
	return false;
}

/* How long to sleep: until a partial line goes out, or memory back, or for ever. */
static uint64_t
run_patience(const struct run *r)
{
	if (r->out.len > 0 || r->err.len > 0)
		return SHIM_LOG_IDLE_MS * 1000000ul;
	return r->dirty ? IDLE_NS : 0;
}

static void
run_idle(struct run *r)
{
	if (r->out.len > 0 || r->err.len > 0) {
		stream_partial(&r->out, &r->log);
		stream_partial(&r->err, &r->log);
	} else if (r->client.pendlen == 0) {
		raw(__NR_madvise, &buffers, sizeof(buffers), MADV_DONTNEED);
		r->dirty = false;
	}
}

/* One wait and what it brought. True when PID 1 has ended. */
static bool
run_once(struct run *r, int *status)
{
	bool blocked = r->client.pendlen > 0;
	struct pollfd {
		int fd;
		short events, revents;
	} p[4] = {
		{ r->sigfd, POLLIN, 0 },
		{ blocked ? -1 : r->out.fd, POLLIN, 0 },
		{ blocked ? -1 : r->err.fd, POLLIN, 0 },
		{ r->client.fd, blocked ? POLLOUT : 0, 0 },
	};
	uint64_t wait = run_patience(r);
	uint64_t ts[2] = { wait / 1000000000ul, wait % 1000000000ul };
	long n = raw(__NR_ppoll, p, 4, wait == 0 ? NULL : ts, NULL, 0);

	if (n == 0)
		run_idle(r);
	if (n <= 0)
		return false;
	if ((p[3].revents & (POLLERR | POLLHUP)) != 0)
		client_drop(&r->client);
	else if (p[3].revents != 0)
		client_flush(&r->client);
	if ((p[1].revents | p[2].revents) != 0)
		r->dirty = true;
	if (p[1].revents != 0)
		stream_read(&r->out, &r->log, &r->client);
	if (p[2].revents != 0 && r->client.pendlen == 0)
		stream_read(&r->err, &r->log, &r->client);
	if (r->tied && r->client.fd < 0) {
		r->tied = false;
		raw(__NR_kill, r->pid, SIG_KILL);
	}
	return p[0].revents != 0 && run_signal(r, status);
}

/* What PID 1 said: true when the command was executed; *status becomes its wait status. */
static bool
run_result(int *status)
{
	struct init_result res;
	bool executed = false, failed = false;
	bool killed = (*status & 0x7f) != 0;

	while (raw(__NR_read, SHIM_FD_RESULT, &res, sizeof(res)) == (long)sizeof(res)) {
		if (res.kind == INIT_EXECUTED)
			executed = true;
		else if (res.kind == INIT_FAILED)
			failed = true;
		else if (res.kind == INIT_ENDED && !killed)
			*status = res.wait_status;
	}
	return executed && !failed;
}

static void
run_drain(struct run *r)
{
	int out = 0, err = 0;

	if (r->out.fd >= 0)
		raw(__NR_ioctl, r->out.fd, FIONREAD, &out);
	if (r->err.fd >= 0)
		raw(__NR_ioctl, r->err.fd, FIONREAD, &err);
	/* A frame per read, a read is at least 4 KiB but for the last: 16 bytes each are plenty. */
	client_reserve(&r->client, (size_t)out + (size_t)err + 65536);
	stream_drain(&r->out, (size_t)out, &r->log, &r->client);
	stream_drain(&r->err, (size_t)err, &r->log, &r->client);
}

static void
run_record(struct run *r, int status, int64_t when, struct shim_exit *x)
{
	memset(x, 0, sizeof(*x));
	x->magic = SHIM_EXIT_MAGIC;
	x->version = 1;
	x->run_id = r->run_id;
	x->wait_status = status;
	x->time_ns = when;
	x->log_lost = r->log.lost;
	x->crc = shim_crc32(x, offsetof(struct shim_exit, crc));
	raw(__NR_pwrite64, SHIM_FD_STATE, x, sizeof(*x), STATE_EXIT_OFF);
	raw(__NR_fdatasync, SHIM_FD_STATE);
}

/*
 * A client that has not taken everything yet keeps a process of its own, so
 * that it loses nothing and the clean-up does not wait for it.  The lock goes
 * with the clean-up.  True when the client has everything.
 */
static bool
run_linger(struct run *r)
{
	struct {
		int fd;
		short events, revents;
	} p = { r->client.fd, POLLOUT, 0 };

	if (client_flush(&r->client))
		return r->client.fd >= 0;
	if (raw(__NR_clone, 0, 0, 0, 0, 0) != 0)
		return false;
	raw(__NR_close_range, SHIM_FD_STATE, SHIM_FD_ERR, 0);
	raw(__NR_close_range, SHIM_FD_MNTNS, ~0u, 0);
	while (!client_flush(&r->client)) {
		raw(__NR_ppoll, &p, 1, NULL, NULL, 0);
		if ((p.revents & (POLLERR | POLLHUP)) != 0)
			break;
	}
	raw_exit(0);
}

/*
 * A client that is there has everything in memory that the clean-up needs, so
 * it is asked first.  One that does not answer soon is not waited for: the
 * verb does what is still to do, and the pot's lock keeps the two apart.
 */
static bool
run_handed_over(struct run *r)
{
	struct {
		int fd;
		short events, revents;
	} p = { r->client.fd, POLLIN, 0 };
	const uint64_t patience[2] = { 0, HAND_OVER_NS };
	char answer = 0;

	client_send(&r->client, SHIM_FRAME_CLEAN, "", 0);
	if (r->client.fd < 0 || raw(__NR_ppoll, &p, 1, patience, NULL, 0) <= 0)
		return false;
	return raw(__NR_read, r->client.fd, &answer, 1) == 1 && answer == SHIM_CLEANED;
}

static void
run_release(void)
{
	raw(__NR_close_range, SHIM_FD_LOGDIR, SHIM_FD_ERR, 0);
	raw(__NR_close_range, SHIM_FD_MNTNS, ~0u, 0); /* here the pot's mounts go */
}

_Noreturn static void
run_cleanup(struct run *r)
{
	static char *const envp[] = {
		(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)"LANG=C.UTF-8", NULL
	};
	const unsigned long none = 0;

	if (r->client.fd < 0)
		raw(__NR_close, SHIM_FD_CLIENT);
	raw(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, 0, sizeof(none));
	raw(__NR_execve, r->cleanup[0], r->cleanup, envp);
	raw_exit(127);
}

static void
run_parse(struct run *r, char **argv)
{
	uint64_t pid, files;

	if (!text_number(argv[2], &pid) || !text_number(argv[3], &r->run_id) ||
	    !text_number(argv[4], &r->log.max) || !text_number(argv[5], &files) || !text_is(argv[6], "--") ||
	    argv[7] == NULL)
		raw_exit(2);
	r->pid = (int)pid;
	r->tied = files == 0;
	r->log.files = files < 1 ? 1 : (unsigned)files;
	r->cleanup = argv + 7;
}

void
shim_run(char **argv)
{
	const unsigned long all = ~0ul, set = SIGNALS;
	struct shim_exit x;
	struct run r = {
		.log = { .fd = -1, .out = buffers.log },
		.out = { .fd = SHIM_FD_OUT, .tag = 'o', .frame = SHIM_FRAME_OUT, .buf = buffers.out },
		.err = { .fd = SHIM_FD_ERR, .tag = 'e', .frame = SHIM_FRAME_ERR, .buf = buffers.err },
		.client = { .fd = SHIM_FD_CLIENT, .pend = buffers.pend },
	};
	int status = 0;
	bool handed_over;
	int64_t when;

	raw(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, 0, sizeof(all));
	run_parse(&r, argv);
	shim_title(argv, "pot-shim");
	if (!fd_is_open(SHIM_FD_OUT))
		r.out.fd = -1;
	if (!fd_is_open(SHIM_FD_ERR))
		r.err.fd = -1;
	if (!fd_is_open(SHIM_FD_CLIENT))
		r.client.fd = -1;
	r.sigfd = (int)raw(__NR_signalfd4, -1, &set, sizeof(set), O_CLOEXEC | O_NONBLOCK);

	while (!run_once(&r, &status))
		;
	when = now_ns();
	run_drain(&r);
	if (!run_result(&status))
		raw_exit(0);
	run_record(&r, status, when, &x);
	client_send(&r.client, SHIM_FRAME_EXIT, &x, sizeof(x));
	handed_over = run_linger(&r) && run_handed_over(&r);
	run_release();
	if (handed_over)
		raw_exit(0);
	run_cleanup(&r);
}
