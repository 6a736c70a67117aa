/*
 * Mistakes in a flavour: what would fail when it is applied, and what whoever
 * uses it would miss. Nothing of it is executed; sh -n reads the script.
 */
#include "builder/flavour_lint.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/proc.h"
#include "base/text.h"

struct lint {
	const struct strv *places;
	struct flavour *f;
	flavour_finding_fn *fn;
	void *arg;
	enum pot_severity worst;
	int stop;
};

static void PRINTF(5, 6)
    tell(struct lint *l, enum pot_severity severity, const char *suffix, unsigned line, const char *fmt, ...)
{
	char path[PATH_MAX], text[1024];
	struct flavour_finding found = { severity, path, line, text };
	va_list ap;

	if (l->stop != 0)
		return;
	flavour_path(l->f, suffix, path);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (severity > l->worst)
		l->worst = severity;
	l->stop = l->fn(l->arg, &found);
}

/* "FILE:3:1: why" as an error has it: its line, and what is behind. */
static const char *
cut_place(const char *msg, const char *path, unsigned *line)
{
	size_t len = strlen(path);
	char *end;

	*line = 0;
	if (strncmp(msg, path, len) != 0 || msg[len] != ':')
		return msg;
	msg += len + 1;
	*line = (unsigned)strtoul(msg, &end, 10);
	if (end == msg || *end != ':')
		return msg + strspn(msg, " ");
	msg = end + 1;
	(void)strtoul(msg, &end, 10);
	msg = end > msg && *end == ':' ? end + 1 : msg;
	return msg + strspn(msg, " ");
}

static void
tell_error(struct lint *l, const char *suffix, const struct err *why)
{
	char path[PATH_MAX];
	unsigned line;
	const char *text;

	flavour_path(l->f, suffix, path);
	text = cut_place(why->msg, path, &line);
	/* Parsers name the file, and those that call them name it, too. */
	text = cut_place(text, path, line == 0 ? &line : &(unsigned){ 0 });
	tell(l, POT_FAIL, suffix, line, "%s%s%s%s", text, why->hint[0] != '\0' ? " (" : "", why->hint,
	    why->hint[0] != '\0' ? ")" : "");
}

/* ---- the description ------------------------------------------------------------------- */

static void
lint_meta(struct lint *l)
{
	const struct flavour_meta *m = &l->f->about;
	const struct {
		const char *key, *value;
	} rows[] = { { "description", m->description }, { "version", m->version },
		{ "licence", m->licence } };

	if (!l->f->meta.there) {
		tell(l, POT_WARN, ".meta", 0,
		    "there is no description; title, version and licence are not known");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].value[0] == '\0')
			tell(l, POT_WARN, ".meta", 0, "%s is missing", rows[i].key);
	for (size_t i = 0; i < m->nparameters; i++)
		if (m->parameters[i].description[0] == '\0')
			tell(l, POT_WARN, ".meta", 0, "the parameter %s is not described",
			    m->parameters[i].name);
	for (size_t i = 0; i < m->nneeds; i++) {
		AUTO_FINI(flavour_ref) struct flavour_ref ref = FLAVOUR_REF_INIT;
		AUTO_FINI(flavour) struct flavour other = FLAVOUR_INIT;
		AUTO_FINI(strv) struct strv args = STRV_INIT(FLAVOUR_PARAMETERS_MAX);
		struct err why = ERR_INIT;

		if (flavour_ref_parse(&ref, m->needs[i], &why) < 0 ||
		    flavour_open(l->places, -1, ref.name, &other, &why) < 0 ||
		    flavour_arguments(&other.about, &ref, &args, &why) < 0)
			tell(l, POT_FAIL, ".meta", 0, "flavour=%s: %s", m->needs[i], why.msg);
	}
}

/* ---- the command file --------------------------------------------------------------------- */

/* As if it were applied; a required parameter gets what fits most places. */
static int
arm(struct lint *l, struct err *e)
{
	AUTO_FINI(flavour_ref) struct flavour_ref ref = FLAVOUR_REF_INIT;
	struct err why = ERR_INIT;
	int rc = flavour_ref_parse(&ref, l->f->name, e);

	for (size_t i = 0; i < l->f->about.nparameters && rc == 0; i++)
		if (l->f->about.parameters[i].required)
			rc = kv_add(&ref.args, l->f->about.parameters[i].name, "1", e);
	if (rc < 0)
		return rc;
	rc = flavour_arm(l->f, &ref, &why);
	if (rc < 0 && rc != -E_NOMEM)
		tell_error(l, "", &why);
	return 0;
}

static const char *
first(const struct flavour_line *line, char letter)
{
	size_t pos = 0;

	return flavour_option(line, letter, &pos);
}

static void
lint_source(struct lint *l, const struct flavour_line *line)
{
	const char *path = first(line, line->op == FLAVOUR_MOUNT_IN ? 'd' : 's');
	bool own = line->op == FLAVOUR_COPY_IN_FLV;

	if (path == NULL)
		tell(l, POT_FAIL, "", line->number, "mount-in -f and -z are not there; -d takes a directory");
	else if (own && faccessat(l->f->dir, path, R_OK, 0) != 0)
		tell(l, POT_FAIL, "", line->number, "%s: %s", path, strerror(errno));
	else if (!own && path[0] != '/')
		tell(l, POT_WARN, "", line->number,
		    "%s is looked for where pot is started; copy-in-flv takes what stands beside this file",
		    path);
	else if (!own && access(path, R_OK) != 0)
		tell(l, POT_WARN, "", line->number, "%s is not on this host", path);
}

/* ${port} of which nobody knows what it is. */
static void
lint_variables(struct lint *l, const struct flavour_line *line)
{
	const char *s = line->text;

	if (line->op == FLAVOUR_SET_CMD)
		return;
	while ((s = strstr(s, "${")) != NULL) {
		size_t len = strcspn(s + 2, "}");
		bool known = false;

		for (size_t i = 0; i < l->f->args.n; i++)
			known = known ||
			    (strncmp(l->f->args.v[i], s + 2, len) == 0 && l->f->args.v[i][len] == '=');
		if (!known && s[2 + len] == '}')
			tell(l, POT_WARN, "", line->number, "${%.*s} is no parameter and stays as it is",
			    (int)len, s + 2);
		s += 2 + len;
	}
}

static void
lint_lines(struct lint *l)
{
	for (size_t i = 0; i < l->f->lines.n; i++) {
		const struct flavour_line *line = &l->f->lines.v[i];

		if (line->op == FLAVOUR_COPY_IN || line->op == FLAVOUR_COPY_IN_FLV ||
		    line->op == FLAVOUR_MOUNT_IN)
			lint_source(l, line);
		lint_variables(l, line);
	}
}

/* ---- the script ------------------------------------------------------------------------------- */

static bool
is_sh(const char *script)
{
	size_t len = strcspn(script, "\n");

	return strncmp(script, "#!", 2) != 0 || (len >= 4 && strncmp(script + len - 3, "/sh", 3) == 0) ||
	    strncmp(script, "#!/bin/sh ", 10) == 0;
}

/* What sh says: "PATH: 3: Syntax error: …" or "PATH: line 3: …". */
static void
lint_syntax(struct lint *l)
{
	AUTO_FINI(buf) struct buf said = BUF_INIT(4096);
	char path[PATH_MAX];
	const char *const argv[] = { "/bin/sh", "-n", path, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;
	struct err why = ERR_INIT;
	const char *text;
	char *end;
	unsigned line;

	flavour_path(l->f, ".sh", path);
	spec.argv = argv;
	spec.err = &said;
	spec.timeout_ms = 60000;
	if (proc_run(&spec, NULL, &why) == 0)
		return;
	text = buf_cstr(&said);
	if (strncmp(text, path, strlen(path)) == 0)
		text += strlen(path);
	text += strcspn(text, "0123456789\n");
	line = (unsigned)strtoul(text, &end, 10);
	text = end + strspn(end, ": ");
	tell(l, POT_FAIL, ".sh", line, "%.*s", (int)strcspn(*text != '\0' ? text : why.msg, "\n"),
	    *text != '\0' ? text : why.msg);
}

static void
lint_script(struct lint *l)
{
	const struct buf *script = &l->f->script.text;
	const char *text = buf_cstr(script), *cr = strstr(text, "\r\n");

	if (strlen(text) != script->len) {
		tell(l, POT_FAIL, ".sh", 0, "a NUL byte: not a text file");
		return;
	}
	if (cr != NULL)
		tell(l, POT_FAIL, ".sh", 0, "its lines end in CR LF");
	if (strncmp(text, "#!", 2) != 0)
		tell(l, POT_WARN, ".sh", 1, "no interpreter in the first line; sh is taken");
	if (cr == NULL && is_sh(text) && !l->f->context)
		lint_syntax(l);
	if (is_sh(text) && strstr(text, "set -e") == NULL && strstr(text, "/sh -e") == NULL)
		tell(l, POT_WARN, ".sh", 0, "without set -e a command that fails does not fail the flavour");
}

int
flavour_lint(const struct strv *places, const char *name, flavour_finding_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(flavour) struct flavour f = FLAVOUR_INIT;
	struct lint l = { places, &f, fn, arg, POT_OK, 0 };
	struct err why = ERR_INIT;
	int rc = flavour_open(places, -1, name, &f, &why);

	if (rc < 0 && f.where != NULL && rc != -E_NOENT) {
		tell_error(&l, ".meta", &why);
		return l.stop != 0 ? l.stop : (int)l.worst;
	}
	if (rc < 0) {
		if (e != NULL)
			*e = why;
		return rc;
	}
	lint_meta(&l);
	if ((rc = arm(&l, e)) < 0)
		return rc;
	lint_lines(&l);
	if (f.script.there)
		lint_script(&l);
	return l.stop != 0 ? l.stop : (int)l.worst;
}
