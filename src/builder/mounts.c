/*
 * Mounts of a command. A cache is a directory below ROOT/build/mounts named by
 * the digest of its id, with a lock file beside it; who shares it holds the
 * lock shared, who wants it alone exclusively. A tree is mounted as a clone of
 * its own, so that nothing that is done there reaches the tree.
 */
#include "builder/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/inroot.h"
#include "base/text.h"
#include "base/tree.h"

#define LOOK_MS 100 /* between two looks at the user's wish to end */
#define PRIVATE_MAX 64
#define CACHE_NAME 80

static int
keep_fd(struct bld_mounts *m, int fd, struct err *e)
{
	if (fd < 0)
		return fd;
	if (m->nfds == ARRAY_LEN(m->fds)) {
		fd_close(fd);
		return err_set(e, E_LIMIT, "more than %d mounts", BLD_MOUNTS_MAX);
	}
	m->fds[m->nfds++] = fd;
	return fd;
}

/* ---- caches ------------------------------------------------------------------------------------ */

static int
cache_name(const char *id, char out[static CACHE_NAME], struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	struct digest d;
	int rc = digest_of(DIGEST_SHA256, id, strlen(id), &d, e);

	if (rc == 0)
		snprintf(out, CACHE_NAME, "%.64s", digest_hex(&d, hex));
	return rc;
}

static int
lock_cache(struct bld *b, int mounts, const char *name, enum potfile_sharing sharing, struct err *e)
{
	char lock[CACHE_NAME + 8];
	int rc = 0, fd;

	snprintf(lock, sizeof(lock), ".lock-%s", name);
	/* A lock has no event that could be waited for together with the flag. */
	while (rc == 0) {
		fd = lock_file(
		    mounts, lock, sharing != POTFILE_SHARED, sharing == POTFILE_PRIVATE ? 0 : LOOK_MS, e);
		if (fd != -E_BUSY || sharing == POTFILE_PRIVATE)
			return fd;
		rc = bld_check(b, e);
	}
	return rc;
}

/* One that others use at the time is left to them, and the next taken. */
static int
lock_private(struct bld *b, int mounts, char name[static CACHE_NAME], struct err *e)
{
	char first[CACHE_NAME];
	int fd = lock_cache(b, mounts, name, POTFILE_PRIVATE, e);

	snprintf(first, sizeof(first), "%s", name);
	for (unsigned i = 1; fd == -E_BUSY && i < PRIVATE_MAX; i++) {
		snprintf(name, CACHE_NAME, "%.64s.%u", first, i);
		fd = lock_cache(b, mounts, name, POTFILE_PRIVATE, e);
	}
	return fd;
}

/* What the cache has the first time. */
static int
fill_cache(struct bld *b, const struct bld_mount *m, int dir, struct err *e)
{
	struct bld_look *look = NULL;
	int root = -1, rc;

	if (!m->tree.any)
		return 0;
	if ((rc = bld_look_begin(b, &m->tree, &look, &root, e)) < 0)
		return rc;
	AUTO(fd)
	int from = inroot_open(
	    root, m->path != NULL && m->path[0] != '\0' ? m->path : "/", O_RDONLY | O_DIRECTORY, 0, e);
	rc = from < 0 ? from : tree_copy(from, ".", dir, "data", TREE_COPY_MERGE, e);
	fd_close(take_fd(from));
	bld_look_end(look);
	return rc;
}

/* Its directory, made whole or not at all: data appears by rename. */
static int
open_cache(struct bld *b, const struct bld_mount *m, int mounts, const char *name, struct err *e)
{
	AUTO(fd) int dir = dir_make(mounts, name, 0700, e), fresh = -1;
	int data, rc;

	if (dir < 0)
		return dir;
	(void)futimens(dir, NULL); /* used now */
	data = dir_open(dir, "data", NULL);
	if (data >= 0 || data != -E_NOENT)
		return data;
	AUTO(fd) int making = lock_file(dir, ".make", true, -1, e);
	if (making < 0 || (data = dir_open(dir, "data", NULL)) >= 0)
		return making < 0 ? making : data;
	if ((rc = tree_remove(dir, "new", e)) < 0 || (rc = fresh = dir_make(dir, "new", 0755, e)) < 0 ||
	    (rc = dir_make(fresh, "data", 0755, e)) < 0)
		return rc;
	fd_close(rc);
	if ((rc = fill_cache(b, m, fresh, e)) < 0)
		return rc;
	if (fchownat(fresh, "data", m->uid, m->gid, AT_SYMLINK_NOFOLLOW) != 0 ||
	    fchmodat(fresh, "data", m->mode != 0 ? m->mode & 07777 : 0755, 0) != 0 ||
	    renameat(fresh, "data", dir, "data") != 0)
		return err_sys(e, "making the cache %s", m->id);
	if ((rc = tree_remove(dir, "new", e)) < 0)
		return rc;
	return dir_open(dir, "data", e);
}

struct wanted {
	const struct bld_mount *m;
	size_t index;
	char name[CACHE_NAME];
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct wanted *)a)->name, ((const struct wanted *)b)->name);
}

static int
take_cache(struct bld *b, int mounts, struct wanted *w, bool again, struct bld_mounts *out, struct err *e)
{
	int fd = 0;

	/* The same one at two places of one command is locked once. */
	if (!again)
		fd = w->m->sharing == POTFILE_PRIVATE ? lock_private(b, mounts, w->name, e)
						      : lock_cache(b, mounts, w->name, w->m->sharing, e);
	if (fd < 0 || (!again && (fd = keep_fd(out, fd, e)) < 0))
		return fd;
	fault_point("build.cache.locked");
	fd = keep_fd(out, open_cache(b, w->m, mounts, w->name, e), e);
	if (fd >= 0)
		out->v[w->index].fd = fd;
	return fd < 0 ? fd : 0;
}

int
bld_mounts_lock(struct bld *b, const struct bld_run *r, struct bld_mounts *out, struct err *e)
{
	AUTO_FREE struct wanted *v = calloc(r->nmounts + 1, sizeof(*v));
	AUTO(fd) int mounts = dir_open(b->dir, "mounts", e);
	size_t n = 0;
	int rc = v == NULL ? err_nomem(e) : mounts < 0 ? mounts : 0;

	memset(out, 0, sizeof(*out));
	if (rc == 0 && r->nmounts > BLD_MOUNTS_MAX)
		rc = err_set(e, E_LIMIT, "more than %d mounts", BLD_MOUNTS_MAX);
	for (size_t i = 0; i < r->nmounts && rc == 0; i++)
		if (r->mounts[i].kind == BLD_MOUNT_CACHE) {
			v[n] = (struct wanted){ &r->mounts[i], i, "" };
			rc = cache_name(r->mounts[i].id, v[n++].name, e);
		}
	if (rc == 0 && n > 0)
		qsort(v, n, sizeof(*v), by_name);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = take_cache(b, mounts, &v[i], i > 0 && strcmp(v[i].name, v[i - 1].name) == 0, out, e);
	return rc;
}

/* ---- the others --------------------------------------------------------------------------------- */

static int
make_copy(
    struct bld *b, const struct bld_mount *m, struct bld_mounts *out, struct eng_mount *em, struct err *e)
{
	struct bld_half *copies = reallocarray(out->copies, out->ncopies + 1, sizeof(*copies)), *h;
	int rc;

	if (copies == NULL)
		return err_nomem(e);
	out->copies = copies;
	h = &copies[out->ncopies];
	*h = (struct bld_half)BLD_HALF_INIT;
	if ((rc = bld_half_begin(b, &m->tree, h, e)) < 0)
		return rc;
	out->ncopies++;
	h->mounted = true;
	em->kind = ENG_MOUNT_FS;
	em->read_only = !m->rw;
	em->path = m->path != NULL && strcmp(m->path, "/") != 0 ? m->path : "";
	return bld_half_clone(h, e);
}

static int
copy_file(int from, int dir, const char *name, const struct stat *st, struct err *e)
{
	AUTO(fd) int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || lseek(from, 0, SEEK_SET) != 0 || tree_copy_data(from, fd, st->st_size) != 0 ||
	    fchown(fd, st->st_uid, st->st_gid) != 0 || fchmod(fd, st->st_mode & 07777) != 0)
		return err_sys(e, "copying what is mounted");
	return 0;
}

/* What is written to a directory of the host is thrown away: it is a copy then. */
static int
make_bind(
    struct bld *b, const struct bld_mount *m, struct bld_mounts *out, struct eng_mount *em, struct err *e)
{
	char name[32];
	struct stat st;
	int rc;

	em->kind = ENG_MOUNT_BIND;
	em->read_only = !m->rw;
	em->fd = m->fd;
	if (!m->rw)
		return 0;
	if (fstat(em->fd, &st) != 0)
		return err_sys(e, "mount at %s", m->target);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(
		    e, E_INVAL, "mount at %s: only directories and files can be mounted", m->target);
	snprintf(name, sizeof(name), "mount-%d-%zu", (int)getpid(), out->n);
	if ((rc = tree_remove(b->tmp, name, e)) < 0)
		return rc;
	if (S_ISDIR(st.st_mode)) {
		AUTO(fd) int dir = openat(em->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		rc = dir < 0 ? err_sys(e, "mount at %s", m->target) : tree_copy(dir, ".", b->tmp, name, 0, e);
	} else {
		rc = copy_file(em->fd, b->tmp, name, &st, e);
	}
	if (rc < 0)
		return rc;
	em->fd = keep_fd(out, openat(b->tmp, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), e);
	return em->fd < 0 ? err_sys(e, "mount at %s", m->target) : 0;
}

static int
make_one(struct bld *b, const struct bld_mount *m, struct bld_mounts *out, struct err *e)
{
	struct eng_mount *em = &out->v[out->n++];
	int cache = em->fd;

	*em = (struct eng_mount){ .target = m->target, .fd = -1, .data = m->data, .len = m->len };
	em->uid = m->uid;
	em->gid = m->gid;
	switch (m->kind) {
	case BLD_MOUNT_DIR:
		return make_bind(b, m, out, em, e);
	case BLD_MOUNT_TREE:
		return make_copy(b, m, out, em, e);
	case BLD_MOUNT_CACHE:
		em->kind = ENG_MOUNT_BIND;
		em->read_only = !m->rw;
		em->fd = cache;
		return 0;
	case BLD_MOUNT_TMPFS:
		em->kind = ENG_MOUNT_TMPFS;
		em->mode = m->mode != 0 ? m->mode : 01777;
		em->size = m->size;
		return 0;
	case BLD_MOUNT_FILE:
		em->kind = ENG_MOUNT_FILE;
		em->mode = m->mode != 0 ? m->mode : 0444;
		return 0;
	case BLD_MOUNT_SECRET:
		em->kind = ENG_MOUNT_FILE;
		em->mode = m->mode != 0 ? m->mode : 0400;
		return 0;
	}
	return err_set(e, E_INVAL, "an unknown kind of mount");
}

int
bld_mounts_make(struct bld *b, const struct bld_run *r, struct bld_mounts *out, struct err *e)
{
	size_t copy = 0;
	int rc = 0;

	for (size_t i = 0; i < r->nmounts && rc == 0; i++) {
		rc = make_one(b, &r->mounts[i], out, e);
		if (rc < 0)
			return err_wrap(e, "mount at %s", r->mounts[i].target);
	}
	/* Their names are in the array, which has moved while it grew. */
	for (size_t i = 0; i < out->n; i++)
		if (out->v[i].kind == ENG_MOUNT_FS)
			out->v[i].fs = bld_half_fs(&out->copies[copy++]);
	return rc;
}

void
bld_mounts_fini(struct bld_mounts *m)
{
	for (size_t i = m->ncopies; i-- > 0;)
		bld_half_end(&m->copies[i]);
	free(m->copies);
	for (size_t i = m->nfds; i-- > 0;)
		fd_close(m->fds[i]);
	memset(m, 0, sizeof(*m));
}

/* ---- prune ------------------------------------------------------------------------------------------ */

static int
prune_cache(int mounts, const char *name, int64_t before_ns, bool dry_run, unsigned *n, uint64_t *bytes,
    struct err *e)
{
	char lock[300];
	struct stat st;
	uint64_t size = 0;
	int rc;

	if (fstatat(mounts, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (before_ns != 0 && st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec >= before_ns))
		return 0;
	snprintf(lock, sizeof(lock), ".lock-%s", name);
	AUTO(fd) int fd = lock_file(mounts, lock, true, 0, NULL);
	if (fd < 0)
		return 0; /* in use */
	if ((rc = tree_usage(mounts, name, &size, e)) < 0)
		return rc;
	++*n;
	*bytes += size;
	return dry_run ? 0 : tree_remove(mounts, name, e);
}

int
bld_caches_prune(int dir, int64_t before_ns, bool dry_run, unsigned *n, uint64_t *bytes, struct err *e)
{
	AUTO(fd) int mounts = dir_open(dir, "mounts", e);
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	int rc;

	if (mounts < 0)
		return mounts == -E_NOENT ? 0 : mounts;
	rc = bld_names(mounts, "", &names, e);
	for (size_t i = 0; i < names.n && rc == 0; i++)
		rc = prune_cache(mounts, names.v[i], before_ns, dry_run, n, bytes, e);
	return rc;
}
