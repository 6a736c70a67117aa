/*
 * Inside base only: walking trees of any depth with a bounded number of open
 * descriptors, and the few things about files that each system does its own
 * way.  Path strings are never joined; every step is one component.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/file.h"

/*
 * The way down from a first directory to the current one.  The upper levels
 * keep their descriptor; deeper ones are found again through "..", checked
 * against the identity noted on the way down.
 */
struct dir_stack {
	struct dir_level {
		dev_t dev;
		ino_t ino;
		int fd; /* -1: to be opened through the child's ".." */
	} * v;
	size_t n, cap;
};
#define DIR_STACK_INIT     \
	{                  \
		NULL, 0, 0 \
	}
int dir_stack_push(struct dir_stack *, int fd, struct err *) MUST_CHECK; /* takes fd, also on failure */
int dir_stack_pop(struct dir_stack *, struct err *) MUST_CHECK;          /* E_BUSY: the tree was moved */
int dir_stack_fd(const struct dir_stack *); /* the current one, or -1; borrowed */
void dir_stack_fini(struct dir_stack *);
DEFINE_AUTO_FINI(dir_stack, struct dir_stack)

/*
 * What a walk does. enter: a directory was opened; 0 go in, 1 leave it out.
 * entry: anything else (type is DT_*, never DT_UNKNOWN); 1 says that it turned
 * out to be a directory. leave: the content is done, the directory still open.
 * gone: it is closed again (parentfd -1 for the first one).  Both may be NULL.
 * Names are relative to the directory given with them.
 */
struct tree_ops {
	int (*enter)(void *, int fd, const char *name, const struct stat *, struct err *);
	int (*entry)(void *, int dirfd, const char *name, unsigned char type, struct err *);
	int (*leave)(void *, int fd, const char *name, struct err *);
	int (*gone)(void *, int parentfd, const char *name, struct err *);
	bool partial; /* of too many directories some may be left out: the caller walks again */
};
/* Walks the directory fd (taken), which is called name in messages. */
int tree_walk(int fd, const char *name, const struct tree_ops *, void *, struct err *) MUST_CHECK;

/* A set of inodes, each with a number of the caller's. */
struct inode_map {
	struct inode_slot {
		dev_t dev;
		ino_t ino;
		size_t value;
		bool used;
	} * v;
	size_t n, cap;
};
#define INODE_MAP_INIT     \
	{                  \
		NULL, 0, 0 \
	}
/*
 * 1 and *value when known; 0 when it was added with *value; E_LIMIT when full.
 */
int inode_map_put(struct inode_map *, const struct stat *, size_t *value, struct err *) MUST_CHECK;
void inode_map_fini(struct inode_map *);
DEFINE_AUTO_FINI(inode_map, struct inode_map)

/* Of an unlinkat() that failed: did it because name is a directory? Linux says EISDIR, POSIX EPERM. Keeps errno. */
bool tree_unlink_met_dir(int dirfd, const char *name);

/* The first `size` bytes of a file, as a reflink where that can be, holes kept: 0, or -1 with errno. */
int tree_copy_data(int in, int out, off_t size);

/* Per system. Each returns 0, or -1 with errno. */
int tree_is_mount_root(int fd, bool *);            /* false where the system cannot tell */
int tree_clear_flags(int dirfd, const char *name); /* immutable, append-only; name NULL: dirfd itself */
int tree_clone_data(int in, int out);              /* whole-file reflink */
int tree_copy_attrs(int in, int out);              /* extended attributes and ACLs that a copy keeps */

#endif
