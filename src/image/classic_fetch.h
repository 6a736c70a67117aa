/* The files of one classic image, where they are or fetched. */
#ifndef IMAGE_CLASSIC_FETCH_H
#define IMAGE_CLASSIC_FETCH_H

#include "base/event.h"
#include "image/classic.h"
#include "image/store.h"

struct classic_from {
	const char *place; /* a directory, file://DIRECTORY, or the http(s) URL that the names are below */
	const char *stem;  /* NAME_TAG */
	bool signature;    /* there must be one */
	bool insecure;     /* neither plain http nor a certificate that is not good is refused */
	unsigned stall_s;  /* give up when next to nothing came for so long; 0: the usual time */
	const struct pot_events *events;
	const volatile bool *cancel; /* may be NULL */
};
#define CLASSIC_DIR_LEN 32
struct classic_files {
	int dir;
	int partial, lock; /* lock -1: the directory is the user's */
	bool resumed;      /* a part of the .xz is of an earlier fetch, and may not fit */
	char name[CLASSIC_DIR_LEN];
};
#define CLASSIC_FILES_INIT            \
	{                             \
		-1, -1, -1, false, "" \
	}

/*
 * One at a time per place and image. E_NOENT: a file is missing there. E_PERM: plain http without a signature.
 * What was fetched stays for the next one, unless it is dropped: it is of no more use.
 */
int classic_files_open(
    struct classic_files *, struct img_store *, const struct classic_from *, struct err *) MUST_CHECK;
void classic_files_drop(struct classic_files *);
void classic_files_fini(struct classic_files *);
DEFINE_AUTO_FINI(classic_files, struct classic_files)

#endif
