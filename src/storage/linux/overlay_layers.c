/*
 * Layers of the overlay mechanism: making them, holding them, removing those
 * that nobody holds, measuring them. A layer is never changed here; who holds
 * which one is decided in overlay.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fault.h"
#include "base/file.h"
#include "storage/linux/overlay.h"

/* Extended attributes of one directory: more than any file system gives to one inode. */
#define XATTR_LIST_MAX 65536

struct id_name {
	char text[OVL_ID_LEN + 8];
};

/* "=ID": a layer as holder, and its name in gone/. */
static struct id_name
as_holder(const char *id)
{
	struct id_name name;

	snprintf(name.text, sizeof(name.text), "=%.*s", OVL_ID_LEN, id);
	return name;
}

int
ovl_ref_add(const struct ovl *o, const char *id, const char *holder, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/refs/%s", id, holder);
	AUTO(fd) int fd = openat(o->layers, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "layer %s", id);
	if (o->ordered)
		return 0;
	snprintf(path, sizeof(path), "%s/refs", id);
	AUTO(fd) int refs = dir_open(o->layers, path, e);
	return refs < 0 ? refs : dir_sync(refs, path, e);
}

int
ovl_ref_drop(const struct ovl *o, const char *id, const char *holder, struct err *e)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/refs/%s", id, holder);
	if (unlinkat(o->layers, path, 0) < 0 && errno != ENOENT)
		return err_sys(e, "layer %s: drop", id);
	return 0;
}

int
ovl_layer_make(const struct ovl *o, const char *id, const char *parent, const char *holder, struct err *e)
{
	if (mkdirat(o->layers, id, 0700) < 0)
		return err_sys(e, "layer %s", id);
	fault_point("overlay.layer.made");
	AUTO(fd) int dir = dir_open(o->layers, id, e);
	if (dir < 0)
		return dir;
	if (mkdirat(dir, "refs", 0700) < 0 || (parent != NULL && symlinkat(parent, dir, "parent") < 0))
		return err_sys(e, "layer %s", id);
	int rc = ovl_ref_add(o, id, holder, e);
	fault_point("overlay.layer.held");
	if (rc == 0 && parent != NULL)
		rc = ovl_ref_add(o, parent, as_holder(id).text, e);
	fault_point("overlay.layer.linked");
	return rc;
}

/*
 * Drops holder's reference to id and takes the layer away when it was the
 * last. 1: the layer is in gone/ now, or was; 0: it stays, or is not known any more.
 */
static int
layer_release(const struct ovl *o, const char *id, const char *holder, struct err *e)
{
	char refs[64];
	struct stat st;
	struct id_name gone = as_holder(id);

	int rc = ovl_ref_drop(o, id, holder, e);
	if (rc < 0)
		return rc;
	fault_point("overlay.layer.released");
	snprintf(refs, sizeof(refs), "%s/refs", id);
	/* The kernel decides: it refuses while anybody else has a reference in there. */
	if (unlinkat(o->layers, refs, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return errno == ENOTEMPTY || errno == EEXIST ? 0 : err_sys(e, "layer %s: release", id);
	fault_point("overlay.layer.claimed");
	if (renameat(o->layers, id, o->gone, gone.text) < 0 && errno != ENOENT)
		return err_sys(e, "layer %s: take away", id);
	fault_point("overlay.layer.away");
	return fstatat(o->gone, gone.text, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Writes the id below a layer in gone/ (parent may be id itself); 1, or 0 when it is the bottom. */
static int
gone_parent(const struct ovl *o, const char *id, char parent[static OVL_ID_LEN + 1], struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/parent", as_holder(id).text);
	ssize_t n = readlinkat(o->gone, path, parent, OVL_ID_LEN + 1);
	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(e, "layer %s: parent", id);
	if (n != OVL_ID_LEN)
		return err_set(e, E_CORRUPT, "layer %s: its parent is not an id", id);
	parent[n] = '\0';
	return 1;
}

int
ovl_layers_drop(const struct ovl *o, const char *id, const char *holder, struct err *e)
{
	AUTO_FINI(strv) struct strv away = STRV_INIT(2 * OVL_DEPTH_MAX);
	char next[OVL_ID_LEN + 1];
	struct id_name self = { "" };
	int rc;

	snprintf(next, sizeof(next), "%.*s", OVL_ID_LEN, id);
	while ((rc = layer_release(o, next, holder, e)) == 1) {
		strv_add(&away, next);
		self = as_holder(next);
		holder = self.text;
		rc = gone_parent(o, next, next, e);
		if (rc <= 0)
			break;
	}
	if (rc == 0)
		rc = strv_check(&away, "layers to remove", e);
	/* From the bottom: while a layer is there, a repeated drop finds the way down through it. */
	for (size_t i = away.n; rc == 0 && i-- > 0;) {
		fault_point("overlay.layer.removing");
		rc = tree_remove(o->gone, as_holder(away.v[i]).text, e);
	}
	return rc;
}

/* 1 when holder is the only one in refs/. */
static int
held_only_by(const struct ovl *o, const char *id, const char *holder, struct err *e)
{
	char path[64];
	struct dirent *d;
	int others = 0;

	snprintf(path, sizeof(path), "%s/refs", id);
	int fd = dir_open(o->layers, path, e);
	if (fd < 0)
		return fd;
	AUTO(dir) DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		fd_close(fd);
		return err_nomem(e);
	}
	while ((d = readdir(dir)) != NULL)
		others += d->d_name[0] != '.' && strcmp(d->d_name, holder) != 0;
	return others == 0;
}

int
ovl_layers_shared(const struct ovl *o, const struct ovl_fs *f, size_t *shared, struct err *e)
{
	struct id_name self = { "" };
	const char *holder = f->id;
	int rc = 1;

	for (*shared = f->layers.n; *shared > 0; --*shared) {
		const char *id = f->layers.v[*shared - 1];
		rc = held_only_by(o, id, holder, e);
		if (rc <= 0)
			break;
		self = as_holder(id);
		holder = self.text;
	}
	return rc < 0 ? rc : 0;
}

int
ovl_layer_size(const struct ovl *o, const char *id, uint64_t *bytes, struct err *e)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), "%s/size", id);
	ssize_t n = readlinkat(o->layers, path, text, sizeof(text) - 1);
	if (n > 0) {
		text[n] = '\0';
		*bytes = strtoull(text, NULL, 10);
		return 0;
	}
	AUTO(fd) int dir = dir_open(o->layers, id, e);
	if (dir < 0)
		return dir;
	int rc = tree_usage(dir, "diff", bytes, e);
	if (rc < 0)
		return rc;
	/* A layer never changes: remembered, if there is space to. */
	snprintf(text, sizeof(text), "%" PRIu64, *bytes);
	if (symlinkat(text, dir, "size") < 0 && errno != EEXIST && errno != ENOSPC && errno != EROFS)
		return err_sys(e, "layer %s: size", id);
	return 0;
}

int
ovl_layer_open(const struct ovl *o, const char *id, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/diff", id);
	return dir_open(o->layers, path, e);
}

/* overlayfs keeps notes of its own in these; they are about one upper, not about the root. */
static bool
is_overlay_note(const char *xattr)
{
	return strncmp(xattr, "trusted.overlay.", strlen("trusted.overlay.")) == 0;
}

static int
list_xattrs(int fd, struct strv *names, struct err *e)
{
	AUTO_FREE char *list = malloc(XATTR_LIST_MAX);

	if (list == NULL)
		return err_nomem(e);
	ssize_t n = flistxattr(fd, list, XATTR_LIST_MAX);
	if (n < 0)
		return errno == ENOTSUP ? 0 : err_sys(e, "attributes of a root");
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1)
		if (!is_overlay_note(list + at))
			strv_add(names, list + at);
	strv_sort(names);
	return strv_check(names, "attributes of a root", e);
}

/* Reads one attribute of at most XATTR_SIZE_MAX bytes. */
static ssize_t
read_xattr(int fd, const char *name, char *value)
{
	ssize_t n = fgetxattr(fd, name, value, XATTR_LIST_MAX);

	return n < 0 && errno == ENODATA ? 0 : n;
}

static int
copy_xattrs(int to, int from, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(XATTR_LIST_MAX);
	AUTO_FREE char *value = malloc(XATTR_LIST_MAX);

	if (value == NULL)
		return err_nomem(e);
	int rc = list_xattrs(from, &names, e);
	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		ssize_t n = read_xattr(from, names.v[i], value);
		if (n < 0 || fsetxattr(to, names.v[i], value, n, 0) < 0)
			rc = err_sys(e, "attribute %s of a root", names.v[i]);
	}
	return rc;
}

/* 1 when both have the same attributes. */
static int
same_xattrs(int a, int b, struct err *e)
{
	AUTO_FINI(strv) struct strv of_a = STRV_INIT(XATTR_LIST_MAX);
	AUTO_FINI(strv) struct strv of_b = STRV_INIT(XATTR_LIST_MAX);

	int rc = list_xattrs(a, &of_a, e);
	if (rc == 0)
		rc = list_xattrs(b, &of_b, e);
	if (rc < 0)
		return rc;
	if (of_a.n != of_b.n)
		return 0;
	if (of_a.n == 0)
		return 1;
	AUTO_FREE char *in_a = malloc(XATTR_LIST_MAX);
	AUTO_FREE char *in_b = malloc(XATTR_LIST_MAX);
	if (in_a == NULL || in_b == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < of_a.n; i++) {
		if (strcmp(of_a.v[i], of_b.v[i]) != 0)
			return 0;
		ssize_t n = read_xattr(a, of_a.v[i], in_a);
		if (n < 0 || n != read_xattr(b, of_b.v[i], in_b) || memcmp(in_a, in_b, n) != 0)
			return 0;
	}
	return 1;
}

int
ovl_dir_like(int dir, int like, struct err *e)
{
	struct stat st;
	int rc;

	if (fstat(like, &st) < 0 || fchown(dir, st.st_uid, st.st_gid) < 0)
		return err_sys(e, "owner of a directory");
	const struct timespec times[2] = { st.st_atim, st.st_mtim };
	rc = copy_xattrs(dir, like, e);
	if (rc == 0 && (fchmod(dir, st.st_mode & 07777) < 0 || futimens(dir, times) < 0))
		rc = err_sys(e, "mode of a directory");
	return rc;
}

int
ovl_upper_make(int at, const char *name, int like, struct err *e)
{
	if (mkdirat(at, name, 0700) < 0)
		return err_sys(e, "%s", name);
	AUTO(fd) int dir = dir_open(at, name, e);
	if (dir < 0)
		return dir;
	if (like >= 0)
		return ovl_dir_like(dir, like, e);
	return fchmod(dir, 0755) < 0 ? err_sys(e, "%s", name) : 0;
}

/* 1 when nothing is in the directory. */
static int
is_empty(int dirfd, struct err *e)
{
	struct dirent *d;

	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return err_sys(e, "upper");
	}
	while ((d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			return 0;
	return 1;
}

int
ovl_upper_changed(const struct ovl *o, const struct ovl_fs *f, struct err *e)
{
	struct stat a, b;
	const char *top = ovl_fs_top(f);

	if (top == NULL)
		return 1;
	AUTO(fd) int upper = dir_open(f->dir, "upper", e);
	if (upper < 0)
		return upper;
	int rc = is_empty(upper, e);
	if (rc <= 0)
		return rc < 0 ? rc : 1;
	AUTO(fd) int diff = ovl_layer_open(o, top, e);
	if (diff < 0)
		return diff;
	if (fstat(upper, &a) < 0 || fstat(diff, &b) < 0)
		return err_sys(e, "%s", f->entry);
	if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid ||
	    a.st_mtim.tv_sec != b.st_mtim.tv_sec || a.st_mtim.tv_nsec != b.st_mtim.tv_nsec)
		return 1;
	rc = same_xattrs(upper, diff, e);
	return rc < 0 ? rc : !rc;
}
