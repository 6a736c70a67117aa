/*
 * Trees of a scan: walking a directory, the sum of each file, and the digest
 * over all. What is left out is never opened. Hostile content: every step is
 * one component, nothing is followed, what is not a regular file is not read.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/inroot.h"
#include "base/text.h"
#include "builder/copy_scan.h"
#include "image/attrs.h"

#define CHUNK ((size_t)256 * 1024)
#define PATH_TEXT_MAX 65536u
#define TRIES_MAX 3

void
scan_init(struct scan *s, const struct bld *b, struct sums *sums, int root, const char *what)
{
	*s = (struct scan){ .bld = b, .sums = sums, .root = root, .what = what, .now = text_now_ns() };
	buf_init(&s->text, SCAN_TEXT_MAX);
}

void
scan_fini(struct scan *s)
{
	free(s->nodes);
	free(s->items);
	free(s->chunk);
	hasher_free(s->hasher);
	buf_fini(&s->text);
	*s = (struct scan){ .root = -1 };
}

int64_t
scan_add(struct scan *s, uint32_t parent, const char *name, const struct stat *st, struct err *e)
{
	struct scan_node *n;
	int rc;

	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 256 : s->cap * 2;

		if (s->n == SCAN_NODES_MAX)
			return err_set(e, E_LIMIT, "%s has more than %u files", s->what, SCAN_NODES_MAX);
		n = reallocarray(s->nodes, cap, sizeof(*n));
		if (n == NULL)
			return err_nomem(e);
		s->nodes = n;
		s->cap = cap;
	}
	n = &s->nodes[s->n];
	*n = (struct scan_node){ .parent = parent,
		.child = SCAN_NONE,
		.next = SCAN_NONE,
		.first = SCAN_NONE,
		.lead = SCAN_NONE,
		.name = s->text.len,
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = (uint64_t)st->st_size,
		.mtime = st->st_mtim };
	buf_add(&s->text, name, strlen(name) + 1);
	if ((rc = buf_check(&s->text, "names", e)) < 0)
		return rc;
	if (parent != SCAN_NONE) {
		n->next = s->nodes[parent].child;
		s->nodes[parent].child = (uint32_t)s->n;
	}
	return (int64_t)s->n++;
}

/* ---- sums ------------------------------------------------------------------------ */

static int
need_hasher(struct scan *s, struct err *e)
{
	if (s->chunk == NULL && (s->chunk = malloc(CHUNK)) == NULL)
		return err_nomem(e);
	return s->hasher == NULL ? hasher_new(DIGEST_SHA256, &s->hasher, e) : hasher_reset(s->hasher, e);
}

int
scan_attrs(int fd, uint8_t out[static SUM_LEN], struct err *e)
{
	AUTO_FINI(attrs) struct attrs a;
	AUTO(hasher) struct hasher *h = NULL;
	struct digest d;
	int rc;

	memset(out, 0, SUM_LEN);
	attrs_init(&a);
	if ((rc = attrs_read(&a, fd, e)) < 0)
		return rc;
	if (a.n == 0 && a.flags[0] == '\0')
		return 0;
	rc = hasher_new(DIGEST_SHA256, &h, e);
	for (size_t i = 0; i < a.n && rc == 0; i++) {
		const uint64_t size = a.v[i].size;

		if ((rc = hasher_add(h, a.v[i].name, strlen(a.v[i].name) + 1, e)) == 0 &&
		    (rc = hasher_add(h, &size, sizeof(size), e)) == 0)
			rc = hasher_add(h, a.v[i].value, a.v[i].size, e);
	}
	if (rc == 0 && (rc = hasher_add(h, a.flags, strlen(a.flags) + 1, e)) == 0)
		rc = hasher_end(h, &d, e);
	if (rc == 0)
		memcpy(out, d.bytes, SUM_LEN);
	return rc;
}

static int
hash_content(struct scan *s, int fd, uint8_t out[static SUM_LEN], struct err *e)
{
	struct digest d;
	ssize_t n;
	int rc = need_hasher(s, e);

	while (rc == 0) {
		n = read(fd, s->chunk, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "reading");
		if (n == 0)
			break;
		if ((rc = hasher_add(s->hasher, s->chunk, (size_t)n, e)) == 0)
			rc = bld_check(s->bld, e);
	}
	if (rc == 0)
		rc = hasher_end(s->hasher, &d, e);
	if (rc == 0)
		memcpy(out, d.bytes, SUM_LEN);
	return rc;
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	    a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Reads a file that is not known; *st becomes what it was then. */
static int
read_file(struct scan *s, int dirfd, const char *name, struct stat *st, struct sum *sum, struct err *e)
{
	struct stat after;
	int rc;

	for (int i = 0; i < TRIES_MAX; i++) {
		AUTO(fd)
		int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd < 0 || fstat(fd, st) < 0)
			return err_sys(e, "%s", name);
		if (!S_ISREG(st->st_mode))
			break;
		if ((rc = hash_content(s, fd, sum->content, e)) < 0 ||
		    (rc = scan_attrs(fd, sum->attrs, e)) < 0)
			return err_wrap(e, "%s", name);
		if (fstat(fd, &after) < 0)
			return err_sys(e, "%s", name);
		if (is_same(st, &after)) {
			sums_put(s->sums, st, sum, s->now);
			return 0;
		}
	}
	err_set(e, E_BUSY, "%s: is written to while it is read", name);
	return err_hint(e, "build when nothing changes the files");
}

static int
take_file(struct scan *s, int dirfd, const char *name, uint32_t node, struct stat *st, struct err *e)
{
	struct sum sum = { { 0 }, { 0 } };
	int rc = 0;

	if (!sums_get(s->sums, st, &sum))
		rc = read_file(s, dirfd, name, st, &sum, e);
	s->nodes[node].sum = sum;
	s->nodes[node].mode = st->st_mode;
	s->nodes[node].size = (uint64_t)st->st_size;
	s->nodes[node].mtime = st->st_mtim;
	return rc;
}

static int
take_link(struct scan *s, int dirfd, const char *name, uint32_t node, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0 || (size_t)n == sizeof(target)) {
		if (n >= 0)
			errno = ENAMETOOLONG;
		return err_sys(e, "%s", name);
	}
	target[n] = '\0';
	s->nodes[node].link = s->text.len;
	buf_add(&s->text, target, (size_t)n + 1);
	return buf_check(&s->text, "names", e);
}

/* ---- walking ------------------------------------------------------------------------- */

struct level {
	uint32_t node;
	size_t path; /* its length */
	bool lazy;   /* dropped when nothing is in it */
};

struct walk {
	struct scan *s;
	struct buf path; /* of the current directory, from the root on */
	size_t base;     /* length of the item's own */
	const struct pattern *include;
	size_t matched; /* the level whose directory the pattern matches, from 1; 0: none */
	struct level *levels;
	size_t n, cap;
	struct inode_map linked;
	uint32_t top;
};

enum verdict { TAKE, LAZY, SKIP };

static const char *
below(const struct walk *w)
{
	const char *p = w->path.data + w->base;

	return p + (*p == '/');
}

/* Of the path that stands, by one list of rules. */
static enum verdict
ask(const struct ignore *ig, const char *path, bool dir)
{
	if (ig == NULL || path[0] == '\0' || !ignore_excludes(ig, path))
		return TAKE;
	return dir && !ignore_prunes(ig, path) ? LAZY : SKIP;
}

static enum verdict
ask_pattern(const struct walk *w, bool dir)
{
	struct pattern_run run;
	const char *p = below(w);
	size_t len = strlen(p);
	uint32_t ch;

	if (w->include == NULL || w->matched > 0 || len == 0)
		return w->include != NULL && len == 0 ? LAZY : TAKE;
	pattern_start(&run, w->include);
	for (size_t i = 0; i < len;) {
		i += pattern_char(p + i, len - i, &ch);
		pattern_step(&run, ch);
	}
	if (pattern_accepts(&run))
		return TAKE;
	pattern_step(&run, '/');
	return dir && pattern_alive(&run) ? LAZY : SKIP;
}

/* implied: only the pattern leaves it to what is below. */
static enum verdict
judge(const struct walk *w, bool dir, bool *implied)
{
	enum verdict a = ask(w->s->ignore, w->path.data, dir), b = ask(w->s->exclude, below(w), dir),
		     c = ask_pattern(w, dir);

	*implied = c == LAZY;
	if (a == SKIP || b == SKIP || c == SKIP)
		return SKIP;
	return a == LAZY || b == LAZY || c == LAZY ? LAZY : TAKE;
}

static int
go(struct walk *w, const char *name, struct err *e)
{
	path_down(&w->path, name, strlen(name));
	return buf_check(&w->path, "path", e);
}

static int
push(struct walk *w, struct level l, struct err *e)
{
	if (w->n == w->cap) {
		size_t cap = w->cap == 0 ? 32 : w->cap * 2;
		struct level *v = reallocarray(w->levels, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		w->levels = v;
		w->cap = cap;
	}
	w->levels[w->n++] = l;
	return 0;
}

static int
enter(void *arg, int fd, const char *name, const struct stat *st, struct err *e)
{
	struct walk *w = arg;
	size_t len = w->path.len;
	uint32_t parent = w->n > 0 ? w->levels[w->n - 1].node : SCAN_NONE;
	enum verdict v;
	bool implied;
	int64_t node;
	int rc;

	if (w->n > 0 && (rc = go(w, name, e)) < 0)
		return rc;
	v = judge(w, true, &implied);
	if (v == SKIP) {
		path_cut(&w->path, len);
		return 1;
	}
	node = scan_add(w->s, parent, name, st, e);
	if (node < 0)
		return (int)node;
	w->s->nodes[node].implied = implied;
	if ((rc = scan_attrs(fd, w->s->nodes[node].sum.attrs, e)) < 0)
		return err_wrap(e, "%s", name);
	if (parent == SCAN_NONE)
		w->top = (uint32_t)node;
	rc = push(w, (struct level){ (uint32_t)node, len, v == LAZY }, e);
	if (w->include != NULL && w->matched == 0 && !implied)
		w->matched = w->n;
	return rc;
}

/* The node that stands for the inode, or SCAN_NONE when this is the first. */
static int
find_first(struct walk *w, const struct stat *st, uint32_t node, struct err *e)
{
	size_t value = node;
	int rc;

	if (st->st_nlink < 2 || !S_ISREG(st->st_mode))
		return 0;
	rc = inode_map_put(&w->linked, st, &value, e);
	w->s->nodes[node].first = (uint32_t)value;
	return rc < 0 ? rc : 0;
}

static int
take_entry(struct walk *w, int dirfd, const char *name, struct stat *st, struct err *e)
{
	int64_t node;
	int rc;

	if (S_ISSOCK(st->st_mode) || S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		w->s->skipped++;
		return 0;
	}
	node = scan_add(w->s, w->levels[w->n - 1].node, name, st, e);
	if (node < 0)
		return (int)node;
	if (S_ISLNK(st->st_mode))
		return take_link(w->s, dirfd, name, (uint32_t)node, e);
	if (!S_ISREG(st->st_mode))
		return 0;
	if ((rc = find_first(w, st, (uint32_t)node, e)) < 0)
		return rc;
	return take_file(w->s, dirfd, name, (uint32_t)node, st, e);
}

static int
entry(void *arg, int dirfd, const char *name, unsigned char type, struct err *e)
{
	struct walk *w = arg;
	size_t len = w->path.len;
	struct stat st;
	bool implied;
	int rc;

	(void)type;
	if ((rc = go(w, name, e)) < 0)
		return rc;
	if (judge(w, false, &implied) == SKIP)
		rc = 0;
	else if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		rc = errno == ENOENT ? 0 : err_sys(e, "%s", name);
	else if (S_ISDIR(st.st_mode))
		rc = 1;
	else
		rc = take_entry(w, dirfd, name, &st, e);
	path_cut(&w->path, len);
	return rc;
}

static int
leave(void *arg, int fd, const char *name, struct err *e)
{
	struct walk *w = arg;
	const struct level l = w->levels[--w->n];
	struct scan_node *n = &w->s->nodes[l.node];

	(void)fd;
	(void)name;
	if (w->matched > w->n)
		w->matched = 0;
	path_cut(&w->path, l.path);
	scan_sort(w->s, l.node);
	/* Its parent's list begins with it: nothing came after it. */
	if (l.lazy && n->child == SCAN_NONE) {
		if (n->parent != SCAN_NONE)
			w->s->nodes[n->parent].child = n->next;
		else if (w->include == NULL)
			w->top = SCAN_NONE;
	}
	return bld_check(w->s->bld, e);
}

static int
walk_dir(struct scan *s, const char *path, const struct pattern *include, uint32_t *node, struct err *e)
{
	static const struct tree_ops ops = { enter, entry, leave, NULL, false };
	struct walk w = { .s = s,
		.path = BUF_INIT(PATH_TEXT_MAX),
		.base = strlen(path),
		.include = include,
		.linked = INODE_MAP_INIT,
		.top = SCAN_NONE };
	int fd =
		inroot_open(s->root, path[0] != '\0' ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, e),
	    rc = fd;

	buf_str(&w.path, path);
	if (rc >= 0)
		rc = tree_walk(fd, path[0] != '\0' ? path : ".", &ops, &w, e);
	*node = w.top;
	if (rc == 0 && w.top != SCAN_NONE)
		scan_settle(s, w.top);
	buf_fini(&w.path);
	inode_map_fini(&w.linked);
	free(w.levels);
	return rc;
}

/* A source that is no directory. */
static int
single(struct scan *s, int dirfd, const char *last, struct stat *st, uint32_t *node, struct err *e)
{
	int64_t n;

	if (S_ISSOCK(st->st_mode) || S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		return err_set(e, E_INVAL, "%s: is a %s", last, S_ISSOCK(st->st_mode) ? "socket" : "device");
	n = scan_add(s, SCAN_NONE, last, st, e);
	if (n < 0)
		return (int)n;
	*node = (uint32_t)n;
	if (S_ISLNK(st->st_mode))
		return take_link(s, dirfd, last, *node, e);
	return S_ISREG(st->st_mode) ? take_file(s, dirfd, last, *node, st, e) : 0;
}

int
scan_tree(struct scan *s, const char *path, const struct pattern *include, uint32_t *node, struct err *e)
{
	AUTO(fd) int dir = -1;
	char last[256];
	struct stat st;

	*node = SCAN_NONE;
	if (path[0] == '\0')
		return walk_dir(s, path, include, node, e);
	dir = inroot_open_parent(s->root, path, last, e);
	if (dir < 0)
		return take_fd(dir);
	if (fstatat(dir, last, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "%s", path);
	if (S_ISDIR(st.st_mode))
		return walk_dir(s, path, include, node, e);
	return ask(s->ignore, path, false) == SKIP ? 0 : single(s, dir, last, &st, node, e);
}
