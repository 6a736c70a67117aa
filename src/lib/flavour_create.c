/*
 * libpot: pots with flavours. What the flavours come to is the builder's; here
 * the tree they begin with is found, their steps are done one after the other,
 * and the pot is made of the last tree, as if of its source, with the settings
 * that they brought below those that were asked for.
 */
#include <pot/flavour.h>

#include <pot/image.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "builder/crew.h"
#include "builder/flavour.h"
#include "engine/image.h"
#include "lib/images.h"

#define LIST_MAX 4096

struct making {
	struct pot_ctx *ctx;
	const struct pot_create_args *args;
	const struct pot_flavours *flavours;
	struct bld *b;
	struct bld_recipe recipe;
	size_t nsteps, done;         /* of the recipe: how far to walk, how many were done */
	struct bld_tree first, tree; /* what it begins with, and what it has come to */
	char snapshot[128];          /* of args->from_pot */
};

/* ---- what it begins with ------------------------------------------------------------------- */

/* Its lock is not held while scripts run: the layer is pinned. */
static int
tree_of_image(struct making *m, const char *name, struct err *e)
{
	AUTO_FINI(image_source) struct image_source source = IMAGE_SOURCE_INIT;
	int rc = image_source_get(m->ctx->eng, name, &source, e);

	m->first.any = true;
	if (rc == 0)
		rc = digest_parse_hex(DIGEST_SHA256, source.ready.fs, &m->first.chain, e);
	return rc < 0 ? rc : img_pin_chain(m->b->store, &m->first.chain, e);
}

struct newest {
	char tag[128];
};

static int
keep_newest(void *arg, const struct stor_snap *s)
{
	struct newest *n = arg;

	snprintf(n->tag, sizeof(n->tag), "%.127s", s->tag);
	return 0;
}

static int
find_snapshot(struct making *m, struct err *e)
{
	const struct pot_create_args *a = m->args;
	struct newest newest = { "" };
	int rc;

	if (a->snapshot)
		return eng_snapshot(m->ctx->eng, a->from_pot, NULL, m->snapshot, e);
	if (a->tag != NULL) {
		snprintf(m->snapshot, sizeof(m->snapshot), "%s", a->tag);
		return 0;
	}
	rc = eng_exists(m->ctx->eng, a->from_pot, e);
	if (rc == 0)
		rc = err_set(e, E_NOENT, "there is no pot %s", a->from_pot);
	if (rc > 0)
		rc = stor_snap_list(
		    m->ctx->eng->stor, (struct stor_fs){ STOR_POT, a->from_pot }, keep_newest, &newest, e);
	if (rc < 0)
		return rc;
	if (newest.tag[0] == '\0') {
		err_set(e, E_NOENT, "pot %s has no snapshot to clone", a->from_pot);
		return err_hint(e, "pot snapshot %s, or clone with -F", a->from_pot);
	}
	snprintf(m->snapshot, sizeof(m->snapshot), "%s", newest.tag);
	return 0;
}

/*
 * A snapshot as a tree: its difference to what the pot was made from is a layer, as pot commit makes it. The
 * same content is the same layer, so that its steps are found again.
 */
static int
tree_of_pot(struct making *m, struct err *e)
{
	char name[128];
	const struct pot_commit_args commit = { .pot = m->args->from_pot,
		.snapshot = m->snapshot,
		.name = name,
		.message = "what flavours began with" };
	int rc = find_snapshot(m, e);

	if (rc < 0)
		return rc;
	/* Not the pot's: that need not be one that an image can have. */
	snprintf(name, sizeof(name), "pot.clone/p%d:source", (int)getpid());
	if ((rc = pot_image_commit(m->ctx, &commit, NULL, e)) < 0)
		return rc;
	/* The pin holds it until the pot does; the name was for the way here. */
	rc = tree_of_image(m, name, e);
	(void)!pot_image_remove(m->ctx, name, true, NULL, NULL);
	return rc;
}

static int
first_tree(struct making *m, struct err *e)
{
	const struct pot_create_args *a = m->args;
	int rc;

	if (a->from_pot != NULL)
		return tree_of_pot(m, e);
	if (a->base != NULL) {
		rc = eng_base_exists(m->ctx->eng, a->base, e);
		if (rc == 0) {
			err_set(e, E_NOENT, "there is no base %s", a->base);
			return err_hint(e, "pot create-base -r %s, or pot list -b", a->base);
		}
		return rc < 0 ? rc : bld_tree_base(m->b, a->base, &m->first, e);
	}
	return tree_of_image(m, a->image, e);
}

/* ---- steps ------------------------------------------------------------------------------------- */

/* The network that the pot will have, as far as a pot can have it before it is there. */
static enum bld_net
network_of(const struct pot_create_args *a, const char *said)
{
	if (said != NULL)
		return strcmp(said, "none") == 0 ? BLD_NET_NONE
		    : strcmp(said, "host") == 0  ? BLD_NET_HOST
						 : BLD_NET_DEFAULT;
	if (a->network != NULL && strcmp(a->network, "none") == 0)
		return BLD_NET_NONE;
	if (a->network != NULL && (strcmp(a->network, "inherit") == 0 || strcmp(a->network, "alias") == 0))
		return BLD_NET_HOST;
	return BLD_NET_DEFAULT;
}

/* From the beginning, as often as the crew likes: what is done costs nothing. */
static int
walk(void *arg, struct bld *b, size_t index, struct err *e)
{
	struct making *m = arg;
	int rc = 0;

	(void)index;
	m->tree = m->first;
	for (size_t i = 0; i < m->nsteps && rc == 0; i++) {
		const struct bld_step *step = &m->recipe.steps[i];
		struct bld_did did;

		rc = bld_step_do(b, &m->tree, step, &did, e);
		if (rc < 0 && rc > -(int)E_COUNT)
			err_wrap(e, "%s", step->where);
	}
	return rc;
}

static void
count_done(void *arg, const struct pot_build_event *ev)
{
	struct making *m = arg;

	if (ev->kind == POT_BUILD_STEP_END && !ev->failed)
		m->done = ev->step;
	if (m->flavours->fn != NULL)
		m->flavours->fn(m->flavours->arg, ev);
}

static int
do_steps(struct making *m, struct err *e)
{
	const unsigned steps = (unsigned)m->recipe.nsteps;
	const struct bld_crew_args crew = {
		.n = 1, .steps = &steps, .jobs = 1, .walk = walk, .arg = m, .fn = count_done, .fn_arg = m
	};

	m->nsteps = m->recipe.nsteps;
	return bld_crew_run(m->b, &crew, e);
}

/* For a look at what the failed step found: the tree before it, whose steps were all done. */
static void
go_back(struct making *m)
{
	m->b->no_cache = false;
	m->nsteps = m->done;
	(void)!walk(m, m->b, 0, NULL);
}

/* ---- settings ------------------------------------------------------------------------------------ */

/* Lists of struct pot_create_args, the recipe's in front of those asked for. */
struct lists {
	struct strv env, publish, attrs, words, values; /* values: what limits and mounts point to */
	struct pot_limit *limits;
	struct pot_mount *mounts;
	size_t nlimits, nmounts;
	struct buf command;
};

static void
lists_fini(struct lists *l)
{
	strv_fini(&l->env);
	strv_fini(&l->publish);
	strv_fini(&l->attrs);
	strv_fini(&l->words);
	strv_fini(&l->values);
	free(l->limits);
	free(l->mounts);
	buf_fini(&l->command);
}
DEFINE_AUTO_FINI(lists, struct lists)

static const char *const *
join_list(struct strv *v, const struct kv *kv, const char *key, const char *const *given, struct err *e)
{
	const char *value;
	size_t pos = 0;

	while ((value = kv_next(kv, key, &pos)) != NULL)
		strv_add(v, value);
	for (; given != NULL && *given != NULL; given++)
		strv_add(v, *given);
	return strv_check(v, key, e) < 0 ? NULL : (const char *const *)strv_argv(v);
}

static size_t
count(const struct kv *kv, const char *key)
{
	size_t pos = 0, n = 0;

	while (kv_next(kv, key, &pos) != NULL)
		n++;
	return n;
}

/* Keeps a text as long as the lists; NULL: no memory. */
static char *
keep(struct lists *l, const char *text, size_t len)
{
	strv_addn(&l->values, text, len);
	return l->values.failed ? NULL : l->values.v[l->values.n - 1];
}

static int
join_limits(struct lists *l, const struct kv *kv, struct pot_create_args *in, struct err *e)
{
	const char *value;
	size_t pos = 0;

	l->limits = calloc(count(kv, BLD_SET_LIMIT) + in->nlimits + 1, sizeof(*l->limits));
	if (l->limits == NULL)
		return err_nomem(e);
	while ((value = kv_next(kv, BLD_SET_LIMIT, &pos)) != NULL) {
		size_t len = strcspn(value, "=");
		const char *name = keep(l, value, len),
			   *text = keep(l, value + len + 1, strlen(value + len + 1));

		if (name == NULL || text == NULL)
			return err_nomem(e);
		l->limits[l->nlimits++] = (struct pot_limit){ name, text };
	}
	if (in->nlimits > 0)
		memcpy(l->limits + l->nlimits, in->limits, in->nlimits * sizeof(*l->limits));
	in->nlimits += l->nlimits;
	in->limits = l->limits;
	return 0;
}

static int
add_mount(struct lists *l, const char *value, struct err *e)
{
	AUTO_FINI(strv) struct strv w = STRV_INIT(8);
	struct pot_mount *m = &l->mounts[l->nmounts++];
	int rc = text_split(value, &w, e);

	if (rc == 0)
		rc = strv_check(&w, "the mount", e);
	if (rc == 0 && w.n < 2)
		rc = err_set(e, E_INVAL, "a mount without a target");
	if (rc < 0)
		return rc;
	m->source = keep(l, w.v[0], strlen(w.v[0]));
	m->target = keep(l, w.v[1], strlen(w.v[1]));
	m->read_only = w.n > 2;
	return m->source == NULL || m->target == NULL ? err_nomem(e) : 0;
}

static int
join_mounts(struct lists *l, const struct kv *kv, struct pot_create_args *in, struct err *e)
{
	const char *value;
	size_t pos = 0;
	int rc = 0;

	l->mounts = calloc(count(kv, BLD_SET_MOUNT) + in->nmounts + 1, sizeof(*l->mounts));
	if (l->mounts == NULL)
		return err_nomem(e);
	while (rc == 0 && (value = kv_next(kv, BLD_SET_MOUNT, &pos)) != NULL)
		rc = add_mount(l, value, e);
	if (rc < 0)
		return rc;
	if (in->nmounts > 0)
		memcpy(l->mounts + l->nmounts, in->mounts, in->nmounts * sizeof(*l->mounts));
	in->nmounts += l->nmounts;
	in->mounts = l->mounts;
	return 0;
}

/* Where a port is published from; those of other networks are the host's own, or nobody's. */
static bool
has_ports(const struct pot_create_args *a)
{
	static const char *const without[] = { "inherit", "alias", "none" };

	for (size_t i = 0; i < ARRAY_LEN(without); i++)
		if (a->network != NULL && strcmp(a->network, without[i]) == 0)
			return false;
	return true;
}

static int
join_settings(
    struct making *m, struct lists *l, const struct kv *kv, struct pot_create_args *in, struct err *e)
{
	const char *value;
	size_t pos = 0;
	int rc;

	*in = *m->args;
	/* They were pinned down with the files; fresh would take another. */
	if (in->from_pot != NULL) {
		in->tag = m->snapshot;
		in->snapshot = false;
	}
	while ((value = kv_next(kv, BLD_SET_DEPEND, &pos)) != NULL)
		event_warn(
		    &m->ctx->eng->events, "add-dep %s is left out: pots do not start one another", value);
	if ((in->env = join_list(&l->env, kv, IMG_SET_ENV, in->env, e)) == NULL ||
	    (in->attrs = join_list(&l->attrs, kv, IMG_SET_ATTR, in->attrs, e)) == NULL)
		return -E_NOMEM;
	/* An empty list would be an answer to what nobody asked: no ports at all. */
	if (kv_get(kv, BLD_SET_PORT) != NULL && !has_ports(in))
		event_warn(&m->ctx->eng->events,
		    "the flavours' ports are not published: the network type is %s", in->network);
	else if (kv_get(kv, BLD_SET_PORT) != NULL &&
	    (in->publish = join_list(&l->publish, kv, BLD_SET_PORT, in->publish, e)) == NULL)
		return -E_NOMEM;
	if (in->command == NULL && kv_get(kv, IMG_SET_CMD) != NULL) {
		if (join_list(&l->words, kv, IMG_SET_CMD, NULL, e) == NULL)
			return -E_NOMEM;
		text_join(l->words.v, &l->command);
		if ((rc = buf_check(&l->command, "the command", e)) < 0)
			return rc;
		in->command = l->command.data;
	}
	rc = join_limits(l, kv, in, e);
	return rc < 0 ? rc : join_mounts(l, kv, in, e);
}

/* ---- the pot ----------------------------------------------------------------------------------------- */

static int
make_root(void *arg, struct stor *stor, struct stor_fs fs, struct kv *settings, struct err *e)
{
	const struct making *m = arg;

	(void)stor;
	(void)settings;
	return bld_tree_clone(m->b, &m->tree, fs, e);
}

static int
make_pot(struct making *m, struct err *e)
{
	AUTO_FINI(lists)
	struct lists l = { .env = STRV_INIT(LIST_MAX),
		.publish = STRV_INIT(LIST_MAX),
		.attrs = STRV_INIT(LIST_MAX),
		.words = STRV_INIT(LIST_MAX),
		.values = STRV_INIT(LIST_MAX),
		.command = BUF_INIT(KV_FILE_MAX) };
	char hex[DIGEST_HEX_LEN];
	const struct eng_maker maker = {
		.make = make_root, .arg = m, .layer = digest_hex(&m->tree.chain, hex)
	};
	struct pot_create_args in;
	int rc = join_settings(m, &l, &m->recipe.settings, &in, e);

	return rc < 0 ? rc : eng_create_from(m->ctx->eng, &in, &maker, e);
}

static int
check_free(struct pot_ctx *c, const char *name, struct err *e)
{
	int rc = eng_exists(c->eng, name, e);

	if (rc <= 0)
		return rc;
	err_set(e, E_EXIST, "pot %s exists already", name);
	return err_hint(e, "choose another name, or: pot destroy %s", name);
}

static int
make_all(struct making *m, struct err *e)
{
	const struct bld_flavour_options options = { m->flavours->dirs, m->flavours->args, m->args->name };
	int rc;

	m->recipe.options = &options;
	m->b->no_cache = m->flavours->no_cache;
	m->b->network = network_of(m->args, m->flavours->network);
	/* What is written wrong is told before anything is done. */
	rc = bld_flavours_expand(m->b, m->flavours->names, -1, &m->recipe, e);
	if (rc == 0)
		rc = first_tree(m, e);
	if (rc < 0)
		return rc;
	rc = do_steps(m, e);
	if (rc == 0)
		return make_pot(m, e);
	if (m->args->keep) {
		go_back(m);
		(void)!make_pot(m, NULL);
	}
	return rc;
}

int
pot_create_flavoured(
    struct pot_ctx *c, const struct pot_create_args *a, const struct pot_flavours *f, struct err *e)
{
	struct making m = { .ctx = c, .args = a, .flavours = f, .recipe = BLD_RECIPE_INIT };
	int rc = lib_check_create(c, a, e);

	if (rc == 0)
		rc = check_free(c, a->name, e);
	if (rc == 0)
		rc = bld_open(&m.b, c->eng, e);
	if (rc == 0)
		rc = make_all(&m, e);
	bld_recipe_fini(&m.recipe);
	bld_close(m.b);
	return rc;
}
