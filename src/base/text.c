/*
 * Words: splitting and joining command lines, escaping what goes to a
 * terminal, the nearest of known words.  Numbers are in number.c, times in
 * time.c.
 */
#include <string.h>

#include "base/text.h"

/*
 * The length of the printable UTF-8 character at s (n > 0 bytes left), or 0:
 * the byte must be escaped.  Overlong forms, surrogates and what lies above
 * U+10FFFF are not UTF-8 (RFC 3629).
 */
static size_t
printable_len(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len;
	uint32_t c;

	if (s[0] < 0x80)
		return s[0] >= 0x20 && s[0] != 0x7f;
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
		return 0;
	c = s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c < 0xa0)
		return 0;
	/* Line and paragraph separator, direction marks, embeddings, overrides and isolates. */
	if (c == 0x061c || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069))
		return 0;
	return len;
}

/* The next piece of s as it shall be printed; returns how many bytes of s it stands for. */
static size_t
escape_one(const unsigned char *s, size_t n, char piece[static 5], size_t *piece_len)
{
	static const char hex[] = "0123456789abcdef";
	size_t len = printable_len(s, n);

	if (len > 0) {
		memcpy(piece, s, len);
		*piece_len = len;
		return len;
	}
	memcpy(piece, (char[]){ '\\', 'x', hex[s[0] >> 4], hex[s[0] & 15] }, 4);
	*piece_len = 4;
	return 1;
}

void
text_escape(const char *text, size_t n, struct buf *b)
{
	const unsigned char *s = (const unsigned char *)text;
	char piece[5];
	size_t len;

	for (size_t i = 0; i < n && !b->failed;) {
		i += escape_one(s + i, n - i, piece, &len);
		buf_add(b, piece, len);
	}
}

void
text_escape_into(char *dst, size_t size, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	char piece[5];
	size_t len, used = 0;

	for (size_t i = 0; i < n; used += len) {
		i += escape_one(s + i, n - i, piece, &len);
		if (len >= size - used)
			break;
		memcpy(dst + used, piece, len);
	}
	dst[used] = '\0';
}

struct splitter {
	const char *text, *s;
	struct buf word;
	bool in_word;
};

static int
unclosed(const struct splitter *sp, const char *at, const char *what, struct err *e)
{
	return err_set(e, E_INVAL, "column %zu: %s", (size_t)(at - sp->text) + 1, what);
}

/* s stands on the opening quote; leaves it on the closing one. */
static int
split_quoted(struct splitter *sp, struct err *e)
{
	const char *open = sp->s, quote = *open;

	for (sp->s++; *sp->s != quote; sp->s++) {
		if (*sp->s == '\0')
			return unclosed(sp, open, "quote without an end", e);
		if (quote == '"' && *sp->s == '\\' && sp->s[1] != '\0' &&
		    strchr("\\\"$`\n", sp->s[1]) != NULL) {
			sp->s++;
			if (*sp->s == '\n')
				continue;
		}
		buf_add(&sp->word, sp->s, 1);
	}
	return 0;
}

static int
split_char(struct splitter *sp, struct strv *v, struct err *e)
{
	int rc = 0;

	switch (*sp->s) {
	case ' ':
	case '\t':
	case '\n':
		/* A word that lost a byte for want of memory must not pass for a shorter one. */
		rc = buf_check(&sp->word, "command line", e);
		if (sp->in_word)
			strv_add(v, buf_cstr(&sp->word));
		sp->in_word = false;
		buf_reset(&sp->word);
		break;
	case '\'':
	case '"':
		sp->in_word = true;
		rc = split_quoted(sp, e);
		break;
	case '\\':
		sp->s++;
		if (*sp->s == '\0')
			return unclosed(sp, sp->s - 1, "backslash at the end", e);
		if (*sp->s == '\n')
			return 0;
		/* FALLTHROUGH */
	default:
		sp->in_word = true;
		buf_add(&sp->word, sp->s, 1);
	}
	return rc;
}

int
text_split(const char *text, struct strv *v, struct err *e)
{
	struct splitter sp = { text, text, BUF_INIT(strlen(text)), false };
	size_t before = v->n;
	int rc = 0;

	for (; rc == 0 && *sp.s != '\0'; sp.s++)
		rc = split_char(&sp, v, e);
	if (rc == 0)
		rc = buf_check(&sp.word, "command line", e);
	if (rc == 0 && sp.in_word)
		strv_add(v, buf_cstr(&sp.word));
	if (rc == 0)
		rc = strv_check(v, "words of the command line", e);
	buf_fini(&sp.word);
	while (rc < 0 && v->n > before)
		strv_remove(v, v->n - 1);
	return rc;
}

static bool
is_plain(const char *word)
{
	if (*word == '\0')
		return false;
	for (; *word != '\0'; word++) {
		unsigned char c = (unsigned char)*word;

		if (c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
			continue;
		if (strchr("_@%+=:,./-", c) == NULL)
			return false;
	}
	return true;
}

void
text_join(char *const *argv, struct buf *b)
{
	for (size_t i = 0; argv[i] != NULL; i++) {
		const char *s = argv[i];

		if (i > 0)
			buf_add(b, " ", 1);
		if (is_plain(s)) {
			buf_str(b, s);
			continue;
		}
		buf_add(b, "'", 1);
		for (; *s != '\0'; s++) {
			if (*s == '\'')
				buf_str(b, "'\\''");
			else
				buf_add(b, s, 1);
		}
		buf_add(b, "'", 1);
	}
}

#define NEAREST_MAX 63u
#define NEAREST_DISTANCE 2u

static size_t
min3(size_t a, size_t b, size_t c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/* Insertions, deletions, substitutions and swaps of neighbours that make a into b (optimal string alignment). */
static size_t
distance(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t rows[3][NEAREST_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2], *swap;

	for (size_t j = 0; j <= blen; j++)
		last[j] = j;
	for (size_t i = 1; i <= alen; i++) {
		row[0] = i;
		for (size_t j = 1; j <= blen; j++) {
			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		swap = before;
		before = last;
		last = row;
		row = swap;
	}
	return last[blen];
}

const char *
text_nearest(const char *word, const char *const *names, size_t n)
{
	size_t len = strlen(word), best = NEAREST_DISTANCE + 1;
	const char *nearest = NULL;

	if (len > NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t name_len = strlen(names[i]), d;

		if (name_len > NEAREST_MAX || name_len > len + NEAREST_DISTANCE ||
		    len > name_len + NEAREST_DISTANCE)
			continue;
		d = distance(word, len, names[i], name_len);
		if (d < best && 2 * d < len) {
			best = d;
			nearest = names[i];
		}
	}
	return nearest;
}
