/*
 * System call filters: which program of the kernel's packet filter language a
 * pot's processes run under.  Nothing is compiled at a start: the default
 * filter is made when pot is built and stands in the program; any other one is
 * made by pot-seccomp when a pot is created or changed, and lies beside the
 * pot's configuration.  Loading it is isolation's work (struct iso_spec).
 * FreeBSD has no such thing: there is no filter, and asking for one E_NOTSUP.
 */
#ifndef SECCOMP_SECCOMP_H
#define SECCOMP_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Bytes of the largest program that the kernel takes (4096 instructions). */
#define SECCOMP_PROG_MAX (4096 * 8)
/* Bytes of the largest profile that is read. */
#define SECCOMP_PROFILE_MAX (1024 * 1024)

/*
 * The default filter: len bytes of struct sock_filter, static. It is right for
 * a pot whose granted capabilities (bit N: capability number N) open nothing:
 * seccomp_default_fits says so, else seccomp_compile must be asked.
 */
int seccomp_default(const void **prog, size_t *len, struct err *) MUST_CHECK;
bool seccomp_default_fits(uint64_t caps);

struct seccomp_job {
	const char *program; /* pot-seccomp, absolute */
	int profile_fd;      /* a profile (OCI or Docker form) open for reading; -1: the default one */
	const char *what;    /* names the profile in messages: the file as the user wrote it */
	uint64_t caps;       /* granted to the pot, bit N: capability number N */
	int dirfd;           /* where the program goes, replaced atomically, mode 0600 */
	const char *name;
};

/*
 * Compiles. E_INVAL: the profile is wrong, with place and reason; E_LIMIT: too
 * large to read or to load; E_NOTSUP: it asks for what pot cannot do.
 */
int seccomp_compile(const struct seccomp_job *, struct err *) MUST_CHECK;

/* Is it a program as the kernel would want it: whole instructions, not empty, not too many? */
int seccomp_check(const void *prog, size_t len, struct err *) MUST_CHECK;

#endif
