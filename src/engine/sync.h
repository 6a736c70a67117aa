/*
 * Bringing a state file to the disk while its writer goes on: begin starts it
 * beside, end waits for it and tells its error. end without begin, or where
 * no thread could be had, does it then.
 */
#ifndef ENGINE_SYNC_H
#define ENGINE_SYNC_H

#include <pthread.h>
#include <stdbool.h>

#include "engine/state.h"

struct state_sync {
	pthread_t thread;
	bool running;
	int fd, sys;
};
#define STATE_SYNC_INIT          \
	{                        \
		.running = false \
	}

void state_sync_begin(const struct state *, struct state_sync *);
int state_sync_end(const struct state *, struct state_sync *, struct err *) MUST_CHECK;

#endif
