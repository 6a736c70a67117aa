/*
 * Whole items: the list is walked in its order, both sides with it, by
 * descriptors of which few are open at a time. A directory gets its owner,
 * mode and times when its content is whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/inroot.h"
#include "base/tree.h"
#include "builder/copy_impl.h"

#define PATH_TEXT_MAX 65536u

struct tree {
	struct copier *k;
	const struct scan_item *item;
	struct dir_stack src, dst;
	int top; /* of the copy; what has several names is found from here */
};

static const struct scan_node *
node_of(const struct tree *t, uint32_t at)
{
	return &t->k->scan->nodes[at];
}

static const char *
name_of(const struct tree *t, uint32_t at)
{
	return scan_text(t->k->scan, node_of(t, at)->name);
}

static int
gone(const char *name, struct err *e)
{
	err_set(e, E_BUSY, "%s: is not there any more", name);
	return err_hint(e, "build again when nothing changes the files");
}

/* 1: it was made. What is there must be a directory, and is opened without following. */
static int
make_dir(int dirfd, const char *name, bool *made, struct err *e)
{
	int fd;

	*made = mkdirat(dirfd, name, 0700) == 0;
	if (!*made && errno != EEXIST)
		return err_sys(e, "%s: make directory", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno != ENOTDIR && errno != ELOOP && errno != EMLINK)
		return err_sys(e, "%s", name);
	err_set(e, E_EXIST, "%s: is a file or a link in the image, and a directory in the source", name);
	return err_hint(e, "where it is a link, copy to the directory that it leads to");
}

/* ---- several names of a file -------------------------------------------------------- */

/* The way from the copy's top to the directory of a node, by names. */
static int
path_to(const struct tree *t, uint32_t at, struct buf *out, struct err *e)
{
	uint32_t way[4096];
	size_t n = 0;

	for (uint32_t up = node_of(t, at)->parent; up != t->item->node; up = node_of(t, up)->parent) {
		if (n == ARRAY_LEN(way))
			return err_set(e, E_LIMIT, "%s: directories are too deep", name_of(t, at));
		way[n++] = up;
	}
	buf_str(out, ".");
	while (n > 0)
		buf_fmt(out, "/%s", name_of(t, way[--n]));
	return buf_check(out, "path", e);
}

/* One component at a time, nothing followed: what was copied there is ours, what stood there is not. */
static int
open_way(int top, const char *path)
{
	int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;
	char name[256];

	for (path++; fd >= 0 && *path == '/';) {
		size_t len = strcspn(++path, "/");

		if (len >= sizeof(name)) {
			fd_close(fd);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, len);
		name[len] = '\0';
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		fd_close(fd);
		fd = next;
		path += len;
	}
	return fd;
}

/* 1 when name became another name of what was copied already; 0: that cannot be. */
static int
link_name(struct tree *t, uint32_t at, int dst, const char *name, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(PATH_TEXT_MAX);
	uint32_t first = node_of(t, at)->first;
	AUTO(fd) int dir = -1;
	int rc;

	if (first == SCAN_NONE || first == at)
		return 0;
	if ((rc = path_to(t, first, &path, e)) < 0 || (rc = place_clear(dst, name, e)) < 0)
		return rc;
	dir = open_way(t->top, path.data);
	if (dir < 0)
		return err_sys(e, "%s", path.data);
	if (linkat(dir, name_of(t, first), dst, name, 0) == 0)
		return 1;
	return errno == EMLINK ? 0 : err_sys(e, "%s: another name of %s", name, name_of(t, first));
}

/* ---- walking ---------------------------------------------------------------------------- */

static int
put_one(struct tree *t, uint32_t at, struct err *e)
{
	const struct scan_node *n = node_of(t, at);
	const char *name = name_of(t, at);
	int src = dir_stack_fd(&t->src), dst = dir_stack_fd(&t->dst), rc;

	if (!S_ISREG(n->mode))
		return put_other(t->k, n, dst, name, e);
	rc = link_name(t, at, dst, name, e);
	return rc != 0 ? (rc < 0 ? rc : 0) : put_file(t->k, n, src, name, dst, name, e);
}

static int
enter(struct tree *t, uint32_t at, struct err *e)
{
	const char *name = name_of(t, at);
	bool made;
	int src = openat(
		dir_stack_fd(&t->src), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC),
	    dst, rc;

	if (src < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EMLINK
		    ? gone(name, e)
		    : err_sys(e, "%s", name);
	dst = make_dir(dir_stack_fd(&t->dst), name, &made, e);
	if (dst < 0) {
		fd_close(src);
		return dst;
	}
	/* A directory on the way to what --parents copies gets what the source's has only when it is new. */
	if (node_of(t, at)->implied && made && (rc = put_dir_meta(t->k, node_of(t, at), src, dst, e)) < 0) {
		fd_close(src);
		fd_close(dst);
		return rc;
	}
	if ((rc = dir_stack_push(&t->src, src, e)) < 0) {
		fd_close(dst);
		return rc;
	}
	return dir_stack_push(&t->dst, dst, e);
}

static int
leave(struct tree *t, uint32_t at, struct err *e)
{
	const struct scan_node *n = node_of(t, at);
	int rc = bld_check(t->k->b, e);

	if (rc == 0 && !n->implied)
		rc = put_dir_meta(t->k, n, dir_stack_fd(&t->src), dir_stack_fd(&t->dst), e);
	if (rc < 0 || (rc = dir_stack_pop(&t->src, e)) < 0)
		return rc;
	return dir_stack_pop(&t->dst, e);
}

static int
put_below(struct tree *t, uint32_t top, struct err *e)
{
	uint32_t dir = top, at = node_of(t, top)->child;
	int rc;

	for (;;) {
		if (at == SCAN_NONE) {
			if (dir == top)
				return 0;
			if ((rc = leave(t, dir, e)) < 0)
				return err_wrap(e, "%s", name_of(t, dir));
			at = node_of(t, dir)->next;
			dir = node_of(t, dir)->parent;
		} else if (S_ISDIR(node_of(t, at)->mode)) {
			if ((rc = enter(t, at, e)) < 0)
				return rc;
			dir = at;
			at = node_of(t, at)->child;
		} else {
			if ((rc = put_one(t, at, e)) < 0)
				return rc;
			at = node_of(t, at)->next;
		}
	}
}

/* Takes both descriptors. */
static int
put_content(struct copier *k, const struct scan_item *item, int src, int dst, struct err *e)
{
	struct tree t = { .k = k, .item = item, .src = DIR_STACK_INIT, .dst = DIR_STACK_INIT, .top = -1 };
	int rc = dir_stack_push(&t.src, src, e);

	t.top = fcntl(dst, F_DUPFD_CLOEXEC, 3);
	if (t.top < 0 && rc == 0)
		rc = err_sys(e, "directory");
	if (rc == 0)
		rc = dir_stack_push(&t.dst, dst, e);
	else
		fd_close(dst);
	if (rc == 0)
		rc = put_below(&t, item->node, e);
	/* Copied itself: then it has its own owner and mode. */
	if (rc == 0 && !item->top)
		rc = put_dir_meta(k, node_of(&t, item->node), dir_stack_fd(&t.src), dir_stack_fd(&t.dst), e);
	dir_stack_fini(&t.src);
	dir_stack_fini(&t.dst);
	fd_close(t.top);
	return rc;
}

static int
open_dest(struct copier *k, const struct scan_item *item, struct err *e)
{
	struct place p;
	bool made;
	int rc;

	if (item->top)
		return place_dir(k, k->dest.data, e);
	if ((rc = place_find(k, scan_text(k->scan, item->name), &p, e)) < 0)
		return rc;
	rc = make_dir(p.dir, p.name, &made, e);
	fd_close(p.dir);
	return rc;
}

static int
put_dir(struct copier *k, const struct scan_item *item, struct err *e)
{
	const char *path = scan_text(k->scan, item->path);
	int src = inroot_open(k->src, path[0] != '\0' ? path : ".", O_RDONLY | O_DIRECTORY, 0, e), dst;

	if (src < 0)
		return src == -E_NOENT ? gone(path, e) : src;
	dst = open_dest(k, item, e);
	if (dst < 0) {
		fd_close(src);
		return dst;
	}
	return put_content(k, item, src, dst, e);
}

int
put_item(struct copier *k, const struct scan_item *item, struct err *e)
{
	const struct scan_node *n = &k->scan->nodes[item->node];
	const char *path = scan_text(k->scan, item->path);
	AUTO(fd) int dir = -1;
	struct place p;
	char last[256];
	int rc;

	if (S_ISDIR(n->mode))
		return put_dir(k, item, e);
	dir = inroot_open_parent(k->src, path, last, e);
	if (dir < 0)
		return dir == -E_NOENT ? gone(path, e) : take_fd(dir);
	if ((rc = place_find(k, scan_text(k->scan, item->name), &p, e)) < 0)
		return rc;
	rc = S_ISREG(n->mode) ? put_file(k, n, dir, last, p.dir, p.name, e)
			      : put_other(k, n, p.dir, p.name, e);
	fd_close(p.dir);
	return rc;
}
