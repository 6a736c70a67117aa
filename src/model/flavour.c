/*
 * Command files of flavours: a table of the commands that may stand in one,
 * and lines to rows of it. Names with arguments and descriptions are
 * flavour_meta.c's.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/attr.h"
#include "model/flavour.h"
#include "model/limit.h"
#include "model/name.h"
#include "model/port.h"

#define WORDS_MAX 256

/* letters as for getopt; needs: all of these; one: exactly one of these; any: at least one; many: may repeat */
struct row {
	const char *name, *letters, *needs, *one, *any, *many, *usage;
};
static const struct row rows[FLAVOUR_OPS] = {
	[FLAVOUR_ADD_DEP] = { "add-dep", "P:", "P", "", "", "", "add-dep -P POT" },
	[FLAVOUR_SET_ATTRIBUTE] = { "set-attribute", "A:V:", "AV", "", "", "",
	    "set-attribute -A NAME -V VALUE" },
	[FLAVOUR_COPY_IN] = { "copy-in", "s:d:Fc", "sd", "", "", "", "copy-in -s SOURCE -d DESTINATION" },
	[FLAVOUR_COPY_IN_FLV] = { "copy-in-flv", "s:d:Fc", "sd", "", "", "",
	    "copy-in-flv -s SOURCE -d DESTINATION" },
	[FLAVOUR_MOUNT_IN] = { "mount-in", "m:d:f:z:rw", "m", "dfz", "", "",
	    "mount-in -m TARGET -d DIRECTORY [-r|-w]" },
	[FLAVOUR_SET_RSS] = { "set-rss", "C:M:", "", "", "CM", "", "set-rss [-C CPUS] [-M MEMORY]" },
	[FLAVOUR_EXPORT_PORTS] = { "export-ports", "e:", "e", "", "", "e",
	    "export-ports -e [PROTO:]PORT[:HOSTPORT]…" },
	[FLAVOUR_SET_CMD] = { "set-cmd", "c:", "c", "", "", "", "set-cmd -c COMMAND LINE" },
	[FLAVOUR_SET_ENV] = { "set-env", "E:", "E", "", "", "E", "set-env -E NAME=VALUE…" },
};

struct parser {
	struct flavour_commands *fc;
	const struct strv *args;
	unsigned number;
};

const char *
flavour_op_name(enum flavour_op op)
{
	return rows[op].name;
}

static void
line_fini(struct flavour_line *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->options[i].value);
	free(l->options);
	free(l->text);
}

void
flavour_commands_fini(struct flavour_commands *fc)
{
	for (size_t i = 0; i < fc->n; i++)
		line_fini(&fc->v[i]);
	free(fc->v);
	*fc = (struct flavour_commands)FLAVOUR_COMMANDS_INIT;
}

const char *
flavour_option(const struct flavour_line *l, char letter, size_t *pos)
{
	while (*pos < l->n) {
		const struct flavour_option *o = &l->options[(*pos)++];

		if (o->letter == letter)
			return o->value != NULL ? o->value : "";
	}
	return NULL;
}

static const char *
first(const struct flavour_line *l, char letter)
{
	size_t pos = 0;

	return flavour_option(l, letter, &pos);
}

static int
add_option(struct flavour_line *l, char letter, const char *value, struct err *e)
{
	struct flavour_option *v = reallocarray(l->options, l->n + 1, sizeof(*v));
	char *copy = value != NULL ? strdup(value) : NULL;

	if (v != NULL)
		l->options = v;
	if (v == NULL || (value != NULL && copy == NULL)) {
		free(copy);
		return err_nomem(e);
	}
	v[l->n++] = (struct flavour_option){ letter, copy };
	return 0;
}

static int
find_op(const char *name, enum flavour_op *op, struct err *e)
{
	const char *names[FLAVOUR_OPS], *near;

	for (unsigned i = 0; i < FLAVOUR_OPS; i++) {
		names[i] = rows[i].name;
		*op = (enum flavour_op)i;
		if (strcmp(names[i], name) == 0)
			return 0;
	}
	err_set(e, E_INVAL, "'%.64s' is no command of a flavour", name);
	near = text_nearest(name, names, FLAVOUR_OPS);
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	else
		err_hint(e, "what runs inside the pot belongs in the flavour's .sh file");
	return -E_INVAL;
}

/* -s VALUE, -sVALUE, -rw as getopt reads them. */
static int
parse_options(struct flavour_line *l, const struct strv *w, struct err *e)
{
	const struct row *row = &rows[l->op];
	int rc = 0;

	for (size_t i = 1; rc == 0 && i < w->n; i++) {
		const char *s = w->v[i];

		if (s[0] != '-' || s[1] == '\0')
			return err_set(e, E_INVAL, "'%.64s' belongs to no option of %s", s, row->name);
		for (s++; rc == 0 && *s != '\0'; s++) {
			const char *letter = *s != ':' ? strchr(row->letters, *s) : NULL;
			bool takes = letter != NULL && letter[1] == ':';

			if (letter == NULL)
				return err_set(e, E_INVAL, "%s has no option -%c", row->name, *s);
			if (first(l, *s) != NULL && strchr(row->many, *s) == NULL)
				return err_set(e, E_INVAL, "-%c stands here a second time", *s);
			if (takes && s[1] == '\0' && i + 1 == w->n)
				return err_set(e, E_INVAL, "-%c needs a value", *s);
			rc = add_option(l, *s, !takes ? NULL : s[1] != '\0' ? s + 1 : w->v[++i], e);
			if (takes)
				break;
		}
	}
	return rc;
}

static int
check_presence(const struct flavour_line *l, struct err *e)
{
	const struct row *row = &rows[l->op];
	size_t ones = 0, any = row->any[0] == '\0';

	for (const char *s = row->needs; *s != '\0'; s++) {
		if (first(l, *s) == NULL)
			return err_set(e, E_INVAL, "%s needs -%c", row->name, *s);
	}
	for (const char *s = row->one; *s != '\0'; s++)
		ones += first(l, *s) != NULL;
	for (const char *s = row->any; *s != '\0'; s++)
		any += first(l, *s) != NULL;
	if (row->one[0] != '\0' && ones != 1)
		return err_set(e, E_INVAL, "%s needs exactly one of -d, -f and -z", row->name);
	if (any == 0)
		return err_set(e, E_INVAL, "%s needs -C or -M", row->name);
	return 0;
}

static int
check_attribute(const struct flavour_line *l, struct err *e)
{
	const struct attr *a = attr_find(first(l, 'A'), e);
	char *text;

	if (a == NULL)
		return -E_INVAL;
	if ((a->flags & ATTR_READONLY) != 0)
		return err_set(e, E_INVAL, "the attribute %s is set by pot itself", a->name);
	text = attr_normalize(a, first(l, 'V'), e);
	if (text == NULL)
		return e != NULL && e->code != 0 ? -e->code : -E_INVAL;
	free(text);
	return 0;
}

static int
check_rss(const struct flavour_line *l, struct err *e)
{
	AUTO_FREE struct limits *limits = calloc(1, sizeof(*limits));
	const char *cpus = first(l, 'C'), *memory = first(l, 'M');
	int rc = 0;

	if (limits == NULL)
		return err_nomem(e);
	if (cpus != NULL)
		rc = limits_set(limits, "cpus", cpus, e);
	return rc == 0 && memory != NULL ? limits_set(limits, "memory", memory, e) : rc;
}

static int
check_ports(const struct flavour_line *l, struct err *e)
{
	AUTO_FREE struct port_map *maps = calloc(PORT_MAPS_MAX, sizeof(*maps));
	size_t pos = 0, n = 0;
	const char *port;
	int rc = 0;

	if (maps == NULL)
		return err_nomem(e);
	while (rc == 0 && (port = flavour_option(l, 'e', &pos)) != NULL)
		rc = port_parse_classic(port, maps, &n, e);
	return rc;
}

static int
check_paths(const struct flavour_line *l, struct err *e)
{
	const char *inside = first(l, l->op == FLAVOUR_MOUNT_IN ? 'm' : 'd');

	if (inside[0] != '/')
		return err_set(e, E_INVAL, "'%.200s' is not an absolute path in the pot", inside);
	if (l->op == FLAVOUR_MOUNT_IN && inside[strspn(inside, "/")] == '\0')
		return err_set(e, E_INVAL, "nothing can be mounted on /");
	if (first(l, 'r') != NULL && first(l, 'w') != NULL)
		return err_set(e, E_INVAL, "-r and -w exclude each other");
	return 0;
}

static int
check_values(const struct flavour_line *l, struct err *e)
{
	size_t pos = 0;
	const char *value;
	int rc = 0;

	switch (l->op) {
	case FLAVOUR_ADD_DEP:
		return name_check(first(l, 'P'), "pot", e);
	case FLAVOUR_SET_ATTRIBUTE:
		return check_attribute(l, e);
	case FLAVOUR_COPY_IN:
	case FLAVOUR_COPY_IN_FLV:
	case FLAVOUR_MOUNT_IN:
		return check_paths(l, e);
	case FLAVOUR_SET_RSS:
		return check_rss(l, e);
	case FLAVOUR_EXPORT_PORTS:
		return check_ports(l, e);
	case FLAVOUR_SET_ENV:
		while (rc == 0 && (value = flavour_option(l, 'E', &pos)) != NULL)
			rc = potconf_env_check(value, e);
		return rc;
	default:
		return 0;
	}
}

/* "set-cmd -c" and the rest of the line: 1 when it is that. */
static int
parse_set_cmd(struct flavour_line *l, const char *text, const struct strv *args, struct err *e)
{
	AUTO_FINI(buf) struct buf line = BUF_INIT(FLAVOUR_FILE_MAX);
	size_t len = strcspn(text, " \t");
	const char *s = text + len;

	if (len != strlen("set-cmd") || memcmp(text, "set-cmd", len) != 0)
		return 0;
	s += strspn(s, " \t");
	if (strncmp(s, "-c", 2) != 0 || (s[2] != ' ' && s[2] != '\t'))
		return err_set(e, E_INVAL, "set-cmd needs -c and the command line");
	s += 2;
	s += strspn(s, " \t");
	l->op = FLAVOUR_SET_CMD;
	if (*s == '\0')
		return err_set(e, E_INVAL, "set-cmd -c needs a command line");
	if (flavour_fill(s, args, true, &line, e) < 0)
		return -(e != NULL ? e->code : (int)E_INVAL);
	return add_option(l, 'c', buf_cstr(&line), e) < 0 ? -(int)E_NOMEM : 1;
}

/* After they were cut: a value stays in its word. */
static int
fill_words(struct strv *w, const struct strv *args, struct err *e)
{
	AUTO_FINI(strv) struct strv filled = STRV_INIT(WORDS_MAX);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->n; i++) {
		AUTO_FINI(buf) struct buf word = BUF_INIT(FLAVOUR_FILE_MAX);

		rc = flavour_fill(w->v[i], args, false, &word, e);
		strv_add(&filled, buf_cstr(&word));
	}
	if (rc < 0)
		return rc;
	strv_clear(w);
	strv_copy(w, &filled);
	return strv_check(w, "words of a line", e);
}

static int
parse_line(struct flavour_line *l, const struct strv *args, struct err *e)
{
	AUTO_FINI(strv) struct strv w = STRV_INIT(WORDS_MAX);
	int rc = parse_set_cmd(l, l->text, args, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	if ((rc = text_split(l->text, &w, e)) < 0 || (rc = strv_check(&w, "words of a line", e)) < 0 ||
	    (rc = fill_words(&w, args, e)) < 0)
		return rc;
	if (w.n == 0)
		return err_set(e, E_INVAL, "an empty command");
	if ((rc = find_op(w.v[0], &l->op, e)) < 0)
		return rc;
	if ((rc = parse_options(l, &w, e)) == 0 && (rc = check_presence(l, e)) == 0)
		rc = check_values(l, e);
	if (rc < 0 && (e == NULL || e->hint[0] == '\0'))
		err_hint(e, "%s", rows[l->op].usage);
	return rc;
}

static int
add_line(struct parser *ps, const char *s, size_t len, struct err *e)
{
	struct flavour_commands *fc = ps->fc;
	struct flavour_line *l;
	int rc;

	if (memchr(s, '\0', len) != NULL)
		return err_set(e, E_INVAL, "a NUL byte: not a text file");
	if (fc->n == FLAVOUR_LINES_MAX)
		return err_set(e, E_LIMIT, "more than %d lines", FLAVOUR_LINES_MAX);
	if (fc->n == fc->cap) {
		size_t cap = fc->cap == 0 ? 16 : fc->cap * 2;
		struct flavour_line *v = reallocarray(fc->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		fc->v = v;
		fc->cap = cap;
	}
	l = &fc->v[fc->n];
	*l = (struct flavour_line){ .number = ps->number, .text = buf_dup(s, len) };
	rc = l->text == NULL ? err_nomem(e) : parse_line(l, ps->args, e);
	if (rc < 0)
		line_fini(l);
	else
		fc->n++;
	return rc;
}

int
flavour_commands_parse(struct flavour_commands *fc, const char *text, size_t len, const struct strv *args,
    const char *what, struct err *e)
{
	struct parser ps = { fc, args, 1 };
	const char *s = text, *end = text + len;

	*fc = (struct flavour_commands)FLAVOUR_COMMANDS_INIT;
	if (len > FLAVOUR_FILE_MAX)
		return err_set(e, E_LIMIT, "%s: larger than %d bytes", what, FLAVOUR_FILE_MAX);
	for (; s < end; ps.number++) {
		const char *eol = memchr(s, '\n', (size_t)(end - s)), *start = s, *last;
		int rc;

		if (eol == NULL)
			eol = end;
		for (last = eol; start < last && isspace((unsigned char)*start);)
			start++;
		while (last > start && isspace((unsigned char)last[-1]))
			last--;
		if (start < last && *start != '#' &&
		    (rc = add_line(&ps, start, (size_t)(last - start), e)) < 0) {
			err_wrap(e, "%s:%u:%zu", what, ps.number, (size_t)(start - s) + 1);
			flavour_commands_fini(fc);
			return rc;
		}
		s = eol + (eol < end);
	}
	return 0;
}
