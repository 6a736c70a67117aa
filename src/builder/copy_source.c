/*
 * Sources as they are written in COPY and ADD to items of a scan: paths
 * resolved below the root, globs, "/./" of --parents. Nothing is opened here
 * but directories.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/inroot.h"
#include "builder/copy_scan.h"

#define PATH_TEXT_MAX 65536u
#define LINKS_MAX 40
#define MATCHES_MAX 1000000u

/* ---- resolving ------------------------------------------------------------------ */

struct resolver {
	int root;
	struct buf rest;
	int links;
};

static int
read_link(struct resolver *r, int dirfd, const char *name, const char *rest, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf next = BUF_INIT(PATH_TEXT_MAX);
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	struct buf old;
	int rc;

	if (n < 0)
		return err_sys(e, "%s", name);
	target[n] = '\0';
	if (++r->links > LINKS_MAX)
		return err_sysno(e, ELOOP, "%s", name);
	if (target[0] == '/')
		path_cut(out, 0);
	buf_str(&next, target);
	buf_str(&next, "/");
	buf_str(&next, rest);
	if ((rc = buf_check(&next, "path", e)) < 0)
		return rc;
	old = r->rest;
	r->rest = next;
	next = old;
	return 0;
}

/* One name further: *out grows by it, or the link's target comes first. 1: rest is another one now. */
static int
step(struct resolver *r, const char *name, const char *rest, struct buf *out, struct err *e)
{
	AUTO(fd) int dir = inroot_open(r->root, out->len > 0 ? out->data : ".", O_PATH | O_DIRECTORY, 0, e);
	struct stat st;
	int rc;

	if (dir < 0)
		return take_fd(dir);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", name);
	if (S_ISLNK(st.st_mode)) {
		rc = read_link(r, dir, name, rest, out, e);
		return rc < 0 ? rc : 1;
	}
	if (!S_ISDIR(st.st_mode) && rest[strspn(rest, "/")] != '\0')
		return err_sysno(e, ENOTDIR, "%s", name);
	path_down(out, name, strlen(name));
	return 0;
}

static int
resolve(struct resolver *r, struct buf *out, struct err *e)
{
	char name[NAME_MAX + 1];
	size_t at = 0, len;
	int rc;

	while (r->rest.data[at += strspn(r->rest.data + at, "/")] != '\0') {
		len = strcspn(r->rest.data + at, "/");
		if (len > NAME_MAX)
			return err_sysno(e, ENAMETOOLONG, "path");
		memcpy(name, r->rest.data + at, len);
		name[len] = '\0';
		at += len;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
			path_go(out, name, len);
			continue;
		}
		if ((rc = step(r, name, r->rest.data + at, out, e)) < 0)
			return rc;
		if (rc == 1)
			at = 0;
	}
	return buf_check(out, "path", e);
}

int
scan_resolve(int root, const char *path, struct buf *out, struct err *e)
{
	struct resolver r = { .root = root, .rest = BUF_INIT(PATH_TEXT_MAX) };
	int rc;

	buf_reset(out);
	buf_str(out, "");
	buf_str(&r.rest, path);
	rc = buf_check(&r.rest, "path", e);
	if (rc == 0)
		rc = resolve(&r, out, e);
	buf_fini(&r.rest);
	return rc;
}

/* ---- globs ------------------------------------------------------------------------ */

struct glob {
	struct scan *s;
	struct pattern pattern;
	struct buf path; /* of the current directory, from the root on */
	size_t base;     /* so much of it is not matched */
	size_t depth;
	struct strv *out;
};

static const char *
below(const struct glob *g)
{
	const char *p = g->path.data + g->base;

	return p + (*p == '/');
}

/* Could something below the directory, whose path stands, match? */
static bool
may_match_below(const struct glob *g)
{
	struct pattern_run run;
	const char *p = below(g);
	size_t n = strlen(p);
	uint32_t ch;

	pattern_start(&run, &g->pattern);
	for (size_t i = 0; i < n;) {
		i += pattern_char(p + i, n - i, &ch);
		pattern_step(&run, ch);
	}
	pattern_step(&run, '/');
	return pattern_alive(&run);
}

static bool
matches(const struct glob *g)
{
	const char *p = below(g);

	return pattern_matches(&g->pattern, p, strlen(p));
}

static int
glob_enter(void *arg, int fd, const char *name, const struct stat *st, struct err *e)
{
	struct glob *g = arg;
	const struct ignore *ignore = g->s->ignore;
	size_t len = g->path.len;
	int rc;

	(void)fd;
	(void)st;
	if (g->depth++ == 0)
		return 0;
	path_down(&g->path, name, strlen(name));
	rc = buf_check(&g->path, "path", e);
	if (rc == 0 && ignore != NULL && ignore_prunes(ignore, g->path.data))
		rc = 1;
	if (rc == 0 && matches(g)) {
		/* What is in it comes with it. */
		strv_add(g->out, below(g));
		rc = 1;
	}
	if (rc == 0 && !may_match_below(g))
		rc = 1;
	if (rc != 0) {
		path_cut(&g->path, len);
		g->depth--;
	}
	return rc;
}

static int
glob_entry(void *arg, int dirfd, const char *name, unsigned char type, struct err *e)
{
	struct glob *g = arg;
	size_t len = g->path.len;
	int rc;

	(void)dirfd;
	(void)type;
	path_down(&g->path, name, strlen(name));
	rc = buf_check(&g->path, "path", e);
	if (rc == 0 && matches(g) && (g->s->ignore == NULL || !ignore_excludes(g->s->ignore, g->path.data)))
		strv_add(g->out, below(g));
	path_cut(&g->path, len);
	return rc;
}

static int
glob_leave(void *arg, int fd, const char *name, struct err *e)
{
	struct glob *g = arg;

	(void)fd;
	(void)name;
	if (--g->depth > 0)
		path_up(&g->path);
	return bld_check(g->s->bld, e);
}

int
scan_glob(struct scan *s, const char *base, const char *pattern, struct strv *out, struct err *e)
{
	static const struct tree_ops ops = { glob_enter, glob_entry, glob_leave, NULL, false };
	struct glob g = { .s = s, .path = BUF_INIT(PATH_TEXT_MAX), .base = strlen(base), .out = out };
	int rc = pattern_compile(&g.pattern, pattern, PATTERN_PATH | PATTERN_CLASS | PATTERN_DEEP, e), fd;

	if (rc < 0)
		return rc;
	buf_str(&g.path, base);
	rc = fd = inroot_open(s->root, base[0] != '\0' ? base : ".", O_RDONLY | O_DIRECTORY, 0, e);
	/* A file in front of a wildcard: nothing is below it. */
	if (rc < 0 && e != NULL && e->sys == ENOTDIR)
		rc = 0;
	else if (rc >= 0)
		rc = tree_walk(fd, base[0] != '\0' ? base : ".", &ops, &g, e);
	if (rc == 0)
		rc = strv_check(out, "files that match", e);
	if (rc == 0)
		strv_sort(out);
	pattern_fini(&g.pattern);
	buf_fini(&g.path);
	return rc;
}

/* ---- items -------------------------------------------------------------------------- */

/* The name in front of what was resolved: the one that people wrote. */
static const char *
last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static int
add_item(struct scan *s, const char *path, const char *name, struct scan_item item, struct err *e)
{
	int rc;

	item.path = s->text.len;
	buf_add(&s->text, path, strlen(path) + 1);
	item.name = s->text.len;
	buf_add(&s->text, name, strlen(name) + 1);
	if ((rc = buf_check(&s->text, "names", e)) < 0)
		return rc;
	if (s->nitems == s->items_cap) {
		size_t cap = s->items_cap == 0 ? 16 : s->items_cap * 2;
		struct scan_item *v = reallocarray(s->items, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		s->items = v;
		s->items_cap = cap;
	}
	s->items[s->nitems++] = item;
	return 0;
}

static int
not_there(const struct scan *s, const char *source, struct err *e)
{
	err_set(e, E_NOENT, "%.300s is not in %s", source, s->what);
	if (s->ignore != NULL)
		err_hint(e, "paths are relative to the context, and nothing outside of it is reached");
	return -E_NOENT;
}

static int
ignored(const struct scan *s, const char *source, struct err *e)
{
	err_set(e, E_NOENT, "%.300s is left out of %s", source, s->what);
	return err_hint(
	    e, "a line of the ignore file says so; a later one that begins with '!' takes it back");
}

/* The exclusions of the step are asked of the file's own name. */
static bool
is_excluded(const struct scan *s, uint32_t node, const char *name)
{
	return s->exclude != NULL && !S_ISDIR(s->nodes[node].mode) && name[0] != '\0' &&
	    ignore_excludes(s->exclude, name);
}

/* One path, links in it followed. glob: one of several. */
static int
add_path(struct scan *s, const char *source, const char *path, bool glob, struct err *e)
{
	AUTO_FINI(buf) struct buf real = BUF_INIT(PATH_TEXT_MAX);
	struct scan_item item = { .glob = glob };
	int rc = scan_resolve(s->root, path, &real, e);

	if (rc < 0 && glob && (e == NULL || e->sys == ENOENT)) {
		/* A link that leads nowhere is copied itself. */
		buf_reset(&real);
		buf_str(&real, path);
		rc = buf_check(&real, "path", e);
	}
	if (rc == -E_NOENT || (rc < 0 && e != NULL && e->sys == ENOTDIR))
		return not_there(s, source, e);
	if (rc < 0)
		return err_wrap(e, "%.300s", source);
	if ((rc = scan_tree(s, buf_cstr(&real), NULL, &item.node, e)) < 0)
		return rc;
	if (item.node == SCAN_NONE)
		return glob ? 0 : ignored(s, source, e);
	if (is_excluded(s, item.node, last_name(path)))
		return 0;
	item.top = S_ISDIR(s->nodes[item.node].mode) && !s->whole;
	return add_item(s, buf_cstr(&real), last_name(path), item, e);
}

static int
add_glob(struct scan *s, const char *source, const char *fixed, const char *pattern, struct err *e)
{
	AUTO_FINI(buf) struct buf base = BUF_INIT(PATH_TEXT_MAX), path = BUF_INIT(PATH_TEXT_MAX);
	AUTO_FINI(strv) struct strv names = STRV_INIT(MATCHES_MAX);
	int rc = scan_resolve(s->root, fixed, &base, e);

	if (rc == -E_NOENT)
		return 0; /* as a glob that matches nothing */
	if (rc == 0)
		rc = scan_glob(s, buf_cstr(&base), pattern, &names, e);
	for (size_t i = 0; i < names.n && rc == 0; i++) {
		rc = scan_join(buf_cstr(&base), names.v[i], &path, e);
		if (rc == 0)
			rc = add_path(s, source, buf_cstr(&path), true, e);
	}
	return rc;
}

/* The pivot: everything in front of "/./"; what is behind it keeps its directories. */
static int
add_parents(struct scan *s, const char *source, struct err *e)
{
	AUTO_FINI(buf)
	struct buf pivot = BUF_INIT(PATH_TEXT_MAX), real = BUF_INIT(PATH_TEXT_MAX),
		   rest = BUF_INIT(PATH_TEXT_MAX);
	AUTO_FINI(pattern) struct pattern include = PATTERN_INIT;
	struct scan_item item = { .top = true, .parents = true };
	const char *dot = strstr(source, "/./");
	AUTO_FREE char *front = buf_dup(source, dot != NULL ? (size_t)(dot - source) : 0);
	int rc;

	if (front == NULL)
		return err_nomem(e);
	if ((rc = scan_clean(front, &pivot, e)) < 0 ||
	    (rc = scan_clean(dot != NULL ? dot + 3 : source, &rest, e)) < 0)
		return rc;
	if ((rc = scan_resolve(s->root, buf_cstr(&pivot), &real, e)) < 0)
		return rc == -E_NOENT ? not_there(s, source, e) : err_wrap(e, "%.300s", source);
	if (rest.len > 0 &&
	    (rc = pattern_compile(&include, rest.data, PATTERN_PATH | PATTERN_CLASS | PATTERN_DEEP, e)) < 0)
		return err_wrap(e, "%.300s", source);
	if ((rc = scan_tree(s, buf_cstr(&real), rest.len > 0 ? &include : NULL, &item.node, e)) < 0)
		return rc;
	if (item.node == SCAN_NONE)
		return ignored(s, source, e);
	if (!S_ISDIR(s->nodes[item.node].mode))
		return err_set(e, E_INVAL, "%.300s: what stands in front of /./ is no directory", source);
	if (s->nodes[item.node].child == SCAN_NONE && rest.len > 0 &&
	    scan_fixed_length(rest.data) == rest.len)
		return not_there(s, source, e);
	return add_item(s, buf_cstr(&real), last_name(buf_cstr(&real)), item, e);
}

int
scan_source(struct scan *s, const char *source, bool parents, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	AUTO_FREE char *fixed = NULL;
	size_t len;
	int rc;

	if (parents)
		return add_parents(s, source, e);
	if ((rc = scan_clean(source, &path, e)) < 0)
		return rc;
	len = scan_fixed_length(path.data);
	fixed = buf_dup(path.data, len);
	if (fixed == NULL)
		return err_nomem(e);
	path_unescape(fixed);
	if (len == path.len)
		return add_path(s, source, fixed, false, e);
	return add_glob(s, source, fixed, path.data + len + (path.data[len] == '/'), e);
}
