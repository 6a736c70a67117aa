/*
 * From the bytes of a Potfile to logical lines: directives, comments,
 * continuation, bodies of here-documents; and from a place in a line back
 * to one in the file. What a line says is potfile.c's.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/potfile_impl.h"

#define EXCERPT_WIDTH 100

struct span {
	const char *s;
	size_t len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The next physical line without its end; false at the end of the file. */
static bool
next_line(struct potfile_reader *r, struct span *out)
{
	const char *s = r->pf->text + r->pos, *end = r->pf->text + r->pf->len, *eol;

	if (s >= end)
		return false;
	eol = memchr(s, '\n', (size_t)(end - s));
	if (eol == NULL)
		eol = end;
	r->pos = (size_t)(eol - r->pf->text) + (eol < end);
	*out = (struct span){ s, (size_t)(eol - s) };
	if (out->len > 0 && s[out->len - 1] == '\r')
		out->len--;
	return true;
}

static struct span
trim(struct span l)
{
	for (; l.len > 0 && is_blank(l.s[0]); l.s++)
		l.len--;
	for (; l.len > 0 && is_blank(l.s[l.len - 1]);)
		l.len--;
	return l;
}

static int
set_directive(struct potfile_reader *r, const char *key, struct span value, struct err *e)
{
	struct potfile *pf = r->pf;
	char **slot = strcmp(key, "check") == 0 ? &pf->check : &pf->syntax;

	if (strcmp(key, "escape") == 0) {
		if (value.len != 1 || (value.s[0] != '\\' && value.s[0] != '`')) {
			r->fault = (size_t)(value.s - pf->text);
			return err_set(e, E_INVAL, "the escape character is \\ or `");
		}
		pf->escape = value.s[0];
		return 0;
	}
	*slot = buf_dup(value.s, value.len);
	return *slot == NULL ? err_nomem(e) : 0;
}

/* 1: a directive; 0: not one, and none follows. */
static int
read_directive(struct potfile_reader *r, struct span l, unsigned *seen, struct err *e)
{
	static const char *const keys[] = { "syntax", "escape", "check" };
	char key[16];
	size_t n = 0;

	l = trim(l);
	if (l.len == 0 || l.s[0] != '#')
		return 0;
	l = trim((struct span){ l.s + 1, l.len - 1 });
	while (n < l.len && n < sizeof(key) - 1 && isalnum((unsigned char)l.s[n])) {
		key[n] = (char)tolower((unsigned char)l.s[n]);
		n++;
	}
	key[n] = '\0';
	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		struct span value = trim((struct span){ l.s + n, l.len - n });
		int rc;

		if (strcmp(key, keys[i]) != 0 || value.len == 0 || value.s[0] != '=')
			continue;
		value = trim((struct span){ value.s + 1, value.len - 1 });
		if ((*seen & 1u << i) != 0) {
			r->fault = (size_t)(l.s - r->pf->text);
			return err_set(e, E_INVAL, "the directive %s stands here a second time", key);
		}
		*seen |= 1u << i;
		rc = set_directive(r, key, value, e);
		return rc < 0 ? rc : 1;
	}
	return 0;
}

int
potfile_read_directives(struct potfile_reader *r, struct err *e)
{
	unsigned seen = 0;
	struct span l;
	int rc = 1;

	if (r->pf->len >= 3 && memcmp(r->pf->text, "\xef\xbb\xbf", 3) == 0)
		r->pos = 3;
	while (rc == 1) {
		size_t before = r->pos;

		if (!next_line(r, &l))
			break;
		/* A file may be a script: "#!" in front of the directives. */
		if (before <= 3 && l.len > 1 && memcmp(l.s, "#!", 2) == 0)
			continue;
		rc = read_directive(r, l, &seen, e);
		if (rc == 0)
			r->pos = before;
	}
	return rc < 0 ? rc : 0;
}

static int
append(struct potfile_reader *r, struct span l, struct err *e)
{
	if (r->nsegments == r->cap) {
		size_t cap = r->cap == 0 ? 16 : r->cap * 2;
		struct potfile_segment *v = reallocarray(r->segments, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		r->segments = v;
		r->cap = cap;
	}
	r->segments[r->nsegments++] = (struct potfile_segment){ r->line.len, (size_t)(l.s - r->pf->text) };
	buf_add(&r->line, l.s, l.len);
	return buf_check(&r->line, "instruction", e);
}

/* Cuts the escape at the end of the line, if there is one that is not escaped itself. */
static bool
cut_continuation(struct span *l, char escape)
{
	size_t n = l->len;

	while (n > 0 && is_blank(l->s[n - 1]))
		n--;
	if (n == 0 || l->s[n - 1] != escape || (n > 1 && l->s[n - 2] == escape))
		return false;
	l->len = n - 1;
	return true;
}

int
potfile_read_line(struct potfile_reader *r, struct err *e)
{
	bool more = true, any = false;
	struct span l;
	int rc;

	buf_reset(&r->line);
	r->nsegments = 0;
	while (more && next_line(r, &l)) {
		struct span t = trim(l);

		/* Also in the middle of a continued instruction. */
		if (t.len == 0 || t.s[0] == '#')
			continue;
		if (!any) {
			l.len -= (size_t)(t.s - l.s);
			l.s = t.s;
		}
		any = true;
		more = cut_continuation(&l, r->pf->escape);
		if ((rc = append(r, l, e)) < 0)
			return rc;
	}
	while (r->line.len > 0 && is_blank(r->line.data[r->line.len - 1]))
		r->line.data[--r->line.len] = '\0';
	return any ? 1 : 0;
}

int
potfile_read_heredoc(struct potfile_reader *r, struct potfile_heredoc *h, bool tabs, struct err *e)
{
	AUTO_FINI(buf) struct buf body = BUF_INIT(POTFILE_MAX);
	struct span l;

	while (next_line(r, &l)) {
		for (; tabs && l.len > 0 && l.s[0] == '\t'; l.s++)
			l.len--;
		if (l.len == strlen(h->name) && memcmp(l.s, h->name, l.len) == 0) {
			int rc = buf_check(&body, "here-document", e);

			if (rc == 0 && (h->body = buf_take(&body)) == NULL)
				rc = err_nomem(e);
			return rc;
		}
		buf_add(&body, l.s, l.len);
		buf_add(&body, "\n", 1);
	}
	r->fault = h->at;
	return err_set(e, E_INVAL, "the here-document has no line '%.64s' that ends it", h->name);
}

size_t
potfile_source(const struct potfile_reader *r, const char *s)
{
	size_t at = (size_t)(s - buf_cstr(&r->line)), lo = 0, hi = r->nsegments;

	if (hi == 0)
		return r->pos;
	while (hi - lo > 1) {
		size_t middle = (lo + hi) / 2;

		if (r->segments[middle].at <= at)
			lo = middle;
		else
			hi = middle;
	}
	return r->segments[lo].src + (at - r->segments[lo].at);
}

int
potfile_fail(struct potfile_reader *r, const char *s, struct err *e, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(512);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&text, fmt, ap);
	va_end(ap);
	r->fault = potfile_source(r, s);
	return err_set(e, E_INVAL, "%s", text.failed ? "not understood" : buf_cstr(&text));
}

struct potfile_place
potfile_where(const struct potfile *pf, size_t at)
{
	struct potfile_place p = { 1, 1 };

	for (size_t i = 0; i < at && i < pf->len; i++) {
		p.column++;
		if (pf->text[i] == '\n')
			p = (struct potfile_place){ p.line + 1, 1 };
	}
	return p;
}

int
potfile_locate(const struct potfile *pf, size_t at, struct potfile_place *where, struct err *e)
{
	struct potfile_place p = potfile_where(pf, at);

	if (where != NULL)
		*where = p;
	return err_wrap(e, "%s:%u:%u", pf->what, p.line, p.column);
}

/* The caret stands under the character, so what is escaped in front of it counts as it is shown. */
void
potfile_excerpt(const struct potfile *pf, struct potfile_place p, struct buf *out)
{
	AUTO_FINI(buf) struct buf before = BUF_INIT(8 * EXCERPT_WIDTH);
	const char *s = pf->text, *end = pf->text + pf->len, *eol;
	size_t column = p.column > 0 ? p.column - 1 : 0, from, len, width = 0;

	if (s == NULL || p.line == 0)
		return;
	for (unsigned i = 1; i < p.line && s < end; i++) {
		eol = memchr(s, '\n', (size_t)(end - s));
		s = eol != NULL ? eol + 1 : end;
	}
	eol = memchr(s, '\n', (size_t)(end - s));
	len = (size_t)((eol != NULL ? eol : end) - s);
	if (len > 0 && s[len - 1] == '\r')
		len--;
	if (column > len)
		column = len;
	from = column > EXCERPT_WIDTH / 2 && len > EXCERPT_WIDTH ? column - EXCERPT_WIDTH / 2 : 0;
	/* Not into the middle of a character. */
	while (from > 0 && from < len && ((unsigned char)s[from] & 0xc0) == 0x80)
		from--;
	len = len - from < EXCERPT_WIDTH ? len : from + EXCERPT_WIDTH;
	for (size_t i = from; i < len; i++) {
		bool tab = s[i] == '\t';
		size_t n = 1;

		while (i + n < len && ((unsigned char)s[i + n] & 0xc0) == 0x80)
			n++;
		if (i == column)
			width = before.len;
		if (tab)
			buf_str(&before, " ");
		else
			text_escape(s + i, n, &before);
		i += n - 1;
	}
	if (column >= len)
		width = before.len;
	buf_fmt(out, "%s\n", buf_cstr(&before));
	for (size_t i = 0; i < width && i < before.len; i++) {
		if (((unsigned char)before.data[i] & 0xc0) != 0x80)
			buf_str(out, " ");
	}
	buf_str(out, "^\n");
}
