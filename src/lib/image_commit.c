/*
 * libpot: a pot becomes an image. Its layers are those of the image that the
 * pot was made from and, on top, the difference; of a pot made from a base the
 * base itself is the lowest layer (builder/base.h). Nothing is visible before
 * the name is given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/text.h"
#include "builder/base.h"
#include "image/mediatype.h"
#include "image/pack.h"
#include "lib/images.h"

struct commit {
	struct pot_ctx *ctx;
	struct img_store *store;
	const struct pot_commit_args *args;
	struct reference ref;
	int64_t epoch; /* SOURCE_DATE_EPOCH, -1 none */
	int64_t now_ns;
	struct digest made;
};

/* ---- the image ------------------------------------------------------------------------------------ */

static int
below(struct commit *c, const struct eng_tree *t, struct img_image **image, struct err *e)
{
	struct digest d;
	int rc;

	if (t->image[0] == '\0')
		return bld_base_image(c->ctx->eng, c->store, t->base, c->epoch, image, e);
	if ((rc = digest_parse(t->image, &d, e)) < 0)
		return rc;
	return img_image_open(c->store, &d, image, e);
}

static int
make_image(struct commit *c, const struct eng_tree *t, struct img_found *found, const struct img_image *under,
    struct err *e)
{
	struct img_layer layer;
	char by[128], digest[DIGEST_TEXT_LEN];
	struct img_history history = { c->now_ns, by, c->args->message, c->args->author, false };
	const char *annotations[] = { ANN_BASE_NAME, t->image_name, ANN_BASE_DIGEST, digest, NULL };
	int rc = img_found_pack(c->store, found, &layer, NULL, e);

	if (rc < 0)
		return rc;
	snprintf(by, sizeof(by), "pot commit");
	history.empty_layer = rc == 0;
	(void)digest_print(&under->digest, digest);
	const struct img_new n = {
		.below = under,
		.layers = &layer,
		.nlayers = rc == 1 ? 1 : 0,
		.settings = t->settings,
		.history = &history,
		.nhistory = 1,
		.created_ns = c->now_ns,
		.annotations = t->image_name[0] != '\0' ? annotations : NULL,
	};
	return img_image_make(c->store, &n, &c->made, e);
}

static int
commit_tree(void *arg, const struct eng_tree *t, struct err *e)
{
	struct commit *c = arg;
	const struct img_difference diff = { t->root, t->parent, c->epoch, c->ctx->eng->cancel,
		&c->ctx->eng->events };
	AUTO(img_image) struct img_image *under = NULL;
	AUTO(img_found) struct img_found *found = NULL;
	/* What is below may be a base that nobody packed before: the pot is looked through meanwhile. */
	int rc = img_difference_find(&diff, &found, e);

	if (rc == 0)
		rc = below(c, t, &under, e);
	return rc < 0 ? rc : make_image(c, t, found, under, e);
}

static int
publish(struct commit *c, struct err *e)
{
	AUTO(img_image) struct img_image *image = NULL;
	const struct img_ready_args ready = { &c->ctx->eng->events, c->ctx->eng->cancel, 0 };
	int rc = img_image_open(c->store, &c->made, &image, e);

	if (rc == 0)
		rc = img_image_ready(c->store, c->ctx->eng->stor, image, &ready, e);
	fault_point("image.commit.ready");
	return rc < 0 ? rc : lib_name(c->store, &c->ref, image, NULL, e);
}

int
pot_image_commit(struct pot_ctx *ctx, const struct pot_commit_args *a, char id[POT_DIGEST_LEN], struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	struct commit c = { .ctx = ctx, .args = a };
	int rc = lib_ref(a->name, &c.ref, e);

	if (rc == 0 && c.ref.digest[0] != '\0')
		rc = err_set(e, E_INVAL, "%s: the digest is what comes out; give a tag", a->name);
	if (rc == 0)
		rc = lib_store(ctx, &s, e);
	if (rc == 0)
		rc = img_source_date(&c.epoch, e);
	if (rc < 0)
		return rc;
	c.store = s;
	c.now_ns = c.epoch >= 0 ? c.epoch * 1000000000 : text_now_ns();
	rc = eng_image_tree(ctx->eng, a->pot, a->snapshot, commit_tree, &c, e);
	fault_point("image.commit.made");
	if (rc == 0)
		rc = publish(&c, e);
	if (rc == 0 && id != NULL)
		(void)digest_print(&c.made, id);
	return rc;
}
