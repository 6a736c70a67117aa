/* A record of the log: what is taken lies inside the input. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/logline.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of exactly this size, so that a read past its end is seen. */
	AUTO_FREE char *record = malloc(size > 0 ? size : 1);
	struct logline l;

	if (record == NULL)
		return 0;
	memcpy(record, data, size);
	if (logline_parse(record, size, &l)) {
		if (l.text < record || l.text + l.len != record + size || l.time_ns < 0 ||
		    (l.stream != 'o' && l.stream != 'e'))
			abort();
	}
	return 0;
}
