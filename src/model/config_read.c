/*
 * Reading a configuration file with libconfuse. What stands here is what the
 * library lacks: a place (line and column) for every message, and the refusal
 * of what it would do behind the reader's back. What the settings mean is
 * config.c's.
 *
 * Before the library sees the text, each line is looked at once:
 *  - comments become blanks: the library counts a line too many for each C
 *    comment;
 *  - quotes must close on their line: the library's scanner is global, and
 *    after an open quote at the end of the file the next file read by the
 *    process would begin inside a string; so it would after a bad escape,
 *    and escapes could write bytes that no value may have;
 *  - "${…}" is refused outside '…': the library puts the environment in there;
 *  - a setting that ends with its '=' (as shells allow, POT_EXTRA_EXTIF=) gets
 *    "", or the library would take the next line's name for its value;
 *  - POT_NETWORK_<interface>, of which there is no list, becomes blank.
 */
#include <confuse.h>
#include <ctype.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/config_read.h"

#define OPEN_NAME "POT_NETWORK_"
#define LINE_LEN_MAX 4096 /* the library grows a string by 32 bytes at a time */
#define NO_VARIABLES "variables are not replaced here; use single quotes for a plain ${"
#define OPEN_NAME_NOT "POT_NETWORK_STACK"

/* Scanner and buffers of libconfuse are global variables: one reader at a time. */
static pthread_mutex_t confuse_lock = PTHREAD_MUTEX_INITIALIZER;

struct scan {
	const char *file;
	const char *line; /* first byte of the line */
	size_t len, number;
	bool in_comment;
	struct buf *out;
};

static int
fail(const struct scan *s, size_t at, struct err *e, const char *why)
{
	return err_set(e, E_INVAL, "%s:%zu:%zu: %s", s->file, s->number, at + 1, why);
}

static bool
starts(const struct scan *s, size_t i, const char *what)
{
	size_t len = strlen(what);

	return s->len - i >= len && memcmp(s->line + i, what, len) == 0;
}

/* Copies the quoted string that begins at `at`; *at is then behind it. */
static int
copy_quoted(struct scan *s, size_t *at, struct err *e)
{
	size_t start = *at, i;
	char quote = s->line[start];

	for (i = start + 1; i < s->len && s->line[i] != quote; i++) {
		if (s->line[i] == '\\' && ++i < s->len) {
			if (quote == '"' && strchr("\"\\$", s->line[i]) == NULL)
				return fail(
				    s, i - 1, e, "in double quotes only \\\" \\\\ and \\$ are escapes");
		} else if (quote == '"' && starts(s, i, "${")) {
			return fail(s, i, e, NO_VARIABLES);
		}
	}
	if (i >= s->len)
		return fail(s, start, e, "a quote is opened and not closed on this line");
	buf_add(s->out, s->line + start, i + 1 - start);
	*at = i + 1;
	return 0;
}

/* Passes over a C comment up to its end or the line's. */
static size_t
skip_comment(struct scan *s, size_t i)
{
	for (; i + 1 < s->len; i++) {
		if (s->line[i] == '*' && s->line[i + 1] == '/') {
			s->in_comment = false;
			buf_str(s->out, " ");
			return i + 2;
		}
	}
	return s->len;
}

/* Copies what stands outside quotes and comments up to the next of these. */
static int
copy_plain(struct scan *s, size_t *at, struct err *e)
{
	size_t i = *at;
	bool word = false; /* the byte before belongs to an unquoted word */

	for (; i < s->len && strchr("\"'#", s->line[i]) == NULL && !starts(s, i, "/*"); i++) {
		unsigned char c = (unsigned char)s->line[i];

		/* Inside a word it is no comment: http://host. */
		if (!word && starts(s, i, "//"))
			break;
		if (starts(s, i, "${"))
			return fail(s, i, e, NO_VARIABLES);
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return fail(s, i, e, "control character");
		if (c == '+' || c == '*')
			return fail(s, i, e, "a value with + or * in it needs quotes");
		word = c != ' ' && c != '\t' && c != '=';
	}
	buf_add(s->out, s->line + *at, i - *at);
	*at = i;
	return 0;
}

static bool
is_open_name(const struct scan *s)
{
	size_t i = 0;

	while (i < s->len && (s->line[i] == ' ' || s->line[i] == '\t'))
		i++;
	return starts(s, i, OPEN_NAME) && !starts(s, i, OPEN_NAME_NOT);
}

/* Strings were checked for control characters nowhere else. */
static int
check_bytes(const struct scan *s, struct err *e)
{
	for (size_t i = 0; i < s->len; i++) {
		if (s->line[i] == '\0' || (unsigned char)s->line[i] == 0x7f ||
		    ((unsigned char)s->line[i] < ' ' && s->line[i] != '\t'))
			return fail(s, i, e, "control character");
	}
	return 0;
}

static int
scan_line(struct scan *s, struct err *e)
{
	size_t i = 0, start = s->out->len, end;
	int r = 0;

	if (s->len > LINE_LEN_MAX)
		return fail(s, LINE_LEN_MAX, e, "a line is longer than 4096 bytes");
	if ((r = check_bytes(s, e)) < 0)
		return r;
	while (r == 0 && i < s->len) {
		if (s->in_comment) {
			i = skip_comment(s, i);
		} else if (s->line[i] == '#' || starts(s, i, "//")) {
			break; /* not inside a word: copy_plain takes a word whole */
		} else if (starts(s, i, "/*")) {
			s->in_comment = true;
			i += 2;
		} else if (s->line[i] == '"' || s->line[i] == '\'') {
			r = copy_quoted(s, &i, e);
		} else {
			r = copy_plain(s, &i, e);
		}
	}
	if (r < 0 || s->out->failed)
		return r;
	for (end = s->out->len; end > start && strchr(" \t", s->out->data[end - 1]) != NULL; end--)
		;
	if (end > start && s->out->data[end - 1] == '=')
		buf_str(s->out, "\"\"");
	return 0;
}

/* The text as libconfuse gets it: line for line the same, see above. */
static int
scan_text(const char *text, size_t len, const char *file, struct buf *out, struct err *e)
{
	struct scan s = { .file = file, .out = out };
	size_t comment_line = 0;
	const char *end = text + len, *p = text;
	int r;

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		s.line = p;
		s.len = (size_t)((eol != NULL ? eol : end) - p);
		s.number++;
		if (s.len > 0 && s.line[s.len - 1] == '\r')
			s.len--;
		if (!s.in_comment)
			comment_line = s.number;
		if ((s.in_comment || !is_open_name(&s)) && (r = scan_line(&s, e)) < 0)
			return r;
		buf_str(out, "\n");
		p = eol != NULL ? eol + 1 : end;
	}
	if (s.in_comment)
		return err_set(
		    e, E_INVAL, "%s:%zu:1: a comment is opened and not closed", file, comment_line);
	return buf_check(out, file, e);
}

/* ---- libconfuse ------------------------------------------------------------ */

/*
 * The callbacks have no argument of their own. The error text is kept in the
 * root section's title and a setting's line in its comment: both belong to the
 * section, are unused otherwise, and are freed with it.
 */
static void PRINTF(2, 0) keep_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	if (cfg->title == NULL && vasprintf(&cfg->title, fmt, ap) < 0)
		cfg->title = NULL;
}

static int
keep_line(cfg_t *cfg, cfg_opt_t *opt)
{
	char line[16];

	if (opt->comment != NULL) {
		cfg_error(cfg, "%s is set a second time, first on line %s", opt->name, opt->comment);
		return -1;
	}
	snprintf(line, sizeof(line), "%d", cfg->line);
	return cfg_opt_setcomment(opt, line) == CFG_SUCCESS ? 0 : -1;
}

static cfg_t *
reader_new(const struct config_name *names, size_t n)
{
	cfg_opt_t *opts = calloc(n + 1, sizeof(*opts));
	cfg_t *cfg;

	if (opts == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		opts[i] = (cfg_opt_t)CFG_STR(names[i].name, NULL, CFGF_NODEFAULT);
	opts[n] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(opts, CFGF_NONE);
	free(opts);
	if (cfg == NULL)
		return NULL;
	cfg_set_error_function(cfg, keep_error);
	for (size_t i = 0; i < n; i++)
		cfg_set_validate_func(cfg, names[i].name, keep_line);
	return cfg;
}

/* The column of `word` in a line of the text, or of the first thing there. */
static size_t
column_of(const char *text, size_t len, size_t number, const char *word)
{
	const char *end = text + len, *eol;
	size_t line_len, word_len = strlen(word);

	for (; number > 1; number--) {
		eol = memchr(text, '\n', (size_t)(end - text));
		if (eol == NULL)
			return 1;
		text = eol + 1;
	}
	eol = memchr(text, '\n', (size_t)(end - text));
	line_len = (size_t)((eol != NULL ? eol : end) - text);
	for (size_t i = 0; word_len > 0 && i + word_len <= line_len; i++) {
		if (memcmp(text + i, word, word_len) == 0)
			return i + 1;
	}
	for (size_t i = 0; i < line_len; i++) {
		if (text[i] != ' ' && text[i] != '\t')
			return i + 1;
	}
	return 1;
}

struct source {
	const char *text, *file;
	size_t len;
	const struct config_name *names;
	size_t n;
};

static int
unknown(const struct source *src, size_t line, const char *name, struct err *e)
{
	AUTO_FREE const char **names = calloc(src->n, sizeof(*names));
	const char *near;
	size_t n = 0;

	if (names == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < src->n; i++) {
		if (!src->names[i].ignored)
			names[n++] = src->names[i].name;
	}
	err_set(e, E_INVAL, "%s:%zu:%zu: unknown setting '%.64s'", src->file, line,
	    column_of(src->text, src->len, line, name), name);
	near = text_nearest(name, names, n);
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	else
		err_hint(e, "pot.conf(5) lists the settings");
	return -E_INVAL;
}

/* The last line with anything on it: where an unfinished setting stands. */
static size_t
last_line(const struct source *src)
{
	size_t len = src->len, line = 1;

	while (len > 0 && strchr(" \t\r\n", src->text[len - 1]) != NULL)
		len--;
	for (size_t i = 0; i < len; i++)
		line += src->text[i] == '\n';
	return line;
}

/* The library's words, with their place; two of them are said better. */
static int
translate(const struct source *src, const cfg_t *cfg, struct err *e)
{
	static const char no_such[] = "no such option '";
	const char *msg = cfg->title != NULL ? cfg->title : "not understood", *quote;
	size_t line = cfg->line > 0 ? (size_t)cfg->line : 1;
	char word[80];

	if (strcmp(msg, "premature end of file") == 0)
		line = last_line(src);
	quote = strchr(msg, '\'');
	snprintf(word, sizeof(word), "%s", quote != NULL ? quote + 1 : msg);
	if (quote == NULL)
		word[strcspn(word, " ")] = '\0';
	else if (strrchr(word, '\'') != NULL)
		*strrchr(word, '\'') = '\0';
	if (strncmp(msg, no_such, sizeof(no_such) - 1) == 0)
		return unknown(src, line, word, e);
	/* '|' is the library's way into sections, of which there are none here. */
	if (strncmp(msg, "no sub-section", strlen("no sub-section")) == 0)
		msg = "'|' in the name of a setting";
	return err_set(
	    e, E_INVAL, "%s:%zu:%zu: %s", src->file, line, column_of(src->text, src->len, line, word), msg);
}

static int
give(const struct source *src, cfg_t *cfg, config_set_fn *set, void *arg, struct err *e)
{
	AUTO_FINI(buf) struct buf what = BUF_INIT(8192), origin = BUF_INIT(8192);
	int r = 0;

	for (size_t i = 0; r == 0 && i < src->n; i++) {
		cfg_opt_t *opt = cfg_getopt(cfg, src->names[i].name);
		size_t line;

		if (src->names[i].ignored || opt == NULL || cfg_opt_size(opt) == 0 || opt->comment == NULL)
			continue;
		line = (size_t)strtoul(opt->comment, NULL, 10);
		buf_reset(&what);
		buf_reset(&origin);
		buf_fmt(&what, "%s:%zu:%zu", src->file, line,
		    column_of(src->text, src->len, line, src->names[i].name));
		buf_fmt(&origin, "%s:%zu", src->file, line);
		if ((r = buf_check(&what, "the file's name", e)) == 0 &&
		    (r = buf_check(&origin, "the file's name", e)) == 0)
			r = set(arg, src->names[i].name, cfg_opt_getnstr(opt, 0), buf_cstr(&what),
			    buf_cstr(&origin), e);
	}
	return r;
}

int
config_read(const char *text, size_t len, const char *file, const struct config_name *names, size_t n,
    config_set_fn *set, void *arg, struct err *e)
{
	AUTO_FINI(buf) struct buf plain = BUF_INIT(4 * CONFIG_FILE_MAX);
	struct source src = { text, file, len, names, n };
	cfg_t *cfg;
	int r;

	if ((r = scan_text(text, len, file, &plain, e)) < 0)
		return r;
	cfg = reader_new(names, n);
	if (cfg == NULL)
		return err_nomem(e);
	pthread_mutex_lock(&confuse_lock);
	r = cfg_parse_buf(cfg, buf_cstr(&plain));
	pthread_mutex_unlock(&confuse_lock);
	r = r == CFG_SUCCESS ? give(&src, cfg, set, arg, e) : translate(&src, cfg, e);
	cfg_free(cfg);
	return r;
}
