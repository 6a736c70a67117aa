/*
 * Ignore files: lines to rules, and paths asked of the rules. Which file is
 * read, and what is done with a path, is the builder's.
 */
#include <stdlib.h>
#include <string.h>

#include "model/ignore.h"

void
ignore_fini(struct ignore *ig)
{
	for (size_t i = 0; i < ig->n; i++)
		pattern_fini(&ig->v[i].pattern);
	free(ig->v);
	*ig = (struct ignore)IGNORE_INIT;
}

/* Components without "", "." and with ".." resolved; *out is "" for the context itself. */
static int
clean(const char *s, struct buf *out, struct err *e)
{
	while (*s != '\0') {
		size_t len = strcspn(s, "/");

		if (len == 2 && memcmp(s, "..", 2) == 0) {
			const char *slash = out->data != NULL ? strrchr(out->data, '/') : NULL;

			/* Above the context there is nothing, as with "/..". */
			if (out->data != NULL) {
				out->len = slash != NULL ? (size_t)(slash - out->data) : 0;
				out->data[out->len] = '\0';
			}
		} else if (len > 0 && !(len == 1 && s[0] == '.')) {
			if (out->len > 0)
				buf_add(out, "/", 1);
			buf_add(out, s, len);
		}
		s += len + (s[len] == '/');
	}
	return buf_check(out, "pattern", e);
}

static int
append(struct ignore *ig, struct ignore_rule rule, struct err *e)
{
	if (ig->n == IGNORE_RULES_MAX)
		return err_set(e, E_LIMIT, "more than %d patterns", IGNORE_RULES_MAX);
	if (ig->n == ig->cap) {
		size_t cap = ig->cap == 0 ? 16 : ig->cap * 2;
		struct ignore_rule *v = reallocarray(ig->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		ig->v = v;
		ig->cap = cap;
	}
	ig->v[ig->n++] = rule;
	ig->keeps |= rule.keep;
	return 0;
}

int
ignore_add(struct ignore *ig, const char *text, struct err *e)
{
	AUTO_FINI(buf) struct buf path = BUF_INIT(64 * 1024);
	struct ignore_rule rule = { .keep = text[0] == '!' };
	int rc;

	if (rule.keep) {
		text += 1 + strspn(text + 1, " \t");
		if (*text == '\0')
			return err_set(e, E_INVAL, "'!' without a pattern");
	}
	if ((rc = clean(text, &path, e)) < 0)
		return rc;
	/* "." and "/" are the context, which is never left out itself. */
	if (path.len == 0)
		return 0;
	rc = pattern_compile(&rule.pattern, path.data, PATTERN_PATH | PATTERN_CLASS | PATTERN_DEEP, e);
	if (rc == 0 && (rc = append(ig, rule, e)) < 0)
		pattern_fini(&rule.pattern);
	return rc;
}

static int
parse_line(struct ignore *ig, const char *line, size_t len, struct err *e)
{
	AUTO_FREE char *text = NULL;

	if (len > 0 && line[0] == '#')
		return 0;
	for (; len > 0 && strchr(" \t\r\v\f", line[len - 1]) != NULL; len--)
		;
	for (; len > 0 && strchr(" \t\r\v\f", line[0]) != NULL; line++)
		len--;
	if (len == 0)
		return 0;
	if (memchr(line, '\0', len) != NULL)
		return err_set(e, E_INVAL, "a NUL byte");
	text = buf_dup(line, len);
	return text == NULL ? err_nomem(e) : ignore_add(ig, text, e);
}

static void
truncate_to(struct ignore *ig, size_t n)
{
	while (ig->n > n)
		pattern_fini(&ig->v[--ig->n].pattern);
	ig->keeps = false;
	for (size_t i = 0; i < n; i++)
		ig->keeps |= ig->v[i].keep;
}

int
ignore_parse(struct ignore *ig, const char *text, size_t len, const char *what, struct err *e)
{
	const char *s = text, *end = text + len;
	size_t before = ig->n, line = 1;
	int rc;

	if (len > IGNORE_FILE_MAX)
		return err_set(e, E_LIMIT, "%s: larger than %d bytes", what, IGNORE_FILE_MAX);
	if (len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3;
	for (; s < end; line++) {
		const char *eol = memchr(s, '\n', (size_t)(end - s));

		if (eol == NULL)
			eol = end;
		if ((rc = parse_line(ig, s, (size_t)(eol - s), e)) < 0) {
			truncate_to(ig, before);
			err_wrap(e, "%s:%zu", what, line);
			return rc;
		}
		s = eol + (eol < end);
	}
	return 0;
}

/* Does the rule match the path or a directory that it is in? */
static bool
rule_matches(const struct ignore_rule *rule, const char *path, size_t len)
{
	struct pattern_run run;
	uint32_t ch;

	pattern_start(&run, &rule->pattern);
	for (size_t i = 0; i < len;) {
		i += pattern_char(path + i, len - i, &ch);
		if (ch == '/' && pattern_accepts(&run))
			return true;
		pattern_step(&run, ch);
	}
	return pattern_accepts(&run);
}

bool
ignore_excludes(const struct ignore *ig, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = ig->n; i > 0; i--) {
		if (rule_matches(&ig->v[i - 1], path, len))
			return !ig->v[i - 1].keep;
	}
	return false;
}

/* Could a path below the directory be matched by this rule? */
static bool
reaches_below(const struct ignore_rule *rule, const char *dir)
{
	size_t len = strlen(dir);
	struct pattern_run run;
	uint32_t ch;

	pattern_start(&run, &rule->pattern);
	for (size_t i = 0; i < len;) {
		i += pattern_char(dir + i, len - i, &ch);
		/* The rule keeps a directory above: all below it, too. */
		if (ch == '/' && pattern_accepts(&run))
			return true;
		pattern_step(&run, ch);
	}
	if (pattern_accepts(&run))
		return true;
	pattern_step(&run, '/');
	return pattern_alive(&run);
}

bool
ignore_prunes(const struct ignore *ig, const char *dir)
{
	if (!ignore_excludes(ig, dir))
		return false;
	/* From the last rule back: what stands before a rule that excludes the whole of it has no say. */
	for (size_t i = ig->n; i > 0; i--) {
		const struct ignore_rule *rule = &ig->v[i - 1];

		if (rule->keep ? reaches_below(rule, dir) : rule_matches(rule, dir, strlen(dir)))
			return !rule->keep;
	}
	return false;
}
