/*
 * libpot: a pot becomes an image. Its layers are those of the image that the
 * pot was made from and, on top, the difference; of a pot made from a base the
 * base itself is the lowest layer, made once and then the same for all images
 * of that base. Nothing is visible before the name is given.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/kv.h"
#include "base/text.h"
#include "image/diff.h"
#include "image/mediatype.h"
#include "image/pack.h"
#include "lib/images.h"

#define RECORD_MAX 4096

struct commit {
	struct pot_ctx *ctx;
	struct img_store *store;
	const struct pot_commit_args *args;
	struct reference ref;
	int64_t epoch; /* SOURCE_DATE_EPOCH, -1 none */
	int64_t now_ns;
	struct digest made;
};

/* Empty ones of these are pot's: mount points that a start makes where the root lacks them. */
static const char *const mount_points[] = { "dev", "etc/hostname", "etc/hosts", "etc/resolv.conf", "proc",
	"run", "sys", "tmp", NULL };

struct telling {
	const struct pot_events *events;
	uint64_t total;
};

static void
tell(void *arg, uint64_t done)
{
	const struct telling *t = arg;

	event_progress(t->events, "packing", done, t->total);
}

/* ---- a layer ------------------------------------------------------------------------------ */

/* 1: *layer is the difference; 0: there is none. */
static int
pack_diff(struct commit *c, int root, int parent, struct img_layer *layer, struct err *e)
{
	const struct pot_events *events = &c->ctx->eng->events;
	AUTO_FINI(changes) struct changes changes = { 0 };
	const struct diff_args args = { root, parent, parent < 0 ? NULL : mount_points, c->ctx->eng->cancel };
	struct img_pack *pack = NULL;
	struct tarout tar;
	int rc = img_changes_find(&args, &changes, e);

	if (rc < 0 || img_changes_empty(&changes))
		return rc;
	if (changes.skipped > 0)
		event_info(events, "%llu sockets or devices left out", changes.skipped);
	if ((rc = img_pack_begin(c->store, &pack, e)) < 0)
		return rc;
	struct telling t = { events, changes.bytes };
	const struct diff_write_args write = { root, c->epoch, tell, &t, c->ctx->eng->cancel };
	tarout_init(&tar, img_pack_write, pack);
	rc = img_changes_write(&changes, &write, &tar, e);
	fault_point("image.commit.packed");
	if (rc < 0) {
		img_pack_abort(pack);
		return rc;
	}
	layer->media_type = MEDIA_OCI_LAYER_ZSTD;
	rc = img_pack_end(&pack, &layer->diff, &layer->blob, &layer->size, e);
	return rc < 0 ? rc : 1;
}

/* ---- the image of a base ---------------------------------------------------------------------- */

struct base_look {
	const char *name;
	int64_t created_ns;
	char release[64];
};

static int
find_base(void *arg, const struct pot_base_info *info)
{
	struct base_look *b = arg;

	if (strcmp(info->name, b->name) == 0) {
		b->created_ns = info->created_ns;
		snprintf(b->release, sizeof(b->release), "%s", info->release);
	}
	return 0;
}

/* What was noted when it was made; E_NOENT when that is not, or of an older base of this name. */
static int
read_noted(struct commit *c, int bases, const struct base_look *b, struct img_image **image, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RECORD_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *manifest, *created;
	struct digest d;
	char want[32];
	int rc;

	if ((rc = file_read(bases, b->name, &text, e)) < 0 ||
	    (rc = kv_parse(&kv, buf_cstr(&text), text.len, IMG_BASES, e)) < 0)
		return rc;
	manifest = kv_get(&kv, "manifest");
	created = kv_get(&kv, "created");
	snprintf(want, sizeof(want), "%lld", (long long)b->created_ns);
	if (manifest == NULL || created == NULL || strcmp(created, want) != 0 ||
	    digest_parse(manifest, &d, NULL) < 0)
		return err_set(e, E_NOENT, "another base had this name");
	if ((rc = img_image_open(c->store, &d, image, e)) < 0)
		return rc;
	/* Pruned since, when no image of it was left. */
	rc = img_image_check(c->store, *image, e);
	if (rc < 0) {
		img_image_free(*image);
		*image = NULL;
	}
	return rc;
}

static int
note_base(int bases, const struct base_look *b, const struct digest *d, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RECORD_MAX);
	char digest[DIGEST_TEXT_LEN];
	int rc;

	buf_fmt(&text, "created=%lld\nmanifest=%s\n", (long long)b->created_ns, digest_print(d, digest));
	rc = buf_check(&text, "record", e);
	return rc < 0 ? rc : file_write_atomic(bases, b->name, 0600, text.data, text.len, e);
}

static int
make_base_image(
    struct commit *c, int root, const struct base_look *b, struct img_image **image, struct err *e)
{
	struct img_host h;
	struct img_layer layer;
	char by[256];
	int64_t created = c->epoch >= 0 ? c->epoch * 1000000000 : b->created_ns;
	const struct img_history history = { created, by, NULL, NULL, false };
	struct digest d;
	int rc = pack_diff(c, root, -1, &layer, e);

	if (rc < 0)
		return rc;
	img_host_platform(&h);
	const struct img_platform platform = { h.os, h.arch, h.variant, h.os_version, NULL };
	snprintf(by, sizeof(by), "pot create-base %s%s%s", b->name, b->release[0] != '\0' ? " # " : "",
	    b->release);
	const struct img_new n = {
		.platform = &platform,
		.layers = &layer,
		.nlayers = 1,
		.history = &history,
		.nhistory = 1,
		.created_ns = created,
	};
	if ((rc = img_image_make(c->store, &n, &d, e)) < 0)
		return rc;
	return img_image_open(c->store, &d, image, e);
}

/* Its unpacked form is the base itself. */
static int
adopt_base(struct commit *c, const char *base, const struct img_image *image, struct err *e)
{
	const struct stor_fs fs = { STOR_BASE, base };

	return img_layer_adopt(
	    c->store, c->ctx->eng->stor, &image->config->diffs[0], fs, ENG_BASE_TAG, c->ctx->eng->cancel, e);
}

static int
base_image(struct commit *c, const struct eng_tree *t, struct img_image **image, struct err *e)
{
	struct base_look b = { .name = t->base };
	AUTO(fd) int bases = dir_make(img_store_fd(c->store), IMG_BASES, 0700, e);
	AUTO(fd) int lock = bases < 0 ? -1 : lock_file(bases, ".lock", true, -1, e);
	int rc = bases < 0 ? bases : lock < 0 ? lock : eng_base_list(c->ctx->eng, false, find_base, &b, e);

	if (rc < 0)
		return rc;
	if (read_noted(c, bases, &b, image, NULL) < 0) {
		event_info(&c->ctx->eng->events, "making the layer of base %s", t->base);
		if ((rc = make_base_image(c, t->parent, &b, image, e)) < 0 ||
		    (rc = note_base(bases, &b, &(*image)->digest, e)) < 0)
			return rc;
	}
	return adopt_base(c, t->base, *image, e);
}

/* ---- the image ------------------------------------------------------------------------------------ */

static int
below(struct commit *c, const struct eng_tree *t, struct img_image **image, struct err *e)
{
	struct digest d;
	int rc;

	if (t->image[0] == '\0')
		return base_image(c, t, image, e);
	if ((rc = digest_parse(t->image, &d, e)) < 0)
		return rc;
	return img_image_open(c->store, &d, image, e);
}

static int
make_image(struct commit *c, const struct eng_tree *t, const struct img_image *under, struct err *e)
{
	struct img_layer layer;
	char by[128], digest[DIGEST_TEXT_LEN];
	struct img_history history = { c->now_ns, by, c->args->message, c->args->author, false };
	const char *annotations[] = { ANN_BASE_NAME, t->image_name, ANN_BASE_DIGEST, digest, NULL };
	int rc = pack_diff(c, t->root, t->parent, &layer, e);

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
	AUTO(img_image) struct img_image *under = NULL;
	int rc = below(c, t, &under, e);

	return rc < 0 ? rc : make_image(c, t, under, e);
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
