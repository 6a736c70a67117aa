/* Prometheus' text format, version 0.0.4. */
#include <inttypes.h>

#include "registry/http.h"
#include "registry/metrics.h"

static const double bounds[METRIC_TIMES] = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5, 30,
	300 };

void
metrics_request(struct metrics *m, unsigned method, unsigned status, bool complete, uint64_t received,
    uint64_t sent, int64_t ns)
{
	unsigned class = complete && status >= 100 && status < 600 ? status / 100 - 1 : METRIC_CLASSES - 1;
	int i = 0;

	while (i < METRIC_TIMES && (double)ns > bounds[i] * 1e9)
		i++;
	atomic_fetch_add_explicit(&m->requests[method][class], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->received, received, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->sent, sent, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->times[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&m->time_sum_us, (uint64_t)ns / 1000, memory_order_relaxed);
}

static void
head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_fmt(b, "# HELP pot_registry_%s %s\n# TYPE pot_registry_%s %s\n", name, help, name, type);
}

static void
counter(struct buf *b, const char *name, const char *help, _Atomic uint64_t *value)
{
	head(b, name, "counter", help);
	buf_fmt(b, "pot_registry_%s %" PRIu64 "\n", name, atomic_load(value));
}

void
metrics_gauge(struct buf *b, const char *name, const char *help, uint64_t value)
{
	head(b, name, "gauge", help);
	buf_fmt(b, "pot_registry_%s %" PRIu64 "\n", name, value);
}

static void
print_times(struct metrics *m, struct buf *b)
{
	uint64_t sum = 0;

	head(b, "request_duration_seconds", "histogram",
	    "Time from the request line to the end of the reply.");
	for (int i = 0; i < METRIC_TIMES; i++) {
		sum += atomic_load(&m->times[i]);
		buf_fmt(b, "pot_registry_request_duration_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", bounds[i],
		    sum);
	}
	sum += atomic_load(&m->times[METRIC_TIMES]);
	buf_fmt(b, "pot_registry_request_duration_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", sum);
	buf_fmt(
	    b, "pot_registry_request_duration_seconds_sum %g\n", (double)atomic_load(&m->time_sum_us) / 1e6);
	buf_fmt(b, "pot_registry_request_duration_seconds_count %" PRIu64 "\n", sum);
}

void
metrics_print(struct metrics *m, struct buf *b)
{
	static const char *const classes[METRIC_CLASSES] = { "1xx", "2xx", "3xx", "4xx", "5xx", "aborted" };

	head(b, "requests_total", "counter", "Requests by method and class of status.");
	for (unsigned i = 0; i < METRIC_METHODS; i++) {
		for (unsigned k = 0; k < METRIC_CLASSES; k++) {
			uint64_t n = atomic_load(&m->requests[i][k]);

			if (n > 0)
				buf_fmt(b,
				    "pot_registry_requests_total{method=\"%s\",status=\"%s\"} %" PRIu64 "\n",
				    http_method_name((enum http_method)i), classes[k], n);
		}
	}
	print_times(m, b);
	counter(b, "received_bytes_total", "Bytes of request bodies.", &m->received);
	counter(b, "sent_bytes_total", "Bytes of replies' bodies.", &m->sent);
	counter(b, "limited_total", "Requests turned away by a limit.", &m->limited);
	counter(b, "logins_failed_total", "Wrong names or passwords.", &m->logins_failed);
	counter(b, "gc_runs_total", "Garbage collections.", &m->gc_runs);
	counter(b, "gc_blobs_total", "Blobs removed as garbage.", &m->gc_blobs);
	counter(b, "gc_bytes_total", "Bytes of blobs removed as garbage.", &m->gc_bytes);
	counter(b, "damaged_blobs_total", "Blobs found damaged and quarantined.", &m->damaged);
}
