/*
 * Taking streams: which fit this node and are trusted, then all of them
 * fetched, and a layer made of each, from the lowest up. A layer that did not
 * become what its tar would have made is not there, and the pull goes on with
 * tars from it on; so nothing here has to succeed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "image/config.h"
#include "image/fetch.h"
#include "image/mediatype.h"
#include "image/streams.h"

struct taking {
	struct remote *r;
	const struct streams_pull_args *a;
	struct streams_pull_result *result;
	struct streams offer; /* of the artifact that is looked at */
	struct fetch fetches[STREAMS_MAX];
	size_t first, n; /* layers that are to be made: from first on, n of them */
	struct digest chains[STREAMS_MAX];
	char why[256]; /* why none was taken, the last reason */
};

static struct img_stream_layer
layer_of(const struct taking *t, size_t i)
{
	const struct img_desc *d = &t->a->manifest->layers[i];

	return (struct img_stream_layer){ i > 0 ? &t->chains[i - 1] : NULL, &t->a->config->diffs[i],
		&d->digest, d->size };
}

/* ---- what is to be had ------------------------------------------------------------------ */

/* 1: nothing of the tar is here, nor does another process fetch it. */
static int
is_tar_absent(struct taking *t, size_t i, struct err *e)
{
	const struct img_desc *d = &t->a->manifest->layers[i];
	struct img_blob *b = NULL;
	uint64_t have;
	int rc = img_blob_try(t->a->local.store, &d->digest, d->size, &b, e);

	if (rc != 0)
		return rc == 1 || rc == -E_BUSY ? 0 : rc;
	have = img_blob_have(b);
	img_blob_abort(b, true);
	return have == 0;
}

/* The lowest layer that is not unpacked; as many as there are when all are. */
static int
find_first(struct taking *t, struct err *e)
{
	size_t n = t->a->manifest->n_layers;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		if ((rc = img_chain_id(
			 i > 0 ? &t->chains[i - 1] : NULL, &t->a->config->diffs[i], &t->chains[i], e)) < 0)
			return rc;
	for (t->first = 0; t->first < n; t->first++)
		if ((rc = img_layer_exists(t->a->local.store, &t->chains[t->first], e)) != 1)
			return rc;
	return 0;
}

static const struct streams_one *
offered(const struct taking *t, size_t i)
{
	for (size_t k = 0; k < t->offer.n; k++)
		if (digest_equal(&t->offer.v[k].of, &t->a->manifest->layers[i].digest))
			return &t->offer.v[k];
	return NULL;
}

static void
add(struct taking *t, const struct streams_one *one)
{
	struct fetch *f = &t->fetches[t->n++];
	char hex[DIGEST_HEX_LEN];

	*f = (struct fetch){ .digest = one->stream.blob, .size = one->stream.size };
	snprintf(f->what, sizeof(f->what), "stream %.12s", digest_hex(&one->stream.blob, hex));
}

/* The streams that lead on from what this node has, one on the other. */
static int
plan(struct taking *t, struct err *e)
{
	char from[STOR_ID_LEN] = "";
	int rc;

	t->n = 0;
	if (t->first > 0 && (rc = img_stream_id(&t->a->local, &t->chains[t->first - 1], from, e)) < 0)
		return rc;
	for (size_t i = t->first; i < t->a->manifest->n_layers; i++) {
		const struct streams_one *one = offered(t, i);

		if (one == NULL)
			break;
		if (strcmp(one->stream.from, from) != 0) {
			snprintf(t->why, sizeof(t->why),
			    "layer %zu: the stream needs %s below it, which this node does not have", i + 1,
			    one->stream.from[0] != '\0' ? one->stream.from : "nothing");
			break;
		}
		if ((rc = is_tar_absent(t, i, e)) < 0)
			return rc;
		if (rc == 0)
			break;
		add(t, one);
		memcpy(from, one->stream.id, sizeof(from));
	}
	return t->n > 0;
}

/* Signed by those whom the policy names, as the image was. */
static int
is_trusted(struct taking *t, const struct digest *artifact, struct err *e)
{
	const struct trust_args args = { t->a->trust->policy, false, true };
	struct trust_verdict verdict;
	int rc;

	if (t->a->verdict->need == 0)
		return t->a->mode == STREAMS_ALWAYS;
	rc = trust_check(t->r, t->a->ref, artifact, &args, &verdict, e);
	if (rc < 0 && rc != -E_INTR)
		snprintf(t->why, sizeof(t->why), "%.250s", e->msg);
	return rc == 0 ? 1 : rc == -E_INTR ? rc : 0;
}

/* One artifact: 1 when it is what is taken. */
static int
consider(void *arg, const struct remote_manifest *m, struct err *e)
{
	struct taking *t = arg;
	char packer[IMG_PACKER_LEN];
	int rc;

	if (streams_parse(m->parsed, &t->offer, NULL) < 0 || t->offer.n == 0)
		return 0;
	if (strcmp(t->offer.storage, t->a->local.stor->ops->name) != 0) {
		snprintf(t->why, sizeof(t->why), "they are of storage \"%s\", and this is \"%s\"",
		    t->offer.storage, t->a->local.stor->ops->name);
		return 0;
	}
	if (strcmp(t->offer.packer, img_packer(packer)) != 0) {
		snprintf(t->why, sizeof(t->why), "they are for a packer %s, and this is %s", t->offer.packer,
		    packer);
		return 0;
	}
	rc = is_trusted(t, &m->digest, e);
	return rc == 1 ? plan(t, e) : rc;
}

/* ---- fetching and making --------------------------------------------------------------------- */

static int
fetch_all(struct taking *t, struct err *e)
{
	AUTO_FINI(fetch_set) struct fetch_set set = { 0 };
	const volatile bool *cancel = t->a->local.cancel;
	int rc = fetch_set_begin(&set, t->r, t->a->local.store, t->fetches, t->n, e);

	while (rc == 0 && !fetch_set_is_done(&set)) {
		if (cancel != NULL && *cancel)
			return err_set(e, E_INTR, "interrupted; the next pull goes on from here");
		if (http_is_busy(t->r->http))
			rc = http_step(t->r->http, NULL, 0, e);
		else if (!fetch_set_is_running(&set))
			rc = fetch_set_wait(&set, e);
		if (rc == 0)
			rc = fetch_set_turn(&set, e);
	}
	return rc;
}

static int
take_all(struct taking *t, struct err *e)
{
	int rc;

	for (size_t k = 0; k < t->n && t->fetches[k].state == FETCH_DONE; k++) {
		const struct img_stream_layer l = layer_of(t, t->first + k);
		const struct streams_one *one = offered(t, t->first + k);

		fault_point("image.pull.stream");
		event_info(
		    t->a->local.events, "layer %zu: from a stream of %s", t->first + k + 1, t->offer.storage);
		if ((rc = img_stream_take(&t->a->local, &l, &one->stream, e)) < 0)
			return err_wrap(e, "layer %zu", t->first + k + 1);
		t->result->taken++;
	}
	return 0;
}

/* What came is used, also when the rest did not. */
static int
fetch_and_take(struct taking *t, struct err *e)
{
	struct err second = ERR_INIT;
	int rc = fetch_all(t, e), made;

	for (size_t k = 0; k < t->n; k++)
		if (!t->fetches[k].was_there && t->fetches[k].state == FETCH_DONE)
			t->result->bytes += t->fetches[k].size;
	if (rc == -E_INTR)
		return rc;
	made = take_all(t, &second);
	if (made == 0)
		return rc;
	*e = second;
	return made;
}

static int
run(struct taking *t, struct err *e)
{
	int rc = find_first(t, e);

	if (rc < 0 || t->first == t->a->manifest->n_layers)
		return rc;
	rc = referrers_each(t->r, t->a->image, MEDIA_STREAMS, "artifacts of streams", consider, t, e);
	if (rc == 1)
		return fetch_and_take(t, e);
	if (rc == 0 && t->why[0] != '\0')
		event_warn(t->a->local.events, "no streams are used: %s", t->why);
	return rc;
}

int
streams_pull(
    struct remote *r, const struct streams_pull_args *a, struct streams_pull_result *result, struct err *e)
{
	AUTO_FREE struct taking *t = NULL;
	int rc;

	*result = (struct streams_pull_result){ 0 };
	if (a->mode == STREAMS_NEVER || (a->mode == STREAMS_AUTO && a->verdict->need == 0) ||
	    img_stream_media(a->local.stor) == NULL || a->manifest->n_layers > STREAMS_MAX)
		return 0;
	if ((t = calloc(1, sizeof(*t))) == NULL)
		return err_nomem(e);
	t->r = r;
	t->a = a;
	t->result = result;
	rc = run(t, e);
	if (rc == 0 || rc == -E_INTR || rc == -E_NOMEM)
		return rc;
	event_warn(a->local.events, "what streams could not bring is fetched as tars: %s", e->msg);
	return 0;
}
