/*
 * Finding what a layer has to say: two trees side by side, name by name. A
 * file is taken as the same without reading it where inode and change time
 * are, as in a clone that nobody wrote to; else its metadata and, last, its
 * content decide.
 */
#include "image/diff.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tree.h"
#include "image/attrs.h"

#define NAMES_MAX ((size_t)1 << 24) /* names in one directory */
#define CHANGES_MAX ((size_t)1 << 26)
#define PATH_BYTES 4096
#define CHUNK ((size_t)128 * 1024)

struct walk {
	const struct diff_args *args;
	struct changes *out;
	struct dir_stack now,
	    was; /* the directories that the walk stands in; was is empty below what is new */
	struct attrs a, b;
	char *chunk[2];
	char path[PATH_BYTES];
	size_t len;
};

/* One directory of the walk. */
struct place {
	uint32_t index;   /* of its change, CHANGE_NONE: not listed yet */
	struct place *up; /* NULL: the root */
	const char *name;
	const struct stat *st;
};

void
changes_fini(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->v[i].name);
	free(c->v);
	memset(c, 0, sizeof(*c));
}

bool
img_changes_empty(const struct changes *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].emit)
			return false;
	return true;
}

int
change_path(const struct changes *c, uint32_t index, struct buf *b, struct err *e)
{
	const struct change *ch = &c->v[index];
	int r;

	if (ch->parent == CHANGE_NONE)
		return 0;
	if ((r = change_path(c, ch->parent, b, e)) < 0)
		return r;
	buf_fmt(b, "%s%s", b->len > 0 ? "/" : "", ch->name);
	return buf_check(b, "a path", e);
}

/* ---- the list ---------------------------------------------------------------------- */

static int
add_change(struct walk *w, uint32_t parent, const char *name, enum change_kind kind, const struct stat *st,
    uint32_t *index, struct err *e)
{
	struct changes *c = w->out;
	struct change ch = { .parent = parent, .link = CHANGE_NONE, .kind = (uint8_t)kind };

	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 256 : c->cap * 2;
		struct change *v = cap > CHANGES_MAX ? NULL : reallocarray(c->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		c->v = v;
		c->cap = cap;
	}
	if ((ch.name = strdup(name)) == NULL)
		return err_nomem(e);
	if (st != NULL) {
		/* A link's own mode means nothing, and depends on who made it where the system has one. */
		ch.mode = S_ISLNK(st->st_mode) ? 0777 : st->st_mode & 07777;
		ch.uid = st->st_uid;
		ch.gid = st->st_gid;
		ch.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
		ch.dev = st->st_dev;
		ch.ino = st->st_ino;
		ch.nlink = st->st_nlink;
		ch.mtime = st->st_mtim;
	}
	if (index != NULL)
		*index = (uint32_t)c->n;
	c->v[c->n++] = ch;
	return 0;
}

/* Lists a directory and those above it, if they are not yet. */
static int
list_place(struct walk *w, struct place *p, struct err *e)
{
	uint32_t parent = CHANGE_NONE;
	int r;

	if (p->index != CHANGE_NONE)
		return 0;
	if (p->up != NULL) {
		if ((r = list_place(w, p->up, e)) < 0)
			return r;
		parent = p->up->index;
	}
	return add_change(w, parent, p->name, CHANGE_DIR, p->st, &p->index, e);
}

static int
list_entry(struct walk *w, struct place *p, const char *name, enum change_kind kind, const struct stat *st,
    bool emit, struct err *e)
{
	uint32_t index = CHANGE_NONE;
	int r;

	if ((r = list_place(w, p, e)) < 0 || (r = add_change(w, p->index, name, kind, st, &index, e)) < 0)
		return r;
	w->out->v[index].emit = emit;
	return 0;
}

/* ---- comparing ----------------------------------------------------------------------- */

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Never touched since the one became a clone of the other? */
static bool
is_untouched(const struct walk *w, const struct stat *a, const struct stat *b)
{
	return !w->args->exact && a->st_ino == b->st_ino && same_time(a->st_ctim, b->st_ctim) &&
	    a->st_size == b->st_size && same_time(a->st_mtim, b->st_mtim) && a->st_mode == b->st_mode;
}

/* Both are of the same type. */
static bool
same_owner(const struct stat *a, const struct stat *b)
{
	return (a->st_mode == b->st_mode || S_ISLNK(a->st_mode)) && a->st_uid == b->st_uid &&
	    a->st_gid == b->st_gid;
}

static int
open_file(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "%s", name) : fd;
}

static int
same_attrs(struct walk *w, int a, int b, struct err *e)
{
	int r;

	if ((r = attrs_read(&w->a, a, e)) < 0 || (r = attrs_read(&w->b, b, e)) < 0)
		return r;
	return attrs_equal(&w->a, &w->b);
}

static ssize_t
read_full(int fd, char *p, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, p + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

static int
same_content(struct walk *w, int a, int b, const char *name, struct err *e)
{
	for (;;) {
		ssize_t n = read_full(a, w->chunk[0], CHUNK), m = read_full(b, w->chunk[1], CHUNK);

		if (n < 0 || m < 0)
			return err_sys(e, "reading %s", name);
		if (n != m || memcmp(w->chunk[0], w->chunk[1], (size_t)n) != 0)
			return 0;
		if (n == 0)
			return 1;
	}
}

static int
same_file(struct walk *w, const char *name, const struct stat *a, const struct stat *b, struct err *e)
{
	AUTO(fd) int fa = -1, fb = -1;
	int r;

	if (a->st_size != b->st_size || !same_time(a->st_mtim, b->st_mtim))
		return 0;
	if ((fa = open_file(dir_stack_fd(&w->now), name, e)) < 0)
		return fa;
	if ((fb = open_file(dir_stack_fd(&w->was), name, e)) < 0)
		return fb;
	r = same_attrs(w, fa, fb, e);
	return r != 1 ? r : same_content(w, fa, fb, name, e);
}

static int
same_symlink(struct walk *w, const char *name, const struct stat *a, const struct stat *b, struct err *e)
{
	char x[PATH_BYTES], y[PATH_BYTES];
	ssize_t n, m;

	if (!same_time(a->st_mtim, b->st_mtim))
		return 0;
	n = readlinkat(dir_stack_fd(&w->now), name, x, sizeof(x));
	m = readlinkat(dir_stack_fd(&w->was), name, y, sizeof(y));
	if (n < 0 || m < 0)
		return err_sys(e, "%s", name);
	return n == m && memcmp(x, y, (size_t)n) == 0;
}

/* Both are there and of the same type, not directories. 1 same, 0 not. */
static int
is_same(struct walk *w, const char *name, const struct stat *a, const struct stat *b, struct err *e)
{
	if (is_untouched(w, a, b))
		return 1;
	if (!same_owner(a, b))
		return 0;
	if (S_ISREG(a->st_mode))
		return same_file(w, name, a, b, e);
	if (S_ISLNK(a->st_mode))
		return same_symlink(w, name, a, b, e);
	return same_time(a->st_mtim, b->st_mtim);
}

/* ---- the walk -------------------------------------------------------------------------- */

static int
read_names(int dirfd, struct strv *v, struct err *e)
{
	AUTO(dir) DIR *d = NULL;
	struct dirent *entry;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		fd_close(fd);
		return err_sys(e, "reading a directory");
	}
	while ((errno = 0, entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			strv_add(v, entry->d_name);
	if (errno != 0)
		return err_sys(e, "reading a directory");
	strv_sort(v);
	return strv_check(v, "the names in a directory", e);
}

static int
enter_path(struct walk *w, const char *name, struct err *e)
{
	size_t n = strlen(name), sep = w->len > 0;

	if (w->len + sep + n >= sizeof(w->path))
		return err_set(e, E_LIMIT, "%.60s…: a path is longer than %d bytes", w->path, PATH_BYTES - 1);
	if (sep)
		w->path[w->len] = '/';
	memcpy(w->path + w->len + sep, name, n + 1);
	w->len += sep + n;
	return 0;
}

static void
leave_path(struct walk *w, const char *name)
{
	w->len -= strlen(name);
	w->len -= w->len > 0;
	w->path[w->len] = '\0';
}

static int walk_dir(struct walk *w, struct place *p, bool with_parent, struct err *e);

static int
push_dir(struct dir_stack *s, const char *name, struct err *e)
{
	int fd = openat(dir_stack_fd(s), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "%s", name) : dir_stack_push(s, fd, e);
}

/* was: the parent has this directory, too, with that stat; else NULL. */
static int
walk_subdir(struct walk *w, struct place *up, const char *name, const struct stat *st, const struct stat *was,
    struct err *e)
{
	struct place p = { CHANGE_NONE, up, name, st };
	int r, same = 0;

	if ((r = push_dir(&w->now, name, e)) < 0 || (was != NULL && (r = push_dir(&w->was, name, e)) < 0) ||
	    (r = enter_path(w, name, e)) < 0)
		return r;
	if (was != NULL && is_untouched(w, st, was))
		same = 1;
	else if (was != NULL && same_owner(st, was) && same_time(st->st_mtim, was->st_mtim))
		same = same_attrs(w, dir_stack_fd(&w->now), dir_stack_fd(&w->was), e);
	if (same < 0)
		return same;
	if (same == 0) {
		if ((r = list_place(w, &p, e)) < 0)
			return r;
		w->out->v[p.index].emit = true;
	}
	if ((r = walk_dir(w, &p, was != NULL, e)) < 0)
		return r;
	leave_path(w, name);
	r = dir_stack_pop(&w->now, e);
	return r == 0 && was != NULL ? dir_stack_pop(&w->was, e) : r;
}

/* Nothing but mount points that starting a pot makes, and empty? path is that of name's directory. */
static int
is_mount_point(struct walk *w, int dirfd, const char *path, const char *name, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(NAMES_MAX);
	char full[PATH_BYTES];
	struct stat st;
	bool listed = false;
	int r;

	if (w->args->mount_points == NULL || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    snprintf(full, sizeof(full), "%s%s%s", path, path[0] != '\0' ? "/" : "", name) >=
		(int)sizeof(full))
		return 0;
	for (const char *const *m = w->args->mount_points; *m != NULL && !listed; m++)
		listed = strcmp(*m, full) == 0 ||
		    (strncmp(*m, full, strlen(full)) == 0 && (*m)[strlen(full)] == '/');
	if (!listed)
		return 0;
	if (S_ISREG(st.st_mode))
		return st.st_size == 0;
	if (!S_ISDIR(st.st_mode))
		return 0;
	AUTO(fd) int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", name);
	if ((r = read_names(fd, &names, e)) < 0)
		return r;
	for (size_t i = 0; i < names.n; i++)
		if ((r = is_mount_point(w, fd, full, names.v[i], e)) != 1)
			return r;
	return 1;
}

static int
add_object(struct walk *w, struct place *p, const char *name, const struct stat *st, bool emit, struct err *e)
{
	if (S_ISREG(st->st_mode))
		return list_entry(w, p, name, CHANGE_FILE, st, emit, e);
	if (S_ISLNK(st->st_mode))
		return list_entry(w, p, name, CHANGE_SYMLINK, st, emit, e);
	if (S_ISFIFO(st->st_mode))
		return list_entry(w, p, name, CHANGE_FIFO, st, emit, e);
	w->out->skipped++;
	return 0;
}

static bool
is_carried(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode) || S_ISLNK(st->st_mode) || S_ISFIFO(st->st_mode);
}

/* A name that the tree has, and the parent, too, where was is not NULL. */
static int
visit(struct walk *w, struct place *p, const char *name, const struct stat *was, struct err *e)
{
	struct stat st;
	int r;

	if (w->args->cancel != NULL && *w->args->cancel)
		return err_set(e, E_INTR, "interrupted");
	/* Read back, such a name would take something away instead. */
	if (strncmp(name, ".wh.", 4) == 0)
		return err_set(e, E_NOTSUP, "%s%s%s: no layer can hold names that begin with .wh.", w->path,
		    w->len > 0 ? "/" : "", name);
	if (fstatat(dir_stack_fd(&w->now), name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_sys(e, "%s", name);
	if (w->args->exact && !is_carried(&st))
		return err_set(e, E_NOTSUP, "%s: no layer holds sockets and devices", name);
	if (was != NULL && (was->st_mode & S_IFMT) != (st.st_mode & S_IFMT)) {
		/* What cannot be in the layer hides the old one only if that is taken away. */
		if (!is_carried(&st) && is_carried(was) &&
		    (r = list_entry(w, p, name, CHANGE_WHITEOUT, NULL, true, e)) < 0)
			return r;
		was = NULL;
	}
	if (S_ISDIR(st.st_mode)) {
		r = was == NULL ? is_mount_point(w, dir_stack_fd(&w->now), w->path, name, e) : 0;
		return r != 0 ? (r < 0 ? r : 0) : walk_subdir(w, p, name, &st, was, e);
	}
	r = was != NULL ? is_same(w, name, &st, was, e)
			: is_mount_point(w, dir_stack_fd(&w->now), w->path, name, e);
	if (r < 0)
		return r;
	/* One of several names may have to follow another one into the layer. */
	if (r == 1 && (st.st_nlink == 1 || was == NULL))
		return 0;
	return add_object(w, p, name, &st, r == 0, e);
}

static int
vanished(struct walk *w, struct place *p, const char *name, const struct stat *was, struct err *e)
{
	/* What never was in a layer needs not to be taken out. */
	if (!is_carried(was))
		return 0;
	return list_entry(w, p, name, CHANGE_WHITEOUT, NULL, true, e);
}

static int
walk_dir(struct walk *w, struct place *p, bool with_parent, struct err *e)
{
	AUTO_FINI(strv) struct strv now = STRV_INIT(NAMES_MAX), was = STRV_INIT(NAMES_MAX);
	size_t i = 0, j = 0;
	int r;

	if ((r = read_names(dir_stack_fd(&w->now), &now, e)) < 0 ||
	    (with_parent && (r = read_names(dir_stack_fd(&w->was), &was, e)) < 0))
		return r;
	while (i < now.n || j < was.n) {
		int order = i == now.n ? 1 : j == was.n ? -1 : strcmp(now.v[i], was.v[j]);
		struct stat st;

		if (order >= 0 && fstatat(dir_stack_fd(&w->was), was.v[j], &st, AT_SYMLINK_NOFOLLOW) != 0)
			return err_sys(e, "%s", was.v[j]);
		if (order > 0)
			r = vanished(w, p, was.v[j], &st, e);
		else
			r = visit(w, p, now.v[i], order == 0 ? &st : NULL, e);
		if (r < 0)
			return r;
		i += order <= 0;
		j += order >= 0;
	}
	return 0;
}

/* ---- from the top */

static int
walk_roots(struct walk *w, struct err *e)
{
	const struct diff_args *a = w->args;
	struct stat st, was;
	int fd = openat(a->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	struct place p = { CHANGE_NONE, NULL, "", &st };
	bool changed = a->parent < 0;

	if (fd < 0 || fstat(fd, &st) != 0) {
		fd_close(fd);
		return err_sys(e, "the root");
	}
	if ((r = dir_stack_push(&w->now, fd, e)) < 0)
		return r;
	if (a->parent >= 0) {
		fd = openat(a->parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &was) != 0) {
			fd_close(fd);
			return err_sys(e, "the parent's root");
		}
		if ((r = dir_stack_push(&w->was, fd, e)) < 0)
			return r;
		/* Its time alone is no reason for a layer. */
		if ((r = same_attrs(w, dir_stack_fd(&w->now), dir_stack_fd(&w->was), e)) < 0)
			return r;
		changed = r == 0 || !same_owner(&st, &was);
	}
	if ((r = list_place(w, &p, e)) < 0)
		return r;
	w->out->v[p.index].emit = changed;
	return walk_dir(w, &p, a->parent >= 0, e);
}

int
img_changes_find(const struct diff_args *args, struct changes *out, struct err *e)
{
	struct walk w = { .args = args, .out = out, .now = DIR_STACK_INIT, .was = DIR_STACK_INIT };
	int r;

	memset(out, 0, sizeof(*out));
	attrs_init(&w.a);
	attrs_init(&w.b);
	w.a.strict = w.b.strict = args->exact;
	w.chunk[0] = malloc(CHUNK);
	w.chunk[1] = malloc(CHUNK);
	r = w.chunk[0] == NULL || w.chunk[1] == NULL ? err_nomem(e) : walk_roots(&w, e);
	if (r < 0 && w.len > 0)
		err_wrap(e, "%s", w.path);
	if (r == 0)
		r = changes_settle(out, e);
	attrs_fini(&w.a);
	attrs_fini(&w.b);
	dir_stack_fini(&w.now);
	dir_stack_fini(&w.was);
	free(w.chunk[0]);
	free(w.chunk[1]);
	if (r < 0)
		changes_fini(out);
	return r;
}
