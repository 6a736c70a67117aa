/* Facts about the machine and this program that each system tells in its own way. */
#ifndef BASE_HOST_H
#define BASE_HOST_H

#include <stdint.h>

#include "base/err.h"

#define HOST_BOOT_ID_LEN 16

/* The same bytes until the machine is restarted, others afterwards. */
int host_boot_id(uint8_t out[static HOST_BOOT_ID_LEN], struct err *) MUST_CHECK;
/* Absolute path of the running program (size at least PATH_MAX). */
int host_self_path(char *out, size_t size, struct err *) MUST_CHECK;

/* A path by which we, and who inherits fd under its number, reach what it is open on. size: PATH_MAX. */
int host_fd_path(int fd, char *out, size_t size, struct err *) MUST_CHECK;

/* "/dev" where a start can make mount points in a pot's that are none of its files; "" where its root is the place. */
const char *host_mount_points(void);

/* A program of pot: beside the running one (a build's directory), else in the directory given. size: PATH_MAX. */
int host_find_program(
    const char *name, const char *installed, char *out, size_t size, struct err *) MUST_CHECK;

/* Nominal clock of a processor in MHz; 0 where the machine does not tell. */
unsigned host_cpu_mhz(void);

/* Where an installation stands when nobody says otherwise. */
const char *host_default_root(void);   /* "/var/lib/pot" */
const char *host_default_config(void); /* "/etc/pot/pot.conf" */
const char *host_bindir(void);         /* configured at build: PREFIX/bin */
const char *host_libexec(void);        /* PREFIX/libexec/pot */
const char *host_datadir(void);        /* PREFIX/share/pot */

#endif
