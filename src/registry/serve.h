/* The registry as a whole, opened for serving or for maintenance; and the verbs of the program. */
#ifndef REGISTRY_SERVE_H
#define REGISTRY_SERVE_H

#include "registry/registry.h"

/* Everything but the HTTP server. Takes the data directory's lock: E_BUSY when another process has it. */
int registry_open(const struct options *, struct registry **, struct err *) MUST_CHECK;
void registry_close(struct registry *);

/* Serves until SIGINT or SIGTERM. */
int serve(const struct options *, struct err *) MUST_CHECK;

#endif
