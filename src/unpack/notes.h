/*
 * What a layer says about those below it, for whoever puts it on them: with --apart nothing is below, so
 * whiteouts and the like are told instead of done. On stdout, before the digest's line: a letter, a path, a NUL each.
 */
#ifndef UNPACK_NOTES_H
#define UNPACK_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum note {
	NOTE_GONE = 'w',     /* a name of lower layers is no more */
	NOTE_OPAQUE = 'o',   /* nothing of lower layers shows in this directory */
	NOTE_IMPLIED = 'i',  /* a directory made only for what is in it; "" is the root */
	NOTE_EXPLICIT = 'e', /* it has an entry of its own after all */
	NOTE_DIGEST = 's',   /* nothing of this follows */
};

struct notes {
	int fd; /* -1: none are taken */
	char buf[16384];
	size_t len;
	uint64_t total;
};

/* E_STATE over NOTES_MAX bytes: then the layer has to be unpacked on top of the others. */
#define NOTES_MAX (32u * 1024 * 1024)
int note_add(struct notes *, enum note, const char *path, struct err *) MUST_CHECK;
int notes_flush(struct notes *, struct err *) MUST_CHECK;

#endif
