/*
 * Names inside an archive: the one place where a hostile name becomes a
 * relative path that may be looked up below the root. No file access, so
 * that it can be fuzzed as it is.
 */
#include "unpack/entry.h"

#include <stdbool.h>
#include <string.h>

static int
add_component(char out[static ENTRY_PATH_MAX], size_t *len, const char *s, size_t n, struct err *e)
{
	if (n > ENTRY_NAME_MAX)
		return err_set(
		    e, E_CORRUPT, "a component of its name is longer than %d bytes", ENTRY_NAME_MAX);
	if (*len + (*len > 0) + n >= ENTRY_PATH_MAX)
		return err_set(e, E_CORRUPT, "its name is longer than %d bytes", ENTRY_PATH_MAX - 1);
	if (*len > 0)
		out[(*len)++] = '/';
	memcpy(out + *len, s, n);
	*len += n;
	out[*len] = '\0';
	return 0;
}

int
entry_normalize(const char *raw, char out[static ENTRY_PATH_MAX], struct err *e)
{
	size_t len = 0;

	out[0] = '\0';
	if (raw[0] == '\0')
		return err_set(e, E_CORRUPT, "an empty name");
	if (raw[0] == '/')
		return err_set(e, E_CORRUPT, "an absolute name");
	for (const char *p = raw; *p != '\0';) {
		size_t n = strcspn(p, "/");
		int r;

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return err_set(e, E_CORRUPT, "a name with \"..\" in it");
		if (n > 0 && !(n == 1 && p[0] == '.') && (r = add_component(out, &len, p, n, e)) < 0)
			return r;
		p += n;
		p += strspn(p, "/");
	}
	return 0;
}

void
entry_split(const char *path, char dir[static ENTRY_PATH_MAX], const char **last)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash != NULL ? (size_t)(slash - path) : 0;

	memcpy(dir, path, n);
	dir[n] = '\0';
	*last = slash != NULL ? slash + 1 : path;
}
