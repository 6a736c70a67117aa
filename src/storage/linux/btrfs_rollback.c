/*
 * Storage on btrfs: rollback, and the recovery of every operation that can
 * leave something behind.
 *
 * A rollback prepares the coming root in staging/KIND.NAME/new. The link "go"
 * beside it, whose text is "ID:TAG", decides: without it recovery throws the
 * preparation away, with it recovery goes on where the killed process stopped.
 * Each step can be repeated: the exchange has happened when the root has ID.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/text.h"
#include "storage/linux/btrfs.h"
#include "storage/linux/subvol.h"

#define GO_LEN (STOR_NAME_MAX + 24)

/* Reads "ID:TAG". 1 read, 0 there is none. */
static int
read_go(int staged, uint64_t *id, char tag[static GO_LEN], struct err *e)
{
	char text[GO_LEN];
	ssize_t n = readlinkat(staged, BTRFS_GO, text, sizeof(text) - 1);
	char *colon;
	int rc;

	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(e, "btrfs: reading what a rollback left");
	text[n] = '\0';
	colon = strchr(text, ':');
	if (colon == NULL)
		return err_set(e, E_CORRUPT, "btrfs: a rollback left '%s'", text);
	*colon = '\0';
	rc = text_uint(text, 1, UINT64_MAX, id, "btrfs: rollback", e);
	if (rc < 0)
		return rc;
	memcpy(tag, colon + 1, strlen(colon + 1) + 1);
	return 1;
}

static int
exchange_root(int staged, int dir, int rootfd, uint64_t id, struct err *e)
{
	struct subvol_info info;
	int rc = subvol_get_info(rootfd, &info, e);

	if (rc < 0 || info.id == id)
		return rc;
	if (renameat2(staged, BTRFS_NEW_ROOT, dir, "root", RENAME_EXCHANGE) < 0)
		return err_sys(e, "btrfs: exchanging roots");
	return 0;
}

/* Removes the snapshots that were made after tag. */
static int
remove_later(int dir, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(BTRFS_NAMES_MAX);
	AUTO(fd) int snaps = openat(dir, "snaps", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(fd) int tagfd = btrfs_snap_open(dir, fs, tag, e);
	struct subvol_info limit, info;
	int rc = tagfd;

	if (rc >= 0)
		rc = subvol_get_info(tagfd, &limit, e);
	if (rc == 0)
		rc = btrfs_names(snaps, &names, e);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		AUTO(fd) int fd = btrfs_snap_open(dir, fs, names.v[i], e);

		rc = fd < 0 ? fd : subvol_get_info(fd, &info, e);
		if (rc == 0 && info.id > limit.id) {
			rc = subvol_delete(snaps, names.v[i], e);
			fault_point("btrfs.rollback.later");
		}
	}
	return rc;
}

/* From the decision to the end. */
static int
finish_rollback(
    const struct btrfs_priv *p, struct stor_fs fs, int staged, uint64_t id, const char *tag, struct err *e)
{
	AUTO(fd) int root = -1;
	AUTO(fd) int dir = btrfs_open_fs(p, fs, &root, e);
	int rc = dir;

	if (rc >= 0)
		rc = exchange_root(staged, dir, root, id, e);
	fault_point("btrfs.rollback.exchange");
	if (rc == 0)
		rc = remove_later(dir, fs, tag, e);
	if (rc == 0 && unlinkat(staged, BTRFS_GO, 0) < 0)
		rc = err_sys(e, "btrfs: ending a rollback");
	fault_point("btrfs.rollback.end");
	return rc;
}

int
btrfs_recover(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	char key[BTRFS_KEY_LEN], tag[GO_LEN];
	AUTO(fd) int staged = -1;
	uint64_t id = 0;
	int rc;

	btrfs_staging_name(fs, key);
	staged = openat(p->staging, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (staged >= 0) {
		rc = read_go(staged, &id, tag, e);
		if (rc == 1)
			rc = finish_rollback(p, fs, staged, id, tag, e);
		if (rc == 0)
			rc = btrfs_remove_dir(p->staging, key, e);
		if (rc == 0)
			rc = subvol_commit(p->top, e);
		if (rc < 0)
			return err_wrap(e, "clearing what a killed process left of '%s'", fs.name);
	} else if (errno != ENOENT) {
		return err_sys(e, "opening staging/%s", key);
	}
	rc = s->ops->exists(s, fs, e);
	/* A directory without root: making it was not finished. */
	if (rc == 0)
		return btrfs_remove_dir(p->kind[fs.kind], fs.name, e);
	return rc < 0 ? rc : 0;
}

/* The new root takes over what belongs to the name, not to the content. */
static int
inherit_settings(const struct btrfs_priv *p, int dir, int root, int new_root, struct err *e)
{
	struct subvol_info info;
	struct qgroup_use use;
	uint64_t origin;
	int rc = btrfs_origin(dir, root, &origin, e);

	if (rc == 0)
		rc = btrfs_set_origin(dir, origin, e);
	if (rc < 0 || p->quota == QGROUP_OFF)
		return rc;
	rc = subvol_get_info(root, &info, e);
	if (rc == 0)
		rc = qgroup_use(root, info.id, &use, e);
	if (rc == 0 && use.limit != 0)
		rc = qgroup_limit(new_root, use.limit, e);
	return rc;
}

/* Makes staged/new from the snapshot and decides for it. */
static int
prepare(
    const struct btrfs_priv *p, struct stor_fs fs, const char *tag, int staged, uint64_t *id, struct err *e)
{
	AUTO(fd) int root = -1, tagfd = -1, fresh = -1;
	AUTO(fd) int dir = btrfs_open_fs(p, fs, &root, e);
	char go[GO_LEN];
	struct subvol_info info;
	int rc;

	if (dir < 0)
		return dir;
	tagfd = btrfs_snap_open(dir, fs, tag, e);
	if (tagfd < 0)
		return tagfd;
	rc = subvol_snapshot(tagfd, staged, BTRFS_NEW_ROOT, false, e);
	fault_point("btrfs.rollback.new");
	if (rc < 0)
		return rc;
	fresh = openat(staged, BTRFS_NEW_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fresh < 0)
		return err_sys(e, "btrfs: opening the coming root");
	rc = inherit_settings(p, dir, root, fresh, e);
	if (rc == 0)
		rc = subvol_get_info(fresh, &info, e);
	if (rc < 0)
		return rc;
	*id = info.id;
	snprintf(go, sizeof(go), "%llu:%s", (unsigned long long)info.id, tag);
	if (symlinkat(go, staged, BTRFS_GO) < 0)
		return err_sys(e, "btrfs: deciding a rollback");
	fault_point("btrfs.rollback.go");
	return 0;
}

int
btrfs_rollback(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	const struct btrfs_priv *p = s->priv;
	char key[BTRFS_KEY_LEN];
	AUTO(fd) int staged = -1;
	uint64_t id = 0;
	int rc = btrfs_recover(s, fs, e);

	if (rc < 0)
		return rc;
	btrfs_staging_name(fs, key);
	if (mkdirat(p->staging, key, 0700) < 0)
		return err_sys(e, "making staging/%s", key);
	staged = openat(p->staging, key, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (staged < 0)
		return err_sys(e, "opening staging/%s", key);
	fault_point("btrfs.rollback.staging");
	rc = prepare(p, fs, tag, staged, &id, e);
	if (rc < 0)
		return btrfs_discard_dir(p->staging, key, rc);
	rc = finish_rollback(p, fs, staged, id, tag, e);
	if (rc == 0)
		rc = btrfs_remove_dir(p->staging, key, e);
	return rc < 0 ? rc : subvol_commit(p->top, e);
}
