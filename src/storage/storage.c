/*
 * The door to storage: what all mechanisms have in common is checked here,
 * once, before one of them is asked. Names and tags never reach a mechanism
 * unchecked, and what it lacks is refused with its name. Also opening and
 * closing an installation; how roots are kept is each mechanism's own affair.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/buf.h"
#include "base/file.h"
#include "storage/check.h"
#include "storage/storage.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

const struct stor_ops *
stor_find(const char *mechanism)
{
	for (size_t i = 0; mechanism != NULL && stor_table[i] != NULL; i++)
		if (strcmp(stor_table[i]->name, mechanism) == 0)
			return stor_table[i];
	return NULL;
}

static int
check_word(const char *word, const char *what, struct err *e)
{
	size_t len = word != NULL ? strlen(word) : 0;

	if (len > 0 && len <= STOR_NAME_MAX && strspn(word, LETTERS "_.-") == len &&
	    strspn(word, LETTERS) > 0)
		return 0;
	/* The word is not repeated: it may be anything. */
	err_set(e, E_INVAL, "%s: invalid", what);
	return err_hint(
	    e, "letters, digits, '_', '.' and '-', at most %d, a letter or digit first", STOR_NAME_MAX);
}

static int
check_fs(struct stor_fs fs, struct err *e)
{
	static const char *const what[] = { "name of a base", "name of a pot", "name of an image" };

	if ((unsigned)fs.kind >= ARRAY_LEN(what))
		return err_set(e, E_INVAL, "kind of file system: %d is none", (int)fs.kind);
	return check_word(fs.name, what[fs.kind], e);
}

int
stor_check_tag(struct stor_fs fs, const char *tag, struct err *e)
{
	int rc = check_fs(fs, e);

	return rc < 0 ? rc : check_word(tag, "tag of a snapshot", e);
}

/* A copy of s that is NULL where s is; -E_NOMEM through *rc. */
static char *
dup_or_null(const char *s, int *rc, struct err *e)
{
	char *copy = s != NULL ? strdup(s) : NULL;

	if (s != NULL && copy == NULL)
		*rc = err_nomem(e);
	return copy;
}

static int
stor_new(struct stor **out, const char *rootdir, const struct stor_params *par, struct err *e)
{
	int rc = 0;
	const struct stor_ops *ops = stor_find(par->mechanism);

	if (ops == NULL)
		return err_set(e, E_NOTSUP, "storage \"%.64s\": not built in",
		    par->mechanism != NULL ? par->mechanism : "");
	struct stor *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_nomem(e);
	s->ops = ops;
	s->dirfd = -1;
	s->dir = dup_or_null(rootdir, &rc, e);
	s->zfs_root = dup_or_null(par->zfs_root, &rc, e);
	s->btrfs_root = dup_or_null(par->btrfs_root, &rc, e);
	if (rc < 0)
		stor_close(s);
	else
		*out = s;
	return rc;
}

void
stor_close(struct stor *s)
{
	if (s == NULL)
		return;
	if (s->priv != NULL && s->ops->close != NULL)
		s->ops->close(s);
	fd_close(s->dirfd);
	free(s->dir);
	free(s->zfs_root);
	free(s->btrfs_root);
	free(s);
}

int
stor_init(struct stor **out, const char *rootdir, const struct stor_params *par, struct err *e)
{
	struct stor *s = NULL;

	int rc = stor_new(&s, rootdir, par, e);
	if (rc < 0)
		return rc;
	rc = dir_make_path(rootdir, 0755, e);
	AUTO(fd) int root = rc < 0 ? -1 : open(rootdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rc == 0 && root < 0)
		rc = err_sys(e, "%s", rootdir);
	/* 0700: a set-uid program in some pot's root must not be within reach of the host's users. */
	if (rc == 0 && (s->dirfd = dir_make(root, "storage", 0700, e)) < 0)
		rc = s->dirfd;
	if (rc == 0)
		rc = dir_sync(root, rootdir, e);
	if (rc == 0)
		rc = s->ops->init(s, e);
	if (rc == 0)
		rc = s->ops->open(s, e);
	if (rc < 0)
		stor_close(s);
	else
		*out = s;
	return rc;
}

int
stor_open(struct stor **out, const char *rootdir, const struct stor_params *par, struct err *e)
{
	struct stor *s = NULL;

	int rc = stor_new(&s, rootdir, par, e);
	if (rc < 0)
		return rc;
	AUTO(fd) int root = open(rootdir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->dirfd = root < 0 ? -1 : openat(root, "storage", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dirfd < 0) {
		err_sys(e, "storage in %s", rootdir);
		rc = err_hint(e, "run pot init");
	}
	if (rc == 0)
		rc = s->ops->open(s, e);
	if (rc < 0)
		stor_close(s);
	else
		*out = s;
	return rc;
}

int
stor_fini(struct stor *s, struct err *e)
{
	int rc = s->ops->fini(s, e);

	if (rc < 0)
		return rc;
	AUTO(fd) int root = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(e, "%s", s->dir);
	return tree_remove(root, "storage", e);
}

int
stor_create(struct stor *s, struct stor_fs fs, struct err *e)
{
	int rc = check_fs(fs, e);

	return rc < 0 ? rc : s->ops->create(s, fs, e);
}

int
stor_destroy(struct stor *s, struct stor_fs fs, struct err *e)
{
	int rc = check_fs(fs, e);

	return rc < 0 ? rc : s->ops->destroy(s, fs, e);
}

int
stor_rename(struct stor *s, struct stor_fs fs, const char *newname, struct err *e)
{
	int rc = check_fs(fs, e);

	if (rc == 0)
		rc = check_fs((struct stor_fs){ fs.kind, newname }, e);
	return rc < 0 ? rc : s->ops->rename(s, fs, newname, e);
}

int
stor_exists(struct stor *s, struct stor_fs fs, struct err *e)
{
	int rc = check_fs(fs, e);

	return rc < 0 ? rc : s->ops->exists(s, fs, e);
}

int
stor_snapshot(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	int rc = stor_check_tag(fs, tag, e);

	return rc < 0 ? rc : s->ops->snapshot(s, fs, tag, e);
}

int
stor_snap_destroy(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	int rc = stor_check_tag(fs, tag, e);

	return rc < 0 ? rc : s->ops->snap_destroy(s, fs, tag, e);
}

int
stor_rollback(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	int rc = stor_check_tag(fs, tag, e);

	return rc < 0 ? rc : s->ops->rollback(s, fs, tag, e);
}

int
stor_snap_list(struct stor *s, struct stor_fs fs, stor_snap_fn *fn, void *arg, struct err *e)
{
	int rc = check_fs(fs, e);

	return rc < 0 ? rc : s->ops->snap_list(s, fs, fn, arg, e);
}

int
stor_clone(struct stor *s, struct stor_fs src, const char *tag, struct stor_fs dst, struct err *e)
{
	int rc = tag != NULL ? stor_check_tag(src, tag, e) : check_fs(src, e);

	if (rc == 0)
		rc = check_fs(dst, e);
	return rc < 0 ? rc : s->ops->clone(s, src, tag, dst, e);
}

int
stor_adopt(struct stor *s, const char *foreign, struct stor_fs dst, struct err *e)
{
	int rc = check_fs(dst, e);

	if (rc == 0 && s->ops->adopt == NULL)
		rc = err_set(e, E_NOTSUP, "storage \"%s\" cannot take over anything in place", s->ops->name);
	return rc < 0 ? rc : s->ops->adopt(s, foreign, dst, e);
}

int
stor_list(struct stor *s, enum stor_kind kind, bool sizes, stor_info_fn *fn, void *arg, struct err *e)
{
	return s->ops->list(s, kind, sizes, fn, arg, e);
}

int
stor_usage(struct stor *s, struct stor_fs fs, struct stor_info *info, struct err *e)
{
	int rc = check_fs(fs, e);

	return rc < 0 ? rc : s->ops->usage(s, fs, info, e);
}

int
stor_quota(struct stor *s, struct stor_fs fs, uint64_t bytes, struct err *e)
{
	int rc = check_fs(fs, e);

	if (rc < 0)
		return rc;
	if (s->ops->quota == NULL) {
		err_set(e, E_NOTSUP, "quota of %s: storage \"%s\" has no quotas", fs.name, s->ops->name);
		return err_hint(e, "zfs and btrfs have them");
	}
	return s->ops->quota(s, fs, bytes, e);
}

int
stor_mount_mapped(struct stor *s, struct stor_fs fs, bool ro, const struct stor_idmap *map, struct err *e)
{
	int rc = check_fs(fs, e);

	if (rc == 0 && map != NULL && (s->caps & STOR_CAP_IDMAP) == 0)
		rc = err_set(e, E_NOTSUP, "storage %s cannot map user ids", s->ops->name);
	return rc < 0 ? rc : s->ops->mount(s, fs, ro, map, e);
}

int
stor_mount(struct stor *s, struct stor_fs fs, bool ro, struct err *e)
{
	return stor_mount_mapped(s, fs, ro, NULL, e);
}

int
stor_unmount(struct stor *s, struct stor_fs fs, struct err *e)
{
	int rc = check_fs(fs, e);

	return rc < 0 || s->ops->unmount == NULL ? rc : s->ops->unmount(s, fs, e);
}

int
stor_recover(struct stor *s, struct stor_fs fs, struct err *e)
{
	int rc = check_fs(fs, e);

	return rc < 0 || s->ops->recover == NULL ? rc : s->ops->recover(s, fs, e);
}

static int
no_parts(const struct stor *s, struct err *e)
{
	return err_set(e, E_NOTSUP, "storage %s makes file systems only as clones", s->ops->name);
}

int
stor_part(struct stor *s, struct stor_fs fs, struct err *e)
{
	int rc = check_fs(fs, e);

	if (rc < 0)
		return rc;
	return (s->caps & STOR_CAP_STACK) != 0 ? s->ops->part(s, fs, e) : no_parts(s, e);
}

int
stor_sync(struct stor *s, struct err *e)
{
	return (s->caps & STOR_CAP_STACK) != 0 ? s->ops->sync(s, e) : no_parts(s, e);
}

int
stor_stack(struct stor *s, struct stor_fs fs, const char *tag, const struct stor_point *below,
    const struct stor_changes *changes, struct err *e)
{
	int rc = stor_check_tag(fs, tag, e);

	if (rc == 0 && below != NULL)
		rc = stor_check_tag(below->fs, below->tag, e);
	if (rc < 0)
		return rc;
	if ((s->caps & STOR_CAP_STACK) == 0)
		return no_parts(s, e);
	return s->ops->stack(s, fs, tag, below, changes, e);
}

static int
need_packages(const struct stor *s, struct err *e)
{
	return s->ops->pack != NULL
	    ? 0
	    : err_set(e, E_NOTSUP, "storage %s has no packages of streams", s->ops->name);
}

int
stor_pack(
    struct stor *s, struct stor_fs fs, const char *tag, const struct stor_packing *how, int fd, struct err *e)
{
	int rc = stor_check_tag(fs, tag, e);

	if (rc == 0)
		rc = stor_check_tag(how->head, how->name, e);
	if (rc == 0)
		rc = need_packages(s, e);
	return rc < 0 ? rc : s->ops->pack(s, fs, tag, how, fd, e);
}

int
stor_origin(struct stor *s, struct stor_fs fs, struct stor_origin *o, struct err *e)
{
	int rc = check_fs(fs, e);

	if (rc == 0)
		rc = need_packages(s, e);
	return rc < 0 ? rc : s->ops->origin(s, fs, o, e);
}

int
stor_note(struct stor *s, struct stor_fs fs, const char *tag, const char *text, struct err *e)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@-";
	int rc = stor_check_tag(fs, tag, e);

	if (rc == 0 && (strlen(text) >= STOR_NOTE_LEN || strspn(text, allowed) != strlen(text)))
		rc = err_set(e, E_INVAL, "what is to be noted of a snapshot is too long or no word");
	if (rc == 0)
		rc = need_packages(s, e);
	return rc < 0 ? rc : s->ops->note(s, fs, tag, text, e);
}
