/*
 * The configuration file: read, or refused with a place in the file; and
 * whatever it was, the next file is read as if nothing had been (the library's
 * scanner is global).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = NULL;
	struct err e = ERR_INIT;

	if (config_parse(&c, (const char *)data, size, "fuzz", &e) == 0) {
		for (size_t i = 0; i < config_nkeys; i++) {
			if (config_get(c, config_keys[i].name) == NULL)
				abort();
		}
		if (config_uint(c, "log_files") == 0 || config_duration_ms(c, "stop_timeout") < 0)
			abort();
		config_free(c);
	} else if (strncmp(e.msg, "fuzz:", 5) != 0 && e.code != E_LIMIT && e.code != E_NOMEM) {
		abort();
	}
	if (config_parse(&c, "storage = zfs\n", 14, "next", &e) < 0 ||
	    strcmp(config_get(c, "storage"), "zfs") != 0)
		abort();
	config_free(c);
	return 0;
}
