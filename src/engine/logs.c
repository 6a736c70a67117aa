/*
 * Reading a pot's output as its shim keeps it: the files log.N … log.1, log
 * in pots/NAME, oldest first; following across rotation by the identity of
 * the open file.
 */
#include "engine/epot.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/watch.h"
#include "model/logline.h"

#define LOG_FILES_MAX 1000
#define RECORD_MAX (SHIM_LOG_LINE + 64)

struct reader {
	const struct pot_logs_args *args;
	pot_log_fn *fn;
	void *arg;
	struct eng *g;
	int64_t skip; /* whole lines still to be passed over, for -n */
	int fd;       /* the file being read */
	char part[RECORD_MAX];
	size_t npart;
};

static int
one_record(struct reader *r, const char *text, size_t len)
{
	struct logline l;

	if (!logline_parse(text, len, &l) || l.time_ns < r->args->since_ns)
		return 0;
	if (r->skip > 0) {
		r->skip -= l.whole;
		return 0;
	}
	return r->fn(r->arg, &(struct pot_log_line){ l.time_ns, l.stream, l.whole, l.text, l.len });
}

/* Everything that is in r->fd from its position on; a record still being written stays in part. */
static int
read_on(struct reader *r, struct err *e)
{
	char block[64 * 1024];
	ssize_t n;
	int rc;

	while ((n = read(r->fd, block, sizeof(block))) > 0) {
		const char *at = block, *end = block + n;

		while (at < end) {
			const char *nl = memchr(at, '\n', (size_t)(end - at));
			size_t len = (size_t)((nl == NULL ? end : nl) - at);
			bool joined = r->npart > 0;

			if (nl == NULL || joined) {
				size_t room = sizeof(r->part) - r->npart;

				/* A longer record is none of the shim's; its rest is passed over. */
				memcpy(r->part + r->npart, at, len < room ? len : room);
				r->npart += len < room ? len : room;
			}
			if (nl == NULL)
				break;
			rc = joined ? one_record(r, r->part, r->npart) : one_record(r, at, len);
			r->npart = 0;
			if (rc != 0)
				return rc;
			at = nl + 1;
		}
		if (eng_cancelled(r->g))
			return err_set(e, E_INTR, "interrupted");
	}
	return n < 0 ? err_sys(e, "cannot read the log") : 0;
}

static void
log_name(unsigned index, char out[static 16])
{
	snprintf(out, 16, index == 0 ? "log" : "log.%u", index);
}

static bool
log_exists(int dir, unsigned index)
{
	struct stat st;
	char name[16];

	log_name(index, name);
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
open_log(int dir, unsigned index)
{
	char name[16];

	log_name(index, name);
	return openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* The highest number; one may be missing on the way, which just becomes the next, or whose renamer was killed. */
static unsigned
oldest_index(int dir)
{
	unsigned top = 0;

	for (unsigned i = 1; i <= LOG_FILES_MAX && i <= top + 2; i++)
		if (log_exists(dir, i))
			top = i;
	return top;
}

/* Which number the open file has now; -1: rotated out of existence. */
static int
index_of(int fd, int dir)
{
	struct stat held, st;
	unsigned top = oldest_index(dir);
	char name[16];

	if (fstat(fd, &held) != 0)
		return -1;
	for (unsigned i = 0; i <= top; i++) {
		log_name(i, name);
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == held.st_ino &&
		    st.st_dev == held.st_dev)
			return (int)i;
	}
	return -1;
}

/* The next one there is below number `at`, for as far as nothing was renamed meanwhile: -1 none, -2 ask again. */
static int
open_below(int held, unsigned at, int dir)
{
	int fd = -1;
	unsigned i = at;

	while (fd < 0 && i > 0)
		fd = open_log(dir, --i);
	/* Renaming goes from the oldest to the newest: who is still in the place has had no follower moved. */
	for (unsigned k = i + 1; k < at; k++)
		if (log_exists(dir, k))
			goto again;
	if (held >= 0 && index_of(held, dir) != (int)at)
		goto again;
	return fd;
again:
	fd_close(fd);
	return -2;
}

/* The file that was written after `held` (-1: the oldest), whatever rotates meanwhile; -1: none yet. */
static int
open_next(int held, int dir)
{
	int fd;

	do {
		int at = held < 0 ? -1 : index_of(held, dir);

		/* Numbers end above the oldest: from there everything is newer. */
		fd =
		    at < 0 ? open_below(-1, oldest_index(dir) + 2, dir) : open_below(held, (unsigned)at, dir);
	} while (fd == -2);
	return fd;
}

/* From where r->fd stands (-1: the oldest file) to the end of the newest, which stays open. */
static int
catch_up(struct reader *r, int dir, struct err *e)
{
	int rc = r->fd < 0 ? 0 : read_on(r, e);

	while (rc == 0) {
		int next = open_next(r->fd, dir);

		if (next < 0)
			break;
		/* It is not written any more: what came last, between the look and the rotation. */
		if (r->fd >= 0)
			rc = read_on(r, e);
		fd_close(r->fd);
		r->fd = next;
		r->npart = 0;
		if (rc == 0)
			rc = read_on(r, e);
	}
	return rc;
}

static int
count_line(void *arg, const struct pot_log_line *l)
{
	*(int64_t *)arg += l->whole;
	return 0;
}

/* -n: how many whole lines come before the last N; a first pass that gives nothing out. */
static int
count_skipped(struct reader *r, int dir, struct err *e)
{
	struct reader counter = { .args = r->args, .fn = count_line, .g = r->g, .fd = -1 };
	int64_t total = 0;
	int rc;

	counter.arg = &total;
	rc = catch_up(&counter, dir, e);
	fd_close(counter.fd);
	r->skip = total > r->args->lines ? total - r->args->lines : 0;
	return rc;
}

static int
follow(struct reader *r, struct epot *p, struct err *e)
{
	struct watch *w;
	int rc = watch_open(&w, p->dir_fd, e);

	if (rc < 0)
		return rc;
	for (;;) {
		struct proc_id shim;
		bool ended = false, active;

		/* The order matters: what was written before the end is read after the end was seen. */
		rc = state_reload(&p->state, e);
		if (rc < 0)
			break;
		active = state_is_active(&p->state.rec) && state_alive(&p->state);
		shim = p->state.rec.shim;
		rc = catch_up(r, p->dir_fd, e);
		if (rc != 0 || !active)
			break;
		rc = watch_wait(
		    w, shim.pid != 0 ? &shim : NULL, shim.pid != 0 ? -1 : 100, r->g->cancel, &ended, e);
		if (rc < 0)
			break;
	}
	watch_close(w);
	return rc;
}

int
eng_logs(struct eng *g, const char *name, const struct pot_logs_args *args, pot_log_fn *fn, void *arg,
    struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	struct reader r = { .args = args, .fn = fn, .arg = arg, .g = g, .fd = -1 };
	int rc = epot_get(&p, g, name, EPOT_READ, e);

	if (rc < 0)
		return rc;
	if (args->lines >= 0)
		rc = count_skipped(&r, p.dir_fd, e);
	if (rc == 0)
		rc = catch_up(&r, p.dir_fd, e);
	if (rc == 0 && args->follow)
		rc = follow(&r, &p, e);
	fd_close(r.fd);
	return rc;
}
