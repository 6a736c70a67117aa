/*
 * One object of a copy. A file is read once more while it is copied, or its
 * copy is: what ends up in the tree has the sum that the key of the cache was
 * made of, or the copy fails. Data go as reflinks where that can be, and
 * holes stay holes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/tree.h"
#include "builder/copy_impl.h"

static int
changed(const char *name, struct err *e)
{
	err_set(e, E_BUSY, "%s: changed while it was copied", name);
	return err_hint(e, "build again when nothing writes to the files");
}

static void
owner_of(const struct copier *k, const struct scan_node *n, uint32_t *uid, uint32_t *gid)
{
	bool keep = k->c->keep_owner && !k->owner.set;

	*uid = keep ? n->uid : k->owner.uid;
	*gid = keep ? n->gid : k->owner.gid;
}

static mode_t
mode_of(const struct copier *k, mode_t mode)
{
	return (k->c->chmod != NULL ? copy_mode_apply(k->c->chmod, mode) : mode) & 07777;
}

/* No younger than the epoch, where there is one. */
static void
times_of(const struct copier *k, struct timespec mtime, struct timespec out[static 2])
{
	if (k->b->epoch >= 0 && mtime.tv_sec >= k->b->epoch)
		mtime = (struct timespec){ k->b->epoch, 0 };
	out[0] = out[1] = mtime;
}

/* The order matters: a change of owner clears capabilities and setuid, an ACL changes the mode. */
static int
put_meta(const struct copier *k, const struct scan_node *n, int src, int fd, struct err *e)
{
	struct timespec times[2];
	uint32_t uid, gid;

	owner_of(k, n, &uid, &gid);
	times_of(k, n->mtime, times);
	if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode_of(k, n->mode)) < 0)
		return err_sys(e, "owner %u:%u and mode", (unsigned)uid, (unsigned)gid);
	if (src >= 0 && tree_copy_attrs(src, fd) < 0)
		return err_sys(e, "extended attributes");
	return futimens(fd, times) < 0 ? err_sys(e, "times") : 0;
}

int
put_dir_meta(struct copier *k, const struct scan_node *n, int src, int fd, struct err *e)
{
	return put_meta(k, n, src, fd, e);
}

/* ---- data ------------------------------------------------------------------------- */

static int
need_hasher(struct copier *k, struct err *e)
{
	if (k->chunk == NULL && (k->chunk = malloc(COPY_CHUNK)) == NULL)
		return err_nomem(e);
	return k->hasher == NULL ? hasher_new(DIGEST_SHA256, &k->hasher, e) : hasher_reset(k->hasher, e);
}

/* Reads fd to its end, and writes what comes to out where that is not -1. */
static int
stream(struct copier *k, int fd, int out, const char *name, struct digest *d, struct err *e)
{
	int rc = need_hasher(k, e);

	while (rc == 0) {
		ssize_t n = read(fd, k->chunk, COPY_CHUNK);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s: read", name);
		if (n == 0)
			return hasher_end(k->hasher, d, e);
		if ((rc = hasher_add(k->hasher, k->chunk, (size_t)n, e)) == 0 && out >= 0)
			rc = fd_write_all(out, k->chunk, (size_t)n, name, e);
		if (rc == 0)
			rc = bld_check(k->b, e);
	}
	return rc;
}

/* A small file in one pass; of a larger one, whose blocks may be shared, the copy is read. */
static int
put_data(struct copier *k, uint64_t size, int in, int out, const char *name, struct digest *d, struct err *e)
{
	if (size <= COPY_CHUNK)
		return stream(k, in, out, name, d, e);
	if (tree_copy_data(in, out, (off_t)size) < 0)
		return err_sys(e, "%s: copy", name);
	fault_point("build.copy.data");
	if (lseek(out, 0, SEEK_SET) < 0)
		return err_sys(e, "%s", name);
	return stream(k, out, -1, name, d, e);
}

static int
new_file(int dir, const char *name, struct err *e)
{
	int rc = place_clear(dir, name, e), fd;

	if (rc < 0)
		return rc;
	fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(e, "%s: create", name) : fd;
}

/* Is what was opened, and what became of it, the file of the list? */
static int
check_file(const struct scan_node *n, int in, const struct digest *d, const char *from, struct err *e)
{
	uint8_t attrs[SUM_LEN];
	int rc;

	if (memcmp(d->bytes, n->sum.content, SUM_LEN) != 0)
		return changed(from, e);
	if ((rc = scan_attrs(in, attrs, e)) < 0)
		return rc;
	return memcmp(attrs, n->sum.attrs, SUM_LEN) != 0 ? changed(from, e) : 0;
}

int
put_file(struct copier *k, const struct scan_node *n, int src, const char *from, int dir, const char *name,
    struct err *e)
{
	AUTO(fd) int in = openat(src, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	AUTO(fd) int out = -1;
	struct digest d;
	struct stat st;
	int rc;

	if (in < 0)
		return errno == ENOENT || errno == ELOOP || errno == EMLINK || errno == ENXIO
		    ? changed(from, e)
		    : err_sys(e, "%s", from);
	if (fstat(in, &st) < 0)
		return err_sys(e, "%s", from);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != n->size)
		return changed(from, e);
	if ((rc = out = new_file(dir, name, e)) < 0)
		return rc;
	fault_point("build.copy.file");
	if ((rc = put_data(k, n->size, in, out, from, &d, e)) == 0 &&
	    (rc = check_file(n, in, &d, from, e)) == 0 && (rc = put_meta(k, n, in, out, e)) < 0)
		err_wrap(e, "%s", name);
	return rc;
}

/* A symlink or a FIFO: what they are stands in the list. */
int
put_other(struct copier *k, const struct scan_node *n, int dir, const char *name, struct err *e)
{
	struct timespec times[2];
	uint32_t uid, gid;
	int rc = place_clear(dir, name, e);

	if (rc < 0)
		return rc;
	if (S_ISLNK(n->mode))
		rc = symlinkat(scan_text(k->scan, n->link), dir, name);
	else
		rc = mkfifoat(dir, name, 0600);
	if (rc < 0)
		return err_sys(e, "%s: create", name);
	owner_of(k, n, &uid, &gid);
	times_of(k, n->mtime, times);
	if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (!S_ISLNK(n->mode) && fchmodat(dir, name, mode_of(k, n->mode), 0) < 0) ||
	    utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s: owner and mode", name);
	return 0;
}

int
put_body(
    struct copier *k, const void *data, size_t len, mode_t mode, int dir, const char *name, struct err *e)
{
	struct scan_node n = { .mode = S_IFREG | mode };
	AUTO(fd) int out = new_file(dir, name, e);
	int rc;

	if (out < 0)
		return take_fd(out);
	/* Root's but for --chown: a text has no owner to keep. */
	n.uid = k->owner.uid;
	n.gid = k->owner.gid;
	clock_gettime(CLOCK_REALTIME, &n.mtime);
	rc = fd_write_all(out, data, len, name, e);
	return rc < 0 ? rc : put_meta(k, &n, -1, out, e);
}

int
put_fetched(struct copier *k, int fd, const struct bld_fetched *f, int dir, const char *name, struct err *e)
{
	struct scan_node n = { .mode = S_IFREG | 0600, .mtime = { f->mtime, 0 } };
	AUTO(fd) int out = new_file(dir, name, e);
	struct digest d;
	int rc;

	if (out < 0)
		return take_fd(out);
	n.uid = k->owner.uid;
	n.gid = k->owner.gid;
	if (f->mtime == 0)
		clock_gettime(CLOCK_REALTIME, &n.mtime);
	if ((rc = put_data(k, f->size, fd, out, name, &d, e)) < 0)
		return rc;
	return digest_equal(&d, &f->digest) ? put_meta(k, &n, -1, out, e) : changed(name, e);
}
