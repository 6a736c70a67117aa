/* Counters, and their text for Prometheus. */
#ifndef REGISTRY_METRICS_H
#define REGISTRY_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "registry/path.h"

#define METRIC_METHODS 7
#define METRIC_CLASSES 6 /* 1xx to 5xx, and a connection that died */
#define METRIC_TIMES 12

struct metrics {
	_Atomic uint64_t requests[METRIC_METHODS][METRIC_CLASSES];
	_Atomic uint64_t received, sent;
	_Atomic uint64_t times[METRIC_TIMES + 1], time_sum_us;
	_Atomic uint64_t limited, logins_failed;
	_Atomic uint64_t gc_runs, gc_blobs, gc_bytes, damaged;
};

void metrics_request(struct metrics *, unsigned method, unsigned status, bool complete, uint64_t received,
    uint64_t sent, int64_t ns);
void metrics_print(struct metrics *, struct buf *);
/* One gauge line with its help. */
void metrics_gauge(struct buf *, const char *name, const char *help, uint64_t value);

#endif
