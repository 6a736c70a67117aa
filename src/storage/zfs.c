/*
 * Storage on ZFS by the zfs command: setting up, making, cloning, mounting.
 *
 *   <zfs_root>/bases|jails|images/NAME        the roots; canmount=noauto
 *       @TAG, or @.t-<digest> with pot:tag    snapshots
 *       @.…                                   hidden: gone but for their clones
 *   <zfs_root>/deleted/ID                     gone, but clones hang on a snapshot
 *   <zfs_root>/staging/KIND:NAME              what a rollback prepares
 *   <root>/storage/zfs/KIND/NAME              mount points, inherited from KIND
 *   <root>/storage/zfs/staging/KIND:NAME      link: what is being done (zfs_life.c)
 *
 * Creating, cloning, renaming and snapshotting are one atomic, durable command
 * each. What needs more is in zfs_life.c, lists and sizes in zfs_list.c, the
 * command itself in zfs_command.c. Names come checked, so that they are safe
 * as arguments; ':' and a leading '.' never occur in them and mark our own.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "storage/zfs.h"

#define PLAIN_TAG_MAX 40 /* longer tags would not fit behind a long name */

const char *const zfs_kind_names[ZFS_KINDS] = { "bases", "jails", "images" };

void
zfs_dataset(const struct stor *s, struct stor_fs fs, char out[static ZFS_NAME_LEN])
{
	snprintf(out, ZFS_NAME_LEN, "%s/%s/%s", s->zfs_root, zfs_kind_names[fs.kind], fs.name);
}

/* FNV-1a. */
static uint64_t
digest(const char *text, uint64_t h)
{
	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

void
zfs_snapshot_name(const struct stor *s, struct stor_fs fs, const char *tag, char out[static ZFS_NAME_LEN])
{
	const char *kind = zfs_kind_names[fs.kind];

	if (strlen(tag) <= PLAIN_TAG_MAX)
		snprintf(out, ZFS_NAME_LEN, "%s/%s/%s@%s", s->zfs_root, kind, fs.name, tag);
	else
		snprintf(out, ZFS_NAME_LEN, "%s/%s/%s@.t-%016" PRIx64 "%016" PRIx64, s->zfs_root, kind,
		    fs.name, digest(tag, 0xcbf29ce484222325), digest(tag, 0x9ae16a3b2f90404f));
}

bool
zfs_tag_is_long(const char *tag)
{
	return strlen(tag) > PLAIN_TAG_MAX;
}

void
zfs_hidden_prefix(const char *src, struct stor_fs dst, char out[static ZFS_NAME_LEN])
{
	char key[ZFS_KEY_LEN];

	snprintf(key, sizeof(key), "%s:%s", zfs_kind_names[dst.kind], dst.name);
	snprintf(out, ZFS_NAME_LEN, "%.*s@.c-%016" PRIx64, ZFS_NAME_LEN - 48, src,
	    digest(key, 0xcbf29ce484222325));
}

void
zfs_mountpoint(const struct stor *s, struct stor_fs fs, struct buf *path)
{
	buf_fmt(path, "%s/storage/zfs/%s/%s", s->dir, zfs_kind_names[fs.kind], fs.name);
}

int
zfs_detach(struct stor *s, struct stor_fs fs, bool force, struct err *e)
{
	const struct zfs_priv *p = s->priv;
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_MAX);
	int rc;

	zfs_mountpoint(s, fs, &path);
	rc = buf_check(&path, "zfs: mount point", e);
	if (rc == 0 && zfs_os_is_mounted(path.data))
		rc = zfs_os_unmount(path.data, force, e);
	if (rc == 0 && unlinkat(p->kind[fs.kind], fs.name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = err_sys(e, "removing mount point %s", path.data);
	return rc;
}

static int
check_root_name(const char *zfs_root, struct err *e)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-/";

	if (zfs_root == NULL) {
		err_set(e, E_INVAL, "zfs: no parent dataset is given");
		return err_hint(e, "name one with --zfs-root, e.g. tank/pot");
	}
	if (zfs_root[0] == '\0' || strchr("-/.", zfs_root[0]) != NULL ||
	    strspn(zfs_root, allowed) != strlen(zfs_root) || strstr(zfs_root, "//") != NULL ||
	    zfs_root[strlen(zfs_root) - 1] == '/')
		return err_set(e, E_INVAL, "zfs: the parent dataset's name is not one");
	if (strlen(zfs_root) > ZFS_ROOT_MAX)
		return err_set(e, E_INVAL, "zfs: the parent dataset's name is longer than %d", ZFS_ROOT_MAX);
	return 0;
}

/* Is there a dataset? 1, 0 or <0. */
static int
dataset_exists(const char *dataset, struct err *e)
{
	int rc = zfs_run(NULL, e, "list", "-H", "-o", "name", dataset, NULL);

	return rc == 0 ? 1 : rc == -E_NOENT ? 0 : rc;
}

static int
zfs_probe(const char *dir, const struct stor_params *sp, struct buf *why, struct err *e)
{
	const char *root = sp == NULL ? NULL : sp->zfs_root;
	struct err said = ERR_INIT;
	char parent[ZFS_ROOT_MAX + 1];
	int rc = check_root_name(root, &said);

	if (rc == 0)
		rc = dataset_exists(root, &said);
	if (rc == 0 && said.code == E_NOENT && strchr(root, '/') != NULL) {
		snprintf(parent, sizeof(parent), "%s", root);
		*strrchr(parent, '/') = '\0';
		rc = dataset_exists(parent, &said);
	}
	if (rc == 1)
		return 1;
	if (rc == -E_NOMEM)
		return err_nomem(e);
	buf_str(why, said.msg);
	return 0;
}

/* Makes zfs_root/name, or finds it with the same mount point; path NULL: never mounted. */
static int
make_parent(struct stor *s, const char *name, const char *path, struct err *e)
{
	AUTO_FINI(buf) struct buf has = BUF_INIT(PATH_MAX);
	char ds[ZFS_NAME_LEN], option[PATH_MAX + 32];
	const char *want = path != NULL ? path : "none";
	int rc;

	snprintf(ds, sizeof(ds), "%s/%s", s->zfs_root, name);
	snprintf(option, sizeof(option), "mountpoint=%s", want);
	rc = zfs_get_one(ds, "mountpoint", &has, e);
	if (rc == -E_NOENT)
		return zfs_run(
		    NULL, e, "create", "-o", option, "-o", "canmount=off", "-o", "atime=off", ds, NULL);
	if (rc == 0 && strcmp(buf_cstr(&has), want) != 0) {
		err_set(e, E_EXIST, "zfs: %s is mounted below %s, which is another installation", ds,
		    buf_cstr(&has));
		return err_hint(e, "give another parent dataset with --zfs-root");
	}
	return rc;
}

static int
make_root(struct stor *s, struct err *e)
{
	int rc = dataset_exists(s->zfs_root, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	return zfs_run(NULL, e, "create", "-o", "mountpoint=none", "-o", "canmount=off", "-o", "pot:made=yes",
	    s->zfs_root, NULL);
}

/* Directories of an installation, closed again. */
static int
make_dirs(struct stor *s, struct err *e)
{
	/* Not for others: a root may hold set-user-ID programs that a pot's user made. */
	AUTO(fd) int top = dir_make(s->dirfd, "zfs", 0700, e);
	int rc = top;

	for (size_t i = 0; rc >= 0 && i <= ZFS_KINDS; i++) {
		rc = dir_make(top, i < ZFS_KINDS ? zfs_kind_names[i] : "staging", 0700, e);
		if (rc >= 0)
			fd_close(rc);
	}
	return rc < 0 ? rc : dir_sync(top, "storage/zfs", e);
}

static int
zfs_init(struct stor *s, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_MAX);
	int rc = check_root_name(s->zfs_root, e);

	if (rc == 0 && s->dir[0] != '/')
		rc = err_set(e, E_INVAL, "zfs: mount points need an absolute directory, not %s", s->dir);
	if (rc == 0)
		rc = make_dirs(s, e);
	if (rc == 0)
		rc = make_root(s, e);
	for (size_t i = 0; rc == 0 && i < ZFS_KINDS; i++) {
		buf_reset(&path);
		buf_fmt(&path, "%s/storage/zfs/%s", s->dir, zfs_kind_names[i]);
		rc = buf_check(&path, "zfs: mount point", e);
		if (rc == 0)
			rc = make_parent(s, zfs_kind_names[i], path.data, e);
	}
	if (rc == 0)
		rc = make_parent(s, "deleted", NULL, e);
	return rc < 0 ? rc : make_parent(s, "staging", NULL, e);
}

static void
zfs_close(struct stor *s)
{
	struct zfs_priv *p = take_ptr(s->priv);

	if (p == NULL)
		return;
	for (size_t i = 0; i < ZFS_KINDS; i++)
		fd_close(p->kind[i]);
	fd_close(p->staging);
	fd_close(p->top);
	free(p);
}

static int
zfs_open(struct stor *s, struct err *e)
{
	struct zfs_priv *p;
	int rc = check_root_name(s->zfs_root, e);

	if (rc < 0)
		return rc;
	p = malloc(sizeof(*p));
	if (p == NULL)
		return err_nomem(e);
	*p = (struct zfs_priv){ .top = -1, .staging = -1, .kind = { -1, -1, -1 } };
	s->priv = p;
	p->top = dir_open(s->dirfd, "zfs", e);
	if (p->top < 0)
		return p->top;
	p->staging = dir_open(p->top, "staging", e);
	if (p->staging < 0)
		return p->staging;
	for (size_t i = 0; i < ZFS_KINDS; i++) {
		p->kind[i] = dir_open(p->top, zfs_kind_names[i], e);
		if (p->kind[i] < 0)
			return p->kind[i];
	}
	s->caps = STOR_CAP_QUOTA | STOR_CAP_SEND | zfs_os_caps();
	return 0;
}

struct destroy_arg {
	struct stor *s;
	enum stor_kind kind;
	struct err *e;
};

static int
destroy_listed(void *arg, const struct stor_info *info)
{
	struct destroy_arg *a = arg;

	return zfs_destroy(a->s, (struct stor_fs){ a->kind, info->name }, a->e);
}

static int
destroy_parent(struct stor *s, const char *name, struct err *e)
{
	char ds[ZFS_NAME_LEN];
	int rc;

	snprintf(ds, sizeof(ds), "%s/%s", s->zfs_root, name);
	rc = zfs_run_patiently(e, "destroy", "-r", ds, NULL);
	if (rc == -ZFS_HAS_CLONES)
		return err_hint(e, "somebody cloned it by hand; remove that clone first");
	return rc == -E_NOENT ? 0 : rc;
}

static int
zfs_fini(struct stor *s, struct err *e)
{
	static const char *const parents[] = { "jails", "images", "bases", "staging", "deleted" };
	AUTO_FINI(buf) struct buf made = BUF_INIT(64);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ZFS_KINDS; i++) {
		struct destroy_arg a = { s, (enum stor_kind)i, e };

		rc = zfs_list(s, a.kind, false, destroy_listed, &a, e);
		if (rc == -E_NOENT)
			rc = 0;
	}
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(parents); i++)
		rc = destroy_parent(s, parents[i], e);
	if (rc == 0)
		rc = zfs_get_one(s->zfs_root, "pot:made", &made, e);
	if (rc == 0 && strcmp(buf_cstr(&made), "yes") == 0)
		rc = zfs_run_patiently(e, "destroy", s->zfs_root, NULL);
	return rc == -E_NOENT ? 0 : rc;
}

static int
zfs_exists(struct stor *s, struct stor_fs fs, struct err *e)
{
	char ds[ZFS_NAME_LEN];

	zfs_dataset(s, fs, ds);
	return dataset_exists(ds, e);
}

const char *
zfs_created_option(char out[static 48])
{
	snprintf(out, 48, "pot:created=%" PRId64, text_now_ns());
	return out;
}

static int
zfs_create(struct stor *s, struct stor_fs fs, struct err *e)
{
	char ds[ZFS_NAME_LEN], created[48];
	int rc = zfs_recover(s, fs, e);

	if (rc < 0)
		return rc;
	zfs_dataset(s, fs, ds);
	fault_point("zfs.create.start");
	rc = zfs_run(NULL, e, "create", "-o", "canmount=noauto", "-o", zfs_created_option(created), ds, NULL);
	fault_point("zfs.create.made");
	return rc;
}

static int
zfs_snapshot(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	char snap[ZFS_NAME_LEN], created[48], option[STOR_NAME_MAX + 16];
	int rc = zfs_recover(s, fs, e);

	if (rc < 0)
		return rc;
	zfs_snapshot_name(s, fs, tag, snap);
	zfs_created_option(created);
	snprintf(option, sizeof(option), "pot:tag=%s", tag);
	fault_point("zfs.snapshot.start");
	if (strlen(tag) <= PLAIN_TAG_MAX)
		rc = zfs_run(NULL, e, "snapshot", "-o", created, snap, NULL);
	else
		rc = zfs_run(NULL, e, "snapshot", "-o", created, "-o", option, snap, NULL);
	fault_point("zfs.snapshot.made");
	return rc;
}

/* canmount=off keeps a zfs that mounts every clone from it; zfs_mount() then sets it right. */
static int
clone_snapshot(struct stor *s, const char *snap, struct stor_fs dst, struct err *e)
{
	const char *canmount = zfs_os_clone_mounts() ? "canmount=off" : "canmount=noauto";
	char ds[ZFS_NAME_LEN], created[48];

	zfs_dataset(s, dst, ds);
	return zfs_run(NULL, e, "clone", "-o", canmount, "-o", zfs_created_option(created), snap, ds, NULL);
}

/*
 * Takes the hidden snapshot that a clone of the present is made of. Its name
 * tells the clone's, so that a repetition finds what a killed one left; when
 * that still has a clone, which was renamed since, another name is taken.
 */
static int
hidden_snapshot(
    struct stor *s, struct stor_fs src, struct stor_fs dst, char snap[static ZFS_NAME_LEN], struct err *e)
{
	char ds[ZFS_NAME_LEN];
	size_t len;
	int rc;

	zfs_dataset(s, src, ds);
	zfs_hidden_prefix(ds, dst, snap);
	len = strlen(snap);
	rc = zfs_run(NULL, e, "snapshot", snap, NULL);
	if (rc != -E_EXIST)
		return rc;
	rc = zfs_run(NULL, e, "destroy", snap, NULL);
	if (rc == -ZFS_HAS_CLONES)
		snprintf(snap + len, ZFS_NAME_LEN - len, "-%" PRIx64, (uint64_t)text_now_ns());
	else if (rc < 0 && rc != -E_NOENT)
		return rc;
	return zfs_run(NULL, e, "snapshot", snap, NULL);
}

static int
clone_present(struct stor *s, struct stor_fs src, struct stor_fs dst, struct err *e)
{
	char snap[ZFS_NAME_LEN], what[ZFS_WORK_LEN];
	struct err second = ERR_INIT;
	int rc, end;

	zfs_dataset(s, src, snap);
	snprintf(what, sizeof(what), "clone:%s", snap);
	rc = zfs_work_begin(s, dst, what, e);
	if (rc < 0)
		return rc;
	rc = hidden_snapshot(s, src, dst, snap, e);
	fault_point("zfs.clone.snapshot");
	if (rc == 0) {
		rc = clone_snapshot(s, snap, dst, e);
		fault_point("zfs.clone.made");
		/* It goes with its last clone, or now when there is none. */
		end = zfs_run(NULL, &second, "destroy", "-d", snap, NULL);
		fault_point("zfs.clone.hidden");
		if (rc == 0 && end < 0) {
			*e = second;
			rc = end;
		}
	}
	end = zfs_work_end(s, dst, &second);
	if (rc == 0 && end < 0) {
		*e = second;
		rc = end;
	}
	return rc;
}

static int
zfs_clone(struct stor *s, struct stor_fs src, const char *tag, struct stor_fs dst, struct err *e)
{
	char snap[ZFS_NAME_LEN];
	int rc = zfs_recover(s, dst, e);

	if (rc < 0)
		return rc;
	if (tag == NULL)
		return clone_present(s, src, dst, e);
	zfs_snapshot_name(s, src, tag, snap);
	fault_point("zfs.clone.start");
	rc = clone_snapshot(s, snap, dst, e);
	fault_point("zfs.clone.end");
	return rc;
}

/* A dataset's name as a command's argument: no option, no snapshot, nothing that zfs would take apart. */
static bool
is_dataset(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-/";

	return name[0] != '-' && name[0] != '/' && name[0] != '\0' && name[strspn(name, allowed)] == '\0' &&
	    strlen(name) < ZFS_NAME_LEN - STOR_NAME_MAX - 16;
}

/*
 * The snapshot's name tells whose clone it is for: a repetition after a kill finds it. It is not
 * hidden, since the dataset has an owner who should know why it is there.
 */
static int
zfs_adopt(struct stor *s, const char *foreign, struct stor_fs dst, struct err *e)
{
	char snap[ZFS_NAME_LEN];
	int rc = zfs_recover(s, dst, e);

	if (rc < 0)
		return rc;
	if (!is_dataset(foreign))
		return err_set(e, E_INVAL, "'%.120s' is no dataset", foreign);
	snprintf(snap, sizeof(snap), "%s@pot-%s", foreign, dst.name);
	rc = zfs_run(NULL, e, "snapshot", snap, NULL);
	fault_point("zfs.adopt.snapshot");
	if (rc == -E_EXIST) {
		/* Of another try, and as old as that. */
		rc = zfs_run(NULL, e, "destroy", snap, NULL);
		if (rc == -ZFS_HAS_CLONES)
			return err_set(e, E_EXIST, "something stands on the snapshot %s already", snap);
		if (rc == 0)
			rc = zfs_run(NULL, e, "snapshot", snap, NULL);
	}
	if (rc == 0 && (rc = clone_snapshot(s, snap, dst, e)) < 0)
		(void)!zfs_run(NULL, NULL, "destroy", snap, NULL);
	fault_point("zfs.adopt.cloned");
	return rc;
}

static int
zfs_rename(struct stor *s, struct stor_fs fs, const char *newname, struct err *e)
{
	struct stor_fs to = { fs.kind, newname };
	char from_ds[ZFS_NAME_LEN], to_ds[ZFS_NAME_LEN];
	struct err second;
	int rc = zfs_recover(s, to, e), end;

	if (rc == 0)
		rc = zfs_recover(s, fs, e);
	if (rc == 0 && strcmp(fs.name, newname) == 0) {
		rc = zfs_exists(s, fs, e);
		return rc == 1 ? err_set(e, E_EXIST, "'%s' exists already", newname) : rc < 0 ? rc : -e->code;
	}
	if (rc == 0)
		rc = zfs_detach(s, fs, false, e);
	if (rc < 0)
		return rc;
	zfs_dataset(s, fs, from_ds);
	zfs_dataset(s, to, to_ds);
	fault_point("zfs.rename.start");
	rc = zfs_work_begin(s, fs, "rename", e);
	if (rc < 0)
		return rc;
	rc = zfs_rename_dataset(s, fs, from_ds, to_ds, e);
	fault_point("zfs.rename.made");
	end = zfs_work_end(s, fs, rc == 0 ? e : &second);
	return rc < 0 ? rc : end;
}

static int
zfs_mount(struct stor *s, struct stor_fs fs, bool ro, const struct stor_idmap *map, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_MAX);
	char ds[ZFS_NAME_LEN];
	int rc;

	zfs_mountpoint(s, fs, &path);
	rc = buf_check(&path, "zfs: mount point", e);
	if (rc < 0)
		return rc;
	zfs_dataset(s, fs, ds);
	rc = zfs_os_mount(ds, path.data, ro, map, e);
	if (rc != -ZFS_CANMOUNT_OFF)
		return rc;
	rc = zfs_run(NULL, e, "set", "canmount=noauto", ds, NULL);
	return rc < 0 ? rc : zfs_os_mount(ds, path.data, ro, map, e);
}

static int
zfs_unmount(struct stor *s, struct stor_fs fs, struct err *e)
{
	int rc = zfs_detach(s, fs, false, e);

	/* Another process holds it for a moment: it goes with the next one, or with destroy. */
	return rc == -E_BUSY ? 0 : rc;
}

const struct stor_ops stor_zfs = {
	.name = "zfs",
	.summary = "datasets, snapshots and clones of a ZFS pool; quotas",
	.probe = zfs_probe,
	.init = zfs_init,
	.fini = zfs_fini,
	.open = zfs_open,
	.close = zfs_close,
	.create = zfs_create,
	.destroy = zfs_destroy,
	.rename = zfs_rename,
	.exists = zfs_exists,
	.snapshot = zfs_snapshot,
	.snap_destroy = zfs_snap_destroy,
	.rollback = zfs_rollback,
	.snap_list = zfs_snap_list,
	.clone = zfs_clone,
	.adopt = zfs_adopt,
	.list = zfs_list,
	.usage = zfs_usage,
	.quota = zfs_quota,
	.mount = zfs_mount,
	.unmount = zfs_unmount,
	.pack = zfs_pack,
	.origin = zfs_origin,
	.note = zfs_note,
	.send = zfs_send,
	.receive = zfs_receive,
	.stream_id = zfs_stream_id,
	.recover = zfs_recover,
};
