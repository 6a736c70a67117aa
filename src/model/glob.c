/*
 * Globs of paths, component by component, as a walk through a tree wants
 * them. Reading directories is the caller's.
 */
#include <string.h>

#include "model/glob.h"

void
glob_fini(struct glob *g)
{
	for (size_t i = 0; i < g->n; i++)
		pattern_fini(&g->v[i]);
	g->n = 0;
}

bool
glob_has_wildcard(const char *s)
{
	return strpbrk(s, "*?[\\") != NULL;
}

static int
add_component(struct glob *g, const char *s, size_t len, struct err *e)
{
	AUTO_FREE char *text = NULL;
	int rc;

	if (len == 0 || (len == 1 && s[0] == '.'))
		return 0;
	if (len == 2 && memcmp(s, "..", 2) == 0)
		return err_set(e, E_INVAL, "'..' leads out of the directory");
	if (g->n == GLOB_COMPONENTS_MAX)
		return err_set(e, E_LIMIT, "a path of more than %d components", GLOB_COMPONENTS_MAX);
	text = buf_dup(s, len);
	if (text == NULL)
		return err_nomem(e);
	rc = pattern_compile(&g->v[g->n], text, PATTERN_PATH | PATTERN_CLASS, e);
	if (rc == 0)
		g->n++;
	return rc;
}

int
glob_compile(struct glob *g, const char *pattern, struct err *e)
{
	int rc = 0;

	g->n = 0;
	while (rc == 0 && *pattern != '\0') {
		size_t len = strcspn(pattern, "/");

		rc = add_component(g, pattern, len, e);
		pattern += len + (pattern[len] == '/');
	}
	if (rc < 0)
		glob_fini(g);
	return rc;
}

bool
glob_component(const struct glob *g, size_t depth, const char *name)
{
	return depth < g->n && pattern_matches(&g->v[depth], name, strlen(name));
}

bool
glob_matches(const struct glob *g, const char *path)
{
	size_t depth = 0;

	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (len > 0 && (depth == g->n || !pattern_matches(&g->v[depth++], path, len)))
			return false;
		path += len + (path[len] == '/');
	}
	return depth == g->n;
}
