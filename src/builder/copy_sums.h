/*
 * Inside of COPY: digests of files that were read before, so that a build
 * which finds nothing changed reads nothing. ROOT/build/sums is a hash table
 * that is mapped, not parsed; what is new is kept in memory and goes to the
 * disk with sums_close. A file is the same as long as device, inode, size and
 * both times are. One that was changed about when it was looked at is only
 * remembered for this build, as a second change in the same tick of the clock
 * would not show: the copy itself, which is checked, would fail then.
 */
#ifndef BUILDER_COPY_SUMS_H
#define BUILDER_COPY_SUMS_H

#include <sys/stat.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/auto.h"
#include "image/digest.h"

#define SUM_LEN 32
struct sum {
	uint8_t content[SUM_LEN]; /* sha256 */
	uint8_t attrs[SUM_LEN];   /* of the extended attributes; all 0: none */
};

struct sums;

/* Both borrowed: ROOT/build, and the build's private directory. A table that cannot be read is as none. */
int sums_open(struct sums **, int dir, int tmp, struct err *) MUST_CHECK;
/* Writes what is new; a failure costs time later and nothing else. NULL is allowed. */
void sums_close(struct sums *);

/* True and *sum when the file is known. */
bool sums_get(struct sums *, const struct stat *, struct sum *);
/* now_ns: CLOCK_REALTIME before the file was looked at the first time. */
void sums_put(struct sums *, const struct stat *, const struct sum *, int64_t now_ns);

/* Digests of what never changes (sources in a tree), under a digest that names them. */
bool sums_get_fixed(struct sums *, const struct digest *name, struct digest *);
void sums_put_fixed(struct sums *, const struct digest *name, const struct digest *);

DEFINE_AUTO(sums, struct sums *, NULL, sums_close)

#endif
