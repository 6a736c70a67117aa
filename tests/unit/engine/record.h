/*
 * What the engine calls, in order, and any one of it made to fail: the calls
 * go through here by the linker's --wrap, which the engine does not notice.
 */
#ifndef TEST_RECORD_H
#define TEST_RECORD_H

#include "engine/epot.h"

struct record {
	char calls[1024]; /* "hook:prestart mount files …" */
	const char *fail; /* the name of the call that fails, or NULL */
	int times;        /* how often; 0: always */
	enum err_code code;
};
extern struct record record;

void record_reset(void);

#endif
