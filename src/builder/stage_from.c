/*
 * Where a stage, or what it copies, comes from: another stage, an image of
 * this node or of a registry, a base, nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "builder/base.h"
#include "builder/crew.h"
#include "builder/stage.h"

#define BASE_PREFIX "base:"

/* ---- images --------------------------------------------------------------------------------------- */

/* E_NOENT: not on this node. */
static int
find_image(struct bld *b, const struct reference *ref, struct img_image **image, struct err *e)
{
	struct img_ref_record rec;
	struct digest d;
	int rc = img_ref_get(b->store, ref, &rec, e);

	if (rc < 0 || (rc = digest_parse(rec.manifest, &d, e)) < 0)
		return rc;
	return img_image_open(b->store, &d, image, e);
}

static int
is_ready(struct bld *b, const struct img_image *image)
{
	AUTO_FINI(img_ready_record) struct img_ready_record rec = { .settings = KV_INIT };
	struct digest chain;

	return img_ready_read(b->store, &image->digest, &rec, NULL) == 0 &&
	    img_image_chain(image, &chain, NULL) == 0 &&
	    (image->config->ndiffs == 0 || img_layer_exists(b->store, &chain, NULL) == 1);
}

static int
missing(const struct reference *ref, struct err *e)
{
	char name[REF_TEXT];

	ref_print(ref, name);
	err_set(e, E_NOENT, "there is no image %s on this node", name);
	return err_hint(e, "a registry's is named with its host (HOST/NAME:TAG); a base is base:NAME");
}

int
stage_image(struct bld *b, struct bld_build *build, const char *text, struct img_image **image, struct err *e)
{
	const struct img_ready_args ready = { &b->eng->events, b->eng->cancel, 0 };
	struct reference ref;
	int rc = ref_parse(text, &ref, e);

	if (rc < 0)
		return rc;
	ref_default_tag(&ref);
	rc = find_image(b, &ref, image, e);
	if (rc == -E_NOENT) {
		if (ref.host[0] == '\0' || build->args->pull == NULL)
			return missing(&ref, e);
		if ((rc = crew_work(b, e)) < 0)
			return rc;
		if ((rc = build->args->pull(build->args->arg, text, e)) == 0)
			rc = find_image(b, &ref, image, e);
	}
	if (rc < 0 || is_ready(b, *image))
		return rc;
	if ((rc = crew_work(b, e)) == 0)
		rc = img_image_ready(b->store, b->eng->stor, *image, &ready, e);
	return rc;
}

/* ---- FROM ------------------------------------------------------------------------------------------ */

/* ENV of what is below is seen by instructions, and by commands. */
static int
take_env(struct bld_stage *s, struct err *e)
{
	const char *pair;
	size_t pos = 0;
	int rc = 0;

	while (rc == 0 && (pair = kv_next(&s->settings, IMG_SET_ENV, &pos)) != NULL) {
		AUTO_FREE char *name = buf_dup(pair, strcspn(pair, "="));

		if (name == NULL)
			return err_nomem(e);
		rc = scope_env(&s->scope, name, strchr(pair, '=') != NULL ? strchr(pair, '=') + 1 : "", e);
	}
	return rc;
}

static int
stand_on_image(struct bld_stage *s, const char *name, struct err *e)
{
	const struct img_image *image = s->below;
	int rc;

	snprintf(s->below_name, sizeof(s->below_name), "%s", name);
	s->created_ns = image->config->created_ns;
	s->tree.any = image->config->ndiffs > 0;
	if ((rc = img_config_settings(image->config, &s->settings, e)) < 0 ||
	    (rc = img_config_builder_settings(image->config, &s->settings, e)) < 0 ||
	    (s->tree.any && (rc = img_image_chain(image, &s->tree.chain, e)) < 0))
		return rc;
	s->below_tree = s->tree;
	/* Those come of labels, and would become such again. */
	if ((rc = kv_set(&s->settings, IMG_SET_ATTR, NULL, e)) < 0)
		return rc;
	return take_env(s, e);
}

static int
from_image(struct bld *b, struct bld_stage *s, const char *name, struct err *e)
{
	int rc = stage_image(b, s->build, name, &s->below, e);

	return rc < 0 ? rc : stand_on_image(s, name, e);
}

static int
from_base(struct bld *b, struct bld_stage *s, const char *name, struct err *e)
{
	int rc = bld_base_known(b->eng, b->store, name, &s->below, e);

	if (rc == 0 && (rc = crew_work(b, e)) == 0)
		rc = bld_base_image(b->eng, b->store, name, b->epoch, &s->below, e);
	return rc < 0 ? rc : stand_on_image(s, "", e);
}

static int
from_stage(struct bld *b, struct bld_stage *s, size_t parent, struct err *e)
{
	const struct bld_stage *p = &s->build->stages[parent];
	int rc = crew_needs(b, parent);

	if (rc < 0 || (rc = scope_inherit(&s->scope, &p->scope, e)) < 0)
		return rc;
	s->tree = p->tree;
	s->below_tree = p->below_tree;
	s->created_ns = p->created_ns;
	memcpy(s->below_name, p->below_name, sizeof(s->below_name));
	if (p->below != NULL && (rc = img_image_open(b->store, &p->below->digest, &s->below, e)) < 0)
		return rc;
	for (size_t i = 0; i < p->settings.n && rc == 0; i++)
		rc = kv_add(&s->settings, p->settings.v[i].key, p->settings.v[i].value, e);
	s->layers = calloc(p->nlayers + 1, sizeof(*s->layers));
	if (s->layers == NULL)
		return err_nomem(e);
	memcpy(s->layers, p->layers, p->nlayers * sizeof(*s->layers));
	s->nlayers = p->nlayers;
	for (size_t i = 0; i < p->nhistory && rc == 0; i++) {
		int64_t created = s->created_ns;

		s->created_ns = p->history[i].created_ns;
		rc = stage_note(s, p->history[i].by, p->history[i].empty, e);
		s->created_ns = created;
	}
	return rc;
}

int
stage_from(struct bld *b, struct bld_stage *s, struct err *e)
{
	const struct potfile_stage *stage = &s->build->pf.stages[s->index];

	s->created_ns = b->epoch >= 0 ? b->epoch * 1000000000 : 0;
	switch (stage->source) {
	case POTFILE_SCRATCH:
		return 0;
	case POTFILE_STAGE:
		return from_stage(b, s, stage->parent, e);
	case POTFILE_BASE:
		return from_base(b, s, stage->image, e);
	case POTFILE_IMAGE:
		return from_image(b, s, stage->image, e);
	}
	return err_set(e, E_INVAL, "FROM what?");
}

int
stage_tree_of(struct bld *b, struct bld_stage *s, const char *from, struct bld_tree *t, struct err *e)
{
	AUTO(img_image) struct img_image *image = NULL;
	long stage = potfile_find_stage(&s->build->pf, s->index, from);
	int rc;

	if (stage >= 0) {
		rc = crew_needs(b, (size_t)stage);
		*t = s->build->stages[stage].tree;
		return rc;
	}
	if (strncmp(from, BASE_PREFIX, strlen(BASE_PREFIX)) == 0)
		return bld_tree_base(b, from + strlen(BASE_PREFIX), t, e);
	if ((rc = stage_image(b, s->build, from, &image, e)) < 0)
		return rc;
	t->any = image->config->ndiffs > 0;
	return t->any ? img_image_chain(image, &t->chain, e) : 0;
}
