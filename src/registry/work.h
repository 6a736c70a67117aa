/* A few threads for what takes long: fsync, hashing again, passwords, compression. */
#ifndef REGISTRY_WORK_H
#define REGISTRY_WORK_H

#include "base/err.h"

struct workers;
struct job {
	struct job *next;
	void (*run)(struct job *); /* may free it */
};

int workers_start(unsigned n, struct workers **, struct err *) MUST_CHECK;
void workers_stop(struct workers *); /* finishes what waits */
void work_submit(struct workers *, struct job *);

#endif
