/*
 * How `pot-registry gc` and `verify` reach a registry that is serving: a
 * socket in its data directory, one line each way ("gc", "gc dry", "verify";
 * lines of text, the last one "ok" or "failed WHY").
 */
#ifndef REGISTRY_CONTROL_H
#define REGISTRY_CONTROL_H

#include <stdio.h>

#include "registry/registry.h"

struct control;

int control_start(struct registry *, struct control **, struct err *) MUST_CHECK;
void control_stop(struct control *);
/* Runs the command and writes what it says to out; used by the socket and, without a server, directly. */
int control_run(struct registry *, const char *command, FILE *out, struct err *) MUST_CHECK;
/* Asks the server that has this data directory. E_NOENT when none listens. */
int control_ask(const char *dir, const char *command, FILE *out, struct err *) MUST_CHECK;

#endif
