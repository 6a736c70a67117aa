/*
 * Releases of FreeBSD: their names, where a mirror has their sets, and the list of
 * the sets with their sums (MANIFEST, release/scripts/make-manifest.sh). Pure.
 */
#ifndef MODEL_BSDRELEASE_H
#define MODEL_BSDRELEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define BSD_RELEASE_MIRROR "https://download.freebsd.org"
#define BSD_MANIFEST_MAX 65536

struct bsd_release {
	char name[32]; /* "14.3-RELEASE", "15.0-RC2" */
	unsigned major, minor;
	bool snapshot; /* -STABLE, -CURRENT, -PRERELEASE: below snapshots, not releases */
};
/* Could it be meant as one? "14.3", "14.3-RELEASE", "freebsd:14.3"; Debian's suites begin with a letter. */
bool bsd_release_is(const char *text);
/* "14.3" is 14.3-RELEASE. E_INVAL. */
int bsd_release_parse(const char *text, struct bsd_release *, struct err *) MUST_CHECK;
/* "amd64/amd64", "arm64/aarch64" for what uname calls the machine; NULL: FreeBSD has no sets for it. */
const char *bsd_release_machine(const char *uname);
/* MIRROR/releases/amd64/amd64/14.3-RELEASE; a mirror that ends in its own /releases or /snapshots is taken so. */
void bsd_release_url(const struct bsd_release *, const char *mirror, const char *machine, struct buf *url);

struct bsd_set {
	char file[64];   /* "base.txz" */
	char sha256[65]; /* 64 digits */
	char title[128];
};
/* The set's line. E_NOENT: it has none; E_CORRUPT "WHAT:LINE: why". */
int bsd_manifest_find(const char *text, size_t len, const char *what, const char *set, struct bsd_set *,
    struct err *) MUST_CHECK;

#endif
