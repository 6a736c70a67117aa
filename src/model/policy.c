/* policy.conf: text to rules, and which rule counts. Keys are files that others open. */
#include <string.h>

#include "base/text.h"
#include "model/policy.h"

#define LINE_MAX_BYTES 16384

static int
parse_require(struct policy_rule *r, const struct strv *w, struct err *e)
{
	uint64_t need;
	int rc;

	if (w->n < 4)
		return err_set(e, E_INVAL, "'require' needs a number and that many key files");
	if ((rc = text_uint(w->v[2], 1, POLICY_KEYS_MAX, &need, "the number of keys", e)) < 0)
		return rc;
	for (size_t i = 3; i < w->n; i++)
		strv_add(&r->keys, w->v[i]);
	if ((rc = strv_check(&r->keys, "key files", e)) < 0)
		return rc;
	if (r->keys.n < need)
		return err_set(e, E_INVAL, "needs %llu signatures and names %zu keys",
		    (unsigned long long)need, r->keys.n);
	r->need = (unsigned)need;
	r->what = POLICY_REQUIRE;
	return 0;
}

static int
parse_rule(struct policy_rule *r, const struct strv *w, struct err *e)
{
	size_t n = strlen(w->v[0]);

	if (n > 1 && w->v[0][n - 1] == '/')
		return err_set(e, E_INVAL, "a prefix does not end in '/'");
	r->keys = (struct strv)STRV_INIT(POLICY_KEYS_MAX);
	r->prefix = buf_dup(w->v[0], n);
	if (r->prefix == NULL)
		return err_nomem(e);
	if (w->n < 2)
		return err_set(e, E_INVAL, "'%.100s' what?", r->prefix);
	if (strcmp(w->v[1], "require") == 0)
		return parse_require(r, w, e);
	if (w->n == 2 && strcmp(w->v[1], "accept") == 0)
		r->what = POLICY_ACCEPT;
	else if (w->n == 2 && strcmp(w->v[1], "reject") == 0)
		r->what = POLICY_REJECT;
	else
		return err_set(e, E_INVAL, "'%.100s' is not accept, reject or require N KEYFILE…", w->v[1]);
	return 0;
}

static int
add_rule(struct policy *p, const struct strv *words, unsigned line, struct err *e)
{
	struct policy_rule *v;

	if (p->n == POLICY_RULES_MAX)
		return err_set(e, E_LIMIT, "more than %d rules", POLICY_RULES_MAX);
	v = realloc(p->v, (p->n + 1) * sizeof(*v));
	if (v == NULL)
		return err_nomem(e);
	p->v = v;
	v = &p->v[p->n++];
	*v = (struct policy_rule){ .line = line };
	for (size_t i = 0; i + 1 < p->n; i++)
		if (strcmp(p->v[i].prefix, words->v[0]) == 0)
			return err_set(
			    e, E_INVAL, "'%.100s' has a rule already, in line %u", words->v[0], p->v[i].line);
	return parse_rule(v, words, e);
}

static int
parse_line(struct policy *p, const char *text, size_t len, unsigned line, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(POLICY_KEYS_MAX + 3);
	AUTO_FINI(buf) struct buf copy = BUF_INIT(LINE_MAX_BYTES);
	int rc;

	if (len > 0 && text[len - 1] == '\r')
		len--;
	buf_add(&copy, text, len);
	if ((rc = buf_check(&copy, "a line", e)) < 0)
		return rc;
	if (memchr(text, '\0', len) != NULL)
		return err_set(e, E_INVAL, "a NUL in it");
	text = buf_cstr(&copy);
	if (text[strspn(text, " \t")] == '\0' || text[strspn(text, " \t")] == '#')
		return 0;
	if ((rc = text_split(text, &words, e)) < 0 || (rc = strv_check(&words, "words", e)) < 0)
		return rc;
	return words.n > 0 ? add_rule(p, &words, line, e) : 0;
}

int
policy_parse(struct policy *p, const char *text, size_t len, const char *file, struct err *e)
{
	unsigned line = 1;

	*p = (struct policy){ NULL, 0 };
	for (size_t at = 0; at < len; line++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end != NULL ? (size_t)(end - text) - at : len - at;
		int rc = parse_line(p, text + at, n, line, e);

		if (rc < 0) {
			err_wrap(e, "%s:%u", file, line);
			policy_fini(p);
			return rc;
		}
		at += n + 1;
	}
	return 0;
}

void
policy_fini(struct policy *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].prefix);
		strv_fini(&p->v[i].keys);
	}
	free(take_ptr(p->v));
	p->n = 0;
}

/* How many bytes of the name the prefix fits, plus one; 0 when it does not. */
static size_t
fit(const char *prefix, const char *name)
{
	size_t n = strlen(prefix);

	if (strcmp(prefix, "*") == 0)
		return 1;
	if (strncmp(prefix, name, n) != 0 || (name[n] != '/' && name[n] != '\0'))
		return 0;
	return n + 1;
}

const struct policy_rule *
policy_find(const struct policy *p, const char *name)
{
	const struct policy_rule *best = NULL;
	size_t length = 0;

	for (size_t i = 0; i < p->n; i++) {
		size_t n = fit(p->v[i].prefix, name);

		if (n > length) {
			best = &p->v[i];
			length = n;
		}
	}
	return best;
}
