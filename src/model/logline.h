/* Reading the shim's log records (format: shimproto.h). Pure; hostile input is passed over. */
#ifndef MODEL_LOGLINE_H
#define MODEL_LOGLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct logline {
	int64_t time_ns;
	char stream;      /* 'o' or 'e' */
	bool whole;       /* ends a line */
	const char *text; /* borrowed from the input, not NUL-terminated, without newline */
	size_t len;
};
/* One record without its newline. false when it is not one. */
bool logline_parse(const char *record, size_t len, struct logline *);

#endif
