/*
 * Between messages of protocol buffers and the structs of driver.h. What is
 * made lives in the arena; when that is full it is marked as failed, and the
 * message is not sent, or not given to the driver.
 */
#ifndef NOMAD_CONVERT_H
#define NOMAD_CONVERT_H

#include <base.pb-c.h>
#include <driver.pb-c.h>

#include "nomad/arena.h"
#include "nomad/driver.h"

/* What comes in; NULL for NULL, and when the arena is full. */
struct drv_task *task_decode(struct arena *, const Pb__TaskConfig *, const struct value *config);
struct drv_node *node_decode(struct arena *, const Pb__NomadConfig *);
struct drv_net_isolation *isolation_decode(struct arena *, const Pb__NetworkIsolationSpec *);
struct drv_strings strings_decode(struct arena *, char **, size_t n);
/* Milliseconds, rounded up; 0 for NULL and for negative ones. */
int64_t duration_decode(const Pb__Duration *);

/* What goes out. */
Pb__Timestamp *time_encode(struct arena *, int64_t ns); /* 0: the zero time of Go */
Pb__ExitResult *exit_encode(struct arena *, const struct drv_exit *);
Pb__NetworkOverride *override_encode(struct arena *, const struct drv_net_override *); /* NULL for NULL */
Pb__NetworkIsolationSpec *isolation_encode(struct arena *, const struct drv_net_isolation *);
Pb__TaskStatus *status_encode(struct arena *, const struct drv_status *);
Pb__TaskDriverStatus *attributes_encode(struct arena *, const struct drv_kvs *);
Pb__TaskStats *stats_encode(struct arena *, const char *task_id, const struct drv_stats *);
Pb__DriverTaskEvent *event_encode(struct arena *, const struct drv_event *);
Pb__DriverCapabilities *capabilities_encode(struct arena *, const struct drv_capabilities *);

#endif
