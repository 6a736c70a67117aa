/*
 * Inside network/freebsd only: pipes of dummynet(4), by which pf slows packets down (dnpipe). By dnctl(8): the
 * layout of the kernel's interface differs between 14 and 15.
 */
#ifndef NETWORK_FREEBSD_PIPES_H
#define NETWORK_FREEBSD_PIPES_H

#include <stdint.h>

#include "base/err.h"

/*
 * A link's two pipes follow from the number of its interface, which no other has meanwhile: the first
 * towards the pot, the one behind it away from it. 0: the number is too large.
 */
#define PIPES_FIRST 20000u
#define PIPES_LAST 65533u /* the kernel's last is 65535 */
unsigned pipes_of(unsigned ifindex);

/* Makes or changes it, loading the module where it is missing. 0 bits: no limit. E_NOTSUP with what to do. */
int pipe_set(unsigned number, uint64_t bits_per_s, struct err *) MUST_CHECK;
/* Absent is fine. */
void pipe_remove(unsigned number);

#endif
