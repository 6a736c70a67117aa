/*
 * The program's log as the agent wants it: one JSON object a line on standard
 * error, which the agent logs again at its level. The agent filters; a line below the level set here is
 * not written at all. After a re-attach nobody reads standard error any more: what cannot be written is dropped,
 * and a file of our own (log_to_file) gets the same lines.
 */
#ifndef NOMAD_LOG_H
#define NOMAD_LOG_H

#include <stdbool.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_TRACE, LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log;

struct log *log_new(int fd); /* NULL: no memory; the fd stays the caller's */
void log_free(struct log *);
/* "trace", "debug", "info", "warn", "error": E_INVAL naming them. */
int log_level_parse(const char *, enum log_level *, struct err *) MUST_CHECK;
void log_set_level(struct log *, enum log_level);
/* Appends to this file too; NULL: no longer. */
int log_to_file(struct log *, const char *path, struct err *) MUST_CHECK;

void log_say(struct log *, enum log_level, const char *fmt, ...) PRINTF(3, 4);
/* With keys and values: pairs of const char *, ended by NULL. */
void log_with(struct log *, enum log_level, const char *message, ...) __attribute__((sentinel));

#define log_trace(l, ...) log_say(l, LOG_LEVEL_TRACE, __VA_ARGS__)
#define log_debug(l, ...) log_say(l, LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(l, ...) log_say(l, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(l, ...) log_say(l, LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(l, ...) log_say(l, LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
