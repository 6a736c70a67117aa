/*
 * libpot: building images, and the cache that builds share. The builder does
 * it; here names are given, pulls are made, and what is kept is told to prune.
 */
#include <pot/build.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "builder/build.h"
#include "builder/prune.h"
#include "lib/images.h"

struct building {
	struct pot_ctx *ctx;
	const struct pot_build_args *args;
};

static int
pull(void *arg, const char *ref, struct err *e)
{
	const struct building *g = arg;
	const struct pot_pull_args in = { .name = ref, .verify = g->args->verify, .net = g->args->net };
	struct pot_transfer t;

	return pot_image_pull(g->ctx, &in, &t, e);
}

/* Before anything is done: what is wrong with a name is wrong now. */
static int
check_names(const struct pot_build_args *a, struct err *e)
{
	struct reference ref;
	int rc = 0;

	for (const char *const *n = a->names; n != NULL && *n != NULL && rc == 0; n++) {
		rc = lib_ref(*n, &ref, e);
		if (rc == 0 && ref.digest[0] != '\0')
			rc = err_set(e, E_INVAL, "%s: the digest is what comes out; give a tag", *n);
	}
	return rc;
}

/* The same name for the same image again is no change. */
static int
name_it(struct img_store *s, const char *name, const struct img_image *image, struct err *e)
{
	char digest[DIGEST_TEXT_LEN];
	struct img_ref_record rec;
	struct reference ref;
	int rc = lib_ref(name, &ref, e);

	if (rc < 0)
		return rc;
	if (img_ref_get(s, &ref, &rec, NULL) == 0 &&
	    strcmp(rec.manifest, digest_print(&image->digest, digest)) == 0 &&
	    strcmp(rec.digest, rec.manifest) == 0)
		return 0;
	return lib_name(s, &ref, image, NULL, e);
}

static int
publish(struct pot_ctx *c, struct bld *b, const struct bld_build *t, const struct digest *made,
    struct pot_build_result *r, struct err *e)
{
	AUTO(img_image) struct img_image *image = NULL;
	const struct img_ready_args ready = { &c->eng->events, c->eng->cancel, 0 };
	const char *own[] = { t->name, NULL }, *const *names = t->args->user->names;
	struct reference ref;
	int rc = img_image_open(b->store, made, &image, e);

	if (rc == 0)
		rc = img_image_ready(b->store, c->eng->stor, image, &ready, e);
	fault_point("build.ready");
	if (names == NULL || *names == NULL)
		names = t->name[0] != '\0' && lib_ref(t->name, &ref, NULL) == 0 ? own : NULL;
	for (const char *const *n = names; n != NULL && *n != NULL && rc == 0; n++)
		rc = name_it(b->store, *n, image, e);
	if (rc < 0)
		return rc;
	snprintf(r->name, sizeof(r->name), "%s", names != NULL ? names[0] : "");
	r->layers = (unsigned)image->manifest->n_layers;
	for (size_t i = 0; i < image->manifest->n_layers; i++)
		r->size += image->manifest->layers[i].size;
	(void)digest_print(made, r->id);
	return 0;
}

/* What was used longest ago goes when the configured size is passed. */
static void
keep_size(struct pot_ctx *c, const struct bld *b)
{
	const struct bld_prune_rule rule = { .keep = config_uint(c->eng->conf, "build_cache_max") };
	struct bld_pruned pruned;
	struct err own = ERR_INIT;

	if (rule.keep == 0)
		return;
	if (bld_prune(b->dir, &rule, false, &pruned, &own) < 0)
		event_warn(&c->eng->events, "%s", own.msg);
	else if (pruned.steps > 0)
		event_info(&c->eng->events, "%u steps used longest ago left the cache (build_cache_max)",
		    pruned.steps);
}

static int
build(struct pot_ctx *c, struct bld *b, struct bld_build *t, struct pot_build_result *r, struct err *e)
{
	struct digest made;
	int rc = bld_build_read(b, t, e);

	if (rc < 0 || (rc = bld_build_run(b, t, &made, e)) < 0)
		return rc;
	r->steps = t->steps;
	r->cached = t->cached;
	fault_point("build.made");
	rc = publish(c, b, t, &made, r, e);
	/* A build of cached steps has added nothing. */
	if (rc == 0 && r->cached < r->steps)
		keep_size(c, b);
	return rc;
}

int
pot_build(struct pot_ctx *c, const struct pot_build_args *a, struct pot_build_result *r, struct err *e)
{
	AUTO(bld) struct bld *b = NULL;
	struct building g = { c, a };
	const struct bld_build_args args = { a, pull, &g };
	AUTO_FINI(bld_build) struct bld_build t;
	int rc = lib_need_root(e);

	bld_build_init(&t, &args);
	memset(r, 0, sizeof(*r));
	if (rc < 0 || (rc = check_names(a, e)) < 0 || (rc = bld_open(&b, c->eng, e)) < 0)
		return rc;
	b->no_cache = a->no_cache;
	b->debug = a->debug;
	b->debug_arg = a->arg;
	b->rows = a->rows;
	b->cols = a->cols;
	if (a->network != NULL && strcmp(a->network, "none") == 0)
		b->network = BLD_NET_NONE;
	else if (a->network != NULL && strcmp(a->network, "host") == 0)
		b->network = BLD_NET_HOST;
	else if (a->network != NULL && strcmp(a->network, "default") != 0)
		return err_set(e, E_INVAL, "no network '%s' for steps: default, none or host", a->network);
	rc = build(c, b, &t, r, e);
	/* Its context is below the builder's directory. */
	bld_build_fini(&t);
	bld_build_init(&t, &args);
	return rc;
}

/* ---- the cache ------------------------------------------------------------------------------------- */

static int
open_dir(struct pot_ctx *c, int *dir, struct err *e)
{
	int rc = lib_need_root(e);

	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	if (rc < 0)
		return rc;
	*dir = dir_open(c->eng->root_fd, "build", NULL);
	return *dir >= 0 || *dir == -E_NOENT ? 0 : dir_open(c->eng->root_fd, "build", e);
}

int
pot_build_prune(
    struct pot_ctx *c, const struct pot_build_prune_args *a, struct pot_build_pruned *out, struct err *e)
{
	const struct bld_prune_rule rule = { .all = a->all, .before_ns = a->before_ns, .keep = a->keep };
	const struct pot_image_prune_args rest = { .all = false, .dry_run = false };
	struct pot_image_gone gone;
	struct bld_pruned pruned = { 0, 0, 0 };
	AUTO(fd) int dir = -1;
	int rc = open_dir(c, &dir, e);

	if (rc == 0 && dir >= 0)
		rc = bld_prune(dir, &rule, a->dry_run, &pruned, e);
	if (rc == 0 && !a->dry_run && pruned.steps > 0)
		rc = pot_image_prune(c, &rest, NULL, NULL, &gone, e);
	*out = (struct pot_build_pruned){ pruned.steps, pruned.mounts, pruned.bytes };
	return rc;
}

struct marking {
	int (*add)(void *, const char *, const char *);
	void *arg;
};

/* A layer that other layers may stand on, and its blob, which is no manifest but kept as one. */
static int
mark(void *arg, const char *key, const struct bld_record *r, struct err *e)
{
	const struct marking *m = arg;
	char hex[DIGEST_HEX_LEN] = "", blob[DIGEST_TEXT_LEN] = "";

	(void)key;
	(void)e;
	if (r->tree.any)
		(void)digest_hex(&r->tree.chain, hex);
	if (r->did.layer)
		(void)digest_print(&r->did.blob, blob);
	return m->add(m->arg, hex, blob);
}

int
lib_build_used(struct eng *g, int (*add)(void *, const char *, const char *), void *arg, struct err *e)
{
	struct marking m = { add, arg };
	AUTO(fd) int dir = dir_open(g->root_fd, "build", NULL);

	return dir < 0 ? 0 : bld_cache_each(dir, mark, &m, e);
}
