/*
 * Making files that belong to a user of a user namespace: for a while the
 * calling thread makes files as that user, with all the rights it has anyway.
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include <stdint.h>

#include "base/err.h"

/* New files of this thread belong to uid and gid `id` of the host. Undone by ids_leave(), on every way out. */
int ids_enter(uint32_t id, struct err *) MUST_CHECK;
void ids_leave(void);

#endif
