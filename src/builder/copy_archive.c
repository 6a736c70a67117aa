/*
 * Archives: told by their content, unpacked by pot-unpack in its sandbox.
 * Here stands the other end of its pipe; of an archive nothing is looked at
 * but its first block.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/proc.h"
#include "base/text.h"
#include "builder/copy_impl.h"

#define PIPE_BYTES (1024 * 1024)
#define TAR_BLOCK 512u

/* Exit statuses of pot-unpack (unpack/main.c). */
enum { UNPACK_ARCHIVE = 1, UNPACK_LIMIT = 3, UNPACK_FULL = 4 };

/* POSIX tar: the header's checksum, with blanks in its own place. */
static bool
is_tar_header(const unsigned char *block)
{
	unsigned long sum = 0, said = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : block[i];
	for (size_t i = 148; i < 156; i++) {
		if (block[i] >= '0' && block[i] <= '7')
			said = said << 3 | (unsigned long)(block[i] - '0');
		else if (said != 0 || block[i] != ' ')
			break;
	}
	return said == sum && block[0] != '\0';
}

bool
archive_begins(const unsigned char *block, size_t n)
{
	static const struct {
		char magic[6];
		size_t len;
	} kinds[] = {
		{ { '\x1f', '\x8b' }, 2 },                   /* gzip */
		{ { 'B', 'Z', 'h' }, 3 },                    /* bzip2 */
		{ { '\xfd', '7', 'z', 'X', 'Z', '\0' }, 6 }, /* xz */
		{ { '\x28', '\xb5', '\x2f', '\xfd' }, 4 },   /* zstd */
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (n >= kinds[i].len && memcmp(block, kinds[i].magic, kinds[i].len) == 0)
			return true;
	}
	return n == TAR_BLOCK && is_tar_header(block);
}

static int
find_program(char out[static PATH_MAX], struct err *e)
{
	return host_find_program("pot-unpack", host_libexec(), out, PATH_MAX, e);
}

int
archive_is(struct bld *b, int fd, struct err *e)
{
	unsigned char block[TAR_BLOCK];
	char program[PATH_MAX], dirfd[16];
	const char *argv[] = { program, "--probe", "--dirfd", dirfd, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;
	ssize_t n = pread(fd, block, sizeof(block), 0);
	int status = 0, rc;

	if (n < 0)
		return err_sys(e, "reading");
	if (!archive_begins(block, (size_t)n))
		return 0;
	if ((rc = find_program(program, e)) < 0)
		return rc;
	snprintf(dirfd, sizeof(dirfd), "%d", b->tmp);
	spec.argv = argv;
	spec.fd_in = fd;
	spec.pass_fd = b->tmp;
	spec.cancel = b->eng->cancel;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "reading");
	rc = proc_run(&spec, &status, e);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "reading");
	if (rc == 0)
		return 1;
	/* A compressed file that is no tar, or so damaged that it is none. */
	return status == UNPACK_ARCHIVE ? 0 : rc;
}

/* ---- unpacking ------------------------------------------------------------------------- */

struct child {
	pid_t pid; /* 0: none */
	int in, err;
};

static void
child_end(struct child *c)
{
	int status;

	fd_close(take_fd(c->in));
	fd_close(take_fd(c->err));
	if (c->pid == 0)
		return;
	if (kill(-c->pid, SIGKILL) != 0)
		kill(c->pid, SIGKILL);
	if (proc_finish(take(c->pid, 0), "pot-unpack", &status, NULL) < 0)
		status = 0; /* killed: its end says nothing */
}

static int
child_start(struct child *c, const struct archive_args *a, struct err *e)
{
	char program[PATH_MAX], dirfd[16], owner[32];
	const char *argv[8] = { program, "--dirfd", dirfd };
	struct proc_spec spec = PROC_SPEC_INIT;
	int in[2] = { -1, -1 }, err[2] = { -1, -1 }, n = 3, rc;

	snprintf(dirfd, sizeof(dirfd), "%d", a->dir);
	if (a->merge)
		argv[n++] = "--merge";
	if (a->owner != NULL && a->owner->set) {
		snprintf(owner, sizeof(owner), "%u:%u", a->owner->uid, a->owner->gid);
		argv[n++] = "--owner";
		argv[n++] = owner;
	}
	if ((rc = find_program(program, e)) < 0)
		return rc;
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) {
		rc = err_sys(e, "making a pipe");
	} else {
		pipe_widen(in[1], PIPE_BYTES); /* fewer switches */
		spec.argv = argv;
		spec.fd_in = in[0];
		spec.fd_err = err[1];
		spec.pass_fd = a->dir;
		if ((rc = proc_start(&spec, &c->pid, e)) < 0)
			c->pid = 0;
	}
	fd_close(in[0]);
	fd_close(err[1]);
	c->in = in[1];
	c->err = err[0];
	return rc;
}

/* One piece to both; *gone: the unpacker does not want it any more. */
static int
hand_over(struct child *c, struct hasher *h, const void *data, size_t n, bool *gone, struct err *e)
{
	int rc = hasher_add(h, data, n, e);

	if (rc < 0)
		return rc;
	rc = fd_write_all(c->in, data, n, "pot-unpack", e);
	*gone = rc < 0 && e->sys == EPIPE;
	return rc;
}

static int
feed(
    struct bld *b, struct child *c, const struct archive_args *a, struct hasher *h, bool *gone, struct err *e)
{
	AUTO_FREE char *chunk = malloc(COPY_CHUNK);
	int rc = a->nfirst > 0 ? hand_over(c, h, a->first, a->nfirst, gone, e) : 0;

	if (chunk == NULL)
		return err_nomem(e);
	while (rc == 0) {
		ssize_t n = read(a->fd, chunk, COPY_CHUNK);

		if (n < 0 && errno == EINTR) {
			rc = bld_check(b, e);
			continue;
		}
		if (n <= 0)
			return n < 0 ? err_sys(e, "reading the archive") : 0;
		if ((rc = bld_check(b, e)) == 0)
			rc = hand_over(c, h, chunk, (size_t)n, gone, e);
	}
	return rc;
}

/* What it said: its notes go to whoever listens, its last other line is why it failed. */
static void
last_words(struct bld *b, struct buf *said, char why[static 512])
{
	char *rest = said->data, *line, note[512];

	why[0] = '\0';
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		if (strncmp(line, "note: ", 6) == 0) {
			text_escape_into(note, sizeof(note), line + 6, strlen(line + 6));
			event_info(&b->eng->events, "%s", note);
		} else if (line[0] != '\0') {
			text_escape_into(why, 512, line, strlen(line));
		}
	}
}

static int
finish(struct bld *b, struct child *c, struct err *e)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(65536);
	char why[512];
	int status = 0, rc;

	fd_close(take_fd(c->in));
	if (fd_read_all(c->err, &said, NULL) < 0) {
		child_end(c);
		return err_set(e, E_SYS, "unpacking: reading what pot-unpack says");
	}
	last_words(b, &said, why);
	rc = proc_finish(take(c->pid, 0), "pot-unpack", &status, e);
	if (rc == 0 || why[0] == '\0' || status > 128)
		return rc;
	return err_set(e,
	    status == UNPACK_ARCHIVE     ? E_CORRUPT
		: status == UNPACK_LIMIT ? E_LIMIT
		: status == UNPACK_FULL  ? E_NOSPC
					 : E_SYS,
	    "unpacking: %s", why);
}

int
archive_unpack(struct bld *b, const struct archive_args *a, struct digest *sum, struct err *e)
{
	struct child c = { 0, -1, -1 };
	AUTO(hasher) struct hasher *h = NULL;
	struct err ours = ERR_INIT;
	bool gone = false;
	int rc = hasher_new(DIGEST_SHA256, &h, &ours);

	if (rc == 0)
		rc = child_start(&c, a, &ours);
	fault_point("build.unpack.started");
	if (rc == 0)
		rc = feed(b, &c, a, h, &gone, &ours);
	/* It has given up by itself: then it says why, and that is what went wrong. */
	if (rc == 0 || gone) {
		rc = finish(b, &c, e);
		if (rc == 0 && gone)
			rc = err_set(e, E_CORRUPT, "unpacking: the archive has more data behind its end");
		return rc == 0 && sum != NULL ? hasher_end(h, sum, e) : rc;
	}
	child_end(&c);
	if (e != NULL)
		*e = ours;
	return rc;
}
