/* The options by which a pot's walls are loosened or narrowed; several verbs share them. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static const char *const lists[] = { "cap-add", "cap-drop", "device", "sysctl", "tmpfs" };
static const char *const singles[] = { "seccomp", "shm-size", "userns" };
static const char *const flags[] = { "privileged", "read-only" };

void
walls_args_fini(struct walls_args *w)
{
	strv_fini(&w->settings);
}

/* What is recorded must mean the same from any directory. */
static int
add_seccomp(struct walls_args *w, const char *value, struct err *e)
{
	AUTO_FREE char *path = NULL;

	if (strcmp(value, "default") != 0 && strcmp(value, "unconfined") != 0) {
		path = realpath(value, NULL);
		if (path == NULL)
			return err_sys(e, "cannot use '%.256s'", value);
	}
	strv_fmt(&w->settings, "seccomp=%s", path != NULL ? path : value);
	return 0;
}

/* Capabilities may come as a list with commas. */
static void
add_words(struct walls_args *w, const char *name, const char *value)
{
	size_t n;

	for (;; value += n + 1) {
		n = strcspn(value, ",");
		strv_fmt(&w->settings, "%s=%.*s", name, (int)n, value);
		if (value[n] == '\0')
			return;
	}
}

int
walls_args_get(const struct args *a, struct walls_args *w, const char *const **out, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(lists) && rc == 0; i++) {
		AUTO_FREE char **v = args_values(a, lists[i]);

		if (v == NULL)
			return err_nomem(e);
		for (char **s = v; *s != NULL; s++) {
			if (strncmp(lists[i], "cap-", 4) == 0)
				add_words(w, lists[i], *s);
			else
				strv_fmt(&w->settings, "%s=%s", lists[i], *s);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(singles) && rc == 0; i++) {
		const char *v = args_value(a, singles[i]);

		if (v != NULL && i == 0)
			rc = add_seccomp(w, v, e);
		else if (v != NULL)
			strv_fmt(&w->settings, "%s=%s", singles[i], v);
	}
	for (size_t i = 0; i < ARRAY_LEN(flags) && rc == 0; i++)
		if (args_has(a, flags[i]))
			strv_fmt(&w->settings, "%s=yes", flags[i]);
	if (rc == 0)
		rc = strv_check(&w->settings, "options", e);
	if (rc == 0 && w->settings.n > 0)
		*out = (const char *const *)strv_argv(&w->settings);
	return rc;
}
