/*
 * How libraries speak while they work: events to one callback. A library
 * never prints. Strings are borrowed for the time of the call.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <pot/event.h>
#include "base/err.h"

void event_info(const struct pot_events *, const char *fmt, ...) PRINTF(2, 3);
void event_warn(const struct pot_events *, const char *fmt, ...) PRINTF(2, 3);
/* total 0: unknown. The unit is bytes. */
void event_progress(
    const struct pot_events *, const char *what, unsigned long long done, unsigned long long total);

#endif
