/*
 * .potignore and .dockerignore: which paths of a build context stay out. One
 * pattern a line, '#' comments, '!' takes back, the last line that matches
 * decides, and what matches a directory matches all below it.
 */
#ifndef MODEL_IGNORE_H
#define MODEL_IGNORE_H

#include <stdbool.h>
#include "model/pattern.h"

#define IGNORE_FILE_MAX (1024 * 1024)
#define IGNORE_RULES_MAX 10000

struct ignore_rule {
	struct pattern pattern;
	bool keep; /* '!' */
};
struct ignore {
	struct ignore_rule *v;
	size_t n, cap;
	bool keeps; /* some rule has '!' */
};
#define IGNORE_INIT               \
	{                         \
		NULL, 0, 0, false \
	}

void ignore_fini(struct ignore *);
/* Appends the rules; `what` names the file: "what:LINE: why". On error nothing is added. */
int ignore_parse(struct ignore *, const char *text, size_t len, const char *what, struct err *) MUST_CHECK;
/* One rule, as COPY --exclude has it. */
int ignore_add(struct ignore *, const char *pattern, struct err *) MUST_CHECK;
/* path: relative to the context, without "./", ".." or a slash at either end. */
bool ignore_excludes(const struct ignore *, const char *path);
/* May an excluded directory be passed over, as nothing below it is taken back? */
bool ignore_prunes(const struct ignore *, const char *dir);

DEFINE_AUTO_FINI(ignore, struct ignore)

#endif
