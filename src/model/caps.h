/*
 * Capabilities of root in a pot, by name. A set is a number whose bit N is
 * capability N of Linux; other systems only keep the names.
 */
#ifndef MODEL_CAPS_H
#define MODEL_CAPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

extern const char *const caps_names[]; /* "chown", …; index: the kernel's number */
extern const size_t caps_count;
#define CAPS_ALL ((UINT64_C(1) << caps_count) - 1)
/* What a pot has unless it is told otherwise: chown, dac_override, fowner, fsetid, kill, setgid, setuid,
   setpcap, net_bind_service, sys_chroot, setfcap. */
#define CAPS_DEFAULT UINT64_C(0x800405fb)

/* "net_admin", "CAP_NET_ADMIN", any case; "all" is every one. Adds to *set. E_INVAL with the nearest name. */
int caps_parse(const char *name, uint64_t *set, struct err *) MUST_CHECK;
/* Names separated by blanks, in the order of their numbers. */
void caps_print(uint64_t set, struct buf *);

#endif
