/* Names of FreeBSD's releases and the list of their sets, see bsdrelease.h. Text only; nothing is fetched. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/bsdrelease.h"

#define PREFIX "freebsd:"
#define MAJOR_MIN 9
#define LINES_MAX 1000

static const char *
without_prefix(const char *text)
{
	return strncmp(text, PREFIX, strlen(PREFIX)) == 0 ? text + strlen(PREFIX) : text;
}

bool
bsd_release_is(const char *text)
{
	const char *s = without_prefix(text);

	return s != text || (s[0] >= '0' && s[0] <= '9');
}

/* One number and what follows it. */
static const char *
number(const char *s, unsigned *n)
{
	size_t len = strspn(s, "0123456789");

	*n = 0;
	if (len == 0 || len > 3 || (len > 1 && s[0] == '0'))
		return NULL;
	for (size_t i = 0; i < len; i++)
		*n = 10 * *n + (unsigned)(s[i] - '0');
	return s + len;
}

/* Behind the hyphen: RELEASE, STABLE, CURRENT, PRERELEASE, RC1, BETA3, ALPHA2. */
static bool
is_branch(const char *s, bool *snapshot)
{
	static const char *const numbered[] = { "RC", "BETA", "ALPHA" };
	unsigned n;

	*snapshot = strcmp(s, "STABLE") == 0 || strcmp(s, "CURRENT") == 0 || strcmp(s, "PRERELEASE") == 0;
	if (*snapshot || strcmp(s, "RELEASE") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(numbered); i++) {
		size_t len = strlen(numbered[i]);
		const char *end = strncmp(s, numbered[i], len) == 0 ? number(s + len, &n) : NULL;

		if (end != NULL && *end == '\0')
			return true;
	}
	return false;
}

int
bsd_release_parse(const char *text, struct bsd_release *r, struct err *e)
{
	const char *s = without_prefix(text), *branch = "RELEASE", *p;

	memset(r, 0, sizeof(*r));
	p = number(s, &r->major);
	if (p != NULL && *p == '.')
		p = number(p + 1, &r->minor);
	else
		p = NULL;
	if (p != NULL && *p == '-')
		branch = p + 1;
	else if (p != NULL && *p != '\0')
		p = NULL;
	if (p == NULL || r->major < MAJOR_MIN || !is_branch(branch, &r->snapshot)) {
		err_set(e, E_INVAL, "'%.40s' is no release of FreeBSD", text);
		return err_hint(e, "e.g. 14.3, 15.0-RC2, 14-STABLE is 14.3-STABLE");
	}
	snprintf(r->name, sizeof(r->name), "%u.%u-%.12s", r->major, r->minor, branch);
	return 0;
}

const char *
bsd_release_machine(const char *uname)
{
	static const char *const machines[][2] = {
		{ "amd64", "amd64/amd64" },
		{ "x86_64", "amd64/amd64" },
		{ "arm64", "arm64/aarch64" },
		{ "aarch64", "arm64/aarch64" },
		{ "i386", "i386/i386" },
		{ "riscv", "riscv/riscv64" },
		{ "riscv64", "riscv/riscv64" },
	};

	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (strcmp(machines[i][0], uname) == 0)
			return machines[i][1];
	return NULL;
}

static bool
ends_in(const char *s, size_t n, const char *end)
{
	size_t len = strlen(end);

	return n >= len && memcmp(s + n - len, end, len) == 0;
}

void
bsd_release_url(const struct bsd_release *r, const char *mirror, const char *machine, struct buf *url)
{
	const char *kind = r->snapshot ? "snapshots" : "releases";
	size_t n;

	if (mirror == NULL || mirror[0] == '\0')
		mirror = BSD_RELEASE_MIRROR;
	for (n = strlen(mirror); n > 0 && mirror[n - 1] == '/';)
		n--;
	buf_add(url, mirror, n);
	if (!ends_in(mirror, n, "/releases") && !ends_in(mirror, n, "/snapshots"))
		buf_fmt(url, "/%s", kind);
	buf_fmt(url, "/%s/%s", machine, r->name);
}

/* ---- MANIFEST ---------------------------------------------------------------------- */

static bool
parse_sum(const char *s, size_t n, char out[static 65])
{
	if (n != 64)
		return false;
	memcpy(out, s, n);
	out[n] = '\0';
	return strspn(out, "0123456789abcdef") == n;
}

/* FILE, SHA256, number of files, name, "title", on|off; separated by tabs. */
static int
parse_line(const char *line, size_t len, const char *set, struct bsd_set *out)
{
	const char *fields[6] = { NULL };
	size_t lens[6] = { 0 }, n = 0, at = 0;

	for (; n < 6 && at <= len; n++) {
		const char *tab = memchr(line + at, '\t', len - at);

		fields[n] = line + at;
		lens[n] = tab != NULL ? (size_t)(tab - fields[n]) : len - at;
		at += lens[n] + 1;
	}
	if (n < 5 || lens[0] == 0 || lens[0] >= sizeof(out->file) ||
	    memchr(fields[0], '/', lens[0]) != NULL || fields[0][0] == '.' ||
	    !parse_sum(fields[1], lens[1], out->sha256))
		return -1;
	if (lens[3] != strlen(set) || memcmp(fields[3], set, lens[3]) != 0)
		return 0;
	text_escape_into(out->file, sizeof(out->file), fields[0], lens[0]);
	text_escape_into(out->title, sizeof(out->title), fields[4], lens[4]);
	return 1;
}

int
bsd_manifest_find(
    const char *text, size_t len, const char *what, const char *set, struct bsd_set *out, struct err *e)
{
	size_t at = 0;

	for (unsigned line = 1; at < len; line++) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t n = nl != NULL ? (size_t)(nl - text) - at : len - at;
		int rc;

		memset(out, 0, sizeof(*out));
		if (line > LINES_MAX)
			return err_set(e, E_CORRUPT, "%s: more than %d lines", what, LINES_MAX);
		rc = n == 0 ? 0 : parse_line(text + at, n, set, out);
		if (rc < 0)
			return err_set(e, E_CORRUPT, "%s:%u: not a line of a list of sets", what, line);
		if (rc > 0)
			return 0;
		at += n + 1;
	}
	return err_set(e, E_NOENT, "%s: it has no set %s", what, set);
}
