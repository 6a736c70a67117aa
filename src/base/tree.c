/*
 * Walking trees: the stack of directories, the walk itself, the set of
 * inodes.  What is done with a tree is in tree_remove.c and tree_copy.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/tree.h"

#define LEVELS_WITH_FD 32
#define NAMES_MAX (64u << 20) /* bytes of directory names waiting at one time */
#define INODES_MAX (1u << 22)

int
dir_stack_fd(const struct dir_stack *d)
{
	return d->n > 0 ? d->v[d->n - 1].fd : -1;
}

void
dir_stack_fini(struct dir_stack *d)
{
	for (size_t i = 0; i < d->n; i++)
		fd_close(d->v[i].fd);
	free(d->v);
	*d = (struct dir_stack)DIR_STACK_INIT;
}

int
dir_stack_push(struct dir_stack *d, int fd, struct err *e)
{
	AUTO(fd) int owned = fd;
	struct dir_level *v;
	struct stat st;
	size_t cap;

	if (d->n == d->cap) {
		cap = d->cap == 0 ? LEVELS_WITH_FD : d->cap * 2;
		v = reallocarray(d->v, cap, sizeof(*v));
		if (v == NULL)
			return err_nomem(e);
		d->v = v;
		d->cap = cap;
	}
	if (fstat(fd, &st) < 0)
		return err_sys(e, "stat");
	if (d->n > LEVELS_WITH_FD)
		fd_close(take_fd(d->v[d->n - 1].fd));
	d->v[d->n++] = (struct dir_level){ st.st_dev, st.st_ino, take_fd(owned) };
	return 0;
}

int
dir_stack_pop(struct dir_stack *d, struct err *e)
{
	AUTO(fd) int fd = -1;
	struct dir_level *up;
	struct stat st;

	fd = take_fd(d->v[d->n - 1].fd);
	d->n--;
	if (d->n == 0 || d->v[d->n - 1].fd >= 0)
		return 0;
	up = &d->v[d->n - 1];
	up->fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (up->fd < 0 || fstat(up->fd, &st) < 0)
		return err_sys(e, "..");
	if (st.st_dev != up->dev || st.st_ino != up->ino)
		return err_set(e, E_BUSY, "a directory was moved while the tree was walked");
	return 0;
}

struct walk {
	const struct tree_ops *ops;
	void *ctx;
	const char *name; /* of the first directory */
	struct dir_stack dirs;
	struct buf names; /* of directories still to do, each with its NUL; a level's follow its parent's */
	struct walk_level {
		size_t base, next; /* in names: where this level's begin, and the one after the current */
		size_t current;
	} * levels; /* as many as dirs */
	size_t n, cap;
};

static const char *
level_name(const struct walk *w, size_t level)
{
	return level == 0 ? w->name : w->names.data + w->levels[level - 1].current;
}

/* Puts the path of the current directory before the message, or its end when it is long. */
static int
fail(const struct walk *w, int rc, struct err *e)
{
	char path[256];
	size_t at = sizeof(path) - 1;

	if (e == NULL)
		return rc;
	path[at] = '\0';
	for (size_t i = w->n; i-- > 0;) {
		const char *name = level_name(w, i);
		size_t len = strlen(name);

		if (len + 5 > at) {
			at -= 4;
			memcpy(path + at, ".../", 4);
			break;
		}
		if (path[at] != '\0')
			path[--at] = '/';
		at -= len;
		memcpy(path + at, name, len);
	}
	if (path[at] != '\0')
		err_wrap(e, "%s", path + at);
	return rc;
}

static int
push_level(struct walk *w, struct err *e)
{
	struct walk_level *v;
	size_t cap;

	if (w->n == w->cap) {
		cap = w->cap == 0 ? LEVELS_WITH_FD : w->cap * 2;
		v = reallocarray(w->levels, cap, sizeof(*v));
		if (v == NULL)
			return err_nomem(e);
		w->levels = v;
		w->cap = cap;
	}
	w->levels[w->n++] = (struct walk_level){ w->names.len, w->names.len, 0 };
	return 0;
}

static int
entry_type(int fd, const struct dirent *d)
{
	struct stat st;

	if (d->d_type != DT_UNKNOWN)
		return d->d_type;
	if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return IFTODT(st.st_mode);
}

static int
remember(struct walk *w, const char *name, struct err *e)
{
	size_t len = strlen(name) + 1;

	if (w->ops->partial && w->names.len + len > NAMES_MAX)
		return 0;
	buf_add(&w->names, name, len);
	return buf_check(&w->names, "names of directories", e);
}

static bool
is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Reads the current directory: directories are remembered, all else is handed out at once. */
static int
scan(struct walk *w, struct err *e)
{
	AUTO(dir) DIR *dir = NULL;
	AUTO(fd) int fd = -1;
	struct dirent *d;
	int type, rc;

	fd = fcntl(dir_stack_fd(&w->dirs), F_DUPFD_CLOEXEC, 3);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL)
		return err_sys(e, "read directory");
	(void)take_fd(fd);
	rewinddir(dir);
	for (;;) {
		errno = 0;
		d = readdir(dir);
		if (d == NULL)
			return errno == 0 ? 0 : err_sys(e, "read directory");
		if (is_dots(d->d_name))
			continue;
		type = entry_type(dirfd(dir), d);
		if (type < 0 && errno == ENOENT)
			continue;
		if (type < 0)
			return err_sys(e, "%s", d->d_name);
		rc =
		    type == DT_DIR ? 1 : w->ops->entry(w->ctx, dirfd(dir), d->d_name, (unsigned char)type, e);
		if (rc == 1)
			rc = remember(w, d->d_name, e);
		if (rc < 0)
			return rc;
	}
}

/* Takes fd. 1 when ops left it out. */
static int
enter(struct walk *w, int fd, const char *name, struct err *e)
{
	AUTO(fd) int owned = fd;
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "%s", name);
	rc = w->ops->enter(w->ctx, fd, name, &st, e);
	if (rc == 0)
		rc = dir_stack_push(&w->dirs, take_fd(owned), e);
	if (rc == 0)
		rc = push_level(w, e);
	return rc != 0 ? rc : scan(w, e);
}

static int
enter_next(struct walk *w, struct err *e)
{
	struct walk_level *l = &w->levels[w->n - 1];
	const char *name = w->names.data + l->next;
	int parent = dir_stack_fd(&w->dirs), fd, rc;

	l->current = l->next;
	l->next += strlen(name) + 1;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP || errno == EMLINK)) {
		/* It was a directory when it was listed. */
		rc = w->ops->entry(w->ctx, parent, name, DT_UNKNOWN, e);
		return rc > 0 ? 0 : rc;
	}
	if (fd < 0)
		return err_sys(e, "%s", name);
	rc = enter(w, fd, name, e);
	return rc > 0 ? 0 : rc;
}

static int
leave(struct walk *w, struct err *e)
{
	int rc;

	rc = w->ops->leave == NULL
	    ? 0
	    : w->ops->leave(w->ctx, dir_stack_fd(&w->dirs), level_name(w, w->n - 1), e);
	if (rc < 0)
		return rc;
	w->names.len = w->levels[w->n - 1].base;
	rc = dir_stack_pop(&w->dirs, e);
	w->n--;
	if (rc == 0 && w->ops->gone != NULL)
		rc = w->ops->gone(w->ctx, dir_stack_fd(&w->dirs), level_name(w, w->n), e);
	return rc;
}

int
tree_walk(int fd, const char *name, const struct tree_ops *ops, void *ctx, struct err *e)
{
	struct walk w = { ops, ctx, name, DIR_STACK_INIT, BUF_INIT(NAMES_MAX), NULL, 0, 0 };
	int rc;

	rc = enter(&w, fd, name, e);
	while (rc == 0 && w.n > 0) {
		if (w.levels[w.n - 1].next < w.names.len)
			rc = enter_next(&w, e);
		else
			rc = leave(&w, e);
	}
	if (rc < 0)
		fail(&w, rc, e);
	dir_stack_fini(&w.dirs);
	buf_fini(&w.names);
	free(w.levels);
	return rc > 0 ? 0 : rc;
}

static size_t
slot_of(const struct inode_map *m, dev_t dev, ino_t ino)
{
	uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 32) & (m->cap - 1);

	while (m->v[i].used && (m->v[i].ino != ino || m->v[i].dev != dev))
		i = (i + 1) & (m->cap - 1);
	return i;
}

static bool
inode_map_grow(struct inode_map *m)
{
	struct inode_map bigger = { NULL, m->n, m->cap == 0 ? 256 : m->cap * 2 };

	bigger.v = calloc(bigger.cap, sizeof(*bigger.v));
	if (bigger.v == NULL)
		return false;
	for (size_t i = 0; i < m->cap; i++) {
		if (m->v[i].used)
			bigger.v[slot_of(&bigger, m->v[i].dev, m->v[i].ino)] = m->v[i];
	}
	free(m->v);
	*m = bigger;
	return true;
}

int
inode_map_put(struct inode_map *m, const struct stat *st, size_t *value, struct err *e)
{
	size_t i;

	if (m->n >= m->cap / 4 * 3) {
		if (m->n >= INODES_MAX)
			return err_set(e, E_LIMIT, "more than %u files with several names", INODES_MAX);
		if (!inode_map_grow(m))
			return err_nomem(e);
	}
	i = slot_of(m, st->st_dev, st->st_ino);
	if (m->v[i].used) {
		*value = m->v[i].value;
		return 1;
	}
	m->v[i] = (struct inode_slot){ st->st_dev, st->st_ino, *value, true };
	m->n++;
	return 0;
}

void
inode_map_fini(struct inode_map *m)
{
	free(m->v);
	*m = (struct inode_map)INODE_MAP_INIT;
}
