/* Names in archives: what is accepted stays below the root, is canonical, and is its own normal form. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unpack/entry.h"

/* Not assert(): it must hold in a release build, too. */
#define expect(c)                \
	do {                     \
		if (!(c))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char out[ENTRY_PATH_MAX], again[ENTRY_PATH_MAX], dir[ENTRY_PATH_MAX], *raw = malloc(size + 1);
	const char *last;

	if (raw == NULL)
		return 0;
	memcpy(raw, data, size);
	raw[size] = '\0';
	if (entry_normalize(raw, out, NULL) == 0 && out[0] != '\0') {
		expect(out[0] != '/' && strlen(out) < ENTRY_PATH_MAX && out[strlen(out) - 1] != '/');
		expect(
		    strstr(out, "//") == NULL && strstr(out, "/../") == NULL && strncmp(out, "../", 3) != 0);
		expect(strcmp(out, "..") != 0 && strcmp(out, ".") != 0);
		expect(entry_normalize(out, again, NULL) == 0 && strcmp(out, again) == 0);
		entry_split(out, dir, &last);
		expect(last[0] != '\0' && strchr(last, '/') == NULL);
		expect(strlen(last) <= ENTRY_NAME_MAX && strcmp(last, "..") != 0);
	}
	free(raw);
	return 0;
}
