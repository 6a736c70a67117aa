/* Names of releases print as what reads the same; a list of sets never gives a set without a whole sum or outside its directory. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "model/bsdrelease.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 1);
	struct bsd_release r, again;
	struct err e = ERR_INIT;
	struct bsd_set s;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (bsd_release_parse(text, &r, &e) == 0 &&
	    (bsd_release_parse(r.name, &again, &e) < 0 || strcmp(r.name, again.name) != 0))
		abort();
	if (bsd_manifest_find(text, size, "list", "base", &s, &e) == 0) {
		if (strlen(s.sha256) != 64 || s.file[0] == '\0' || s.file[0] == '.' ||
		    strchr(s.file, '/') != NULL)
			abort();
	} else if (e.msg[0] == '\0') {
		abort();
	}
	return 0;
}
