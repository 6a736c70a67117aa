/* From the text of a configuration file to settings: config_read.c, for config.c only. */
#ifndef MODEL_CONFIG_READ_H
#define MODEL_CONFIG_READ_H

#include "base/buf.h"

#define CONFIG_FILE_MAX (1024 * 1024)

/* A name that may stand in the file. */
struct config_name {
	const char *name;
	bool ignored; /* known, but without a meaning here */
};
/* A setting was read. `what` is "FILE:LINE:COLUMN" for messages, origin "FILE:LINE". */
typedef int config_set_fn(
    void *arg, const char *name, const char *value, const char *what, const char *origin, struct err *);

/* names[n]. Calls set for each setting that is not ignored, in the order of the names. */
int config_read(const char *text, size_t len, const char *file, const struct config_name *names, size_t n,
    config_set_fn *set, void *arg, struct err *) MUST_CHECK;

#endif
