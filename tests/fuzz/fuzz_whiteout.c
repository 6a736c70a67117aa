/* Names in layers, one a line: what is a whiteout takes away one name or a directory's content, and own paths are known. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unpack/whiteout.h"

/* Not assert(): it must hold in a release build, too. */
#define expect(c)                \
	do {                     \
		if (!(c))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_line(struct own_paths *own, const char *line)
{
	char path[ENTRY_PATH_MAX];
	const char *name = NULL;
	enum whiteout what;

	if (entry_normalize(line, path, NULL) < 0 || whiteout_parse(path, &what, &name, NULL) < 0)
		return;
	if (what == WHITEOUT_NAME) {
		expect(name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
		expect(strchr(name, '/') == NULL && strncmp(name, ".wh.", 4) != 0);
	}
	if (what != WHITEOUT_NONE)
		return;
	/* No component of what is put there looks like a whiteout to the next tool. */
	expect(strncmp(path, ".wh.", 4) != 0 && strstr(path, "/.wh.") == NULL);
	own_paths_add(own, path);
	while (!own->full && path[0] != '\0') {
		char *slash = strrchr(path, '/');

		expect(own_paths_has(own, path));
		if (slash == NULL)
			break;
		*slash = '\0';
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct own_paths own;
	char *text = malloc(size + 1), *rest = text, *line;

	if (text == NULL || own_paths_init(&own, NULL) < 0) {
		free(text);
		return 0;
	}
	memcpy(text, data, size);
	text[size] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL)
		check_line(&own, line);
	own_paths_fini(&own);
	free(text);
	return 0;
}
