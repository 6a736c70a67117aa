/* How often an address may ask: token buckets in a table of fixed size. */
#ifndef REGISTRY_LIMIT_H
#define REGISTRY_LIMIT_H

#include <stdbool.h>

#include "base/err.h"

struct limiter;

/* per_second 0: no limit. burst: how many may come at once. */
int limiter_new(unsigned per_second, unsigned burst, struct limiter **, struct err *) MUST_CHECK;
void limiter_free(struct limiter *);
/* Takes one; false when there is none. *wait_s gets the seconds until there is. */
bool limiter_take(struct limiter *, const char *addr, unsigned *wait_s);

#endif
