/*
 * The zfs command: running it, reading its answers, turning its words into
 * error codes. The only place that knows what its messages look like; they
 * are those of OpenZFS and of the older zfs-fuse, which lacks -p of `zfs
 * list`, so that everything is asked by `zfs get`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/proc.h"
#include "base/text.h"
#include "storage/zfs.h"

#define WORDS_MAX 24
#define OUT_MAX (64u << 20)
#define COMMAND_TIMEOUT_MS (10 * 60 * 1000)
#define PUMP_BYTES (64 * 1024)
#define BUSY_MS 5000
#define BUSY_STEP_MS 20

static const struct {
	const char *words;
	int code;
} meanings[] = {
	/* clang-format off */
	{ "has dependent clones", ZFS_HAS_CLONES },
	{ "clones of previous snapshots exist", ZFS_HAS_CLONES },
	{ "property is set to 'off'", ZFS_CANMOUNT_OFF },
	{ "more recent snapshots", ZFS_HAS_LATER },
	{ "invalid stream", E_CORRUPT },
	{ "checksum mismatch", E_CORRUPT },
	{ "incomplete stream", E_CORRUPT },
	{ "failed to read from stream", E_CORRUPT },
	{ "stream has unsupported feature", E_NOTSUP },
	{ "does not exist", E_NOENT },
	{ "no such", E_NOENT },
	{ "could not find any snapshots", E_NOENT },
	{ "already exists", E_EXIST },
	{ "is busy", E_BUSY },
	{ "out of space", E_NOSPC },
	{ "No space left", E_NOSPC },
	{ "quota exceeded", E_NOSPC },
	{ "size is less than current used", E_INVAL },
	{ "ermission denied", E_PERM },
	{ "name is too long", E_INVAL },
	{ "daemon is running", E_STATE },
	{ "modules are not loaded", E_STATE },
	{ "modules cannot be", E_STATE },
	{ "/dev/zfs and /proc/self", E_NOTSUP },
	/* clang-format on */
};

/* Sets the error that the first line of zfs's own says; what is in e stays when it said nothing. */
static int
explain(const struct buf *said, struct err *e, int rc)
{
	const char *text = buf_cstr(said);
	size_t len = strcspn(text, "\n");
	AUTO_FINI(buf) struct buf line = BUF_INIT(512);
	enum err_code code = E_SYS;

	if (len == 0 || rc == -E_NOCMD || rc == -E_NOEXEC || rc == -E_TIMEOUT || rc == -E_INTR)
		return rc;
	text_escape(text, len < 400 ? len : 400, &line);
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (strstr(text, meanings[i].words) == NULL)
			continue;
		if (meanings[i].code > E_COUNT) {
			err_set(e, E_STATE, "zfs: %s", buf_cstr(&line));
			return -meanings[i].code;
		}
		code = (enum err_code)meanings[i].code;
		break;
	}
	return err_set(e, code, "zfs: %s", buf_cstr(&line));
}

static int
run_words(const char *const *argv, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(64 * 1024);
	struct proc_spec spec = PROC_SPEC_INIT;
	int rc;

	spec.argv = argv;
	spec.out = out;
	spec.err = &said;
	spec.timeout_ms = COMMAND_TIMEOUT_MS;
	rc = proc_run(&spec, NULL, e);
	return rc < 0 ? explain(&said, e, rc) : 0;
}

/* Writes all that the source has. Not E_SYS but -E_STATE with no message when nobody reads any more. */
static int
pump(const struct stor_source *src, int fd, struct err *e)
{
	AUTO_FREE char *chunk = malloc(PUMP_BYTES);
	ssize_t n;

	if (chunk == NULL)
		return err_nomem(e);
	while ((n = src->read(src->arg, chunk, PUMP_BYTES, e)) > 0) {
		int rc = fd_write_all(fd, chunk, (size_t)n, "zfs receive", e);

		if (rc < 0)
			return errno == EPIPE ? -E_STATE : rc;
	}
	return n < 0 ? (int)n : 0;
}

/* A program that ended early must not end us. */
static int
pump_quietly(const void *head, size_t len, const struct stor_source *src, int fd, struct err *e)
{
	sigset_t pipe_set, old;
	int rc;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	rc = fd_write_all(fd, head, len, "zfs receive", e);
	if (rc < 0 && errno == EPIPE)
		rc = -E_STATE;
	if (rc == 0)
		rc = pump(src, fd, e);
	if (rc == -E_STATE && !sigismember(&old, SIGPIPE))
		(void)sigtimedwait(&pipe_set, NULL, &(struct timespec){ 0 });
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static int
fed(const char *const *argv, const void *head, size_t len, const struct stor_source *src, struct err *e)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(PUMP_BYTES);
	AUTO(fd) int in = -1, feed = -1, words = -1, tell = -1;
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err ended = ERR_INIT;
	int a[2], b[2], rc, end;
	pid_t pid;

	if (pipe2(a, O_CLOEXEC) < 0)
		return err_sys(e, "pipe");
	in = a[0];
	feed = a[1];
	if (pipe2(b, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(e, "pipe");
	words = b[0];
	tell = b[1];
	spec.argv = argv;
	spec.fd_in = in;
	spec.fd_err = tell;
	rc = proc_start(&spec, &pid, e);
	fd_close(take_fd(in));
	fd_close(take_fd(tell));
	if (rc < 0)
		return rc;
	rc = pump_quietly(head, len, src, feed, e);
	/* Half a stream must not look like a whole one: it has a mark at its end, which zfs looks for. */
	fd_close(take_fd(feed));
	end = proc_finish(pid, argv[0], NULL, &ended);
	if (rc < 0 && rc != -E_STATE)
		return rc;
	if (end == 0)
		return rc == 0 ? 0 : err_set(e, E_CORRUPT, "zfs receive: more came than one stream");
	for (ssize_t n; said.len < 4096;) {
		char chunk[1024];

		n = read(words, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		buf_add(&said, chunk, (size_t)n);
	}
	if (e != NULL)
		*e = ended;
	return explain(&said, e, end);
}

/* "zfs", then the words of the list. */
static void
gather(const char *argv[static WORDS_MAX + 2], va_list ap)
{
	size_t n = 0;

	argv[n++] = "zfs";
	while (n <= WORDS_MAX && (argv[n] = va_arg(ap, const char *)) != NULL)
		n++;
	argv[n] = NULL;
}

int
zfs_run(struct buf *out, struct err *e, ...)
{
	const char *argv[WORDS_MAX + 2];
	va_list ap;

	va_start(ap, e);
	gather(argv, ap);
	va_end(ap);
	return run_words(argv, out, e);
}

int
zfs_run_fed(const void *head, size_t len, const struct stor_source *src, struct err *e, ...)
{
	const char *argv[WORDS_MAX + 2];
	va_list ap;

	va_start(ap, e);
	gather(argv, ap);
	va_end(ap);
	return fed(argv, head, len, src, e);
}

int
zfs_run_to(int fd, struct err *e, ...)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(64 * 1024);
	struct proc_spec spec = PROC_SPEC_INIT;
	const char *argv[WORDS_MAX + 2];
	va_list ap;
	int rc;

	va_start(ap, e);
	gather(argv, ap);
	va_end(ap);
	spec.argv = argv;
	spec.fd_out = fd;
	spec.err = &said;
	rc = proc_run(&spec, NULL, e);
	return rc < 0 ? explain(&said, e, rc) : 0;
}

/* A rollback that meets zfs-fuse's daemon amid the end of a mount is told of an I/O error. */
static bool
may_pass(int rc, const struct err *e)
{
	return rc == -E_BUSY || (rc == -E_SYS && e != NULL && strstr(e->msg, "I/O error") != NULL);
}

int
zfs_run_patiently(struct err *e, ...)
{
	const char *argv[WORDS_MAX + 2];
	int64_t end = text_monotonic_ms() + BUSY_MS;
	va_list ap;
	int rc;

	va_start(ap, e);
	gather(argv, ap);
	va_end(ap);
	/*
	 * A dataset stays busy for a moment after its last use (an unmount over
	 * FUSE, a removed jail), and ZFS has no event for the end of it.
	 */
	while (may_pass(rc = run_words(argv, NULL, e), e) && text_monotonic_ms() < end)
		(void)poll(NULL, 0, BUSY_STEP_MS);
	return rc;
}

/*
 * zfs-fuse's command mounts clones again that it unmounted first. One in use
 * cannot be, and the command fails though the new name is there: then the
 * next attempt finds the old name gone.
 */
int
zfs_run_rename(const char *from, const char *to, struct err *e)
{
	const char *const argv[] = { "zfs", "rename", from, to, NULL };
	int64_t end = text_monotonic_ms() + BUSY_MS;
	int rc = run_words(argv, NULL, e);

	if (!may_pass(rc, e))
		return rc;
	do {
		(void)poll(NULL, 0, BUSY_STEP_MS);
		rc = run_words(argv, NULL, e);
	} while (may_pass(rc, e) && text_monotonic_ms() < end);
	return rc == -E_NOENT ? 0 : rc;
}

/* Cuts one tab-separated field off *p. */
static const char *
next_field(char **p)
{
	char *field = *p, *tab = strchr(field, '\t');

	if (tab != NULL)
		*tab++ = '\0';
	*p = tab != NULL ? tab : field + strlen(field);
	return field;
}

int
zfs_get(const char *dataset, const char *depth, const char *props, zfs_value_fn *fn, void *arg, struct err *e)
{
	static const char columns[] = "name,property,value,source";
	AUTO_FINI(buf) struct buf out = BUF_INIT(OUT_MAX);
	char *line, *rest;
	int rc;

	if (depth != NULL)
		rc = zfs_run(&out, e, "get", "-H", "-p", "-d", depth, "-o", columns, props, dataset, NULL);
	else
		rc = zfs_run(&out, e, "get", "-H", "-p", "-o", columns, props, dataset, NULL);
	if (rc == 0)
		rc = buf_check(&out, "zfs: list", e);
	rest = out.data;
	while (rc == 0 && rest != NULL && (line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		struct zfs_value v;

		v.dataset = next_field(&line);
		v.prop = next_field(&line);
		v.value = next_field(&line);
		v.local = strcmp(line, "local") == 0;
		rc = fn(arg, &v);
	}
	return rc;
}

int
zfs_get_one(const char *dataset, const char *prop, struct buf *value, struct err *e)
{
	int rc = zfs_run(value, e, "get", "-H", "-p", "-o", "value", prop, dataset, NULL);

	if (rc == 0)
		rc = buf_check(value, "zfs: value", e);
	if (rc == 0 && value->len > 0 && value->data[value->len - 1] == '\n')
		value->data[--value->len] = '\0';
	return rc;
}
