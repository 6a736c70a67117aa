/* References to images: what is read prints to text that reads the same, and holds nothing that leaves a path. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 1);
	struct reference r, again;
	struct err e = ERR_INIT;
	char out[REF_TEXT];

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)ref_host_is_loopback(text);
	if (ref_parse(text, &r, &e) < 0) {
		if (e.msg[0] == '\0')
			abort();
		return 0;
	}
	ref_print(&r, out);
	if (ref_parse(out, &again, &e) < 0 || !ref_equal(&r, &again))
		abort();
	if (strstr(out, "..") != NULL || out[0] == '/' || strchr(r.tag, '/') != NULL ||
	    strchr(r.name, ':') != NULL)
		abort();
	return 0;
}
