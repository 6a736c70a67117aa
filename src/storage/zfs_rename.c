/*
 * Storage on ZFS: renaming a dataset. OpenZFS does it in one command. zfs-fuse
 * calls a dataset busy as long as a clone of it is mounted, because what is
 * mounted holds its latest snapshot, and a clone without snapshots its origin.
 * So there every clone gets a hidden snapshot for as long as the rename takes.
 * They are named after the file system that is renamed, whose link
 * (zfs_life.c) the caller has made: recovery finds them.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "storage/zfs.h"

#define CLONES_MAX (1u << 20)
#define HOLD_SUFFIX "-hold"

struct clones {
	const char *origin; /* dataset or snapshot, or the end of a snapshot's name from '@' on */
	struct strv names;
};

static int
add_clone(void *arg, const struct zfs_value *v)
{
	struct clones *c = arg;
	size_t len = strlen(c->origin);

	if (strncmp(v->value, c->origin, len) == 0 && (v->value[len] == '@' || v->value[len] == '\0'))
		strv_add(&c->names, v->dataset);
	return 0;
}

static int
add_hold(void *arg, const struct zfs_value *v)
{
	struct clones *c = arg;
	const char *at = strchr(v->dataset, '@');

	if (at != NULL && strcmp(at, c->origin) == 0)
		strv_add(&c->names, v->dataset);
	return 0;
}

/* The hidden snapshot of a clone ("": from '@' on) while fs is renamed. */
static void
hold_name(const char *clone, struct stor_fs fs, char out[static ZFS_NAME_LEN])
{
	size_t len;

	zfs_hidden_prefix(clone, fs, out);
	len = strlen(out);
	snprintf(out + len, ZFS_NAME_LEN - len, HOLD_SUFFIX);
}

static int
snapshot_clones(const struct strv *clones, struct stor_fs fs, struct err *e)
{
	char snap[ZFS_NAME_LEN];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < clones->n; i++) {
		hold_name(clones->v[i], fs, snap);
		rc = zfs_run(NULL, e, "snapshot", snap, NULL);
		fault_point("zfs.rename.hold");
		/* One that is gone by now is in nobody's way. */
		if (rc == -E_EXIST || rc == -E_NOENT)
			rc = 0;
	}
	return rc;
}

int
zfs_drop_holds(struct stor *s, struct stor_fs fs, struct err *e)
{
	char name[ZFS_NAME_LEN];
	struct clones c = { name, STRV_INIT(CLONES_MAX) };
	int rc;

	if (!zfs_os_clone_mounts())
		return 0;
	hold_name("", fs, name);
	rc = zfs_get(s->zfs_root, "3", "origin", add_hold, &c, e);
	if (rc == 0)
		rc = strv_check(&c.names, "zfs: hidden snapshots", e);
	for (size_t i = 0; rc == 0 && i < c.names.n; i++) {
		rc = zfs_run(NULL, e, "destroy", "-d", c.names.v[i], NULL);
		if (rc == -E_NOENT)
			rc = 0;
	}
	strv_fini(&c.names);
	return rc;
}

static void
clone_path(const struct stor *s, const char *clone, struct buf *path)
{
	buf_reset(path);
	buf_fmt(path, "%s/storage/zfs/%s", s->dir, clone + strlen(s->zfs_root) + 1);
}

/* The command unmounts clones. Those in use stay mounted where they were: their end must be ours to see. */
static int
rename_under(struct stor *s, const struct strv *clones, const char *from, const char *to, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_MAX);
	int *kept = calloc(clones->n, sizeof(*kept));
	int rc;

	if (kept == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < clones->n; i++) {
		clone_path(s, clones->v[i], &path);
		kept[i] = path.failed ? -1 : zfs_os_keep(path.data);
	}
	rc = zfs_run_rename(from, to, e);
	for (size_t i = 0; i < clones->n; i++) {
		clone_path(s, clones->v[i], &path);
		if (!path.failed)
			zfs_os_put_back(kept[i], path.data);
	}
	free(kept);
	return rc;
}

static int
rename_held(struct stor *s, struct stor_fs fs, const struct strv *clones, const char *from, const char *to,
    struct err *e)
{
	struct err second = ERR_INIT;
	int dropped, rc = snapshot_clones(clones, fs, e);

	if (rc == 0)
		rc = rename_under(s, clones, from, to, e);
	fault_point("zfs.rename.held");
	dropped = zfs_drop_holds(s, fs, &second);
	if (rc == 0 && dropped < 0) {
		*e = second;
		rc = dropped;
	}
	return rc;
}

int
zfs_rename_dataset(struct stor *s, struct stor_fs fs, const char *from, const char *to, struct err *e)
{
	struct clones c = { from, STRV_INIT(CLONES_MAX) };
	int rc;

	if (!zfs_os_clone_mounts())
		return zfs_run_rename(from, to, e);
	rc = zfs_get(s->zfs_root, "2", "origin", add_clone, &c, e);
	if (rc == 0)
		rc = strv_check(&c.names, "zfs: clones", e);
	if (rc == 0 && c.names.n == 0)
		rc = zfs_run_rename(from, to, e);
	else if (rc == 0)
		rc = rename_held(s, fs, &c.names, from, to, e);
	strv_fini(&c.names);
	return rc;
}
