/*
 * Inside of COPY: the list of what is to be copied. A source is a path or a
 * glob below one directory, whose content is hostile: paths are resolved in
 * it, globs and directories are walked without following links. Each source
 * gives items; an item is a file, or a directory with all below it that is
 * not left out, in order of names.
 */
#ifndef BUILDER_COPY_SCAN_H
#define BUILDER_COPY_SCAN_H

#include "base/tree.h"
#include "builder/builder.h"
#include "builder/copy_sums.h"
#include "model/ignore.h"

#define SCAN_NONE UINT32_MAX
#define SCAN_NODES_MAX 4000000u
#define SCAN_TEXT_MAX ((size_t)2 << 30)

struct scan_node {
	uint32_t parent, child, next; /* SCAN_NONE: no more */
	uint32_t first;       /* of a file with several names: the one that comes first; else SCAN_NONE */
	uint32_t order, lead; /* its place among all of the item; scan_settle's own */
	size_t name, link;    /* offsets in text; link: a symlink's target */
	mode_t mode;
	uint32_t uid, gid;
	uint64_t size;
	struct timespec mtime;
	bool implied; /* a directory that is there for what is below it */
	struct sum sum;
};

/* What of a source is put where. */
struct scan_item {
	uint32_t node;
	size_t path; /* offset in text: of it below the source's root, without links; "" the root */
	size_t name; /* what the source calls it: its name where dest is a directory; "" for the root */
	bool top;    /* a directory whose content goes to dest, not itself */
	bool glob;   /* one of several that a glob may give */
	bool parents;
};

struct scan {
	const struct bld *bld; /* for bld_check */
	struct sums *sums;
	int root;                     /* borrowed */
	const struct ignore *ignore;  /* or NULL */
	const struct ignore *exclude; /* of the step, relative to each item; or NULL */
	const char *what;             /* "the context" */
	bool whole;                   /* a directory is copied itself */
	int64_t now;                  /* when it began */

	struct scan_node *nodes;
	size_t n, cap;
	struct scan_item *items;
	size_t nitems, items_cap;
	struct buf text;
	unsigned long long skipped; /* sockets and devices */
	struct hasher *hasher;
	char *chunk;
};

void scan_init(struct scan *, const struct bld *, struct sums *, int root, const char *what);
void scan_fini(struct scan *);
/*
 * Appends the items of one source. A glob that matches nothing gives none. parents: one item, the
 * directory in front of "/./" (or the root), with what matches below it. E_NOENT: no such file.
 */
int scan_source(struct scan *, const char *source, bool parents, struct err *) MUST_CHECK;

static inline const char *
scan_text(const struct scan *s, size_t at)
{
	return s->text.data + at;
}

/*
 * Path of a source below the root, links on the way followed inside it, written without links, "." and
 * ".." to out ("" is the root itself). E_NOENT, E_INVAL (loops).
 */
int scan_resolve(int root, const char *path, struct buf *out, struct err *) MUST_CHECK;
/* Sum of an open file or directory's extended attributes; all 0: none. */
int scan_attrs(int fd, uint8_t out[static SUM_LEN], struct err *) MUST_CHECK;
/* Sorts the children of a directory by name. */
void scan_sort(struct scan *, uint32_t dir);
/* When a tree is whole: numbers its nodes, and finds which name of a file comes first. */
void scan_settle(struct scan *, uint32_t top);
/* The next one of a tree in order: into a directory, then on, then up; SCAN_NONE behind the last. */
uint32_t scan_next(const struct scan *, uint32_t top, uint32_t at);
/* Adds a node to a directory's children (parent SCAN_NONE: to none). Its index, or <0. */
int64_t scan_add(
    struct scan *, uint32_t parent, const char *name, const struct stat *, struct err *) MUST_CHECK;
/* Into the hasher: all that decides what the items become. */
int scan_digest(const struct scan *, bool owners, struct hasher *, struct err *) MUST_CHECK;

/* The paths below the directory `base` that match a pattern, in order. */
int scan_glob(struct scan *, const char *base, const char *pattern, struct strv *, struct err *) MUST_CHECK;
/*
 * The file or the tree at a resolved path; include: NULL, or the pattern that says what of a directory.
 * *node is SCAN_NONE when it is left out.
 */
int scan_tree(
    struct scan *, const char *path, const struct pattern *include, uint32_t *node, struct err *) MUST_CHECK;

/* ---- copy_path.c: pure ------------------------------------------------------------ */

/* A path without slash at either end grows and shrinks by components; "" is the root. */
void path_cut(struct buf *, size_t len);
void path_up(struct buf *); /* takes the last one away */
void path_down(struct buf *, const char *name, size_t len);
void path_go(struct buf *, const char *name, size_t len); /* "", "." and ".." are understood */
/* A backslash before a wildcard says that it is none. */
void path_unescape(char *);
/* Components without "", "." and with ".." resolved as text. */
int scan_clean(const char *path, struct buf *out, struct err *) MUST_CHECK;
/* dir + "/" + name, either of which may be "". */
int scan_join(const char *dir, const char *name, struct buf *out, struct err *) MUST_CHECK;
/* Of a cleaned path: how much of it has no wildcard, in whole components, without the slash behind them. */
size_t scan_fixed_length(const char *path);

DEFINE_AUTO_FINI(scan, struct scan)

#endif
