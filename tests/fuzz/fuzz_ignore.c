/* Ignore files and globs: the last line is the path; what is passed over really is excluded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/glob.h"
#include "model/ignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FINI(ignore) struct ignore ig = IGNORE_INIT;
	AUTO_FREE char *text = buf_dup((const char *)data, size);
	struct err e = ERR_INIT;
	struct glob g;
	char *path;

	if (text == NULL || size > 4096 || (path = strrchr(text, '\n')) == NULL)
		return 0;
	*path++ = '\0';
	if (ignore_parse(&ig, text, (size_t)(path - text) - 1, "f", &e) < 0) {
		if (e.msg[0] == '\0' || ig.n != 0)
			abort();
	} else if (ignore_prunes(&ig, path)) {
		AUTO_FINI(buf) struct buf below = BUF_INIT(8192);

		buf_fmt(&below, "%s/x/y", path);
		if (!ignore_excludes(&ig, path) || !ignore_excludes(&ig, buf_cstr(&below)))
			abort();
	}
	if (glob_compile(&g, text, &e) == 0) {
		(void)glob_matches(&g, path);
		glob_fini(&g);
	}
	return 0;
}
