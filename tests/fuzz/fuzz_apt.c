/* The host's package sources: every line that comes out is one line for the suite and cannot be an option. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/aptsources.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(strv) struct strv lines = STRV_INIT(1024);
	char *text = malloc(size + 1);
	int a, b;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	a = apt_parse_list(text, "list", "trixie", "bookworm", &lines, NULL);
	b = apt_parse_deb822(text, "sources", "trixie", "bookworm", &lines, NULL);
	for (size_t i = 0; i < lines.n; i++)
		assert(strncmp(lines.v[i], "deb ", 4) == 0 && strchr(lines.v[i], '\n') == NULL &&
		    strstr(lines.v[i], "trixie") != NULL);
	(void)(a + b);
	free(text);
	return 0;
}
