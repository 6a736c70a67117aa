/* The set of files that a release of FreeBSD is, from a mirror into a directory that keeps it. */
#ifndef IMAGE_BSDSETS_H
#define IMAGE_BSDSETS_H

#include "base/event.h"
#include "model/bsdrelease.h"

struct bsdsets_args {
	const struct bsd_release *release;
	const char *machine;   /* "amd64/amd64" */
	const char *mirror;    /* "" or NULL: FreeBSD's own */
	const char *manifests; /* directory of lists that were installed with the system, or NULL */
	int cache;             /* directory: what is fetched stays there, whole or to be gone on with */
	bool insecure;         /* plain http with nothing that proves what comes, and a bad certificate */
	const struct pot_events *events;
	const volatile bool *cancel; /* may be NULL */
};
#define BSDSETS_NAME 96
/*
 * The release's base set under this name in the cache, its sum proved just now. One that is there already
 * is not fetched again. Returns the lock that keeps it there; closing it lets others.
 * E_NOENT: the mirror has no such release; E_CORRUPT: what it gives is not what its list says.
 */
int bsdsets_fetch(const struct bsdsets_args *, char name[static BSDSETS_NAME], struct err *) MUST_CHECK;

#endif
