/* Filling the root of a new base. */
#ifndef ENGINE_POPULATE_H
#define ENGINE_POPULATE_H

#include "engine/engine.h"

#define POPULATE_MAX_SIZE (UINT64_C(64) << 30) /* bytes unpacked when nobody says otherwise */

/* Debian's suite by mmdebstrap, from args' mirror if any, with the packages that args include. tmp: an
 * empty directory of ours, absolute. */
int populate_suite(struct eng *, const char *suite, const struct pot_base_args *, uint64_t max_size,
    const char *tmp, int root_fd, struct err *) MUST_CHECK;
/* A tarball, "-" or a directory. */
int populate_from(struct eng *, const char *from, uint64_t max_size, int root_fd, struct err *) MUST_CHECK;
/*
 * What every root needs: mount points, so that pots made from it do not each
 * make their own. fresh: it comes from mmdebstrap, whose copies of the host's
 * resolv.conf and hostname go.
 */
int populate_finish(int root_fd, bool fresh, struct err *) MUST_CHECK;
/* PRETTY_NAME of its os-release, "" when there is none; without control characters. */
void populate_pretty_name(int root_fd, char out[static 64]);

#endif
