/*
 * The build as a whole: reads the Potfile, has the stages walked, and makes
 * manifest and config of what the last one came to.
 */
#include "builder/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/text.h"
#include "builder/crew.h"
#include "builder/stage.h"
#include "image/mediatype.h"

#define LABEL_NAME "io.pot.name"

void
bld_build_init(struct bld_build *t, const struct bld_build_args *args)
{
	*t = (struct bld_build){ .args = args, .pf = POTFILE_INIT, .scope = SCOPE_BUILD_INIT };
}

void
bld_build_fini(struct bld_build *t)
{
	for (size_t i = 0; t->stages != NULL && i < t->pf.nstages; i++)
		bld_stage_fini(&t->stages[i]);
	free(take_ptr(t->stages));
	bld_context_free(take_ptr(t->context));
	scope_build_fini(&t->scope);
	potfile_fini(&t->pf);
}

int
bld_build_allows(const struct bld_build *t, const char *what, struct err *e)
{
	for (const char *const *v = t->args->user->allow; v != NULL && *v != NULL; v++)
		if (strcmp(*v, what) == 0)
			return 0;
	err_set(e, E_PERM, "the Potfile asks for %s",
	    strcmp(what, "host") == 0 ? "the network of the host" : "all rights on this host");
	return err_hint(e, "if you trust it: --allow %s", what);
}

void
bld_build_show(const struct bld_build *t, const struct potfile *pf, struct potfile_place where)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(8192);

	if (t->args->user->excerpt == NULL || where.line == 0)
		return;
	potfile_excerpt(pf, where, &text);
	if (text.len > 0 && !text.failed)
		t->args->user->excerpt(t->args->user->arg, text.data);
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static int
set_platform(struct bld_build *t, struct err *e)
{
	const char *want = t->args->user->platform;
	struct img_host h;
	char ours[64], whole[80];
	int rc;

	img_host_platform(&h);
	snprintf(ours, sizeof(ours), "%s/%s", h.os, h.arch);
	snprintf(whole, sizeof(whole), "%s/%s", ours, h.variant);
	if (want != NULL && strcmp(want, ours) != 0 && strcmp(want, whole) != 0) {
		err_set(e, E_NOTSUP, "this machine builds for %s, not for %.32s", ours, want);
		return err_hint(e, "build it on a machine of that kind");
	}
	rc = scope_platform(&t->scope, true, h.os, h.arch, h.variant, e);
	return rc < 0 ? rc : scope_platform(&t->scope, false, h.os, h.arch, h.variant, e);
}

static int
set_arguments(struct bld_build *t, struct err *e)
{
	int rc = set_platform(t, e);

	for (const char *const *v = t->args->user->args; v != NULL && *v != NULL && rc == 0; v++) {
		const char *value = strchr(*v, '=') == NULL ? getenv(*v) : NULL;

		rc = scope_given(&t->scope, *v, value, e);
	}
	return rc;
}

static int
parse(struct bld_build *t, const struct buf *text, const char *what, struct err *e)
{
	struct potfile_place where = { 0, 0 };
	int rc = potfile_parse(&t->pf, buf_cstr(text), text->len, what, &where, e);

	if (rc == 0)
		rc = potfile_resolve(&t->pf, &t->scope, &where, e);
	if (rc < 0)
		bld_build_show(t, &t->pf, where);
	return rc < 0 ? rc : potfile_target(&t->pf, t->args->user->target, &t->target, e);
}

int
bld_build_read(struct bld *b, struct bld_build *t, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(POTFILE_MAX);
	const struct pot_build_args *u = t->args->user;
	char what[256];
	int rc;

	if ((rc = bld_context_open(b, u->context, &t->context, e)) < 0 ||
	    (rc = bld_context_potfile(t->context, u->potfile, &text, what, e)) < 0 ||
	    (rc = set_arguments(t, e)) < 0 || (rc = parse(t, &text, what, e)) < 0)
		return rc;
	for (size_t i = 0; i < t->pf.nwarnings; i++)
		event_warn(&b->eng->events, "%s:%u:%u: %s", what, t->pf.warnings[i].place.line,
		    t->pf.warnings[i].place.column, t->pf.warnings[i].text);
	t->stages = calloc(t->pf.nstages, sizeof(*t->stages));
	if (t->stages == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < t->pf.nstages; i++)
		bld_stage_init(&t->stages[i], t, i);
	return 0;
}

/* ---- the image ------------------------------------------------------------------------------------------ */

static int
label(struct kv *kv, const char *prefix, const char *pair, struct err *e)
{
	AUTO_FINI(kv) struct kv one = KV_INIT;
	AUTO_FINI(buf) struct buf text = BUF_INIT(POTFILE_MAX);
	int rc;

	buf_fmt(&text, "%s%s", prefix, pair);
	if ((rc = buf_check(&text, "a label", e)) < 0 || (rc = kv_add(&one, IMG_SET_LABEL, text.data, e)) < 0)
		return rc;
	return bld_settings_merge(kv, &one, e);
}

/* What a config has no field for stands in labels. */
static int
final_settings(struct bld_build *t, struct bld_stage *s, struct err *e)
{
	static const struct {
		const char *key, *prefix;
	} rows[] = { { IMG_SET_ATTR, IMG_LABEL_ATTR }, { BLD_SET_LIMIT, IMG_LABEL_LIMIT } };
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) && rc == 0; i++) {
		AUTO_FINI(strv) struct strv pairs = STRV_INIT(65536);
		const char *pair;
		size_t pos = 0;

		while ((pair = kv_next(&s->settings, rows[i].key, &pos)) != NULL)
			strv_add(&pairs, pair);
		rc = strv_check(&pairs, "the settings", e);
		for (size_t k = 0; k < pairs.n && rc == 0; k++)
			rc = label(&s->settings, rows[i].prefix, pairs.v[k], e);
	}
	for (const char *const *v = t->args->user->labels; v != NULL && *v != NULL && rc == 0; v++)
		rc = label(&s->settings, "", *v, e);
	if (rc == 0 && t->name[0] != '\0')
		rc = label(&s->settings, LABEL_NAME "=", t->name, e);
	return rc;
}

/* The history as a config has it; borrowed from the stage. */
static struct img_history *
history_of(const struct bld_stage *s)
{
	struct img_history *v = calloc(s->nhistory + 1, sizeof(*v));

	for (size_t i = 0; v != NULL && i < s->nhistory; i++)
		v[i] = (struct img_history){ s->history[i].created_ns, s->history[i].by, NULL, NULL,
			s->history[i].empty };
	return v;
}

static int
make_image(struct bld *b, struct bld_build *t, struct bld_stage *s, struct digest *out, struct err *e)
{
	AUTO_FREE struct img_history *history = history_of(s);
	struct img_host h;
	char digest[DIGEST_TEXT_LEN];
	const char *annotations[] = { ANN_BASE_NAME, s->below_name, ANN_BASE_DIGEST, digest, NULL };
	int rc = final_settings(t, s, e);

	if (history == NULL)
		return err_nomem(e);
	if (rc < 0)
		return rc;
	img_host_platform(&h);
	const struct img_platform platform = { h.os, h.arch, h.variant[0] != '\0' ? h.variant : NULL,
		h.os_version[0] != '\0' ? h.os_version : NULL, NULL };
	if (s->below != NULL)
		(void)digest_print(&s->below->digest, digest);
	const struct img_new n = {
		.below = s->below,
		.platform = s->below != NULL ? NULL : &platform,
		.layers = s->layers,
		.nlayers = s->nlayers,
		.settings = &s->settings,
		.builder = true,
		.history = history,
		.nhistory = s->nhistory,
		.created_ns = b->epoch >= 0 ? b->epoch * 1000000000 : s->created_ns,
		.annotations = s->below != NULL && s->below_name[0] != '\0' ? annotations : NULL,
	};
	return img_image_make(b->store, &n, out, e);
}

/* ---- running -------------------------------------------------------------------------------------------- */

/* All layers of the stage, and of those it stands on, become one. */
static int
squash(struct bld *b, struct bld_stage *s, struct err *e)
{
	const struct bld_step step = {
		.kind = BLD_SQUASH, .text = "squash", .where = "--squash", .from = &s->below_tree
	};
	struct bld_did did = { .cached = false };
	int rc;

	if (s->nlayers < 2)
		return 0;
	if ((rc = bld_step_do(b, &s->tree, &step, &did, e)) < 0)
		return rc;
	for (size_t i = 0; i < s->nhistory; i++)
		s->history[i].empty = true;
	s->nlayers = 0;
	s->created_ns = did.created_ns > s->created_ns ? did.created_ns : s->created_ns;
	if (did.layer)
		s->layers[s->nlayers++] =
		    (struct img_layer){ did.blob, did.diff, did.size, MEDIA_OCI_LAYER_ZSTD };
	return stage_note(s, "pot build --squash", !did.layer, e);
}

static int
walk(void *arg, struct bld *b, size_t index, struct err *e)
{
	struct bld_build *t = arg;
	int rc = bld_stage_walk(b, &t->stages[index], e);

	if (rc == 0 && index == t->target && t->args->user->squash)
		rc = squash(b, &t->stages[index], e);
	return rc;
}

static void
warn_unused(struct bld *b, const struct bld_build *t)
{
	const char *name;
	size_t pos = 0;

	while ((name = scope_unused(&t->scope, &pos)) != NULL)
		event_warn(&b->eng->events, "--build-arg %s: no ARG in the Potfile asks for it", name);
}

int
bld_build_run(struct bld *b, struct bld_build *t, struct digest *image, struct err *e)
{
	AUTO_FREE bool *needed = calloc(t->pf.nstages, sizeof(*needed));
	AUTO_FREE const char **names = calloc(t->pf.nstages, sizeof(*names));
	AUTO_FREE unsigned *steps = calloc(t->pf.nstages, sizeof(*steps));
	const struct pot_build_args *u = t->args->user;
	struct bld_crew_args crew = { .n = t->pf.nstages,
		.jobs = u->jobs,
		.walk = walk,
		.arg = t,
		.fn = u->fn,
		.fn_arg = u->arg,
		.nsteps = &t->steps,
		.ncached = &t->cached };
	int rc;

	if (needed == NULL || names == NULL || steps == NULL)
		return err_nomem(e);
	potfile_needed(&t->pf, t->target, needed);
	for (size_t i = 0; i < t->pf.nstages; i++) {
		names[i] = t->pf.stages[i].name;
		steps[i] = (unsigned)(t->pf.stages[i].end - t->pf.stages[i].from - 1);
	}
	crew.needed = needed;
	crew.names = names;
	crew.steps = steps;
	if ((rc = bld_crew_run(b, &crew, e)) < 0)
		return rc;
	/* No image but of all that the Potfile says. */
	if (rc != 0 || !t->stages[t->target].walked)
		return err_set(e, E_STATE, "the build ended before all its steps were done: a defect of pot");
	fault_point("build.walked");
	warn_unused(b, t);
	return make_image(b, t, &t->stages[t->target], image, e);
}
