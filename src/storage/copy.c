/*
 * Plain directories, copied where other mechanisms share: what a system
 * without ZFS has (FreeBSD on UFS). Needs nothing set up and no mount; a
 * snapshot and a clone cost their size, in time and on the disk, but where the
 * file system shares blocks by itself. A root that is to be read only is so
 * by how it is mounted for a pot, not here. The mechanism of tests
 * (fake/fake.c) is the same without the waiting for the disk.
 *
 * <root>/storage/copy/KIND.NAME/   created  root/  snaps/SEQ.TAG/root/
 * A name that begins with a dot is being made or on its way to removal:
 * .new.KIND.NAME, .old.KIND.NAME, and the same with SEQ.TAG in snaps/.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "storage/copy.h"

#define ENTRY_LEN (STOR_NAME_MAX + 32)
#define COPY_FLAGS (geteuid() == 0 ? TREE_COPY_DEVICES : 0u)

struct entry {
	char text[ENTRY_LEN];
};

struct copy_dir {
	int dir;
};

struct tag_entry {
	unsigned seq;
	char tag[STOR_NAME_MAX + 1];
	char dir[ENTRY_LEN]; /* SEQ.TAG */
	int64_t created;
};

static int
top(struct stor *s)
{
	return ((struct copy_dir *)s->priv)->dir;
}

static struct entry
entry_of(const char *prefix, struct stor_fs fs)
{
	static const char *const kinds[] = { "base", "pot", "image" };
	struct entry entry;

	snprintf(entry.text, sizeof(entry.text), "%s%s.%s", prefix, kinds[fs.kind], fs.name);
	return entry;
}

static int
open_one(struct stor *s, struct stor_fs fs, struct err *e)
{
	int fd = openat(top(s), entry_of("", fs).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(e, E_NOENT, "%s: does not exist", entry_of("", fs).text);
	return fd < 0 ? err_sys(e, "%s", entry_of("", fs).text) : fd;
}

static int64_t
made_ns(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	/* A copy keeps the time of the change of content, which for the file "created" is that of making. */
	const struct timespec *when = S_ISDIR(st.st_mode) ? &st.st_ctim : &st.st_mtim;
	return (int64_t)when->tv_sec * 1000000000 + when->tv_nsec;
}

static int
by_seq(const void *a, const void *b)
{
	const struct tag_entry *x = a, *y = b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* The snapshots of one file system, oldest first; the caller frees. Returns how many. */
static int
load_tags(int dirfd, struct tag_entry **out, struct err *e)
{
	struct dirent *d;
	int n = 0;

	*out = NULL;
	int fd = openat(dirfd, "snaps", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return err_sys(e, "snaps");
	while ((d = readdir(dir)) != NULL) {
		const char *dot = strchr(d->d_name, '.');
		if (dot == NULL || dot == d->d_name)
			continue;
		struct tag_entry *grown = reallocarray(*out, n + 1, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		*out = grown;
		grown[n].seq = (unsigned)strtoul(d->d_name, NULL, 10);
		snprintf(grown[n].tag, sizeof(grown[n].tag), "%s", dot + 1);
		snprintf(grown[n].dir, sizeof(grown[n].dir), "%.*s", ENTRY_LEN - 1, d->d_name);
		n++;
	}
	if (n > 0)
		qsort(*out, n, sizeof(**out), by_seq);
	for (int i = 0; i < n; i++) {
		struct entry path;
		snprintf(path.text, sizeof(path.text), "snaps/%.*s", ENTRY_LEN - 8, (*out)[i].dir);
		(*out)[i].created = made_ns(dirfd, path.text);
	}
	return n;
}

static const struct tag_entry *
find_tag(const struct tag_entry *tags, int n, const char *tag)
{
	for (int i = 0; i < n; i++)
		if (strcmp(tags[i].tag, tag) == 0)
			return &tags[i];
	return NULL;
}

/* Moves a file system or snapshot aside, out of sight, then removes it. */
static int
remove_entry(int dirfd, const char *name, const char *aside, struct err *e)
{
	int rc = tree_remove(dirfd, aside, e);

	if (rc < 0)
		return rc;
	fault_point("copy.remove.begin");
	if (renameat(dirfd, name, dirfd, aside) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", name);
	fault_point("copy.remove.aside");
	rc = dir_sync(dirfd, name, e);
	return rc < 0 ? rc : tree_remove(dirfd, aside, e);
}

/* Puts .new.X in the place of X, which goes to .old.X. Killed in between, finish_swap goes on. */
static int
swap_in(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct entry name = entry_of("", fs);

	if (renameat(top(s), name.text, top(s), entry_of(".old.", fs).text) < 0)
		return err_sys(e, "%s", name.text);
	fault_point("copy.swap.old-away");
	if (renameat(top(s), entry_of(".new.", fs).text, top(s), name.text) < 0)
		return err_sys(e, "%s", name.text);
	fault_point("copy.swap.new-in-place");
	return dir_sync(top(s), "storage", e);
}

/* Old and new aside and nothing in the place: only swap_in leaves that. */
static int
finish_swap(struct stor *s, struct stor_fs fs, struct err *e)
{
	const struct entry name = entry_of("", fs);

	if (faccessat(top(s), name.text, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	    faccessat(top(s), entry_of(".old.", fs).text, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (renameat(top(s), entry_of(".new.", fs).text, top(s), name.text) < 0 && errno != ENOENT)
		return err_sys(e, "%s", name.text);
	return 0;
}

int
copy_recover(struct stor *s, struct stor_fs fs, struct err *e)
{
	struct dirent *d;

	int rc = finish_swap(s, fs, e);
	if (rc == 0)
		rc = tree_remove(top(s), entry_of(".new.", fs).text, e);
	if (rc == 0)
		rc = tree_remove(top(s), entry_of(".old.", fs).text, e);
	AUTO(fd)
	int one = rc < 0 ? -1 : openat(top(s), entry_of("", fs).text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (one < 0)
		return rc;
	fault_point("copy.recover.inside");
	int fd = openat(one, "snaps", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return err_sys(e, "snaps");
	while (rc == 0 && (d = readdir(dir)) != NULL)
		if (d->d_name[0] == '.' && strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			rc = tree_remove(dirfd(dir), d->d_name, e);
	return rc;
}

int
copy_exists(struct stor *s, struct stor_fs fs, struct err *e)
{
	if (faccessat(top(s), entry_of("", fs).text, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, "%s", entry_of("", fs).text);
}

/* What was copied is on the disk before it gets its name; tests need no disk. */
static int
settle(struct stor *s, int dirfd, const char *name, struct err *e)
{
	return s->ops == &stor_copy ? tree_sync(dirfd, name, e) : 0;
}

/* A copy of from/name, or an empty root, becomes the file system fs. */
static int
make_one(struct stor *s, struct stor_fs fs, int from, const char *name, struct err *e)
{
	struct entry entry = entry_of(".new.", fs);

	int rc = copy_exists(s, fs, e);
	if (rc == 1)
		return err_set(e, E_EXIST, "%s: exists already", entry_of("", fs).text);
	if (rc == 0)
		rc = copy_recover(s, fs, e);
	if (rc < 0)
		return rc;
	fault_point("copy.make.begin");
	AUTO(fd) int dir = dir_make(top(s), entry.text, 0700, e);
	AUTO(fd) int snaps = dir < 0 ? dir : dir_make(dir, "snaps", 0700, e);
	if (snaps < 0)
		rc = snaps;
	else if (from >= 0)
		rc = tree_copy(from, name, dir, "root", COPY_FLAGS, e);
	else if (mkdirat(dir, "root", 0755) < 0 || fchmodat(dir, "root", 0755, 0) < 0)
		rc = err_sys(e, "%s", entry.text);
	fault_point("copy.make.filled");
	if (rc == 0)
		rc = file_write_atomic(dir, "created", 0600, "", 0, e);
	if (rc == 0)
		rc = settle(s, top(s), entry.text, e);
	if (rc == 0 && renameat(top(s), entry.text, top(s), entry_of("", fs).text) < 0)
		rc = err_sys(e, "%s", entry.text);
	fault_point("copy.make.done");
	if (rc == 0)
		return dir_sync(top(s), "storage", e);
	struct err ignored;
	int undone = tree_remove(top(s), entry.text, &ignored);
	/* If not, the next make or recover of the name does it. */
	(void)undone;
	return rc;
}

int
copy_create(struct stor *s, struct stor_fs fs, struct err *e)
{
	return make_one(s, fs, -1, NULL, e);
}

int
copy_destroy(struct stor *s, struct stor_fs fs, struct err *e)
{
	int rc = copy_recover(s, fs, e);

	return rc < 0 ? rc : remove_entry(top(s), entry_of("", fs).text, entry_of(".old.", fs).text, e);
}

int
copy_rename(struct stor *s, struct stor_fs fs, const char *newname, struct err *e)
{
	const struct stor_fs target = { fs.kind, newname };

	AUTO(fd) int one = open_one(s, fs, e);
	if (one < 0)
		return one;
	int rc = copy_exists(s, target, e);
	if (rc == 1)
		return err_set(e, E_EXIST, "%s: exists already", entry_of("", target).text);
	if (rc == 0)
		rc = copy_recover(s, target, e);
	fault_point("copy.rename.begin");
	if (rc == 0 && renameat(top(s), entry_of("", fs).text, top(s), entry_of("", target).text) < 0)
		rc = err_sys(e, "%s", entry_of("", fs).text);
	fault_point("copy.rename.done");
	return rc < 0 ? rc : dir_sync(top(s), "storage", e);
}

int
copy_snapshot(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO_FREE struct tag_entry *tags = NULL;
	struct entry name, hidden;

	int rc = copy_recover(s, fs, e);
	AUTO(fd) int one = rc < 0 ? rc : open_one(s, fs, e);
	if (one < 0)
		return one;
	int n = load_tags(one, &tags, e);
	if (n < 0)
		return n;
	if (find_tag(tags, n, tag) != NULL)
		return err_set(e, E_EXIST, "%s: has a snapshot %s already", entry_of("", fs).text, tag);
	snprintf(name.text, sizeof(name.text), "%u.%s", n > 0 ? tags[n - 1].seq + 1 : 1, tag);
	snprintf(hidden.text, sizeof(hidden.text), ".%.*s", ENTRY_LEN - 2, name.text);
	fault_point("copy.snapshot.begin");
	AUTO(fd) int snaps = dir_open(one, "snaps", e);
	AUTO(fd) int dir = snaps < 0 ? snaps : dir_make(snaps, hidden.text, 0700, e);
	rc = dir < 0 ? dir : tree_copy(one, "root", dir, "root", COPY_FLAGS, e);
	fault_point("copy.snapshot.copied");
	if (rc == 0)
		rc = settle(s, snaps, hidden.text, e);
	if (rc == 0 && renameat(snaps, hidden.text, snaps, name.text) < 0)
		rc = err_sys(e, "snapshot %s", tag);
	fault_point("copy.snapshot.done");
	if (rc == 0)
		return dir_sync(snaps, "snaps", e);
	struct err ignored;
	int undone = copy_recover(s, fs, &ignored);
	(void)undone;
	return rc;
}

static int
no_tag(struct stor_fs fs, const char *tag, struct err *e)
{
	return err_set(e, E_NOENT, "%s: has no snapshot %s", entry_of("", fs).text, tag);
}

static int
remove_tag(int one, const struct tag_entry *tag, struct err *e)
{
	struct entry aside;

	AUTO(fd) int snaps = dir_open(one, "snaps", e);
	if (snaps < 0)
		return snaps;
	snprintf(aside.text, sizeof(aside.text), ".%.*s", ENTRY_LEN - 2, tag->dir);
	return remove_entry(snaps, tag->dir, aside.text, e);
}

int
copy_snap_destroy(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO_FREE struct tag_entry *tags = NULL;

	AUTO(fd) int one = open_one(s, fs, e);
	int n = one < 0 ? one : load_tags(one, &tags, e);
	if (n < 0)
		return n;
	const struct tag_entry *found = find_tag(tags, n, tag);
	return found == NULL ? no_tag(fs, tag, e) : remove_tag(one, found, e);
}

/*
 * Content and snapshots change together: the whole file system is copied
 * without what goes away, and the two directories change places by renames
 * that copy_recover can complete.
 */
int
copy_rollback(struct stor *s, struct stor_fs fs, const char *tag, struct err *e)
{
	AUTO_FREE struct tag_entry *tags = NULL;
	struct entry path;

	int rc = copy_recover(s, fs, e);
	AUTO(fd) int one = rc < 0 ? rc : open_one(s, fs, e);
	int n = one < 0 ? one : load_tags(one, &tags, e);
	if (n < 0)
		return n;
	const struct tag_entry *found = find_tag(tags, n, tag);
	if (found == NULL)
		return no_tag(fs, tag, e);
	AUTO(fd) int dir = dir_make(top(s), entry_of(".new.", fs).text, 0700, e);
	if (dir < 0)
		return dir;
	fault_point("copy.rollback.begin");
	snprintf(path.text, sizeof(path.text), "snaps/%.*s/root", ENTRY_LEN - 16, found->dir);
	rc = tree_copy(one, path.text, dir, "root", COPY_FLAGS, e);
	AUTO(fd) int snaps = rc < 0 ? rc : dir_make(dir, "snaps", 0700, e);
	for (const struct tag_entry *t = tags; snaps >= 0 && rc == 0 && t <= found; t++) {
		snprintf(path.text, sizeof(path.text), "snaps/%.*s", ENTRY_LEN - 16, t->dir);
		rc = tree_copy(one, path.text, dir, path.text, COPY_FLAGS, e);
	}
	fault_point("copy.rollback.copied");
	if (rc == 0 && snaps < 0)
		rc = snaps;
	if (rc == 0)
		rc = tree_copy(one, "created", dir, "created", 0, e);
	if (rc == 0)
		rc = settle(s, top(s), entry_of(".new.", fs).text, e);
	if (rc == 0)
		rc = swap_in(s, fs, e);
	if (rc == 0)
		return copy_recover(s, fs, e);
	struct err ignored;
	int undone = copy_recover(s, fs, &ignored);
	(void)undone;
	return rc;
}

int
copy_snap_list(struct stor *s, struct stor_fs fs, stor_snap_fn *fn, void *arg, struct err *e)
{
	AUTO_FREE struct tag_entry *tags = NULL;

	AUTO(fd) int one = open_one(s, fs, e);
	int n = one < 0 ? one : load_tags(one, &tags, e);
	int rc = n < 0 ? n : 0;
	for (int i = 0; rc == 0 && i < n; i++) {
		struct stor_snap snap = { .created = tags[i].created };
		memcpy(snap.tag, tags[i].tag, sizeof(snap.tag));
		struct entry path;
		snprintf(path.text, sizeof(path.text), "snaps/%.*s", ENTRY_LEN - 16, tags[i].dir);
		rc = tree_usage(one, path.text, &snap.size, e);
		if (rc == 0)
			rc = fn(arg, &snap);
	}
	return rc;
}

int
copy_clone(struct stor *s, struct stor_fs src, const char *tag, struct stor_fs dst, struct err *e)
{
	AUTO_FREE struct tag_entry *tags = NULL;
	struct entry path = { "root" };

	AUTO(fd) int one = open_one(s, src, e);
	int n = one < 0 ? one : load_tags(one, &tags, e);
	if (n < 0)
		return n;
	const struct tag_entry *found = tag != NULL ? find_tag(tags, n, tag) : NULL;
	if (tag != NULL && found == NULL)
		return no_tag(src, tag, e);
	if (found != NULL)
		snprintf(path.text, sizeof(path.text), "snaps/%.*s/root", ENTRY_LEN - 16, found->dir);
	return make_one(s, dst, one, path.text, e);
}

int
copy_usage(struct stor *s, struct stor_fs fs, struct stor_info *info, struct err *e)
{
	struct entry path;

	AUTO(fd) int one = open_one(s, fs, e);
	if (one < 0)
		return one;
	memset(info, 0, sizeof(*info));
	snprintf(info->name, sizeof(info->name), "%s", fs.name);
	snprintf(path.text, sizeof(path.text), "%s", entry_of("", fs).text);
	info->created = made_ns(one, "created");
	return tree_usage(top(s), path.text, &info->own, e);
}

int
copy_list(struct stor *s, enum stor_kind kind, bool sizes, stor_info_fn *fn, void *arg, struct err *e)
{
	const struct entry prefix = entry_of("", (struct stor_fs){ kind, "" });
	struct dirent *d;
	int rc = 0;

	(void)sizes;
	int fd = openat(top(s), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL)
		return err_sys(e, "storage");
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		struct stor_info info;
		size_t len = strlen(prefix.text);
		if (strncmp(d->d_name, prefix.text, len) != 0)
			continue;
		rc = copy_usage(s, (struct stor_fs){ kind, d->d_name + len }, &info, e);
		rc = rc == -E_NOENT ? 0 : rc < 0 ? rc : fn(arg, &info);
	}
	return rc;
}

int
copy_mount(struct stor *s, struct stor_fs fs, bool ro, const struct stor_idmap *map, struct err *e)
{
	(void)ro;
	int rc = copy_recover(s, fs, e);
	AUTO(fd) int one = rc < 0 ? rc : open_one(s, fs, e);

	return one < 0 ? one : dir_open(one, "root", e);
}

int
copy_probe(const char *dir, const struct stor_params *par, struct buf *why, struct err *e)
{
	(void)dir;
	(void)par;
	(void)why;
	(void)e;
	return 1;
}

int
copy_init(struct stor *s, struct err *e)
{
	AUTO(fd) int dir = dir_make(s->dirfd, s->ops->name, 0700, e);

	return dir < 0 ? dir : 0;
}

int
copy_fini(struct stor *s, struct err *e)
{
	return tree_remove(s->dirfd, s->ops->name, e);
}

int
copy_open(struct stor *s, struct err *e)
{
	struct copy_dir *own = malloc(sizeof(*own));

	if (own == NULL)
		return err_nomem(e);
	own->dir = dir_open(s->dirfd, s->ops->name, e);
	if (own->dir < 0) {
		int rc = own->dir;
		free(own);
		return rc;
	}
	s->priv = own;
	s->caps = 0;
	return 0;
}

void
copy_close(struct stor *s)
{
	struct copy_dir *own = take_ptr(s->priv);

	fd_close(own->dir);
	free(own);
}

const struct stor_ops stor_copy = STOR_COPY_OPS("copy", "plain directories, copied; needs nothing");
