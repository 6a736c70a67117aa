/*
 * Offering streams: one for each layer from the lowest up, as far as they can
 * be proved, since each needs the one below it. One that a node made, or made
 * a layer of, is remembered: so a derived image sends its own, and the
 * artifacts of both name the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "image/mediatype.h"
#include "image/sign.h"
#include "image/streams.h"
#include "image/upload.h"

#define MANIFEST_MAX (256u * 1024)

/* 1: the stream is known, and is here or there; 0: it has to be made. */
static int
is_at_hand(struct remote *r, const struct img_stream_args *a, const struct img_stream_layer *l,
    struct img_stream *s, struct err *e)
{
	int rc = img_stream_known(a, l, s, e);

	if (rc != 1 || (rc = img_blob_has(a->store, &s->blob, NULL, e)) != 0)
		return rc;
	return remote_blob_has(r, &s->blob, e);
}

/* 0: this layer has none, and so have those above it. */
static int
get_one(struct remote *r, const struct img_stream_args *a, const struct img_stream_layer *l, size_t number,
    struct img_stream *s, struct err *e)
{
	int rc = is_at_hand(r, a, l, s, e);

	if (rc != 0)
		return rc;
	event_info(a->events, "layer %zu: making its stream", number);
	rc = img_stream_make(a, l, s, e);
	if (rc == 0)
		return 1;
	if (rc != -E_CORRUPT && rc != -E_NOTSUP && rc != -E_LIMIT)
		return rc;
	event_warn(a->events, "layer %zu and those above it are not offered as streams: %s", number, e->msg);
	return 0;
}

static int
collect(struct remote *r, const struct streams_push_args *a, struct streams *s, struct err *e)
{
	const struct img_manifest *m = a->image->manifest;
	struct digest below, chain;
	int rc;

	snprintf(s->storage, sizeof(s->storage), "%s", a->local.stor->ops->name);
	(void)img_packer(s->packer);
	for (size_t i = 0; i < m->n_layers && i < STREAMS_MAX; i++) {
		const struct img_stream_layer l = { i > 0 ? &below : NULL, &a->image->config->diffs[i],
			&m->layers[i].digest, m->layers[i].size };

		if ((rc = img_chain_id(l.parent, l.diff, &chain, e)) < 0 ||
		    (rc = get_one(r, &a->local, &l, i + 1, &s->v[i].stream, e)) < 0)
			return rc;
		if (rc == 0)
			break;
		s->v[i].of = m->layers[i].digest;
		s->n++;
		below = chain;
	}
	return 0;
}

/* What is not here is there: is_at_hand() has asked. */
static int
send_blobs(struct remote *r, const struct streams_push_args *a, const struct streams *s, const char *scope,
    struct streams_push_result *result, struct err *e)
{
	AUTO_FREE struct upload *blobs = calloc(s->n + 1, sizeof(*blobs));
	size_t n = 1;
	int rc;

	if (blobs == NULL)
		return err_nomem(e);
	blobs[0] = (struct upload){ .size = 2, .fd = -1, .what = "config of streams" };
	if ((rc = img_blob_put(a->local.store, "{}", 2, &blobs[0].digest, e)) < 0)
		return rc;
	for (size_t i = 0; i < s->n; i++) {
		struct upload *u = &blobs[n];

		*u = (struct upload){ .digest = s->v[i].stream.blob, .size = s->v[i].stream.size, .fd = -1 };
		snprintf(u->what, sizeof(u->what), "stream %zu", i + 1);
		if ((rc = img_blob_has(a->local.store, &u->digest, NULL, e)) < 0)
			return rc;
		n += rc == 1;
	}
	if ((rc = upload_all(r, a->local.store, scope, blobs, n, e)) < 0)
		return rc;
	for (size_t i = 1; i < n; i++)
		if (!blobs[i].was_there) {
			result->sent++;
			result->bytes += blobs[i].size;
		}
	return 0;
}

static int
send_artifact(struct remote *r, const struct streams_push_args *a, const struct streams *s, const char *scope,
    struct err *e)
{
	const struct referrer_subject image = { a->image->digest, a->image->size,
		a->image->manifest->media_type };
	AUTO_FINI(buf) struct buf text = BUF_INIT(MANIFEST_MAX);
	struct referrer_subject artifact = { .media_type = MEDIA_OCI_MANIFEST };
	int rc;

	if ((rc = streams_print(s, &image, &text, e)) < 0 ||
	    (rc = digest_of(DIGEST_SHA256, buf_cstr(&text), text.len, &artifact.digest, e)) < 0)
		return rc;
	fault_point("image.push.streams");
	rc = referrers_push(r, scope, &image, MEDIA_STREAMS, &artifact.digest, &text, e);
	artifact.size = text.len;
	return rc < 0 || a->key == NULL ? rc : sign_push(r, a->local.store, a->key, &artifact, a->tag, e);
}

int
streams_push(
    struct remote *r, const struct streams_push_args *a, struct streams_push_result *result, struct err *e)
{
	AUTO_FREE struct streams *s = calloc(1, sizeof(*s));
	char scope[CLIENT_SCOPE_MAX];
	int rc;

	*result = (struct streams_push_result){ 0 };
	if (s == NULL)
		return err_nomem(e);
	if ((rc = collect(r, a, s, e)) < 0 || s->n == 0)
		return rc;
	remote_scope(r, "pull,push", scope);
	if ((rc = send_blobs(r, a, s, scope, result, e)) < 0 || (rc = send_artifact(r, a, s, scope, e)) < 0)
		return rc;
	result->offered = (unsigned)s->n;
	return 0;
}
