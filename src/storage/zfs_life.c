/*
 * Storage on ZFS: what takes more than one command, and its recovery.
 *
 * Before such an operation on a file system begins, the link
 * storage/zfs/staging/KIND:NAME says what it is; the next operation that
 * makes, changes or removes this name reads the link and ends or undoes it:
 *
 *   reap           look through <zfs_root>/deleted
 *   clone:DATASET  the hidden snapshot of DATASET goes with its last clone
 *   hide           the same for the file system's own hidden snapshots
 *   rename         nothing but what every one does: hidden snapshots that a rename needed go
 *   rollback       see zfs_rollback()
 *   receive        see zfs_receive(): what stands in <zfs_root>/staging goes
 *
 * ZFS cannot remove a snapshot that has clones. Such a snapshot gets a hidden
 * name and goes by itself with its last clone (destroy -d); a file system that
 * holds such snapshots moves to <zfs_root>/deleted, and goes when the last of
 * them is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "storage/zfs.h"

#define DATASETS_MAX (1u << 20)

static void
work_key(struct stor_fs fs, char out[static ZFS_KEY_LEN])
{
	snprintf(out, ZFS_KEY_LEN, "%s:%s", zfs_kind_names[fs.kind], fs.name);
}

int
zfs_work_begin(struct stor *s, struct stor_fs fs, const char *what, struct err *e)
{
	const struct zfs_priv *p = s->priv;
	char key[ZFS_KEY_LEN];

	work_key(fs, key);
	if (symlinkat(what, p->staging, key) < 0)
		return err_sys(e, "zfs: noting what is done to '%s'", fs.name);
	fault_point("zfs.work.begin");
	return 0;
}

int
zfs_work_end(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct zfs_priv *p = s->priv;
	char key[ZFS_KEY_LEN];

	work_key(fs, key);
	fault_point("zfs.work.end");
	if (unlinkat(p->staging, key, 0) < 0 && errno != ENOENT)
		return err_sys(e, "zfs: ending what is done to '%s'", fs.name);
	return 0;
}

static void
deleted_name(const struct stor *s, char out[static ZFS_NAME_LEN])
{
	snprintf(out, ZFS_NAME_LEN, "%s/deleted/%016" PRIx64 "-%x", s->zfs_root, (uint64_t)text_now_ns(),
	    (unsigned)getpid());
}

void
zfs_staging_name(const struct stor *s, struct stor_fs fs, char out[static ZFS_NAME_LEN])
{
	char key[ZFS_KEY_LEN];

	work_key(fs, key);
	snprintf(out, ZFS_NAME_LEN, "%s/staging/%s", s->zfs_root, key);
}

struct deleted {
	struct strv datasets; /* all */
	struct strv held;     /* those with a snapshot */
	struct strv marked;   /* snapshots that do not yet go with their last clone */
	size_t top_len;       /* of "<zfs_root>/deleted" */
};

static int
add_deleted(void *arg, const struct zfs_value *v)
{
	struct deleted *d = arg;
	const char *at = strchr(v->dataset, '@');
	const char *own = strlen(v->dataset) > d->top_len ? v->dataset + d->top_len + 1 : "";

	if (*own == '\0' || strchr(own, '/') != NULL)
		return 0;
	if (at == NULL) {
		strv_add(&d->datasets, v->dataset);
		return 0;
	}
	if (d->held.n == 0 || strncmp(d->held.v[d->held.n - 1], v->dataset, (size_t)(at - v->dataset)) != 0 ||
	    d->held.v[d->held.n - 1][at - v->dataset] != '\0')
		strv_addn(&d->held, v->dataset, (size_t)(at - v->dataset));
	if (strcmp(v->value, "on") != 0)
		strv_add(&d->marked, v->dataset);
	return 0;
}

static bool
strv_has(const struct strv *v, const char *word)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i], word) == 0)
			return true;
	return false;
}

/* Another process may be at the same, or a hold or clone of the user's be in the way. */
static int
tolerate(int rc)
{
	return rc == -E_NOENT || rc == -E_BUSY || rc == -E_EXIST || rc == -ZFS_HAS_CLONES ? 0 : rc;
}

/* Lets go what can go of a list. 1 something went, 0 nothing can. */
static int
reap_listed(const struct deleted *d, struct err *e)
{
	int rc = strv_check(&d->datasets, "zfs: deleted file systems", e), went = 0;

	if (rc == 0)
		rc = strv_check(&d->held, "zfs: deleted file systems", e);
	if (rc == 0)
		rc = strv_check(&d->marked, "zfs: deleted snapshots", e);
	for (size_t i = 0; rc == 0 && i < d->marked.n; i++) {
		rc = zfs_run(NULL, e, "destroy", "-d", d->marked.v[i], NULL);
		fault_point("zfs.reap.mark");
		went |= rc == 0;
		rc = tolerate(rc);
	}
	for (size_t i = 0; rc == 0 && i < d->datasets.n; i++) {
		if (strv_has(&d->held, d->datasets.v[i]))
			continue;
		rc = zfs_run_patiently(e, "destroy", "-r", d->datasets.v[i], NULL);
		fault_point("zfs.reap.destroy");
		went |= rc == 0;
		rc = tolerate(rc);
	}
	return rc < 0 ? rc : went;
}

static int
reap_once(struct stor *s, struct err *e)
{
	struct deleted d = { STRV_INIT(DATASETS_MAX), STRV_INIT(DATASETS_MAX), STRV_INIT(DATASETS_MAX), 0 };
	char top[ZFS_NAME_LEN];
	int rc;

	snprintf(top, sizeof(top), "%s/deleted", s->zfs_root);
	d.top_len = strlen(top);
	rc = zfs_get(top, "2", "defer_destroy", add_deleted, &d, e);
	if (rc == 0)
		rc = reap_listed(&d, e);
	strv_fini(&d.datasets);
	strv_fini(&d.held);
	strv_fini(&d.marked);
	return rc;
}

static int
reap(struct stor *s, struct err *e)
{
	int rc;

	/* One that goes can let go what it was a clone of. */
	while ((rc = reap_once(s, e)) == 1)
		continue;
	return rc;
}

struct newest {
	uint64_t txg;
	char name[ZFS_NAME_LEN];
};

static int
note_newest(void *arg, const struct zfs_value *v)
{
	struct newest *n = arg;
	uint64_t txg;

	if (strchr(v->dataset, '@') == NULL ||
	    text_uint(v->value, 0, UINT64_MAX, &txg, "createtxg", NULL) < 0)
		return 0;
	if (txg >= n->txg) {
		n->txg = txg;
		snprintf(n->name, sizeof(n->name), "%s", v->dataset);
	}
	return 0;
}

/* Frees what a deleted file system holds beyond its last snapshot. Only saves space, so it may fail. */
static void
drop_head(const char *deleted)
{
	struct newest n = { 0 };
	struct err ignored = ERR_INIT;
	int rc = zfs_get(deleted, "1", "createtxg", note_newest, &n, &ignored);

	if (rc == 0 && n.name[0] != '\0')
		rc = zfs_run(NULL, &ignored, "rollback", n.name, NULL);
	(void)rc;
}

/* Takes a dataset away from its name; it goes when nothing hangs on it. */
static int
put_away(struct stor *s, struct stor_fs fs, const char *ds, struct err *e)
{
	char deleted[ZFS_NAME_LEN];
	int rc;

	deleted_name(s, deleted);
	rc = zfs_rename_dataset(s, fs, ds, deleted, e);
	fault_point("zfs.put_away.renamed");
	if (rc < 0)
		return rc;
	rc = reap_once(s, e);
	if (rc >= 0)
		drop_head(deleted);
	return rc < 0 ? rc : 0;
}

static bool
is_below(const char *name, const struct stor *s, const char *parent)
{
	char prefix[ZFS_NAME_LEN];

	snprintf(prefix, sizeof(prefix), "%s/%s/", s->zfs_root, parent);
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Destroys ds, whose origin may be waiting for that, or puts it away. */
static int
destroy_or_put_away(struct stor *s, struct stor_fs fs, const char *ds, bool origin_waits, struct err *e)
{
	bool begun = origin_waits;
	int rc = begun ? zfs_work_begin(s, fs, "reap", e) : 0;

	if (rc < 0)
		return rc;
	fault_point("zfs.destroy.start");
	rc = zfs_run_patiently(e, "destroy", "-r", ds, NULL);
	fault_point("zfs.destroy.destroyed");
	if (rc == -ZFS_HAS_CLONES) {
		rc = begun ? 0 : zfs_work_begin(s, fs, "reap", e);
		begun = true;
		if (rc == 0)
			rc = put_away(s, fs, ds, e);
	}
	if (rc == 0 && begun)
		rc = reap(s, e);
	if (begun) {
		struct err second;
		int end = zfs_work_end(s, fs, rc == 0 ? e : &second);

		if (rc == 0)
			rc = end;
	}
	return rc == -E_NOENT ? 0 : rc;
}

int
zfs_destroy(struct stor *s, struct stor_fs fs, struct err *e)
{
	AUTO_FINI(buf) struct buf origin = BUF_INIT(ZFS_NAME_LEN + 1);
	char ds[ZFS_NAME_LEN];
	int rc = zfs_recover(s, fs, e);

	if (rc == 0)
		rc = zfs_detach(s, fs, true, e);
	if (rc < 0)
		return rc;
	zfs_dataset(s, fs, ds);
	rc = zfs_get_one(ds, "origin", &origin, e);
	if (rc < 0)
		return rc == -E_NOENT ? 0 : rc;
	return destroy_or_put_away(s, fs, ds, is_below(buf_cstr(&origin), s, "deleted"), e);
}

/* The tag is gone when the snapshot has a hidden name; its blocks go with its last clone. */
static int
hide_snapshot(struct stor *s, struct stor_fs fs, const char *snap, struct err *e)
{
	char hidden[ZFS_NAME_LEN];
	int rc = zfs_work_begin(s, fs, "hide", e);

	if (rc < 0)
		return rc;
	snprintf(hidden, sizeof(hidden), "%.*s@.d-%016" PRIx64 "-%x", (int)strcspn(snap, "@"), snap,
	    (uint64_t)text_now_ns(), (unsigned)getpid());
	rc = zfs_rename_dataset(s, fs, snap, hidden, e);
	fault_point("zfs.snap_destroy.hidden");
	if (rc == 0)
		rc = zfs_run(NULL, e, "destroy", "-d", hidden, NULL);
	fault_point("zfs.snap_destroy.marked");
	return rc < 0 ? rc : zfs_work_end(s, fs, e);
}

int
zfs_snap_destroy(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	char snap[ZFS_NAME_LEN];
	int rc = zfs_recover(s, fs, e);

	if (rc < 0)
		return rc;
	zfs_snapshot_name(s, fs, tag, snap);
	fault_point("zfs.snap_destroy.start");
	rc = zfs_run(NULL, e, "destroy", snap, NULL);
	fault_point("zfs.snap_destroy.destroyed");
	if (rc == -ZFS_HAS_CLONES)
		return hide_snapshot(s, fs, snap, e);
	/* FreeBSD's zfs(8) does not say which. */
	return rc == -E_NOENT ? err_wrap(e, "snapshot %s of %s", tag, fs.name) : rc;
}

struct kept_props {
	char quota[48], created[48];
};

static int
note_prop(void *arg, const struct zfs_value *v)
{
	struct kept_props *k = arg;

	if (strcmp(v->prop, "refquota") == 0)
		snprintf(k->quota, sizeof(k->quota), "refquota=%.30s",
		    strcmp(v->value, "0") == 0 ? "none" : v->value);
	else if (v->local)
		snprintf(k->created, sizeof(k->created), "pot:created=%.30s", v->value);
	return 0;
}

/* The second half, from the promotion on: the staged one takes the name. */
static int
take_over(struct stor *s, struct stor_fs fs, const char *ds, const char *staged, struct err *e)
{
	int rc = put_away(s, fs, ds, e);

	if (rc < 0 && rc != -E_NOENT)
		return rc;
	rc = zfs_rename_dataset(s, fs, staged, ds, e);
	fault_point("zfs.rollback.renamed");
	return rc < 0 ? rc : reap(s, e);
}

static int
undo_staged(const char *staged, int rc)
{
	struct err second = ERR_INIT;
	int left = zfs_run_patiently(&second, "destroy", staged, NULL);

	(void)left; /* recovery will try again */
	return rc;
}

/*
 * Rolls back over later snapshots without touching them, since they may have
 * clones: a clone of the tag is promoted, which gives it the tag and all
 * before it, and takes the name of the old one, which is put away.
 */
static int
replace_by_clone(struct stor *s, struct stor_fs fs, const char *ds, const char *snap, struct err *e)
{
	struct kept_props k = { "refquota=none", "pot:replaced=yes" };
	char staged[ZFS_NAME_LEN];
	int rc = zfs_get(ds, NULL, "refquota,pot:created", note_prop, &k, e);

	if (rc < 0)
		return rc;
	zfs_staging_name(s, fs, staged);
	rc = zfs_run(
	    NULL, e, "clone", "-o", "canmount=noauto", "-o", k.quota, "-o", k.created, snap, staged, NULL);
	fault_point("zfs.rollback.cloned");
	if (rc < 0)
		return rc;
	rc = zfs_run(NULL, e, "promote", staged, NULL);
	fault_point("zfs.rollback.promoted");
	return rc < 0 ? undo_staged(staged, rc) : take_over(s, fs, ds, staged, e);
}

int
zfs_rollback(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	const struct zfs_priv *p = s->priv;
	char ds[ZFS_NAME_LEN], snap[ZFS_NAME_LEN];
	struct err second;
	int rc = zfs_recover(s, fs, e), end;

	if (rc == 0)
		rc = zfs_detach(s, fs, false, e);
	if (rc < 0)
		return rc;
	zfs_dataset(s, fs, ds);
	zfs_snapshot_name(s, fs, tag, snap);
	fault_point("zfs.rollback.start");
	rc = zfs_run_patiently(e, "rollback", snap, NULL);
	fault_point("zfs.rollback.plain");
	if (rc != -ZFS_HAS_LATER)
		return rc;
	rc = zfs_work_begin(s, fs, "rollback", e);
	if (rc == 0)
		rc = dir_sync(p->staging, "storage/zfs/staging", e);
	if (rc == 0)
		rc = replace_by_clone(s, fs, ds, snap, e);
	if (rc < 0) {
		/* Back to before, or on to the end; when that fails too, the link stays. */
		end = zfs_recover(s, fs, &second);
		(void)end;
		return rc;
	}
	return zfs_work_end(s, fs, e);
}

static int
recover_rollback(struct stor *s, struct stor_fs fs, struct err *e)
{
	AUTO_FINI(buf) struct buf origin = BUF_INIT(ZFS_NAME_LEN + 1);
	char ds[ZFS_NAME_LEN], staged[ZFS_NAME_LEN];
	size_t len;
	int rc;

	zfs_dataset(s, fs, ds);
	len = strlen(ds);
	zfs_staging_name(s, fs, staged);
	rc = zfs_get_one(staged, "origin", &origin, e);
	if (rc == -E_NOENT)
		return reap(s, e);
	if (rc < 0)
		return rc;
	if (strncmp(buf_cstr(&origin), ds, len) == 0 && buf_cstr(&origin)[len] == '@')
		return zfs_run_patiently(e, "destroy", staged, NULL);
	return take_over(s, fs, ds, staged, e);
}

struct hidden_list {
	const char *prefix;
	struct strv names;
};

static int
add_hidden(void *arg, const struct zfs_value *v)
{
	struct hidden_list *l = arg;

	if (strncmp(v->dataset, l->prefix, strlen(l->prefix)) == 0 && strcmp(v->value, "on") != 0)
		strv_add(&l->names, v->dataset);
	return 0;
}

/* Hidden snapshots of ds whose names begin with prefix go with their last clone, or now. */
static int
mark_hidden(const char *ds, const char *prefix, struct err *e)
{
	struct hidden_list l = { prefix, STRV_INIT(DATASETS_MAX) };
	int rc = tolerate(zfs_get(ds, "1", "defer_destroy", add_hidden, &l, e));

	if (rc == 0)
		rc = strv_check(&l.names, "zfs: hidden snapshots", e);
	for (size_t i = 0; rc == 0 && i < l.names.n; i++)
		rc = tolerate(zfs_run(NULL, e, "destroy", "-d", l.names.v[i], NULL));
	strv_fini(&l.names);
	return rc;
}

static int
recover_clone(const char *src, struct stor_fs dst, struct err *e)
{
	char prefix[ZFS_NAME_LEN];

	zfs_hidden_prefix(src, dst, prefix);
	return mark_hidden(src, prefix, e);
}

static int
recover_hide(struct stor *s, struct stor_fs fs, struct err *e)
{
	char ds[ZFS_NAME_LEN], prefix[ZFS_NAME_LEN + 8];

	zfs_dataset(s, fs, ds);
	snprintf(prefix, sizeof(prefix), "%s@.d-", ds);
	return mark_hidden(ds, prefix, e);
}

/* What was received under the staging name has not become the file system's. */
static int
recover_receive(struct stor *s, struct stor_fs fs, struct err *e)
{
	char staged[ZFS_NAME_LEN];
	int rc;

	zfs_staging_name(s, fs, staged);
	rc = zfs_run_patiently(e, "destroy", "-r", staged, NULL);
	return rc < 0 && rc != -E_NOENT ? rc : reap(s, e);
}

static int
recover_work(struct stor *s, struct stor_fs fs, const char *what, struct err *e)
{
	if (strcmp(what, "rename") == 0)
		return 0;
	if (strcmp(what, "rollback") == 0)
		return recover_rollback(s, fs, e);
	if (strcmp(what, "receive") == 0)
		return recover_receive(s, fs, e);
	if (strncmp(what, "clone:", 6) == 0)
		return recover_clone(what + 6, fs, e);
	if (strcmp(what, "hide") == 0)
		return recover_hide(s, fs, e);
	return reap(s, e);
}

int
zfs_recover(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct zfs_priv *p = s->priv;
	char key[ZFS_KEY_LEN], what[ZFS_WORK_LEN];
	ssize_t n;
	int rc;

	work_key(fs, key);
	n = readlinkat(p->staging, key, what, sizeof(what) - 1);
	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(e, "zfs: reading what was done to '%s'", fs.name);
	what[n] = '\0';
	rc = zfs_drop_holds(s, fs, e);
	if (rc == 0)
		rc = recover_work(s, fs, what, e);
	if (rc < 0)
		return err_wrap(e, "ending what a killed process did to '%s'", fs.name);
	return zfs_work_end(s, fs, e);
}
