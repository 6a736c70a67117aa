/*
 * Walking a stage: each instruction is expanded with what the ones before it
 * left, and done by its kind. Triggers of the image below come right behind
 * FROM. What names a place in the text is put in front of messages here.
 */
#include "builder/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builder/crew.h"
#include "builder/flavour.h"
#include "image/mediatype.h"

void
bld_stage_init(struct bld_stage *s, struct bld_build *build, size_t index)
{
	*s = (struct bld_stage){
		.build = build, .index = index, .scope = SCOPE_STAGE_INIT(&build->scope), .settings = KV_INIT
	};
}

void
bld_stage_fini(struct bld_stage *s)
{
	scope_stage_fini(&s->scope);
	kv_fini(&s->settings);
	img_image_free(s->below);
	free(s->layers);
	for (size_t i = 0; i < s->nhistory; i++)
		free(s->history[i].by);
	free(s->history);
	bld_stage_init(s, s->build, s->index);
}

const char *
stage_workdir(const struct bld_stage *s)
{
	const char *dir = kv_get(&s->settings, IMG_SET_WORKDIR);

	return dir != NULL && dir[0] != '\0' ? dir : "/";
}

int
stage_put(struct bld_stage *s, const char *key, const char *value, struct err *e)
{
	AUTO_FINI(kv) struct kv one = KV_INIT;
	int rc = kv_add(&one, key, value, e);

	return rc < 0 ? rc : bld_settings_merge(&s->settings, &one, e);
}

/* ---- layers and history ------------------------------------------------------------------------ */

int
stage_note(struct bld_stage *s, const char *by, bool empty, struct err *e)
{
	struct stage_history *v = reallocarray(s->history, s->nhistory + 1, sizeof(*v));

	if (v == NULL)
		return err_nomem(e);
	s->history = v;
	v[s->nhistory] = (struct stage_history){ strdup(by), s->created_ns, empty };
	return v[s->nhistory++].by != NULL ? 0 : err_nomem(e);
}

static int
add_layer(struct bld_stage *s, const struct bld_did *did, struct err *e)
{
	struct img_layer *v = reallocarray(s->layers, s->nlayers + 1, sizeof(*v));

	if (v == NULL)
		return err_nomem(e);
	s->layers = v;
	v[s->nlayers++] = (struct img_layer){ did->blob, did->diff, did->size, MEDIA_OCI_LAYER_ZSTD };
	return 0;
}

int
stage_do(struct bld *b, struct bld_stage *s, const struct bld_step *step, struct err *e)
{
	struct bld_did did = { .cached = false };
	int rc = bld_step_do(b, &s->tree, step, &did, e);

	if (rc < 0)
		return rc;
	s->created_ns = did.created_ns > s->created_ns ? did.created_ns : s->created_ns;
	if (did.layer && (rc = add_layer(s, &did, e)) < 0)
		return rc;
	return stage_note(s, step->text, !did.layer, e);
}

/* ---- instructions ---------------------------------------------------------------------------------- */

int
stage_flavour(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	AUTO_FINI(bld_recipe) struct bld_recipe recipe = BLD_RECIPE_INIT;
	AUTO_FREE const char **refs = calloc(in->st->nwords + 1, sizeof(*refs));
	const struct pot_build_args *u = s->build->args->user;
	const struct bld_flavour_options options = { u->flavour_dirs, u->flavour_args, NULL };
	int rc;

	if (refs == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < in->st->nwords; i++)
		refs[i] = in->st->words[i].text;
	recipe.options = &options;
	rc = bld_flavours_expand(b, refs, bld_context_fd(s->build->context), &recipe, e);
	for (size_t i = 0; i < recipe.nsteps && rc == 0; i++)
		rc = stage_do(b, s, &recipe.steps[i], e);
	if (rc < 0)
		return rc;
	if (kv_get(&recipe.settings, BLD_SET_MOUNT) != NULL ||
	    kv_get(&recipe.settings, BLD_SET_DEPEND) != NULL)
		event_warn(
		    &b->eng->events, "%s: an image has no mounts and needs no pots: left out", in->where);
	return bld_settings_merge(&s->settings, &recipe.settings, e);
}

static int
dispatch(struct bld *b, struct bld_stage *s, const struct instruction *in, struct err *e)
{
	switch (in->st->op) {
	case POTFILE_RUN:
		return stage_run(b, s, in, e);
	case POTFILE_COPY:
	case POTFILE_ADD:
		return stage_copy(b, s, in, e);
	case POTFILE_FLAVOUR:
		return stage_flavour(b, s, in, e);
	default:
		return stage_set(b, s, in, e);
	}
}

/* In front of messages that do not name their place yet. */
static int
locate(const struct instruction *in, int rc, struct err *e)
{
	if (rc >= 0 || rc == BLD_LEFT || rc == BLD_BLOCKED)
		return rc;
	return err_wrap(e, "%s", in->where);
}

static int
do_instruction(struct bld *b, struct bld_stage *s, const struct potfile *pf, const struct potfile_step *raw,
    struct err *e)
{
	AUTO_FINI(potfile_step) struct potfile_step st = { 0 };
	struct subst_lookup lookup = scope_stage_lookup(&s->scope);
	struct potfile_place where = { 0, 0 };
	struct instruction in = { pf, raw, &st, "" };
	int rc = potfile_expand(pf, raw, &lookup, &st, &where, e);

	if (rc < 0) {
		bld_build_show(s->build, pf, where);
		return rc;
	}
	snprintf(in.where, sizeof(in.where), "%.80s:%u", pf->what, raw->line);
	return locate(&in, dispatch(b, s, &in, e), e);
}

/* What the image below has for those who build on it, once: it is not handed on. */
static int
run_triggers(struct bld *b, struct bld_stage *s, struct err *e)
{
	AUTO_FINI(potfile) struct potfile pf = POTFILE_INIT;
	AUTO_FINI(buf) struct buf text = BUF_INIT(POTFILE_MAX);
	struct potfile_place where = { 0, 0 };
	const char *line;
	size_t pos = 0;
	int rc;

	while ((line = kv_next(&s->settings, IMG_SET_ONBUILD, &pos)) != NULL)
		buf_fmt(&text, "%s\n", line);
	if (text.len == 0)
		return 0;
	if ((rc = buf_check(&text, "ONBUILD", e)) < 0 ||
	    (rc = kv_set(&s->settings, IMG_SET_ONBUILD, NULL, e)) < 0)
		return rc;
	rc = potfile_parse_triggers(&pf, text.data, text.len, "ONBUILD", &where, e);
	for (size_t i = 0; i < pf.nsteps && rc == 0; i++)
		rc = do_instruction(b, s, &pf, &pf.steps[i], e);
	return rc;
}

int
bld_stage_walk(struct bld *b, struct bld_stage *s, struct err *e)
{
	const struct potfile *pf = &s->build->pf;
	const struct potfile_stage *stage = &pf->stages[s->index];
	struct instruction in = { pf, &pf->steps[stage->from], NULL, "" };
	int rc;

	bld_stage_fini(s);
	snprintf(in.where, sizeof(in.where), "%.80s:%u", pf->what, pf->steps[stage->from].line);
	rc = locate(&in, stage_from(b, s, e), e);
	if (rc == 0)
		rc = run_triggers(b, s, e);
	for (size_t i = stage->from + 1; i < stage->end && rc == 0; i++)
		rc = do_instruction(b, s, pf, &pf->steps[i], e);
	s->walked = rc == 0;
	return rc;
}
