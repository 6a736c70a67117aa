/* The access log and the program's own messages. */
#ifndef REGISTRY_LOG_H
#define REGISTRY_LOG_H

#include "base/err.h"

struct log;

/* access: a file, "-" for stdout, NULL for none. */
int log_open(const char *access, struct log **, struct err *) MUST_CHECK;
void log_close(struct log *);
/* Opens the file anew (it was rotated away). */
int log_reopen(struct log *, struct err *) MUST_CHECK;
/* One line, escaped by the caller. Written at once when the buffer is full, else within a second. */
void log_access(struct log *, const char *line);
/* To stderr, with the time. */
void log_message(struct log *, const char *fmt, ...) PRINTF(2, 3);

#endif
