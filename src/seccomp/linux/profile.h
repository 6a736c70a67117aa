/* A profile that a user wrote: the seccomp object of the OCI runtime specification, or Docker's form of it. */
#ifndef SECCOMP_LINUX_PROFILE_H
#define SECCOMP_LINUX_PROFILE_H

#include "base/buf.h"
#include "seccomp/linux/filter.h"

/*
 * Reads a profile. `what` names it in messages: "what:LINE:COL: why" where it
 * is not JSON, else "what: PLACE: why". caps: what includes and excludes look
 * at. Notes about what was left out without harm go to `notes`, one line each.
 * Both forms may stand in a whole configuration ({"linux": {"seccomp": …}}).
 *
 * The rules are the specification's; where that is silent: a call's rules with
 * args come before those without, among either the first counts; args that
 * name one argument twice are alternatives (as runc and crun have it); a call
 * that no machine knows is left out where the default action is at least as
 * strict as its own, and an error elsewhere.
 */
int profile_read(struct sec_filter *, const char *text, size_t len, const char *what, uint64_t caps,
    struct buf *notes, struct err *) MUST_CHECK;

/* The number of a capability by its name (CAP_…), or -1. */
int profile_capability(const char *name);

#endif
