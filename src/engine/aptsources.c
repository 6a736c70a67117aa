/*
 * The host's package sources in apt's two formats (sources.list(5)), brought
 * to the lines that mmdebstrap takes. Pure but for apt_sources, which reads
 * the files. Entries that are switched off, for sources only, on a CD or
 * without "main" are passed over; what cannot be understood in an entry that
 * is wanted is an error, never a guess.
 */
#include "engine/aptsources.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

#define APT_FILE_MAX (1024 * 1024)
#define BLANKS " \t\r"

/* Where an error is. */
struct apt_place {
	const char *what;
	unsigned line;
};

/* What a wanted entry says, as words separated by one blank; NULL when it does not say it. */
struct apt_entry {
	struct strv uris, suites, components, options;
	bool deb, off;
};

static void
entry_init(struct apt_entry *n)
{
	*n = (struct apt_entry){ STRV_INIT(64), STRV_INIT(64), STRV_INIT(64), STRV_INIT(64), false, false };
}

static void
entry_fini(struct apt_entry *n)
{
	strv_fini(&n->uris);
	strv_fini(&n->suites);
	strv_fini(&n->components);
	strv_fini(&n->options);
}

static bool
has_word(const struct strv *v, const char *word)
{
	for (size_t i = 0; i < v->n; i++)
		if (strcmp(v->v[i], word) == 0)
			return true;
	return false;
}

static void
add_words(struct strv *v, const char *s, size_t len)
{
	const char *end = s + len;

	while (s < end) {
		size_t n;

		while (s < end && strchr(BLANKS "\n", *s) != NULL)
			s++;
		for (n = 0; s + n < end && strchr(BLANKS "\n", s[n]) == NULL; n++)
			;
		if (n > 0)
			strv_addn(v, s, n);
		s += n;
	}
}

/* Is `have` the suite, or the host's suite, or its updates or security? The wanted suite's name for it to out. */
static bool
map_suite(const char *have, const char *suite, const char *host, struct buf *out)
{
	static const char *const kinds[] = { "", "-updates", "-security", "/updates" };
	const char *const from[] = { suite, host };

	for (size_t i = 0; i < ARRAY_LEN(from); i++) {
		size_t n = strlen(from[i]);

		if (n == 0 || strncmp(have, from[i], n) != 0)
			continue;
		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			if (strcmp(have + n, kinds[k]) == 0) {
				/* What is never released gets neither updates nor security. */
				if (k > 0 && (strcmp(suite, "sid") == 0 || strcmp(suite, "unstable") == 0))
					return false;
				buf_reset(out);
				buf_fmt(out, "%s%s", suite, kinds[k]);
				return true;
			}
	}
	return false;
}

static void
join_words(struct buf *b, const struct strv *v)
{
	for (size_t i = 0; i < v->n; i++)
		buf_fmt(b, "%s%s", i > 0 ? " " : "", v->v[i]);
}

static int
add_line(const struct apt_entry *n, const char *uri, const char *suite, struct strv *lines, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(8192);
	int r;

	buf_str(&b, "deb ");
	if (n->options.n > 0) {
		buf_str(&b, "[");
		join_words(&b, &n->options);
		buf_str(&b, "] ");
	}
	buf_fmt(&b, "%s %s ", uri, suite);
	join_words(&b, &n->components);
	if ((r = buf_check(&b, "package source", e)) < 0)
		return r;
	if (!has_word(lines, buf_cstr(&b)))
		strv_add(lines, buf_cstr(&b));
	return 0;
}

/* Adds the lines of one entry that are wanted. */
static int
use_entry(const struct apt_entry *n, const char *suite, const char *host, struct strv *lines, struct err *e)
{
	AUTO_FINI(buf) struct buf name = BUF_INIT(256);
	int r;

	if (!n->deb || n->off || !has_word(&n->components, "main"))
		return 0;
	for (size_t s = 0; s < n->suites.n; s++) {
		if (!map_suite(n->suites.v[s], suite, host, &name))
			continue;
		if ((r = buf_check(&name, "suite", e)) < 0)
			return r;
		for (size_t u = 0; u < n->uris.n; u++)
			if (strncmp(n->uris.v[u], "cdrom:", 6) != 0 &&
			    (r = add_line(n, n->uris.v[u], buf_cstr(&name), lines, e)) < 0)
				return r;
	}
	return 0;
}

static int
entry_check(const struct apt_entry *n, const struct apt_place *at, struct err *e)
{
	const struct strv *const parts[] = { &n->uris, &n->suites, &n->components, &n->options };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if ((r = strv_check(parts[i], "package source", e)) < 0)
			return err_wrap(e, "%s:%u", at->what, at->line);
	return 0;
}

/* "deb [a=b c=d] URI SUITE COMPONENT…", without its comment. */
static int
parse_line(const char *s, size_t len, const struct apt_place *at, struct apt_entry *n, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(128);
	const char *open = memchr(s, '[', len), *close = memchr(s, ']', len);
	size_t kind = 0;

	while (kind < len && strchr(BLANKS, s[kind]) == NULL)
		kind++;
	n->deb = kind == 3 && strncmp(s, "deb", 3) == 0;
	if (!n->deb && !(kind == 7 && strncmp(s, "deb-src", 7) == 0))
		return err_set(e, E_INVAL, "%s:%u: neither \"deb\" nor \"deb-src\"", at->what, at->line);
	/* A bracket may also belong to an IPv6 address in the URI: options come before it. */
	if (open != NULL && strspn(s + kind, BLANKS) == (size_t)(open - s) - kind) {
		if (close == NULL || close < open)
			return err_set(e, E_INVAL, "%s:%u: \"[\" without \"]\"", at->what, at->line);
		add_words(&n->options, open + 1, (size_t)(close - open - 1));
		kind = (size_t)(close - s) + 1;
	}
	add_words(&words, s + kind, len - kind);
	if (words.failed)
		return strv_check(&words, "package source", e);
	if (words.n < 2)
		return err_set(e, E_INVAL, "%s:%u: URI or suite is missing", at->what, at->line);
	strv_add(&n->uris, words.v[0]);
	strv_add(&n->suites, words.v[1]);
	for (size_t i = 2; i < words.n; i++)
		strv_add(&n->components, words.v[i]);
	return entry_check(n, at, e);
}

int
apt_parse_list(const char *text, const char *what, const char *suite, const char *host, struct strv *lines,
    struct err *e)
{
	struct apt_place at = { what, 0 };

	while (*text != '\0') {
		size_t len = strcspn(text, "\n"), n, skip;
		struct apt_entry entry;
		int r = 0;

		at.line++;
		skip = strspn(text, BLANKS);
		n = strcspn(text, "#\n");
		if (skip < n) {
			entry_init(&entry);
			r = parse_line(text + skip, n - skip, &at, &entry, e);
			if (r == 0)
				r = use_entry(&entry, suite, host, lines, e);
			entry_fini(&entry);
		}
		if (r < 0)
			return r;
		text += len + (text[len] == '\n');
	}
	return 0;
}

/* Fields of a stanza that are options of a line, sources.list(5) "OPTIONS". */
static const struct {
	const char *field, *option;
} apt_options[] = {
	{ "Architectures", "arch" },
	{ "Languages", "lang" },
	{ "Targets", "target" },
	{ "PDiffs", "pdiffs" },
	{ "By-Hash", "by-hash" },
	{ "Allow-Insecure", "allow-insecure" },
	{ "Allow-Weak", "allow-weak" },
	{ "Allow-Downgrade-To-Insecure", "allow-downgrade-to-insecure" },
	{ "Trusted", "trusted" },
	{ "Signed-By", "signed-by" },
	{ "Check-Valid-Until", "check-valid-until" },
	{ "Valid-Until-Min", "valid-until-min" },
	{ "Valid-Until-Max", "valid-until-max" },
	{ "Check-Date", "check-date" },
	{ "Date-Max-Future", "date-max-future" },
	{ "InRelease-Path", "inrelease-path" },
};

/* A stanza while it is read; key is the embedded Signed-By, which no line can hold. */
struct apt_stanza {
	struct apt_entry entry;
	struct apt_place key;
	bool any;
};

static bool
is_false(const char *s, size_t len)
{
	static const char *const no[] = { "no", "false", "without", "off", "disable", "0" };

	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		if (strlen(no[i]) == len && strncasecmp(s, no[i], len) == 0)
			return true;
	return false;
}

/* Words that are not all there fail the entry, at its check. */
static void
pass_failure(struct apt_entry *n, bool failed, bool nomem)
{
	n->options.failed = n->options.failed || failed;
	n->options.nomem = n->options.nomem || nomem;
}

static void
take_option(
    struct apt_stanza *st, const char *option, const char *value, size_t len, const struct apt_place *at)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(64);
	AUTO_FINI(buf) struct buf b = BUF_INIT(4096);

	add_words(&words, value, len);
	if (strcmp(option, "signed-by") == 0 && memmem(value, len, "-----BEGIN", 10) != NULL) {
		st->key = *at;
		return;
	}
	pass_failure(&st->entry, words.failed, words.nomem);
	if (words.n == 0)
		return;
	buf_fmt(&b, "%s=", option);
	for (size_t i = 0; i < words.n; i++)
		buf_fmt(&b, "%s%s", i > 0 ? "," : "", words.v[i]);
	pass_failure(&st->entry, b.failed, b.nomem);
	strv_add(&st->entry.options, buf_cstr(&b));
}

/* value: everything behind the colon, continuation lines included. */
static void
take_field(struct apt_stanza *st, const char *name, size_t nlen, const char *value, size_t len,
    const struct apt_place *at)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(64);

#define IS(s) (nlen == sizeof(s) - 1 && strncasecmp(name, s, nlen) == 0)
	st->any = true;
	if (IS("Types")) {
		add_words(&words, value, len);
		st->entry.deb = has_word(&words, "deb");
	} else if (IS("URIs")) {
		add_words(&st->entry.uris, value, len);
	} else if (IS("Suites")) {
		add_words(&st->entry.suites, value, len);
	} else if (IS("Components")) {
		add_words(&st->entry.components, value, len);
	} else if (IS("Enabled")) {
		add_words(&words, value, len);
		st->entry.off = words.n > 0 && is_false(words.v[0], strlen(words.v[0]));
	}
#undef IS
	pass_failure(&st->entry, words.failed, words.nomem);
	for (size_t i = 0; i < ARRAY_LEN(apt_options); i++)
		if (strlen(apt_options[i].field) == nlen &&
		    strncasecmp(name, apt_options[i].field, nlen) == 0)
			take_option(st, apt_options[i].option, value, len, at);
}

static int
end_stanza(struct apt_stanza *st, const struct apt_place *at, const char *suite, const char *host,
    struct strv *lines, struct err *e)
{
	size_t before = lines->n;
	int r = 0;

	if (st->any) {
		r = entry_check(&st->entry, at, e);
		if (r == 0 && (st->entry.uris.n == 0 || st->entry.suites.n == 0))
			r = err_set(e, E_INVAL, "%s:%u: URIs or Suites is missing above", at->what, at->line);
		if (r == 0)
			r = use_entry(&st->entry, suite, host, lines, e);
		if (r == 0 && st->key.line > 0 && lines->n > before) {
			err_set(e, E_NOTSUP, "%s:%u: a key inside Signed-By cannot be handed on",
			    st->key.what, st->key.line);
			r = err_hint(e, "put the key into a file and name it there, or use --mirror");
		}
	}
	entry_fini(&st->entry);
	entry_init(&st->entry);
	st->any = false;
	st->key.line = 0;
	return r;
}

static bool
is_blank_line(const char *s, size_t len)
{
	return strspn(s, BLANKS) >= len;
}

/* Length of the field that begins here, with its continuation lines; *lines counts them. */
static size_t
field_length(const char *s, unsigned *lines)
{
	size_t len = strcspn(s, "\n");

	*lines = 1;
	while (s[len] == '\n' && (s[len + 1] == ' ' || s[len + 1] == '\t' || s[len + 1] == '#') &&
	    !is_blank_line(s + len + 1, strcspn(s + len + 1, "\n"))) {
		len += 1 + strcspn(s + len + 1, "\n");
		(*lines)++;
	}
	return len;
}

int
apt_parse_deb822(const char *text, const char *what, const char *suite, const char *host, struct strv *lines,
    struct err *e)
{
	struct apt_place at = { what, 1 };
	struct apt_stanza st = { 0 };
	int r = 0;

	entry_init(&st.entry);
	while (r == 0 && *text != '\0') {
		unsigned n = 1;
		size_t len = strcspn(text, "\n");

		if (is_blank_line(text, len)) {
			r = end_stanza(&st, &at, suite, host, lines, e);
		} else if (*text != '#') {
			const char *colon = memchr(text, ':', len);

			len = field_length(text, &n);
			if (colon == NULL || isspace((unsigned char)*text))
				r = err_set(e, E_INVAL, "%s:%u: no \"Field: value\"", at.what, at.line);
			else
				take_field(&st, text, (size_t)(colon - text), colon + 1,
				    len - (size_t)(colon + 1 - text), &at);
		}
		text += len + (text[len] == '\n');
		at.line += n;
	}
	if (r == 0)
		r = end_stanza(&st, &at, suite, host, lines, e);
	entry_fini(&st.entry);
	return r;
}

int
apt_suite(const char *release, char out[static 64], struct err *e)
{
	const char *name = strncmp(release, "debian:", 7) == 0 ? release + 7 : release;
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");

	if (strchr(name, ':') != NULL) {
		err_set(e, E_INVAL, "release %s: only Debian suites can be made from packages", release);
		return err_hint(e, "use --from with a root tarball");
	}
	if (n == 0 || n > 63 || name[n] != '\0' || !isalnum((unsigned char)name[0]))
		return err_set(e, E_INVAL, "release %s: not the name of a suite", release);
	memcpy(out, name, n + 1);
	return 0;
}

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && strcmp(s + n - m, end) == 0;
}

static int
parse_file(int dirfd, const char *dir, const char *name, const char *suite, const char *host,
    struct strv *lines, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(APT_FILE_MAX), what = BUF_INIT(4096);
	/* Not file_read: an administrator may link these files. */
	AUTO(fd) int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r;

	buf_fmt(&what, "%s/%s", dir, name);
	if (fd < 0)
		return err_sys(e, "reading %s", buf_cstr(&what));
	if ((r = fd_read_all(fd, &text, e)) < 0)
		return err_wrap(e, "reading %s", buf_cstr(&what));
	return ends_with(name, ".sources")
	    ? apt_parse_deb822(buf_cstr(&text), buf_cstr(&what), suite, host, lines, e)
	    : apt_parse_list(buf_cstr(&text), buf_cstr(&what), suite, host, lines, e);
}

/* Names that apt reads in sources.list.d, in its order. */
static int
list_parts(int dirfd, struct strv *names, struct err *e)
{
	AUTO(dir) DIR *d = NULL;
	struct dirent *entry;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		fd_close(fd);
		return err_sys(e, "reading sources.list.d");
	}
	while ((entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.' &&
		    (ends_with(entry->d_name, ".list") || ends_with(entry->d_name, ".sources")))
			strv_add(names, entry->d_name);
	strv_sort(names);
	return strv_check(names, "sources.list.d", e);
}

int
apt_sources(const char *etc_apt, const char *suite, const char *host, struct strv *lines, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1024);
	AUTO_FINI(buf) struct buf parts = BUF_INIT(4096);
	AUTO(fd) int top = open(etc_apt, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(fd) int dir = top < 0 ? -1 : openat(top, "sources.list.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (top >= 0 && faccessat(top, "sources.list", F_OK, 0) == 0)
		r = parse_file(top, etc_apt, "sources.list", suite, host, lines, e);
	if (r == 0 && dir >= 0)
		r = list_parts(dir, &names, e);
	buf_fmt(&parts, "%s/sources.list.d", etc_apt);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = parse_file(dir, buf_cstr(&parts), names.v[i], suite, host, lines, e);
	if (r == 0 && (r = strv_check(lines, "package sources", e)) == 0 && lines->n == 0) {
		err_set(e, E_NOENT, "release %s: no Debian package source for it in %s", suite, etc_apt);
		r = err_hint(e, "use --mirror http://deb.debian.org/debian");
	}
	return r;
}

/* The "[…] " of a line, or "". */
static void
line_options(const char *line, struct buf *out)
{
	const char *end = strchr(line, ']');

	if (strncmp(line, "deb [", 5) == 0 && end != NULL) {
		buf_add(out, line + 4, (size_t)(end - line) - 3);
		buf_str(out, " ");
	}
}

int
apt_use_mirror(const char *mirror, const char *suite, struct strv *lines, struct err *e)
{
	AUTO_FINI(buf) struct buf options = BUF_INIT(4096);
	size_t n = strcspn(mirror, ":");

	if (mirror[n] != ':' || n == 0 || strpbrk(mirror, BLANKS "\n[]#") != NULL ||
	    !isalpha((unsigned char)*mirror))
		return err_set(e, E_INVAL, "mirror %s: not a URL", mirror);
	/* The key that the host trusts for this archive goes with it. */
	if (lines->n > 0)
		line_options(lines->v[0], &options);
	strv_clear(lines);
	strv_fmt(lines, "deb %s%s %s main", buf_cstr(&options), mirror, suite);
	return strv_check(lines, "package sources", e);
}
