/* The settings of the registry: one table for configuration file, command line and help. */
#ifndef REGISTRY_OPTIONS_H
#define REGISTRY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct options {
	char *listen, *data, *tls_cert, *tls_key, *auth, *access_log, *public_url;
	bool read_only, sparse;
	uint64_t max_blob, min_rate;
	uint64_t max_uploads, connections, connections_per_address, threads;
	uint64_t rate, burst; /* requests per second and address; 0 none */
	int64_t idle, patience, upload_expiry, token_life, gc_interval, gc_grace, gc_untagged_age; /* ms */
};

enum option_type { OPTION_STRING, OPTION_BOOL, OPTION_UINT, OPTION_SIZE, OPTION_DURATION };

struct option_row {
	const char *name, *arg, *value, *help; /* value: the default; arg NULL: a switch */
	enum option_type type;
	size_t at;
	uint64_t lo, hi; /* of numbers */
};
extern const struct option_row option_rows[];
extern const size_t option_count;

int options_init(struct options *, struct err *) MUST_CHECK;
void options_fini(struct options *);
/* `what` names where it stands, for messages. */
int option_set(
    struct options *, const char *name, const char *value, const char *what, struct err *) MUST_CHECK;
/* A configuration file: the same syntax as pot.conf(5). */
int options_read(struct options *, const char *file, struct err *) MUST_CHECK;

#endif
