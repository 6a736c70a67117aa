/*
 * Storage on btrfs: the operations. On disk, below <btrfs_root>/btrfs or
 * <root>/storage/btrfs:
 *
 *   base|pot|image/NAME/root          the root, a subvolume
 *   base|pot|image/NAME/snaps/TAG     read-only snapshots of it
 *   staging/KIND.NAME                 what an unfinished operation on it left
 *
 * A file system exists exactly when its root does, so making the root, by one
 * ioctl that commits, is the last step of making one; renaming NAME's
 * directory is the whole of rename and the first step of destroy. The ioctls
 * are in subvol.c and qgroup.c, the two-phase rollback in btrfs_rollback.c.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "storage/linux/btrfs.h"
#include "storage/linux/detached.h"
#include "storage/linux/qgroup.h"
#include "storage/linux/subvol.h"

static const char *const kind_names[BTRFS_KINDS] = { "base", "pot", "image" };

void
btrfs_staging_name(struct stor_fs fs, char out[static BTRFS_KEY_LEN])
{
	snprintf(out, BTRFS_KEY_LEN, "%s.%s", kind_names[fs.kind], fs.name);
}

int
btrfs_no_fs(struct stor_fs fs, struct err *e)
{
	return err_set(e, E_NOENT, "%s '%s' does not exist", kind_names[fs.kind], fs.name);
}

static int
no_snap(struct stor_fs fs, const char *tag, struct err *e)
{
	return err_set(e, E_NOENT, "%s '%s' has no snapshot '%s'", kind_names[fs.kind], fs.name, tag);
}

static int
open_subdir(int dirfd, const char *name)
{
	return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int
btrfs_open_fs(const struct btrfs_priv *p, struct stor_fs fs, int *rootfd, struct err *e)
{
	AUTO(fd) int dir = open_subdir(p->kind[fs.kind], fs.name);
	int fd = dir < 0 ? -1 : open_subdir(dir, "root");

	if (fd < 0) {
		if (errno == ENOENT)
			return btrfs_no_fs(fs, e);
		return err_sys(e, "opening %s '%s'", kind_names[fs.kind], fs.name);
	}
	*rootfd = fd;
	return take_fd(dir);
}

int
btrfs_snap_open(int dir, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO(fd) int snaps = open_subdir(dir, "snaps");
	int fd = snaps < 0 ? -1 : open_subdir(snaps, tag);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return no_snap(fs, tag, e);
	return err_sys(e, "opening snapshot '%s' of %s '%s'", tag, kind_names[fs.kind], fs.name);
}

int
btrfs_names(int dirfd, struct strv *names, struct err *e)
{
	AUTO(dir) DIR *d = NULL;
	AUTO(fd) int fd = open_subdir(dirfd, ".");
	struct dirent *de;

	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL)
		return err_sys(e, "btrfs: listing a directory");
	(void)take_fd(fd);
	while (errno = 0, (de = readdir(d)) != NULL)
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			strv_add(names, de->d_name);
	if (errno != 0)
		return err_sys(e, "btrfs: listing a directory");
	strv_sort(names);
	return strv_check(names, "btrfs: listing a directory", e);
}

static int
remove_snaps(int dir, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(BTRFS_NAMES_MAX);
	AUTO(fd) int snaps = open_subdir(dir, "snaps");
	int rc;

	if (snaps < 0)
		return errno == ENOENT ? 0 : err_sys(e, "btrfs: opening snaps");
	rc = btrfs_names(snaps, &names, e);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		rc = subvol_delete(snaps, names.v[i], e);
		fault_point("btrfs.remove.snapshot");
	}
	if (rc == 0 && unlinkat(dir, "snaps", AT_REMOVEDIR) < 0)
		return err_sys(e, "btrfs: removing snaps");
	return rc;
}

int
btrfs_remove_dir(int parent, const char *name, struct err *e)
{
	AUTO(fd) int dir = open_subdir(parent, name);
	int rc;

	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "btrfs: opening %s", name);
	rc = subvol_delete(dir, "root", e);
	fault_point("btrfs.remove.root");
	if (rc == 0)
		rc = subvol_delete(dir, BTRFS_NEW_ROOT, e);
	if (rc == 0)
		rc = remove_snaps(dir, e);
	if (rc == 0 && unlinkat(dir, BTRFS_GO, 0) < 0 && errno != ENOENT)
		rc = err_sys(e, "btrfs: removing %s/%s", name, BTRFS_GO);
	if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
		rc = err_sys(e, "btrfs: removing %s", name);
	return rc;
}

int
btrfs_discard_dir(int parent, const char *name, int rc)
{
	struct err second;
	int left = btrfs_remove_dir(parent, name, &second);

	(void)left;
	return rc;
}

static int
top_parent_path(const char *dir, const char *btrfs_root, struct buf *path, struct err *e)
{
	if (btrfs_root != NULL)
		buf_str(path, btrfs_root);
	else
		buf_fmt(path, "%s/storage", dir);
	return buf_check(path, "btrfs: path", e);
}

/* Opens the nearest existing directory at or above path, which is shortened to it. */
static int
open_nearest(struct buf *path, struct err *e)
{
	for (;;) {
		char *slash = strrchr(path->data, '/');
		int fd = open(path->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			return fd;
		if (errno != ENOENT || slash == NULL)
			return err_sys(e, "opening %s", path->data);
		if (slash == path->data)
			slash++;
		*slash = '\0';
		path->len = (size_t)(slash - path->data);
	}
}

static int
btrfs_probe(const char *dir, const struct stor_params *sp, struct buf *why, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_MAX);
	AUTO(fd) int fd = -1;
	struct err ignored = ERR_INIT;
	int rc = top_parent_path(dir, sp == NULL ? NULL : sp->btrfs_root, &path, e);

	if (rc < 0)
		return rc;
	if (geteuid() != 0) {
		buf_str(why, "btrfs: only root can delete subvolumes");
		return 0;
	}
	fd = open_nearest(&path, &ignored);
	if (fd < 0) {
		buf_fmt(why, "btrfs: %s", ignored.msg);
		return 0;
	}
	rc = subvol_on_btrfs(fd, e);
	if (rc == 0)
		buf_fmt(why, "btrfs: %s is not on a btrfs", path.data);
	if (rc == 1 && faccessat(fd, ".", W_OK, 0) < 0) {
		buf_fmt(why, "btrfs: %s cannot be written: %s", path.data, strerror(errno));
		return 0;
	}
	return rc;
}

/* The file that says whose the directory is, so that two installations never share one. */
static int
claim(struct stor *s, int top, struct err *e)
{
	AUTO_FINI(buf) struct buf owner = BUF_INIT(PATH_MAX);
	int rc = file_read(top, "installation", &owner, e);

	if (rc == -E_NOENT)
		return file_write_atomic(top, "installation", 0600, s->dir, strlen(s->dir), e);
	if (rc < 0)
		return rc;
	if (strcmp(buf_cstr(&owner), s->dir) == 0)
		return 0;
	err_set(
	    e, E_EXIST, "btrfs: the storage directory belongs to the installation at %s", buf_cstr(&owner));
	return err_hint(e, "give another one with --btrfs-root");
}

static int
open_parent(struct stor *s, bool make, struct err *e)
{
	int fd, rc;

	if (s->btrfs_root == NULL)
		return dir_open(s->dirfd, ".", e);
	if (make) {
		rc = dir_make_path(s->btrfs_root, 0755, e);
		if (rc < 0)
			return rc;
	}
	fd = open(s->btrfs_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "opening %s", s->btrfs_root);
}

static int
btrfs_init(struct stor *s, struct err *e)
{
	AUTO(fd) int parent = open_parent(s, true, e);
	AUTO(fd) int top = -1;
	int rc = parent;

	if (rc < 0)
		return rc;
	rc = subvol_on_btrfs(parent, e);
	if (rc == 0) {
		err_set(e, E_NOTSUP, "btrfs: %s is not on a btrfs",
		    s->btrfs_root != NULL ? s->btrfs_root : s->dir);
		return err_hint(e, "choose a directory on a btrfs with --btrfs-root");
	}
	top = rc < 0 ? rc : dir_make(parent, "btrfs", 0700, e);
	if (top < 0)
		return top;
	rc = claim(s, top, e);
	for (size_t i = 0; rc >= 0 && i <= BTRFS_KINDS; i++) {
		rc = dir_make(top, i < BTRFS_KINDS ? kind_names[i] : "staging", 0700, e);
		if (rc >= 0)
			fd_close(rc);
	}
	return rc < 0 ? rc : subvol_commit(top, e);
}

static int
remove_all_in(int top, const char *name, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(BTRFS_NAMES_MAX);
	AUTO(fd) int dir = open_subdir(top, name);
	int rc;

	if (dir < 0)
		return errno == ENOENT ? 0 : err_sys(e, "btrfs: opening %s", name);
	rc = btrfs_names(dir, &names, e);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = btrfs_remove_dir(dir, names.v[i], e);
	if (rc == 0 && unlinkat(top, name, AT_REMOVEDIR) < 0)
		rc = err_sys(e, "btrfs: removing %s", name);
	return rc;
}

static int
btrfs_fini(struct stor *s, struct err *e)
{
	AUTO(fd) int parent = open_parent(s, false, e);
	AUTO(fd) int top = -1;
	int rc = 0;

	if (parent < 0)
		return parent == -E_NOENT ? 0 : parent;
	top = open_subdir(parent, "btrfs");
	if (top < 0)
		return errno == ENOENT ? 0 : err_sys(e, "btrfs: opening the storage directory");
	for (size_t i = 0; rc == 0 && i <= BTRFS_KINDS; i++)
		rc = remove_all_in(top, i < BTRFS_KINDS ? kind_names[i] : "staging", e);
	if (rc == 0)
		rc = tree_remove(parent, "btrfs", e);
	return rc < 0 ? rc : subvol_commit(parent, e);
}

static void
btrfs_close(struct stor *s)
{
	struct btrfs_priv *p = take_ptr(s->priv);

	if (p == NULL)
		return;
	for (size_t i = 0; i < BTRFS_KINDS; i++)
		fd_close(p->kind[i]);
	fd_close(p->staging);
	fd_close(p->top);
	free(p);
}

static int
btrfs_open(struct stor *s, struct err *e)
{
	AUTO(fd) int parent = open_parent(s, false, e);
	struct btrfs_priv *p;

	if (parent < 0)
		return parent;
	p = malloc(sizeof(*p));
	if (p == NULL)
		return err_nomem(e);
	*p = (struct btrfs_priv){ .top = -1, .staging = -1, .kind = { -1, -1, -1 } };
	s->priv = p;
	p->top = dir_open(parent, "btrfs", e);
	if (p->top < 0)
		return p->top;
	p->staging = dir_open(p->top, "staging", e);
	if (p->staging < 0)
		return p->staging;
	for (size_t i = 0; i < BTRFS_KINDS; i++) {
		p->kind[i] = dir_open(p->top, kind_names[i], e);
		if (p->kind[i] < 0)
			return p->kind[i];
	}
	p->quota = qgroup_mode(p->top);
	s->caps = STOR_CAP_IDMAP | STOR_CAP_SEND | (p->quota != QGROUP_OFF ? STOR_CAP_QUOTA : 0);
	return 0;
}

static int
btrfs_exists(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	char path[STOR_NAME_MAX + sizeof("/root")];

	snprintf(path, sizeof(path), "%s/root", fs.name);
	if (faccessat(p->kind[fs.kind], path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, "looking for %s '%s'", kind_names[fs.kind], fs.name);
}

int
btrfs_make_dir(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	AUTO(fd) int dir = -1;
	int rc = btrfs_recover(s, fs, e);

	if (rc == 0)
		rc = btrfs_exists(s, fs, e);
	if (rc == 1)
		return err_set(e, E_EXIST, "%s '%s' exists already", kind_names[fs.kind], fs.name);
	if (rc < 0)
		return rc;
	dir = dir_make(p->kind[fs.kind], fs.name, 0700, e);
	if (dir < 0)
		return dir;
	if (mkdirat(dir, "snaps", 0700) < 0 && errno != EEXIST) {
		rc = err_sys(e, "making %s '%s'", kind_names[fs.kind], fs.name);
		(void)unlinkat(p->kind[fs.kind], fs.name, AT_REMOVEDIR);
		return rc;
	}
	return take_fd(dir);
}

static int
btrfs_create(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	AUTO(fd) int dir = btrfs_make_dir(s, fs, e);
	struct stat st;
	int rc;

	if (dir < 0)
		return dir;
	fault_point("btrfs.create.dir");
	rc = subvol_create(dir, "root", e);
	fault_point("btrfs.create.root");
	/* The kernel applies our umask to the mode of the new root. */
	if (rc == 0 && fstatat(dir, "root", &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & 07777) != 0755) {
		if (fchmodat(dir, "root", 0755, 0) < 0)
			rc = err_sys(e, "setting the mode of %s '%s'", kind_names[fs.kind], fs.name);
		else
			rc = subvol_commit(dir, e);
	}
	return rc < 0 ? btrfs_discard_dir(p->kind[fs.kind], fs.name, rc) : 0;
}

static int
btrfs_clone(struct stor *s, struct stor_fs src, const char *tag, struct stor_fs dst, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	AUTO(fd) int src_root = -1, from = -1, dir = -1;
	AUTO(fd) int src_dir = btrfs_open_fs(p, src, &src_root, e);
	int rc = src_dir;

	if (rc < 0)
		return rc;
	from = tag == NULL ? take_fd(src_root) : btrfs_snap_open(src_dir, src, tag, e);
	if (from < 0)
		return from;
	dir = btrfs_make_dir(s, dst, e);
	if (dir < 0)
		return dir;
	fault_point("btrfs.clone.dir");
	rc = subvol_snapshot(from, dir, "root", false, e);
	fault_point("btrfs.clone.root");
	return rc < 0 ? btrfs_discard_dir(p->kind[dst.kind], dst.name, rc) : 0;
}

static int
btrfs_destroy(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	char key[BTRFS_KEY_LEN];
	int rc = btrfs_recover(s, fs, e);

	if (rc < 0)
		return rc;
	btrfs_staging_name(fs, key);
	fault_point("btrfs.destroy.start");
	if (renameat(p->kind[fs.kind], fs.name, p->staging, key) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "removing %s '%s'", kind_names[fs.kind], fs.name);
	fault_point("btrfs.destroy.rename");
	rc = btrfs_remove_dir(p->staging, key, e);
	fault_point("btrfs.destroy.removed");
	if (rc < 0)
		return err_wrap(e, "removing %s '%s'", kind_names[fs.kind], fs.name);
	return subvol_commit(p->top, e);
}

static int
btrfs_rename(struct stor *s, struct stor_fs fs, const char *newname, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	struct stor_fs to = { fs.kind, newname };
	int fd = p->kind[fs.kind], rc = btrfs_recover(s, to, e);

	if (rc == 0)
		rc = btrfs_recover(s, fs, e);
	if (rc == 0)
		rc = btrfs_exists(s, fs, e);
	if (rc <= 0)
		return rc < 0 ? rc : btrfs_no_fs(fs, e);
	fault_point("btrfs.rename.start");
	if (renameat2(fd, fs.name, fd, newname, RENAME_NOREPLACE) < 0)
		return err_sys(e, "renaming %s '%s' to '%s'", kind_names[fs.kind], fs.name, newname);
	fault_point("btrfs.rename.rename");
	return subvol_commit(p->top, e);
}

static int
btrfs_snapshot(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO(fd) int root = -1, snaps = -1;
	AUTO(fd) int dir = btrfs_open_fs(s->priv, fs, &root, e);
	int rc = dir;

	if (rc < 0)
		return rc;
	snaps = dir_open(dir, "snaps", e);
	if (snaps < 0)
		return snaps;
	if (faccessat(snaps, tag, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(
		    e, E_EXIST, "%s '%s' has a snapshot '%s' already", kind_names[fs.kind], fs.name, tag);
	rc = subvol_snapshot(root, snaps, tag, true, e);
	fault_point("btrfs.snapshot.made");
	return rc;
}

static int
btrfs_snap_destroy(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO(fd) int root = -1, snaps = -1;
	AUTO(fd) int dir = btrfs_open_fs(s->priv, fs, &root, e);
	int rc = dir;

	if (rc < 0)
		return rc;
	snaps = dir_open(dir, "snaps", e);
	if (snaps < 0)
		return snaps;
	if (faccessat(snaps, tag, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? no_snap(fs, tag, e) : err_sys(e, "looking for snapshot '%s'", tag);
	rc = subvol_delete(snaps, tag, e);
	fault_point("btrfs.snap_destroy.removed");
	return rc < 0 ? rc : subvol_commit(dir, e);
}

static int
btrfs_mount(struct stor *s, struct stor_fs fs, bool ro, const struct stor_idmap *map, struct err *e)
{
	AUTO(fd) int root = -1;
	AUTO(fd) int dir = btrfs_open_fs(s->priv, fs, &root, e);

	if (dir < 0)
		return dir;
	return detached_mount(root, ro, map, fs.name, e);
}

const struct stor_ops stor_btrfs = {
	.name = "btrfs",
	.summary = "subvolumes and snapshots of a btrfs; quotas when they are on",
	.probe = btrfs_probe,
	.init = btrfs_init,
	.fini = btrfs_fini,
	.open = btrfs_open,
	.close = btrfs_close,
	.create = btrfs_create,
	.destroy = btrfs_destroy,
	.rename = btrfs_rename,
	.exists = btrfs_exists,
	.snapshot = btrfs_snapshot,
	.snap_destroy = btrfs_snap_destroy,
	.rollback = btrfs_rollback,
	.snap_list = btrfs_snap_list,
	.clone = btrfs_clone,
	.list = btrfs_list,
	.usage = btrfs_usage,
	.quota = btrfs_quota,
	.mount = btrfs_mount,
	.send = btrfs_send,
	.receive = btrfs_receive,
	.stream_id = btrfs_stream_id,
	.recover = btrfs_recover,
};
