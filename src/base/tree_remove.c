/*
 * Removing a tree and adding up what it occupies.  Both stay on one file
 * system: removing what somebody mounted below would be a catastrophe, so a
 * mount point is an error there, and it is left out of the sum.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/tree.h"

#define PASSES_MAX 100

struct remove_ctx {
	dev_t dev;
};

/* Immutable and append-only files, and what lies in such directories, give EPERM until that is cleared. */
static int
unlink_hard(int dirfd, const char *name, int flags)
{
	if (unlinkat(dirfd, name, flags) == 0)
		return 0;
	if (errno != EPERM)
		return -1;
	(void)tree_clear_flags(dirfd, NULL);
	(void)tree_clear_flags(dirfd, name);
	return unlinkat(dirfd, name, flags);
}

static int
is_foreign(int fd, const struct stat *st, dev_t dev, bool *foreign)
{
	*foreign = st->st_dev != dev;
	return *foreign ? 0 : tree_is_mount_root(fd, foreign);
}

static int
remove_enter(void *arg, int fd, const char *name, const struct stat *st, struct err *e)
{
	struct remove_ctx *ctx = arg;
	bool foreign;

	if (is_foreign(fd, st, ctx->dev, &foreign) < 0)
		return err_sys(e, "%s: stat", name);
	if (foreign) {
		err_set(e, E_BUSY, "%s: something is mounted there", name);
		err_hint(e, "unmount it first");
		return -E_BUSY;
	}
	return 0;
}

bool
tree_unlink_met_dir(int dirfd, const char *name)
{
	int error = errno;
	struct stat st;
	bool is = error == EISDIR ||
	    (error == EPERM && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode));

	errno = error;
	return is;
}

static int
remove_entry(void *arg, int dirfd, const char *name, unsigned char type, struct err *e)
{
	(void)arg;
	(void)type;
	if (unlink_hard(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* A directory took its place since it was listed. */
	return tree_unlink_met_dir(dirfd, name) ? 1 : err_sys(e, "remove %s", name);
}

static int
remove_gone(void *arg, int parentfd, const char *name, struct err *e)
{
	(void)arg;
	if (parentfd < 0 || unlink_hard(parentfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	/* Not emptied, or replaced meanwhile: its parents stay as well, and the next pass comes back to it. */
	if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
		return 0;
	return err_sys(e, "remove directory %s", name);
}

static const struct tree_ops remove_ops = { remove_enter, remove_entry, NULL, remove_gone, true };

int
tree_remove(int dirfd, const char *name, struct err *e)
{
	struct remove_ctx ctx = { 0 };
	struct stat st;
	int fd, rc;

	for (int pass = 0; pass < PASSES_MAX; pass++) {
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return errno == ENOENT ? 0 : err_sys(e, "%s", name);
		if (!S_ISDIR(st.st_mode)) {
			rc = remove_entry(&ctx, dirfd, name, DT_UNKNOWN, e);
			if (rc == 1)
				continue;
			return rc;
		}
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
			continue;
		if (fd < 0)
			return err_sys(e, "%s", name);
		ctx.dev = st.st_dev;
		rc = tree_walk(fd, name, &remove_ops, &ctx, e);
		if (rc < 0)
			return rc;
		if (unlink_hard(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
			return err_sys(e, "remove directory %s", name);
	}
	return err_set(e, E_BUSY, "%s: something keeps filling the directory", name);
}

struct usage_ctx {
	dev_t dev;
	uint64_t bytes;
	struct inode_map seen;
};

static uint64_t
allocated(const struct stat *st)
{
	return (uint64_t)st->st_blocks * 512; /* the unit of st_blocks on both systems */
}

static int
usage_enter(void *arg, int fd, const char *name, const struct stat *st, struct err *e)
{
	struct usage_ctx *ctx = arg;
	bool foreign;

	if (ctx->dev == (dev_t)-1)
		ctx->dev = st->st_dev;
	else if (is_foreign(fd, st, ctx->dev, &foreign) < 0)
		return err_sys(e, "%s: stat", name);
	else if (foreign)
		return 1;
	ctx->bytes += allocated(st);
	return 0;
}

static int
usage_entry(void *arg, int dirfd, const char *name, unsigned char type, struct err *e)
{
	struct usage_ctx *ctx = arg;
	struct stat st;
	size_t none = 0;
	int rc = 0;

	(void)type;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", name);
	if (S_ISDIR(st.st_mode))
		return 1;
	if (st.st_nlink > 1)
		rc = inode_map_put(&ctx->seen, &st, &none, e);
	if (rc == 0)
		ctx->bytes += allocated(&st);
	return rc < 0 ? rc : 0;
}

static const struct tree_ops usage_ops = { usage_enter, usage_entry, NULL, NULL, false };

int
tree_usage(int dirfd, const char *name, uint64_t *bytes, struct err *e)
{
	struct usage_ctx ctx = { (dev_t)-1, 0, INODE_MAP_INIT };
	struct stat st;
	int fd, rc;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", name);
	if (!S_ISDIR(st.st_mode)) {
		*bytes = allocated(&st);
		return 0;
	}
	fd = dir_open(dirfd, name, e);
	if (fd < 0)
		return fd;
	rc = tree_walk(fd, name, &usage_ops, &ctx, e);
	inode_map_fini(&ctx.seen);
	if (rc == 0)
		*bytes = ctx.bytes;
	return rc;
}
