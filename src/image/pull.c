/*
 * The order of a pull: manifest, who signed it, the manifest of our platform,
 * config, layers, and at last the name. Nothing is visible before that, and a
 * pull killed anywhere is taken up by the next one.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/text.h"
#include "image/config.h"
#include "image/fetch.h"
#include "image/image.h"
#include "image/mediatype.h"
#include "image/pull.h"
#include "image/pump.h"

struct pull {
	const struct img_pull_args *a;
	struct remote remote;
	struct remote_manifest top, own; /* what the name means; that of our platform where it differs */
	struct remote_manifest *image;   /* the one of both that has the layers */
	struct img_config *config;
	struct fetch *fetches; /* layers, lowest first */
	struct pump_blob *blobs;
	size_t n;
	struct img_pull_result *result;
};

static void
pull_fini(struct pull *p)
{
	remote_manifest_fini(&p->top);
	remote_manifest_fini(&p->own);
	img_config_free(p->config);
	free(p->fetches);
	free(p->blobs);
	remote_fini(&p->remote);
}

static int
wrong(struct pull *p, struct err *e, const char *why)
{
	char text[REF_TEXT];

	ref_print(p->a->ref, text);
	return err_set(e, E_NOTSUP, "%s: %s", text, why);
}

/* ---- manifests and config -------------------------------------------------------- */

static int
get_top(struct pull *p, struct err *e)
{
	const struct reference *r = p->a->ref;

	return remote_manifest_get(&p->remote, r->digest[0] != '\0' ? r->digest : r->tag, NULL, &p->top, e);
}

/* The manifest of our platform. */
static int
get_own(struct pull *p, struct err *e)
{
	const struct img_desc *mine;
	char text[DIGEST_TEXT_LEN];
	int rc;

	p->image = &p->top;
	if (!p->top.parsed->is_index)
		return 0;
	if ((rc = img_index_pick(p->top.parsed, &mine, e)) < 0)
		return rc;
	if (media_role(mine->media_type) != MEDIA_MANIFEST)
		return wrong(p, e, "the index leads to something that is not an image");
	p->image = &p->own;
	rc = remote_manifest_get(&p->remote, digest_print(&mine->digest, text), mine->media_type, &p->own, e);
	if (rc < 0)
		return rc;
	if (p->own.text.len != mine->size)
		return err_set(e, E_CORRUPT, "manifest %s is of another size than the index says", text);
	return 0;
}

static int
check_layers(struct pull *p, struct err *e)
{
	const struct img_manifest *m = p->image->parsed;

	if (m->is_index)
		return wrong(p, e, "an index below an index");
	if (media_role(m->config.media_type) != MEDIA_CONFIG)
		return wrong(p, e, "an artifact of another kind, not an image");
	for (size_t i = 0; i < m->n_layers; i++) {
		const struct media_type *t = media_find(m->layers[i].media_type);

		if (t == NULL || t->role != MEDIA_LAYER)
			return wrong(p, e, "a layer of a kind that pot does not know");
		if (t->foreign && m->layers[i].has_urls)
			return wrong(p, e, "a layer that registries may not hold");
	}
	return 0;
}

/* A text that was checked becomes a blob. */
static int
keep(struct pull *p, const struct digest *d, const struct buf *text, struct err *e)
{
	struct img_store *s = p->a->store;
	struct img_blob *b = NULL;
	int rc;

	rc = img_blob_begin(s, d, text->len, p->a->net->cancel, &b, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if ((rc = img_blob_restart(b, e)) < 0 || (rc = img_blob_write(b, buf_cstr(text), text->len, e)) < 0) {
		img_blob_abort(b, false);
		return rc;
	}
	return img_blob_commit(s, &b, NULL, NULL, e);
}

static int
get_config(struct pull *p, struct err *e)
{
	const struct img_desc *d = &p->image->parsed->config;
	AUTO_FINI(buf) struct buf text = BUF_INIT(IMG_CONFIG_MAX);
	int rc;

	if ((rc = img_blob_has(p->a->store, &d->digest, NULL, e)) < 0)
		return rc;
	if (rc == 1)
		rc = img_blob_read(p->a->store, &d->digest, &text, e);
	else if ((rc = remote_blob_get(&p->remote, &d->digest, d->size, &text, e)) == 0)
		rc = keep(p, &d->digest, &text, e);
	if (rc < 0 || (rc = img_config_parse(buf_cstr(&text), text.len, &p->config, e)) < 0)
		return rc;
	if (p->config->ndiffs != p->image->parsed->n_layers)
		return wrong(p, e, "manifest and config disagree about the number of layers");
	if (img_platform_fit(&p->config->platform) == 0) {
		char text_ref[REF_TEXT];
		const struct img_platform *f = &p->config->platform;

		ref_print(p->a->ref, text_ref);
		err_set(e, E_NOTSUP, "%s is for %s/%s, which cannot run here", text_ref,
		    f->os != NULL ? f->os : "?", f->arch != NULL ? f->arch : "?");
		return -e->code;
	}
	return 0;
}

/* ---- layers --------------------------------------------------------------------------- */

static int
list_layers(struct pull *p, struct err *e)
{
	const struct img_manifest *m = p->image->parsed;
	char hex[DIGEST_HEX_LEN];

	p->n = m->n_layers;
	p->fetches = calloc(p->n + 1, sizeof(*p->fetches));
	p->blobs = calloc(p->n + 1, sizeof(*p->blobs));
	if (p->fetches == NULL || p->blobs == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < p->n; i++) {
		struct fetch *f = &p->fetches[i];

		f->digest = m->layers[i].digest;
		f->size = m->layers[i].size;
		snprintf(f->what, sizeof(f->what), "layer %.12s", digest_hex(&m->layers[i].digest, hex));
		p->blobs[i].digest = f->digest;
		p->blobs[i].size = f->size;
		memcpy(p->blobs[i].what, f->what, sizeof(f->what));
	}
	return 0;
}

/* What the pump has to know of the fetches. */
static void
look(struct pull *p)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct fetch *f = &p->fetches[i];
		struct pump_blob *b = &p->blobs[i];

		b->have = f->have;
		b->was_there = f->was_there;
		b->restarts = f->restarts;
		b->state = f->state == FETCH_DONE ? PUMP_WHOLE
		    : f->state == FETCH_RUNNING   ? PUMP_COMING
						  : PUMP_ABSENT;
	}
}

/* One wait for whatever comes next: bytes, room in an unpacker's pipe, an interrupt. */
static int
turn(struct pull *p, struct fetch_set *set, struct pump *pump, struct err *e)
{
	struct pollfd more[PUMP_FDS_MAX];
	unsigned n = pump_wants(pump, more);
	int rc;

	if (n > 0 || http_is_busy(p->remote.http)) {
		rc = http_step(p->remote.http, more, n, e);
		if (rc < 0)
			return rc;
	} else if (!fetch_set_is_done(set) && !fetch_set_is_running(set)) {
		if ((rc = fetch_set_wait(set, e)) < 0)
			return rc;
	}
	if ((rc = fetch_set_turn(set, e)) < 0)
		return rc;
	look(p);
	return pump_turn(pump, !fetch_set_is_running(set), e);
}

/* The layers that can be made of streams: their tars are here afterwards. */
static int
get_streams(struct pull *p, struct err *e)
{
	const struct streams_pull_args a = {
		.local = { p->a->store, p->a->stor, p->a->max_size, p->a->net->cancel, p->a->net->events },
		.mode = p->a->streams,
		.ref = p->a->ref,
		.trust = &p->a->trust,
		.verdict = &p->result->trust,
		.image = &p->image->digest,
		.manifest = p->image->parsed,
		.config = p->config,
	};
	struct streams_pull_result got;
	int rc = streams_pull(&p->remote, &a, &got, e);

	p->result->streams = p->result->layers_fetched = got.taken;
	p->result->fetched = got.bytes;
	return rc;
}

static int
get_layers(struct pull *p, struct err *e)
{
	AUTO_FINI(fetch_set) struct fetch_set set = { 0 };
	AUTO_FINI(pump) struct pump pump = { 0 };
	int rc;

	if ((rc = list_layers(p, e)) < 0 ||
	    (rc = pump_init(&pump, p->a->store, p->a->stor, p->blobs, p->config->diffs, p->n, e)) < 0)
		return rc;
	pump.max_size = p->a->max_size;
	pump.cancel = p->a->net->cancel;
	rc = fetch_set_begin(&set, &p->remote, p->a->store, p->fetches, p->n, e);
	look(p);
	while (rc == 0 && (!fetch_set_is_done(&set) || !pump_is_done(&pump))) {
		if (p->a->net->cancel != NULL && *p->a->net->cancel)
			return err_set(e, E_INTR, "interrupted; the next pull goes on from here");
		rc = turn(p, &set, &pump, e);
	}
	p->result->layers = (unsigned)p->n;
	for (size_t i = 0; i < p->n; i++)
		if (!p->fetches[i].was_there) {
			p->result->layers_fetched++;
			p->result->fetched += p->fetches[i].size;
		}
	return rc;
}

/* ---- making it visible ---------------------------------------------------------------- */

static int
publish(struct pull *p, struct err *e)
{
	const struct reference *as = p->a->as != NULL ? p->a->as : p->a->ref;
	const struct img_ready_args ready = { p->a->net->events, p->a->net->cancel, p->a->max_size };
	struct img_ref_record rec = { .created_ns = p->config->created_ns, .set_ns = text_now_ns() }, old;
	AUTO(img_image) struct img_image *image = NULL;
	int rc;

	if ((rc = keep(p, &p->top.digest, &p->top.text, e)) < 0 ||
	    (p->image != &p->top && (rc = keep(p, &p->own.digest, &p->own.text, e)) < 0) ||
	    (rc = img_image_open(p->a->store, &p->image->digest, &image, e)) < 0 ||
	    (rc = img_image_ready(p->a->store, p->a->stor, image, &ready, e)) < 0)
		return rc;
	memcpy(rec.manifest, p->result->manifest, sizeof(rec.manifest));
	memcpy(rec.digest, p->result->digest, sizeof(rec.digest));
	rc = img_ref_get(p->a->store, as, &old, NULL);
	p->result->changed = rc < 0 || strcmp(old.digest, rec.digest) != 0;
	fault_point("image.pull.publish");
	/* Before the name: a pull that is killed between the two has only become stricter. */
	if ((rc = trust_note(p->a->net->rootfd, p->a->ref, &p->top.digest, &p->result->trust, e)) < 0)
		return rc;
	return img_ref_set(p->a->store, as, &rec, e);
}

static int
run(struct pull *p, struct err *e)
{
	char text[DIGEST_TEXT_LEN];
	int rc;

	if ((rc = remote_open(&p->remote, p->a->net, p->a->ref, e)) < 0 || (rc = get_top(p, e)) < 0)
		return rc;
	rc = trust_check(&p->remote, p->a->ref, &p->top.digest, &p->a->trust, &p->result->trust, e);
	if (rc < 0 || (rc = get_own(p, e)) < 0 || (rc = check_layers(p, e)) < 0)
		return rc;
	snprintf(p->result->digest, sizeof(p->result->digest), "%s", digest_print(&p->top.digest, text));
	snprintf(
	    p->result->manifest, sizeof(p->result->manifest), "%s", digest_print(&p->image->digest, text));
	if ((rc = get_config(p, e)) < 0 || (rc = get_streams(p, e)) < 0 || (rc = get_layers(p, e)) < 0)
		return rc;
	return publish(p, e);
}

int
img_pull(const struct img_pull_args *a, struct img_pull_result *result, struct err *e)
{
	struct pull p = { .a = a, .result = result };
	int rc;

	*result = (struct img_pull_result){ 0 };
	remote_manifest_init(&p.top);
	remote_manifest_init(&p.own);
	rc = run(&p, e);
	pull_fini(&p);
	return rc;
}
