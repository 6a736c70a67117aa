/*
 * Storage on btrfs: what is there, how large it is, and limits.
 *
 * Without quotas the size of a root is summed from its tree: an extent made
 * after the root was cloned is its own, an older one came from the clone's
 * source and counts as shared even when the source is gone by now. With quota
 * groups the kernel's figures are used.
 */
#include <sys/stat.h>
#include <sys/xattr.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "storage/linux/btrfs.h"
#include "storage/linux/subvol.h"

#define ORIGIN_XATTR "trusted.pot.origin" /* on the directory NAME; decimal; only after a rollback */

struct snap_row {
	struct stor_snap snap;
	uint64_t id;
};

int
btrfs_origin(int dir, int rootfd, uint64_t *transid, struct err *e)
{
	struct subvol_info info;
	char text[24];
	ssize_t n = fgetxattr(dir, ORIGIN_XATTR, text, sizeof(text) - 1);
	int rc;

	if (n >= 0) {
		text[n] = '\0';
		return text_uint(text, 0, UINT64_MAX, transid, ORIGIN_XATTR, e);
	}
	if (errno != ENODATA)
		return err_sys(e, "btrfs: reading %s", ORIGIN_XATTR);
	rc = subvol_get_info(rootfd, &info, e);
	if (rc < 0)
		return rc;
	*transid = info.is_snapshot ? info.otransid : 0;
	return 0;
}

int
btrfs_set_origin(int dir, uint64_t transid, struct err *e)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)transid);

	if (fsetxattr(dir, ORIGIN_XATTR, text, (size_t)n, 0) < 0)
		return err_sys(e, "btrfs: setting %s", ORIGIN_XATTR);
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	const struct snap_row *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int
read_snap(const struct btrfs_priv *p, int dir, struct stor_fs fs, const char *tag, struct snap_row *row,
    struct err *e)
{
	AUTO(fd) int fd = btrfs_snap_open(dir, fs, tag, e);
	struct subvol_info info;
	struct qgroup_use use = { 0 };
	int rc = fd < 0 ? fd : subvol_get_info(fd, &info, e);

	if (rc < 0)
		return rc;
	if (p->quota == QGROUP_FULL && qgroup_use(fd, info.id, &use, NULL) < 0)
		use.exclusive = 0; /* not counted yet */
	row->id = info.id;
	row->snap = (struct stor_snap){ .size = use.exclusive, .created = info.created };
	snprintf(row->snap.tag, sizeof(row->snap.tag), "%s", tag);
	return 0;
}

int
btrfs_snap_list(struct stor *s, struct stor_fs fs, stor_snap_fn *fn, void *arg, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	AUTO_FINI(strv) struct strv names = STRV_INIT(BTRFS_NAMES_MAX);
	AUTO_FREE struct snap_row *rows = NULL;
	AUTO(fd) int root = -1, snaps = -1;
	AUTO(fd) int dir = btrfs_open_fs(p, fs, &root, e);
	int rc = dir;

	if (rc < 0)
		return rc;
	snaps = openat(dir, "snaps", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (snaps < 0)
		return err_sys(e, "opening the snapshots of '%s'", fs.name);
	rc = btrfs_names(snaps, &names, e);
	if (rc < 0)
		return rc;
	rows = calloc(names.n + 1, sizeof(*rows));
	if (rows == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < names.n; i++) {
		rc = read_snap(p, dir, fs, names.v[i], &rows[i], e);
		if (rc < 0)
			return rc;
	}
	qsort(rows, names.n, sizeof(*rows), by_id);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = fn(arg, &rows[i].snap);
	return rc;
}

static int
sizes_of(const struct btrfs_priv *p, int dir, int root, struct stor_info *out, struct err *e)
{
	struct subvol_info info;
	struct qgroup_use use;
	uint64_t origin;
	int rc = subvol_get_info(root, &info, e);

	if (rc < 0)
		return rc;
	if (p->quota == QGROUP_OFF) {
		rc = btrfs_origin(dir, root, &origin, e);
		return rc < 0 ? rc : subvol_extents(root, info.id, origin, &out->own, &out->shared, e);
	}
	rc = qgroup_use(root, info.id, &use, e);
	if (rc < 0)
		return rc;
	out->own = use.exclusive;
	out->shared = use.referenced - use.exclusive;
	out->quota = use.limit;
	return 0;
}

/* 1 filled, 0 there is no such file system. */
static int
fill_info(const struct btrfs_priv *p, struct stor_fs fs, bool sizes, struct stor_info *out, struct err *e)
{
	AUTO(fd) int root = -1;
	AUTO(fd) int dir = btrfs_open_fs(p, fs, &root, e);
	struct statx sx;
	int rc;

	if (dir < 0)
		return dir == -E_NOENT ? 0 : dir;
	*out = (struct stor_info){ 0 };
	snprintf(out->name, sizeof(out->name), "%s", fs.name);
	/* The directory stays when a rollback changes the root. */
	if (statx(dir, "", AT_EMPTY_PATH, STATX_BTIME, &sx) < 0)
		return err_sys(e, "asking for the age of '%s'", fs.name);
	out->created = (int64_t)sx.stx_btime.tv_sec * 1000000000 + sx.stx_btime.tv_nsec;
	rc = sizes ? sizes_of(p, dir, root, out, e) : 0;
	return rc < 0 ? err_wrap(e, "asking for the size of '%s'", fs.name) : 1;
}

/* Data that is not written back has neither extents nor a place in a quota group. */
static int
settle(const struct btrfs_priv *p, struct err *e)
{
	return syncfs(p->top) < 0 ? err_sys(e, "btrfs: writing data to disk") : 0;
}

int
btrfs_list(struct stor *s, enum stor_kind kind, bool sizes, stor_info_fn *fn, void *arg, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	AUTO_FINI(strv) struct strv names = STRV_INIT(BTRFS_NAMES_MAX);
	struct stor_info info;
	int rc = btrfs_names(p->kind[kind], &names, e);

	if (rc == 0 && sizes)
		rc = settle(p, e);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		rc = fill_info(p, (struct stor_fs){ kind, names.v[i] }, sizes, &info, e);
		if (rc == 1)
			rc = fn(arg, &info);
	}
	return rc;
}

int
btrfs_usage(struct stor *s, struct stor_fs fs, struct stor_info *out, struct err *e)
{
	int rc = settle(s->priv, e);

	if (rc == 0)
		rc = fill_info(s->priv, fs, true, out, e);
	if (rc == 0)
		return btrfs_no_fs(fs, e);
	return rc < 0 ? rc : 0;
}

int
btrfs_quota(struct stor *s, struct stor_fs fs, uint64_t bytes, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	AUTO(fd) int root = -1;
	AUTO(fd) int dir = btrfs_open_fs(p, fs, &root, e);
	struct subvol_info info;
	struct qgroup_use use;
	int rc = dir;

	if (rc < 0)
		return rc;
	if (p->quota == QGROUP_OFF) {
		const char *where = s->btrfs_root != NULL ? s->btrfs_root : s->dir;

		err_set(e, E_NOTSUP, "btrfs: quotas are off on %s", where);
		return err_hint(e, "btrfs quota enable %s", where);
	}
	rc = settle(p, e);
	if (rc == 0)
		rc = subvol_get_info(root, &info, e);
	if (rc == 0)
		rc = qgroup_use(root, info.id, &use, e);
	if (rc < 0)
		return rc;
	if (bytes != 0 && use.referenced > bytes)
		return err_set(e, E_INVAL, "quota of %llu bytes for '%s': it uses %llu already",
		    (unsigned long long)bytes, fs.name, (unsigned long long)use.referenced);
	rc = qgroup_limit(root, bytes, e);
	return rc < 0 ? rc : subvol_commit(p->top, e);
}
