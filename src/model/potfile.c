/*
 * A Potfile whole: the table of instructions, and the steps with the stages
 * they belong to. Lines are made by potfile_read.c, steps of them by
 * potfile_step.c, flags known in potfile_flags.c, stages tied together in
 * potfile_stage.c, variables put in by potfile_expand.c.
 */
#include <stdlib.h>
#include <string.h>

#include "model/potfile_impl.h"

#define MANY POTFILE_WORDS_MAX

const struct potfile_row potfile_rows[POTFILE_OPS] = {
	[POTFILE_FROM] = { "FROM", "FROM [--platform=OS/ARCH] IMAGE|base:NAME|STAGE|scratch [AS NAME]",
	    IN_VARS, 1, 2 },
	[POTFILE_ADD] = { "ADD", "ADD [OPTIONS] SOURCE… DESTINATION",
	    IN_VARS | IN_HEREDOC | IN_TRIGGER | IN_JSON, 1, MANY },
	[POTFILE_ARG] = { "ARG", "ARG NAME[=VALUE]…", IN_VARS | IN_TRIGGER | IN_PAIRS, 2, MANY },
	[POTFILE_CMD] = { "CMD", "CMD [\"PROGRAM\", \"ARGUMENT\"…] or CMD COMMAND LINE",
	    IN_TRIGGER | IN_COMMAND, 0, MANY },
	[POTFILE_COPY] = { "COPY", "COPY [OPTIONS] SOURCE… DESTINATION",
	    IN_VARS | IN_HEREDOC | IN_TRIGGER | IN_JSON, 1, MANY },
	[POTFILE_ENTRYPOINT] = { "ENTRYPOINT",
	    "ENTRYPOINT [\"PROGRAM\", \"ARGUMENT\"…] or ENTRYPOINT COMMAND LINE", IN_TRIGGER | IN_COMMAND, 0,
	    MANY },
	[POTFILE_ENV] = { "ENV", "ENV NAME=VALUE…", IN_VARS | IN_TRIGGER | IN_PAIRS, 2, MANY },
	[POTFILE_EXPOSE] = { "EXPOSE", "EXPOSE PORT[-PORT][/tcp|udp]…", IN_VARS | IN_TRIGGER | IN_SPLIT, 1,
	    MANY },
	[POTFILE_HEALTHCHECK] = { "HEALTHCHECK", "HEALTHCHECK [OPTIONS] CMD COMMAND, or HEALTHCHECK NONE",
	    IN_TRIGGER | IN_COMMAND, 0, MANY },
	[POTFILE_LABEL] = { "LABEL", "LABEL KEY=VALUE…", IN_VARS | IN_TRIGGER | IN_PAIRS, 2, MANY },
	[POTFILE_MAINTAINER] = { "MAINTAINER", "MAINTAINER NAME", IN_REST, 1, 1 },
	[POTFILE_ONBUILD] = { "ONBUILD", "ONBUILD INSTRUCTION", 0, 0, 0 },
	[POTFILE_RUN] = { "RUN", "RUN [OPTIONS] COMMAND LINE, or RUN [\"PROGRAM\", \"ARGUMENT\"…]",
	    IN_HEREDOC | IN_TRIGGER | IN_COMMAND, 1, MANY },
	[POTFILE_SHELL] = { "SHELL", "SHELL [\"PROGRAM\", \"ARGUMENT\"…]", IN_TRIGGER | IN_COMMAND, 1, MANY },
	[POTFILE_STOPSIGNAL] = { "STOPSIGNAL", "STOPSIGNAL SIGNAL", IN_VARS | IN_TRIGGER | IN_REST, 1, 1 },
	[POTFILE_USER] = { "USER", "USER NAME[:GROUP]", IN_VARS | IN_TRIGGER | IN_REST, 1, 1 },
	[POTFILE_VOLUME] = { "VOLUME", "VOLUME PATH…", IN_VARS | IN_TRIGGER | IN_JSON, 1, MANY },
	[POTFILE_WORKDIR] = { "WORKDIR", "WORKDIR PATH", IN_VARS | IN_TRIGGER | IN_REST, 1, 1 },
	[POTFILE_ATTRIBUTE] = { "ATTRIBUTE", "ATTRIBUTE KEY VALUE", IN_VARS | IN_TRIGGER, 2, 2 },
	[POTFILE_FLAVOUR] = { "FLAVOUR", "FLAVOUR NAME[?KEY=VALUE&…]…", IN_VARS | IN_TRIGGER, 1, MANY },
	[POTFILE_LIMIT] = { "LIMIT", "LIMIT KEY VALUE", IN_VARS | IN_TRIGGER, 2, 2 },
	[POTFILE_NAME] = { "NAME", "NAME NAME", IN_VARS | IN_TRIGGER, 1, 1 },
};

const char *
potfile_op_name(enum potfile_op op)
{
	return potfile_rows[op].name;
}

struct parser {
	struct potfile_reader r;
	struct potfile *pf;
};

static int
add_stage(struct parser *ps, const struct potfile_step *st, struct err *e)
{
	struct potfile *pf = ps->pf;
	const char *name = st->nwords > 1 ? st->words[1].text : NULL;
	struct potfile_stage *v = reallocarray(pf->stages, pf->nstages + 1, sizeof(*v));

	if (v == NULL)
		return err_nomem(e);
	pf->stages = v;
	for (size_t i = 0; name != NULL && i < pf->nstages; i++) {
		if (v[i].name != NULL && strcmp(v[i].name, name) == 0) {
			ps->r.fault = st->words[1].at;
			err_set(e, E_INVAL, "a stage '%.64s' stands in line %u already", name,
			    pf->steps[v[i].from].line);
			return -E_INVAL;
		}
	}
	v += pf->nstages;
	*v = (struct potfile_stage){ .from = pf->nsteps - 1, .end = pf->nsteps, .source = POTFILE_IMAGE };
	if (name != NULL && (v->name = strdup(name)) == NULL)
		return err_nomem(e);
	pf->nstages++;
	return 0;
}

/* Where the step belongs: to the globals, or to a stage. */
static int
place_step(struct parser *ps, const struct potfile_step *st, struct err *e)
{
	struct potfile *pf = ps->pf;

	if (ps->r.triggers)
		return 0;
	if (st->op == POTFILE_FROM)
		return add_stage(ps, st, e);
	if (pf->nstages > 0) {
		pf->stages[pf->nstages - 1].end = pf->nsteps;
		return 0;
	}
	if (st->op != POTFILE_ARG) {
		ps->r.fault = st->at;
		err_set(e, E_INVAL, "%s before the first FROM", potfile_op_name(st->op));
		return err_hint(
		    e, "only ARG may stand there; begin with FROM IMAGE, FROM base:NAME or FROM scratch");
	}
	pf->nglobal = pf->nsteps;
	return 0;
}

static int
next_step(struct parser *ps, struct err *e)
{
	struct potfile *pf = ps->pf;
	struct potfile_step *v;
	int rc;

	if (pf->nsteps == POTFILE_STEPS_MAX)
		return potfile_fail(
		    &ps->r, buf_cstr(&ps->r.line), e, "more than %d instructions", POTFILE_STEPS_MAX);
	if ((pf->nsteps & (pf->nsteps - 1)) == 0) {
		v = reallocarray(pf->steps, pf->nsteps == 0 ? 1 : pf->nsteps * 2, sizeof(*v));
		if (v == NULL)
			return err_nomem(e);
		pf->steps = v;
	}
	v = &pf->steps[pf->nsteps++];
	*v = (struct potfile_step){ 0 };
	rc = potfile_parse_step(&ps->r, v, e);
	return rc < 0 ? rc : place_step(ps, v, e);
}

static int
parse_all(struct parser *ps, struct err *e)
{
	int rc = potfile_read_directives(&ps->r, e);

	while (rc >= 0) {
		ps->r.fault = ps->r.pos;
		rc = potfile_read_line(&ps->r, e);
		if (rc <= 0)
			break;
		ps->r.fault = potfile_source(&ps->r, buf_cstr(&ps->r.line));
		rc = next_step(ps, e);
	}
	if (rc < 0 || ps->r.triggers || ps->pf->nstages > 0)
		return rc;
	ps->r.fault = ps->pf->len;
	err_set(e, E_INVAL, "no FROM");
	return err_hint(e, "begin with FROM IMAGE, FROM base:NAME or FROM scratch");
}

static void
forget_parsed(struct potfile *pf)
{
	for (size_t i = 0; i < pf->nsteps; i++)
		potfile_step_fini(&pf->steps[i]);
	for (size_t i = 0; i < pf->nstages; i++) {
		free(pf->stages[i].name);
		free(pf->stages[i].needs);
		free(pf->stages[i].image);
		free(pf->stages[i].platform);
	}
	free(pf->steps);
	free(pf->stages);
	pf->steps = NULL;
	pf->stages = NULL;
	pf->nsteps = pf->nstages = pf->nglobal = 0;
}

void
potfile_fini(struct potfile *pf)
{
	forget_parsed(pf);
	free(pf->text);
	free(pf->what);
	free(pf->syntax);
	free(pf->check);
	*pf = (struct potfile)POTFILE_INIT;
}

static int
parse(struct potfile *pf, const char *text, size_t len, const char *what, bool triggers,
    struct potfile_place *where, struct err *e)
{
	struct parser ps = { .r = { .pf = pf, .line = BUF_INIT(POTFILE_MAX), .triggers = triggers },
		.pf = pf };
	int rc;

	*pf = (struct potfile)POTFILE_INIT;
	if (where != NULL)
		*where = (struct potfile_place){ 0, 0 };
	if (len > POTFILE_MAX)
		return err_set(e, E_LIMIT, "%s: larger than %d bytes", what, POTFILE_MAX);
	pf->text = buf_dup(text, len);
	pf->what = strdup(what);
	if (pf->text == NULL || pf->what == NULL) {
		potfile_fini(pf);
		return err_nomem(e);
	}
	pf->len = len;
	rc = parse_all(&ps, e);
	buf_fini(&ps.r.line);
	free(ps.r.segments);
	if (rc < 0) {
		potfile_locate(pf, ps.r.fault, where, e);
		forget_parsed(pf);
	}
	return rc;
}

int
potfile_parse(struct potfile *pf, const char *text, size_t len, const char *what, struct potfile_place *where,
    struct err *e)
{
	return parse(pf, text, len, what, false, where, e);
}

int
potfile_parse_triggers(struct potfile *pf, const char *text, size_t len, const char *what,
    struct potfile_place *where, struct err *e)
{
	return parse(pf, text, len, what, true, where, e);
}
