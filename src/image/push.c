/*
 * What belongs to an image, collected from the store, and the order in which a
 * registry takes it: blobs, manifests of platforms, the index, each only when
 * all it names is there.
 */
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "image/manifest.h"
#include "image/mediatype.h"
#include "image/push.h"
#include "image/sign.h"
#include "image/streams.h"
#include "image/upload.h"

#define ANSWER_MAX (64 * 1024)
#define PUSH_BLOBS_MAX 4096

/* A manifest of the store that is to be sent. */
struct part {
	struct digest digest;
	struct buf text;
	struct img_manifest *m;
};

struct push {
	const struct img_push_args *a;
	struct remote remote;
	char scope[CLIENT_SCOPE_MAX];
	struct part *parts; /* platforms first, the index last */
	size_t nparts, cap;
	struct upload *blobs;
	size_t nblobs;
};

static void
push_fini(struct push *p)
{
	for (size_t i = 0; i < p->nparts; i++) {
		buf_fini(&p->parts[i].text);
		img_manifest_free(p->parts[i].m);
	}
	free(p->parts);
	free(p->blobs);
	remote_fini(&p->remote);
}

/* ---- what is to be sent ----------------------------------------------------------- */

static int
add_part(struct push *p, const struct digest *d, struct err *e)
{
	struct part *part;
	int rc;

	if (p->nparts == p->cap) {
		size_t cap = p->cap == 0 ? 8 : p->cap * 2;

		part = realloc(p->parts, cap * sizeof(*part));
		if (part == NULL)
			return err_nomem(e);
		p->parts = part;
		p->cap = cap;
	}
	part = &p->parts[p->nparts++];
	*part = (struct part){ .digest = *d };
	buf_init(&part->text, IMG_MANIFEST_MAX);
	if ((rc = img_blob_read(p->a->store, d, &part->text, e)) < 0)
		return rc;
	return img_manifest_parse(buf_cstr(&part->text), part->text.len, NULL, &part->m, e);
}

/* Is everything that an index names on this node? */
static int
is_complete(struct push *p, const struct img_manifest *index, struct err *e)
{
	for (size_t i = 0; i < index->n_manifests; i++) {
		int rc = img_blob_has(p->a->store, &index->manifests[i].digest, NULL, e);

		if (rc <= 0)
			return rc;
	}
	return 1;
}

static int
collect_index(struct push *p, const struct img_ref_record *rec, struct err *e)
{
	AUTO(img_manifest) struct img_manifest *index = NULL;
	AUTO_FINI(buf) struct buf text = BUF_INIT(IMG_MANIFEST_MAX);
	struct digest top, own;
	int rc;

	if ((rc = digest_parse(rec->digest, &top, e)) < 0 ||
	    (rc = digest_parse(rec->manifest, &own, e)) < 0 ||
	    (rc = img_blob_read(p->a->store, &top, &text, e)) < 0 ||
	    (rc = img_manifest_parse(buf_cstr(&text), text.len, NULL, &index, e)) < 0 ||
	    (rc = is_complete(p, index, e)) < 0)
		return rc;
	if (rc == 0) {
		event_info(p->a->net->events,
		    "only this platform's image is on this node: it is sent without the index");
		return add_part(p, &own, e);
	}
	for (size_t i = 0; i < index->n_manifests; i++)
		if ((rc = add_part(p, &index->manifests[i].digest, e)) < 0)
			return rc;
	return add_part(p, &top, e);
}

static int
collect_parts(struct push *p, struct err *e)
{
	struct img_ref_record rec;
	struct digest own;
	int rc;

	if ((rc = img_ref_get(p->a->store, p->a->image, &rec, e)) < 0)
		return rc;
	if (strcmp(rec.digest, rec.manifest) != 0)
		return collect_index(p, &rec, e);
	if ((rc = digest_parse(rec.manifest, &own, e)) < 0)
		return rc;
	return add_part(p, &own, e);
}

static int
add_blob(struct push *p, const struct img_desc *d, const char *kind, struct err *e)
{
	const struct media_type *t = media_find(d->media_type);
	char hex[DIGEST_HEX_LEN];
	struct upload *u;

	for (size_t i = 0; i < p->nblobs; i++)
		if (digest_equal(&p->blobs[i].digest, &d->digest))
			return 0;
	if (t != NULL && t->foreign && d->has_urls)
		return 0; /* registries are not to hold it */
	if (p->nblobs == PUSH_BLOBS_MAX)
		return err_set(e, E_LIMIT, "an image of more than %d blobs", PUSH_BLOBS_MAX);
	u = realloc(p->blobs, (p->nblobs + 1) * sizeof(*u));
	if (u == NULL)
		return err_nomem(e);
	p->blobs = u;
	u = &p->blobs[p->nblobs++];
	*u = (struct upload){ .digest = d->digest, .size = d->size, .fd = -1 };
	snprintf(u->what, sizeof(u->what), "%s %.12s", kind, digest_hex(&d->digest, hex));
	return 0;
}

static int
collect_blobs(struct push *p, struct err *e)
{
	int rc;

	for (size_t i = 0; i < p->nparts; i++) {
		const struct img_manifest *m = p->parts[i].m;

		if (m->is_index)
			continue;
		for (size_t k = 0; k < m->n_layers; k++)
			if ((rc = add_blob(p, &m->layers[k], "layer", e)) < 0)
				return rc;
		if ((rc = add_blob(p, &m->config, "config", e)) < 0)
			return rc;
	}
	return 0;
}

/* ---- what may be mounted ------------------------------------------------------------- */

/* An image of this node that came from, or went to, another repository of this registry. */
static int
look_for_mounts(void *arg, const struct reference *ref, const struct img_ref_record *rec, struct err *e)
{
	struct push *p = arg;
	AUTO(img_manifest) struct img_manifest *m = NULL;
	AUTO_FINI(buf) struct buf text = BUF_INIT(IMG_MANIFEST_MAX);
	struct digest d;

	if (strcmp(ref->host, p->a->dest->host) != 0 || strcmp(ref->name, p->a->dest->name) == 0)
		return 0;
	if (digest_parse(rec->manifest, &d, NULL) < 0 || img_blob_read(p->a->store, &d, &text, NULL) < 0 ||
	    img_manifest_parse(buf_cstr(&text), text.len, NULL, &m, NULL) < 0)
		return 0; /* a damaged other image is no reason not to send this one */
	for (size_t i = 0; i < p->nblobs; i++)
		for (size_t k = 0; k < m->n_layers && p->blobs[i].from[0] == '\0'; k++)
			if (digest_equal(&m->layers[k].digest, &p->blobs[i].digest))
				snprintf(p->blobs[i].from, sizeof(p->blobs[i].from), "%s", ref->name);
	return 0;
}

/* The token must allow reading where something is mounted from. */
static void
widen_scope(struct push *p)
{
	for (size_t i = 0; i < p->nblobs; i++) {
		char more[CLIENT_SCOPE_MAX];
		size_t n = strlen(p->scope);

		if (p->blobs[i].from[0] == '\0')
			continue;
		snprintf(more, sizeof(more), " repository:%s:pull", p->blobs[i].from);
		if (strstr(p->scope, more) != NULL)
			continue;
		if (n + strlen(more) < sizeof(p->scope))
			memcpy(p->scope + n, more, strlen(more) + 1);
		else
			p->blobs[i].from[0] = '\0';
	}
}

/* ---- sending ---------------------------------------------------------------------------- */

int
push_manifest(struct remote *r, const char *scope, const char *which, const char *media_type,
    const void *text, size_t len, bool *tracked, struct err *e)
{
	static const struct exchange_ops ops = { 0 };
	AUTO_FINI(exchange) struct exchange x = { 0 };
	char what[REF_NAME_MAX + REF_DIGEST_MAX + 4];
	const char *told;
	struct digest d, is;
	int rc;

	snprintf(what, sizeof(what), "%s%s%s", r->name, ref_is_digest(which) ? "@" : ":", which);
	if ((rc = exchange_init(&x, r->client, &ops, ANSWER_MAX, e)) < 0)
		return rc;
	x.method = "PUT";
	x.what = what;
	snprintf(x.scope, sizeof(x.scope), "%s", scope);
	exchange_url(&x, "/v2/%s/manifests/%s", r->name, which);
	exchange_header(&x, "Content-Type: %s", media_type);
	x.body = text;
	x.body_size = len;
	if ((rc = exchange_run(&x, e)) < 0)
		return rc;
	if (tracked != NULL)
		*tracked = exchange_answer_header(&x, "OCI-Subject") != NULL;
	told = exchange_answer_header(&x, "Docker-Content-Digest");
	if (told == NULL)
		return 0;
	if ((rc = digest_parse(told, &d, e)) < 0 || (rc = digest_of(d.alg, text, len, &is, e)) < 0)
		return rc;
	if (!digest_equal(&d, &is))
		return err_set(e, E_CORRUPT, "registry %s: %s: it has stored something else than was sent",
		    client_host(r->client), what);
	return 0;
}

static int
send_manifests(struct push *p, struct img_push_result *result, struct err *e)
{
	char text[DIGEST_TEXT_LEN];
	int rc;

	for (size_t i = 0; i < p->nparts; i++) {
		struct part *part = &p->parts[i];
		bool last = i + 1 == p->nparts;

		fault_point("image.push.manifest");
		digest_print(&part->digest, text);
		rc = push_manifest(&p->remote, p->scope,
		    last && p->a->dest->tag[0] != '\0' ? p->a->dest->tag : text, part->m->media_type,
		    buf_cstr(&part->text), part->text.len, NULL, e);
		if (rc < 0)
			return rc;
		if (last)
			snprintf(result->digest, sizeof(result->digest), "%s", text);
	}
	return 0;
}

static int
sign(struct push *p, struct err *e)
{
	const struct part *last = &p->parts[p->nparts - 1];
	const struct referrer_subject subject = { last->digest, last->text.len, last->m->media_type };

	return sign_push(&p->remote, p->a->store, p->a->key, &subject, p->a->dest->tag, e);
}

/* The image of this platform, whole on this node, as its storage has it. */
static int
offer_streams(struct push *p, struct img_push_result *result, struct err *e)
{
	AUTO(img_image) struct img_image *image = NULL;
	const struct img_net *net = p->a->net;
	const struct img_ready_args ready = { net->events, net->cancel, 0 };
	struct streams_push_args a = { { p->a->store, p->a->stor, 0, net->cancel, net->events }, NULL,
		p->a->key, p->a->dest->tag };
	struct streams_push_result made;
	struct img_ref_record rec;
	struct digest own;
	int rc;

	if ((rc = img_ref_get(p->a->store, p->a->image, &rec, e)) < 0 ||
	    (rc = digest_parse(rec.manifest, &own, e)) < 0 ||
	    (rc = img_image_open(p->a->store, &own, &image, e)) < 0 ||
	    (rc = img_image_ready(p->a->store, p->a->stor, image, &ready, e)) < 0)
		return rc;
	a.image = image;
	if ((rc = streams_push(&p->remote, &a, &made, e)) < 0)
		return rc;
	result->streams = made.offered;
	result->blobs += made.offered;
	result->blobs_sent += made.sent;
	result->sent += made.bytes;
	return 0;
}

static int
run(struct push *p, struct img_push_result *result, struct err *e)
{
	int rc;

	if ((rc = collect_parts(p, e)) < 0 || (rc = collect_blobs(p, e)) < 0 ||
	    (rc = remote_open(&p->remote, p->a->net, p->a->dest, e)) < 0 ||
	    (rc = img_ref_list(p->a->store, look_for_mounts, p, e)) < 0)
		return rc;
	remote_scope(&p->remote, "pull,push", p->scope);
	widen_scope(p);
	if ((rc = upload_all(&p->remote, p->a->store, p->scope, p->blobs, p->nblobs, e)) < 0)
		return rc;
	result->blobs = (unsigned)p->nblobs;
	for (size_t i = 0; i < p->nblobs; i++) {
		result->blobs_mounted += p->blobs[i].mounted;
		if (p->blobs[i].was_there)
			continue;
		result->blobs_sent++;
		result->sent += p->blobs[i].size;
	}
	/* Streams may take long to make: the image is whole and signed without them. */
	if ((rc = send_manifests(p, result, e)) < 0 || (p->a->key != NULL && (rc = sign(p, e)) < 0))
		return rc;
	return p->a->stor == NULL ? 0 : offer_streams(p, result, e);
}

int
img_push(const struct img_push_args *a, struct img_push_result *result, struct err *e)
{
	struct push p = { .a = a };
	int rc;

	*result = (struct img_push_result){ 0 };
	if (a->stor != NULL && img_stream_media(a->stor) == NULL) {
		err_set(e, E_NOTSUP, "storage \"%s\" has no streams", a->stor->ops->name);
		return err_hint(e, "push without --streams");
	}
	rc = run(&p, result, e);
	push_fini(&p);
	return rc;
}
