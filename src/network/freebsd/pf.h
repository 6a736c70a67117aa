/*
 * Inside network/freebsd only: pf's own door. Rules go in as text by pfctl(8), because
 * the layout of a rule in the kernel's interface differs between 14 and 15 and is
 * pfctl's business; it loads an anchor as one transaction (DIOCXBEGIN, DIOCXCOMMIT).
 * What every release has alike, emptying an anchor, listing anchors, starting, is
 * done by ioctl(2).
 */
#ifndef NETWORK_FREEBSD_PF_H
#define NETWORK_FREEBSD_PF_H

#include <stdbool.h>

#include "base/buf.h"

struct pf {
	int fd; /* /dev/pf; -1 not opened yet */
};
#define PF_INIT    \
	{          \
		-1 \
	}
void pf_fini(struct pf *);

/* Opens it, loading the module where it is missing. E_NOTSUP with what to do. */
int pf_open(struct pf *, struct err *) MUST_CHECK;
/* 1 it was off and is on now, 0 it was on. */
int pf_enable(struct pf *, struct err *) MUST_CHECK;
int pf_disable(struct pf *, struct err *) MUST_CHECK;
/* Replaces what the anchor has by this text, whole or not at all. "": empties it. */
int pf_load(struct pf *, const char *anchor, const char *text, struct err *) MUST_CHECK;
int pf_flush(struct pf *, const char *anchor, struct err *) MUST_CHECK;
/* Has it rules of any kind? 1, 0. The name of one that had tables stays when its rules are flushed. */
int pf_filled(struct pf *, const char *anchor, struct err *) MUST_CHECK;
/* Names of the children that begin with prefix. */
int pf_children(struct pf *, const char *parent, const char *prefix, struct strv *, struct err *) MUST_CHECK;
/* Translation rules, filter rules and anchors of the main ruleset, as pfctl(8) prints them. */
int pf_main_rules(struct buf *, struct err *) MUST_CHECK;
/* Does pf look away from this interface ("set skip on")? 1, 0. */
int pf_skips(const char *ifname, struct err *) MUST_CHECK;

#endif
