/* What each system gives the locks of file.h. */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <stdbool.h>

/* Locks the open file, waiting for ever or not at all; -1 with errno, EAGAIN or EACCES when another holds it. */
int lock_try(int fd, bool exclusive, bool wait);

#endif
