/*
 * Stages of a Potfile: what each is made from and which others it needs. In
 * what order or how many at a time they are built is the builder's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/name.h"
#include "model/potfile_impl.h"
#include "model/reference.h"

#define BASE_PREFIX "base:"

long
potfile_find_stage(const struct potfile *pf, size_t self, const char *name)
{
	uint64_t n;

	if (name[0] != '\0' && strspn(name, "0123456789") == strlen(name))
		return text_uint(name, 0, INT32_MAX, &n, "stage", NULL) == 0 && n < self ? (long)n : -1;
	for (size_t i = self; i > 0; i--) {
		const char *have = pf->stages[i - 1].name;

		if (have != NULL && strcasecmp(have, name) == 0)
			return (long)i - 1;
	}
	return -1;
}

static int
add_need(struct potfile_stage *st, size_t other, struct err *e)
{
	size_t *v;

	for (size_t i = 0; i < st->nneeds; i++) {
		if (st->needs[i] == other)
			return 0;
	}
	v = reallocarray(st->needs, st->nneeds + 1, sizeof(*v));
	if (v == NULL)
		return err_nomem(e);
	v[st->nneeds++] = other;
	st->needs = v;
	return 0;
}

/* A stage that --from names; a number that is none is an error, any other name an image. */
static int
need_from(struct potfile *pf, size_t self, const char *name, struct err *e)
{
	struct reference ref;
	long other = potfile_find_stage(pf, self, name);

	if (other >= 0)
		return add_need(&pf->stages[self], (size_t)other, e);
	if (strspn(name, "0123456789") == strlen(name)) {
		err_set(e, E_INVAL, "there is no stage %.32s before this one", name);
		return err_hint(e, "stages count from 0, and only those further up can be named");
	}
	if (strncmp(name, BASE_PREFIX, strlen(BASE_PREFIX)) == 0)
		return name_check_base(name + strlen(BASE_PREFIX), e);
	for (size_t i = self; i < pf->nstages; i++) {
		if (pf->stages[i].name != NULL && strcasecmp(pf->stages[i].name, name) == 0)
			return err_set(e, E_INVAL, "the stage '%.64s' stands further down", name);
	}
	return ref_parse(name, &ref, e);
}

/* Quotes around a flag's value go; variables are not replaced. */
static int
plain(const struct potfile *pf, const char *value, struct buf *out, struct err *e)
{
	return subst_word(value, pf->escape, 0, NULL, out, NULL, e);
}

static int
need_flag(struct potfile *pf, size_t self, const struct potfile_flag *f, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SUBST_MAX);
	bool is_from = strcmp(f->name, "from") == 0;
	int rc;

	if ((!is_from && strcmp(f->name, "mount") != 0) || f->value == NULL)
		return 0;
	if ((rc = plain(pf, f->value, &text, e)) < 0)
		return rc;
	if (is_from)
		return need_from(pf, self, buf_cstr(&text), e);
	/* Only from= matters here, and it has no variables; the rest is checked when they are known. */
	for (char *s = text.data; s != NULL && *s != '\0' && rc == 0;) {
		size_t len = strcspn(s, ",");
		bool last = s[len] == '\0';

		s[len] = '\0';
		if (strncmp(s, "from=", 5) == 0)
			rc = strchr(s, '$') != NULL
			    ? err_set(e, E_INVAL, "from takes no variables: name a stage")
			    : need_from(pf, self, s + 5, e);
		s += len + !last;
	}
	return rc;
}

static int
find_needs(struct potfile *pf, size_t self, size_t *fault, struct err *e)
{
	const struct potfile_stage *stage = &pf->stages[self];

	for (size_t i = stage->from + 1; i < stage->end; i++) {
		const struct potfile_step *step = &pf->steps[i];

		for (size_t j = 0; j < step->nflags; j++) {
			int rc = need_flag(pf, self, &step->flags[j], e);

			*fault = step->flags[j].at;
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int
set_source(struct potfile *pf, size_t self, const char *image, struct err *e)
{
	struct potfile_stage *stage = &pf->stages[self];
	long parent = potfile_find_stage(pf, self, image);
	struct reference ref;
	int rc;

	if (image[0] == '\0') {
		err_set(e, E_INVAL, "FROM names nothing");
		return err_hint(
		    e, "a variable in it is empty: only ARGs before the first FROM are seen there");
	}
	/* FROM takes no numbers. */
	if (parent >= 0 && strspn(image, "0123456789") != strlen(image)) {
		stage->source = POTFILE_STAGE;
		stage->parent = (size_t)parent;
		return add_need(stage, (size_t)parent, e);
	}
	if (strcmp(image, "scratch") == 0) {
		stage->source = POTFILE_SCRATCH;
		return 0;
	}
	if (strncmp(image, BASE_PREFIX, strlen(BASE_PREFIX)) == 0) {
		image += strlen(BASE_PREFIX);
		stage->source = POTFILE_BASE;
		rc = name_check_base(image, e);
	} else {
		stage->source = POTFILE_IMAGE;
		rc = ref_parse(image, &ref, e);
	}
	if (rc < 0)
		return rc;
	stage->image = strdup(image);
	return stage->image == NULL ? err_nomem(e) : 0;
}

static int
resolve_stage(struct potfile *pf, size_t self, const struct subst_lookup *lookup, size_t *fault,
    struct potfile_place *where, struct err *e)
{
	AUTO_FINI(potfile_step) struct potfile_step from = { 0 };
	struct potfile_stage *stage = &pf->stages[self];
	const struct potfile_step *step = &pf->steps[stage->from];
	const char *platform;
	int rc;

	free(stage->needs);
	free(stage->image);
	free(stage->platform);
	stage->needs = NULL;
	stage->nneeds = 0;
	stage->image = stage->platform = NULL;
	*fault = SIZE_MAX; /* potfile_expand tells the place itself */
	if ((rc = potfile_expand(pf, step, lookup, &from, where, e)) < 0)
		return rc;
	platform = potfile_flag(&from, "platform");
	if (platform != NULL && platform[0] != '\0' && (stage->platform = strdup(platform)) == NULL)
		return err_nomem(e);
	*fault = step->words[0].at;
	rc = set_source(pf, self, from.words[0].text, e);
	return rc < 0 ? rc : find_needs(pf, self, fault, e);
}

static int
run_globals(struct potfile *pf, struct scope_build *b, struct potfile_place *where, struct err *e)
{
	struct subst_lookup lookup = scope_build_lookup(b);

	for (size_t i = 0; i < pf->nglobal; i++) {
		AUTO_FINI(potfile_step) struct potfile_step arg = { 0 };
		int rc = potfile_expand(pf, &pf->steps[i], &lookup, &arg, where, e);

		for (size_t j = 0; rc == 0 && j + 1 < arg.nwords; j += 2)
			rc = scope_global_arg(b, arg.words[j].text, arg.words[j + 1].text, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int
potfile_resolve(struct potfile *pf, struct scope_build *b, struct potfile_place *where, struct err *e)
{
	struct subst_lookup lookup = scope_build_lookup(b);
	struct potfile_place ignored;
	size_t fault;
	int rc;

	if (where == NULL)
		where = &ignored;
	*where = (struct potfile_place){ 0, 0 };
	rc = run_globals(pf, b, where, e);
	for (size_t i = 0; rc == 0 && i < pf->nstages; i++) {
		rc = resolve_stage(pf, i, &lookup, &fault, where, e);
		if (rc < 0 && fault != SIZE_MAX)
			potfile_locate(pf, fault, where, e);
	}
	return rc;
}

int
potfile_target(const struct potfile *pf, const char *name, size_t *index, struct err *e)
{
	AUTO_FREE const char **names = NULL;
	const char *near;
	size_t n = 0;
	long found;

	if (pf->nstages == 0)
		return err_set(e, E_NOENT, "%s: no stages", pf->what);
	*index = pf->nstages - 1;
	if (name == NULL)
		return 0;
	found = potfile_find_stage(pf, pf->nstages, name);
	if (found >= 0) {
		*index = (size_t)found;
		return 0;
	}
	err_set(e, E_NOENT, "%s: no stage '%.64s'", pf->what, name);
	names = calloc(pf->nstages, sizeof(*names));
	for (size_t i = 0; names != NULL && i < pf->nstages; i++) {
		if (pf->stages[i].name != NULL)
			names[n++] = pf->stages[i].name;
	}
	near = names != NULL ? text_nearest(name, names, n) : NULL;
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	return -E_NOENT;
}

/* Only earlier stages are needed, so once backwards is enough. */
void
potfile_needed(const struct potfile *pf, size_t target, bool *needed)
{
	for (size_t i = 0; i < pf->nstages; i++)
		needed[i] = i == target;
	for (size_t i = target + 1; i > 0; i--) {
		const struct potfile_stage *stage = &pf->stages[i - 1];

		for (size_t j = 0; needed[i - 1] && j < stage->nneeds; j++)
			needed[stage->needs[j]] = true;
	}
}
