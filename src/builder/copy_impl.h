/* Inside of COPY: what one application to a tree works with. */
#ifndef BUILDER_COPY_IMPL_H
#define BUILDER_COPY_IMPL_H

#include "builder/copy.h"
#include "builder/copy_scan.h"
#include "builder/fetch.h"

/* ---- copy_owner.c: pure but for reading two files ------------------------------------------ */

struct copy_owner {
	bool set;
	uint32_t uid, gid;
};
/*
 * "USER[:GROUP]" as COPY --chown means it: a number alone is the group's, too; ":GROUP" is root's. Names
 * by etc/passwd and etc/group below root. E_NOENT: no such name there; E_INVAL.
 */
int copy_owner_find(int root, const char *spec, struct copy_owner *, struct err *) MUST_CHECK;
/* What mode becomes by "0755" or "u=rwX,go-w"; type bits stay. A spec was checked by the parser. */
mode_t copy_mode_apply(const char *spec, mode_t mode);

/* ---- copy_dest.c: places in the tree ---------------------------------------------------------- */

struct copier {
	struct bld *b;
	const struct bld_copy *c;
	int root; /* of the tree */
	struct copy_owner owner;
	struct buf dest; /* absolute, no slash at the end but for "/" */
	bool dest_dir;   /* a slash stood at its end */
	struct hasher *hasher;
	char *chunk;
	const struct scan *scan;
	int src; /* its root */
};
#define COPY_CHUNK ((size_t)256 * 1024)

/* Where dest comes to, with workdir; *dir: it ends in '/'. */
int copy_dest_path(const struct bld_copy *, struct buf *out, bool *dir, struct err *) MUST_CHECK;

/* Name in a directory, both of the tree. */
struct place {
	int dir;
	char name[256];
};
/* Opens a directory of the tree, making what is missing (0755, root's or --chown's). Returns an fd. */
int place_dir(const struct copier *, const char *path, struct err *) MUST_CHECK;
/*
 * Where something called `name` goes that is copied to dest: into a directory, or under dest's own name.
 * Links are followed, in the tree.
 */
int place_find(const struct copier *, const char *name, struct place *, struct err *) MUST_CHECK;
/* Takes away what a file replaces. E_EXIST: a directory is there. */
int place_clear(int dir, const char *name, struct err *) MUST_CHECK;
bool place_is_dir(const struct copier *, const char *path);

/* ---- copy_file.c: one object ----------------------------------------------------------------------- */

/* dir/name in the tree becomes what node says and what src/from has. E_BUSY: that is something else by now. */
int put_file(struct copier *, const struct scan_node *, int src, const char *from, int dir, const char *name,
    struct err *) MUST_CHECK;
int put_other(struct copier *, const struct scan_node *, int dir, const char *name, struct err *) MUST_CHECK;
/* Owner, mode, attributes, time of a directory whose content is whole. src: -1, no attributes. */
int put_dir_meta(struct copier *, const struct scan_node *, int src, int fd, struct err *) MUST_CHECK;
/* A file with this content. */
int put_body(
    struct copier *, const void *, size_t, mode_t, int dir, const char *name, struct err *) MUST_CHECK;
/* From an open file of which nothing but this sum is known. */
int put_fetched(
    struct copier *, int fd, const struct bld_fetched *, int dir, const char *name, struct err *) MUST_CHECK;

/* ---- copy_tree.c -------------------------------------------------------------------------------------- */

/* Everything of an item, to where dest says. */
int put_item(struct copier *, const struct scan_item *, struct err *) MUST_CHECK;

/* ---- copy_once.c ------------------------------------------------------------------------------------------ */

/* Was this noted in this build? */
bool once_is_noted(const struct bld *, const char *text);
/* Notes it: true for who is the first. */
bool once_note(const struct bld *, const char *text);
/* A warning that is told once. */
void once_warn(const struct bld *, const char *fmt, ...) PRINTF(2, 3);

/* ---- copy_archive.c: pot-unpack ------------------------------------------------------------------------- */

/* Do these (the first 512 bytes, or all there are) look like a tar or something compressed? */
bool archive_begins(const unsigned char *, size_t);
/* 1: a tar, compressed or not; 0: something else. fd: a regular file, its offset stays. */
int archive_is(struct bld *, int fd, struct err *) MUST_CHECK;
/*
 * Unpacks onto what is below dir; owner may be NULL. Reads fd to its end, after the bytes of `first`. sum
 * (may be NULL) becomes the sha256 digest of what was read.
 */
struct archive_args {
	int fd, dir;
	const char *first;
	size_t nfirst;
	bool merge;
	const struct copy_owner *owner;
};
int archive_unpack(struct bld *, const struct archive_args *, struct digest *sum, struct err *) MUST_CHECK;

#endif
