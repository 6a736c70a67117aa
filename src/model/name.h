/* Names of pots, bases, snapshots, bridges. */
#ifndef MODEL_NAME_H
#define MODEL_NAME_H

#include <stdbool.h>
#include "base/err.h"

#define POT_NAME_MAX 63

/* [A-Za-z0-9][A-Za-z0-9_-]{0,62}; `kind` ("pot", "base") is for the message. */
int name_check(const char *name, const char *kind, struct err *) MUST_CHECK;
/* Bases may also have dots: "14.3", "debian-12.5". */
int name_check_base(const char *name, struct err *) MUST_CHECK;
/* Snapshot tags: [A-Za-z0-9][A-Za-z0-9_.-]{0,62}. */
int name_check_tag(const char *tag, struct err *) MUST_CHECK;
/* RFC 1123: labels of 1 to 63 letters, digits and inner hyphens, at most 253 bytes, no dot at the end. */
bool name_is_hostname(const char *);
/*
 * RFC 1123 host name of at most 63 bytes: the pot's name with '-' for '_',
 * then ".HOST" when that fits and host (may be NULL) is a host name itself.
 */
void name_hostname(const char *pot, const char *host, char out[static 65]);

#endif
