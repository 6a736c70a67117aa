/*
 * Making files below the root, one entry at a time. Nobody else works in the
 * root meanwhile; what is hostile is the archive, which may have put any
 * symlink, directory or FIFO where a later entry goes. So parents are
 * resolved inside the root (base/inroot.h), objects are made with O_EXCL or
 * calls that do not follow, what stands there is unlinked and never opened,
 * and a directory is never replaced by anything; except that a layer replaces
 * those of lower layers, as it may whatever stood there before it.
 */
#include "unpack/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/inroot.h"
#include "unpack/sandbox.h"

/* Memory for directory times; more directories than fit keep the time of unpacking. */
#define NAMES_MAX (12u * 1024 * 1024)
#define TIMES_MAX (256u * 1024)

void
place_init(struct place *p, int root, struct own_paths *own, struct notes *notes)
{
	memset(p, 0, sizeof(*p));
	p->root = root;
	p->own = own;
	p->notes = notes;
	p->parent = -1;
}

void
place_fini(struct place *p)
{
	fd_close(p->parent);
	free(p->times);
	free(p->names);
}

static void
forget_parent(struct place *p)
{
	fd_close(p->parent);
	p->parent = -1;
	p->stale = false;
}

/* A directory on the way, made if it is missing. What is no directory would be something else on lower layers. */
static int
enter_apart(struct place *p, int at, const char *name, const char *path, struct err *e)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;

	if (fd >= 0)
		return fd;
	if (errno == ENOTDIR || errno == ELOOP)
		return err_set(e, E_STATE, "it depends on lower layers");
	if (errno != ENOENT || mkdirat(at, name, 0755) != 0)
		return err_sys(e, "making its directory");
	if ((r = note_add(p->notes, NOTE_IMPLIED, path, e)) < 0)
		return r;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "opening its directory") : fd;
}

/* The same for all of a path, which is a normalized one. */
static int
open_apart(struct place *p, char *dir, struct err *e)
{
	AUTO(fd) int at = inroot_open(p->root, ".", O_RDONLY | O_DIRECTORY, 0, e);

	if (at < 0)
		return at;
	for (char *name = dir, *slash; name != NULL && *name != '\0';
	     name = slash != NULL ? slash + 1 : NULL) {
		if ((slash = strchr(name, '/')) != NULL)
			*slash = '\0';
		int next = enter_apart(p, at, name, dir, e);
		if (slash != NULL)
			*slash = '/';
		if (next < 0)
			return next;
		fd_close(at);
		at = next;
	}
	return take_fd(at);
}

/* The directory for path, missing ones are made. Borrowed until the next call. */
static int
open_parent(struct place *p, const char *path, const char **last, struct err *e)
{
	char dir[ENTRY_PATH_MAX];
	int fd;

	entry_split(path, dir, last);
	if (p->stale)
		forget_parent(p);
	if (p->parent >= 0 && strcmp(dir, p->parent_path) == 0)
		return p->parent;
	forget_parent(p);
	if (p->notes != NULL)
		fd = open_apart(p, dir, e);
	else if (dir[0] == '\0')
		fd = inroot_open(p->root, ".", O_RDONLY | O_DIRECTORY, 0, e);
	else if ((fd = inroot_open(p->root, dir, O_RDONLY | O_DIRECTORY, 0, e)) == -E_NOENT)
		fd = inroot_mkdirs(p->root, dir, 0755, e);
	if (fd < 0) {
		/* A file, a loop or a dangling link on the way: the archive made it so. */
		if (e->sys == ENOTDIR || e->sys == ELOOP || e->sys == ENOENT || e->sys == EEXIST)
			e->code = E_CORRUPT;
		return e->code == E_STATE ? fd : err_wrap(e, "its directory");
	}
	p->parent = fd;
	memcpy(p->parent_path, dir, strlen(dir) + 1);
	return fd;
}

/* A directory of a lower layer gives way, with all that is in it. */
static int
replace_dir(struct place *p, int dirfd, const char *path, const char *last, struct err *e)
{
	if (p->own == NULL || own_paths_has(p->own, path))
		return err_set(e, E_CORRUPT, "it would replace a directory");
	p->stale = true;
	return whiteout_remove(p->own, dirfd, path, last, e);
}

/* Removes what stands at the place of a new entry, but never a directory of this archive. */
static int
make_room(struct place *p, int dirfd, const char *path, const char *last, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, last, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(e, "looking at its place");
	if (S_ISDIR(st.st_mode))
		return replace_dir(p, dirfd, path, last, e);
	if (unlinkat(dirfd, last, 0) != 0)
		return err_sys(e, "replacing what is there");
	if (S_ISLNK(st.st_mode))
		p->stale = true;
	return 0;
}

/* Doubles an array within its maximum. False: it is full. */
static bool
grow(void **v, size_t *cap, size_t need, size_t max, size_t size)
{
	size_t n = *cap == 0 ? 1024 : *cap;
	void *more;

	if (need <= *cap)
		return true;
	while (n < need)
		n *= 2;
	if (n > max)
		n = max;
	if (n < need || (more = realloc(*v, n * size)) == NULL)
		return false;
	*v = more;
	*cap = n;
	return true;
}

static void
remember_time(struct place *p, const char *path, const struct meta *m)
{
	size_t n = strlen(path) + 1;

	if (!grow((void **)&p->names, &p->names_cap, p->names_len + n, NAMES_MAX, 1) ||
	    !grow((void **)&p->times, &p->times_cap, p->ntimes + 1, TIMES_MAX, sizeof(*p->times))) {
		p->untimed++;
		return;
	}
	p->times[p->ntimes++] = (struct place_time){ m->mtime, (uint32_t)p->names_len };
	memcpy(p->names + p->names_len, path, n);
	p->names_len += n;
}

/*
 * Makes dirfd/last a directory. 1: it was made; 2: it was there; 0: a symlink
 * to a directory inside the root stands there and stays (bin -> usr/bin): then
 * it is that directory's own entry that says who owns it. (Not in a layer: it
 * says what the lower ones become.)
 */
static int
make_dir(struct place *p, int dirfd, const char *path, const char *last, struct err *e)
{
	struct stat st;
	int fd, r;

	if (fstatat(dirfd, last, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(st.st_mode))
			return 2;
		if (p->own == NULL && S_ISLNK(st.st_mode) &&
		    (fd = inroot_open(p->root, path, O_RDONLY | O_DIRECTORY, 0, NULL)) >= 0) {
			fd_close(fd);
			return 0;
		}
		if ((r = make_room(p, dirfd, path, last, e)) < 0)
			return r;
	} else if (errno != ENOENT)
		return err_sys(e, "looking at its place");
	if (mkdirat(dirfd, last, 0700) != 0)
		return err_sys(e, "making the directory");
	return 1;
}

int
place_dir(struct place *p, const char *path, const struct meta *m, struct archive_entry *entry, struct err *e)
{
	AUTO(fd) int fd = -1;
	const char *last;
	int dirfd, r = 2;

	if (path[0] == '\0') {
		fd = inroot_open(p->root, ".", O_RDONLY | O_DIRECTORY, 0, e);
	} else {
		if ((dirfd = open_parent(p, path, &last, e)) < 0 ||
		    (r = make_dir(p, dirfd, path, last, e)) < 0)
			return dirfd < 0 ? dirfd : r;
		if (r == 0)
			return 0;
		fd = openat(dirfd, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "opening the directory");
	}
	if (fd < 0)
		return fd;
	if (r == 2 && p->notes != NULL && note_add(p->notes, NOTE_EXPLICIT, path, e) < 0)
		return -e->code;
	/* The entry says all that the directory has from now on. */
	if (r == 2 && p->own != NULL && sandbox_clear_xattrs(fd) != 0)
		return err_sys(e, "removing extended attributes");
	remember_time(p, path, m);
	return meta_apply(fd, m, entry, &p->dropped_xattrs, e);
}

int
place_file(struct place *p, const char *path, struct err *e)
{
	const char *last;
	int dirfd, fd, r;

	if ((dirfd = open_parent(p, path, &last, e)) < 0)
		return dirfd;
	for (int tries = 0; tries < 2; tries++) {
		fd = openat(dirfd, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			break;
		if ((r = make_room(p, dirfd, path, last, e)) < 0)
			return r;
	}
	return err_sys(e, "making the file");
}

int
place_symlink(struct place *p, const char *path, const char *target, const struct meta *m, struct err *e)
{
	const char *last;
	int dirfd, r;

	if (target[0] == '\0' || strlen(target) >= ENTRY_PATH_MAX)
		return err_set(e, E_CORRUPT, "a symlink whose target is empty or too long");
	if ((dirfd = open_parent(p, path, &last, e)) < 0)
		return dirfd;
	if ((r = make_room(p, dirfd, path, last, e)) < 0)
		return r;
	if (symlinkat(target, dirfd, last) != 0)
		return err_sys(e, "making the symlink");
	return meta_apply_at(dirfd, last, m, e);
}

int
place_fifo(struct place *p, const char *path, const struct meta *m, struct err *e)
{
	const char *last;
	int dirfd, r;

	if ((dirfd = open_parent(p, path, &last, e)) < 0)
		return dirfd;
	if ((r = make_room(p, dirfd, path, last, e)) < 0)
		return r;
	if (mkfifoat(dirfd, last, m->mode & 0777) != 0)
		return err_sys(e, "making the FIFO");
	return meta_apply_at(dirfd, last, m, e);
}

int
place_hardlink(struct place *p, const char *path, const char *target, struct err *e)
{
	AUTO(fd) int from = -1;
	struct stat st, there;
	char name[256];
	const char *last;
	int dirfd, r;

	from = inroot_open_parent(p->root, target, name, e);
	if (p->notes != NULL && (from < 0 || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0))
		return err_set(e, E_STATE, "it is a link to what lower layers have");
	if (from < 0)
		return err_wrap(e, "its link target");
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_set(e, E_CORRUPT, "a hard link to what is not in the archive before it");
	if (!S_ISREG(st.st_mode) && (p->own == NULL || S_ISDIR(st.st_mode)))
		return err_set(e, E_CORRUPT, "a hard link to what is not a regular file");
	if ((dirfd = open_parent(p, path, &last, e)) < 0)
		return dirfd;
	if (fstatat(dirfd, last, &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_dev == st.st_dev &&
	    there.st_ino == st.st_ino)
		return 0; /* linked already, or to itself */
	if ((r = make_room(p, dirfd, path, last, e)) < 0)
		return r;
	if (linkat(from, name, dirfd, last, 0) != 0)
		return err_sys(e, "linking");
	return 0;
}

int
place_whiteout(struct place *p, const char *path, enum whiteout what, const char *name, struct err *e)
{
	char dir[ENTRY_PATH_MAX], hidden[ENTRY_PATH_MAX];
	const char *last;
	int r;

	if (what == WHITEOUT_SKIP)
		return 0;
	entry_split(path, dir, &last);
	if (p->notes != NULL && what == WHITEOUT_OPAQUE)
		return note_add(p->notes, NOTE_OPAQUE, dir, e);
	if (p->notes != NULL) {
		r = snprintf(hidden, sizeof(hidden), "%s%s%s", dir, dir[0] != '\0' ? "/" : "", name);
		return r >= (int)sizeof(hidden) ? 0 : note_add(p->notes, NOTE_GONE, hidden, e);
	}
	AUTO(fd) int fd = inroot_open(p->root, dir[0] != '\0' ? dir : ".", O_RDONLY | O_DIRECTORY, 0, e);
	if (fd < 0) {
		/* There is no such directory: nothing to take away. */
		if (e->sys == ENOENT || e->sys == ENOTDIR || e->sys == ELOOP)
			return 0;
		return err_wrap(e, "its directory");
	}
	p->stale = true;
	if (what == WHITEOUT_OPAQUE)
		return whiteout_remove(p->own, fd, dir, NULL, e);
	r = snprintf(hidden, sizeof(hidden), "%s%s%s", dir, dir[0] != '\0' ? "/" : "", name);
	if (r >= (int)sizeof(hidden))
		return 0;
	return whiteout_remove(p->own, fd, hidden, name, e);
}

int
place_finish(struct place *p, struct err *e)
{
	forget_parent(p);
	/* From the end: what is below a directory comes after it in an archive. */
	for (size_t i = p->ntimes; i-- > 0;) {
		const char *path = p->names + p->times[i].path;
		struct timespec times[2] = { { 0, UTIME_OMIT }, p->times[i].mtime };
		AUTO(fd)
		int fd = inroot_open(p->root, path[0] != '\0' ? path : ".", O_RDONLY | O_DIRECTORY, 0, e);

		if (fd < 0)
			return fd;
		if (futimens(fd, times) != 0)
			return err_sys(e, "times of %s", path);
	}
	return 0;
}
