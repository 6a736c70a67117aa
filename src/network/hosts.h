/*
 * Inside network only: hosts files that pots have mounted, kept current in
 * place while programs read them.
 *
 *   ROOT/net/hosts/.lock
 *            BRIDGE/shared   for all pots that are on this bridge only
 *            BRIDGE/ID       of one pot that has lines of its own, or several bridges (then
 *                            one file under several names)
 *
 * The file's format is hostsfile.c's.
 */
#ifndef NETWORK_HOSTS_H
#define NETWORK_HOSTS_H

#include "network/net_impl.h"

/* The pot and its further names appear on all its bridges. Repeated: replaced. */
int net_hosts_add(const struct net *, const struct net_spec *, struct err *) MUST_CHECK;
/* They vanish, and a file of its own. Absent is fine. */
int net_hosts_remove(const struct net *, const struct net_spec *, struct err *) MUST_CHECK;
/* The same from the leases alone. */
int net_hosts_forget(const struct net *, const char *id, struct err *) MUST_CHECK;
/* All pots vanish: for a bridge whose link is just being made, so that nobody is on it. */
int net_hosts_reset(const struct net *, const char *bridge, struct err *) MUST_CHECK;

/* ---- hostsfile.c ------------------------------------------------------------ */

#define HOSTS_TAG_MAX 16
/* Opens dirfd/name, making it with the lines about localhost and these (may be NULL) of the user's. */
int hostsfile_open(int dirfd, const char *name, const char *own_lines, struct err *) MUST_CHECK;
/* A file of that content under the name, whatever was there. */
int hostsfile_new(int dirfd, const char *name, const char *own_lines, struct err *) MUST_CHECK;
/* Adds "ADDRESS NAME…" under a tag (of [a-z0-9]): one or, with many names, several lines. */
int hostsfile_add(int fd, const char *tag, const struct ip_addr *, const char *const *names, size_t n,
    struct err *) MUST_CHECK;
/* All lines of a tag vanish; NULL: those of all tags. */
int hostsfile_remove(int fd, const char *tag, struct err *) MUST_CHECK;
/* Adds all tagged lines of another file. */
int hostsfile_copy(int fd, int from, struct err *) MUST_CHECK;

#endif
