/*
 * Making files below the root. Names are normalized ones (entry.h); parents
 * are resolved as a process in the root would, the last component never.
 */
#ifndef UNPACK_PLACE_H
#define UNPACK_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "unpack/entry.h"
#include "unpack/meta.h"
#include "unpack/notes.h"
#include "unpack/whiteout.h"

/* A directory whose modification time is set when everything below it stands. */
struct place_time {
	struct timespec mtime;
	uint32_t path; /* offset in names */
};

struct place {
	int root;              /* borrowed */
	struct own_paths *own; /* unpacking a layer on top of others: what it has put there; else NULL */
	struct notes *notes; /* a layer without those below it: what there is to say about them; else NULL */
	int parent;          /* the directory of the last entry, -1 none */
	char parent_path[ENTRY_PATH_MAX];
	bool stale; /* a symlink went away: parent may be another directory now */
	struct place_time *times;
	size_t ntimes, times_cap;
	char *names;
	size_t names_len, names_cap;
	unsigned long long untimed; /* directories that did not fit in */
	unsigned long long dropped_xattrs;
};

/*
 * own: NULL, or empty and borrowed: then an entry may take the place of what was there before. notes: NULL, or
 * borrowed: what depends on a layer below is E_STATE.
 */
void place_init(struct place *, int root, struct own_paths *own, struct notes *notes);
void place_fini(struct place *);

int place_dir(
    struct place *, const char *path, const struct meta *, struct archive_entry *, struct err *) MUST_CHECK;
/* An empty file of ours alone, replacing what is there. Returns the fd to write to. */
int place_file(struct place *, const char *path, struct err *) MUST_CHECK;
int place_symlink(
    struct place *, const char *path, const char *target, const struct meta *, struct err *) MUST_CHECK;
int place_fifo(struct place *, const char *path, const struct meta *, struct err *) MUST_CHECK;
/* target: the name of a regular file unpacked before; in a layer also of a symlink or FIFO. */
int place_hardlink(struct place *, const char *path, const char *target, struct err *) MUST_CHECK;
/* Takes away what lower layers have; path is that of the whiteout itself. A missing one is fine. */
int place_whiteout(
    struct place *, const char *path, enum whiteout, const char *name, struct err *) MUST_CHECK;
/* Gives the directories their times. */
int place_finish(struct place *, struct err *) MUST_CHECK;

#endif
