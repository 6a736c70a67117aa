/*
 * What tests of networks are made of: TAP; jails with networks of their own, "guests"; who calls whom over
 * real TCP; an outside, which is a guest behind an epair; the machine's main ruleset of pf.
 */
#ifndef TESTS_FREEBSD_WIRE_H
#define TESTS_FREEBSD_WIRE_H

#include <sys/types.h>
#include <stdbool.h>

#include "base/err.h"
#include "network/freebsd/link.h"

#define OUT_HOST4 "198.51.100.1"
#define OUT_PEER4 "198.51.100.2"
#define OUT_HOST6 "2001:db8:51::1"
#define OUT_PEER6 "2001:db8:51::2"
#define OUT_LINK "pottest0"

/* One fact: counted, printed. */
bool ok(bool holds, const char *fmt, ...) PRINTF(2, 3);
/* rc is no failure; else the message is shown. */
bool fine(int rc, const struct err *, const char *what);
void bail(const char *why);
int done(void); /* the plan; exit status */

struct guest {
	int jid;
	pid_t pid; /* a process in it */
};
/* One process is in it, which waits to be killed. */
struct guest guest_new(const char *name);
void guest_end(struct guest *);
/* jid 0: stays on the host. All fds but this and stdio are closed. */
bool enter(int jid, int keep);

extern struct link_sys links; /* of the host */
extern struct guest outside;  /* has OUT_PEER4, OUT_PEER6; the host OUT_HOST4, OUT_HOST6 */
void outside_make(void);
/* The main ruleset must be empty. */
void pf_prepare(void);
/* The main ruleset: options before and rules behind the lines that lead to pot's. */
void pf_main(const char *options, const char *rules);
/* A machine that was booted by hand may have none on lo0. True: it had. */
bool lo0_prepare(void);

/* Listens, and tells everybody who calls who he is. jid 0: on the host. It listens when this returns. */
pid_t serve(int jid, const char *addr, uint16_t port);
void silence(pid_t);
/* The same, with this many bytes for who calls; and how many milliseconds they took, -1 they did not come. */
pid_t serve_bytes(int jid, const char *addr, uint16_t port, unsigned bytes);
long fetch(int jid, const char *addr, uint16_t port, unsigned bytes);
/* Somebody answers who calls from there, and saw him as `seen` (NULL: whoever). */
void answers(int jid, const char *addr, uint16_t port, const char *seen, const char *what);
void is_silent(int jid, const char *addr, uint16_t port, const char *what);
/* from: an address that he has. */
void is_silent_from(int jid, const char *from, const char *addr, uint16_t port, const char *what);

#endif
