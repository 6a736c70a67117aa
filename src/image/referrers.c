/*
 * Where a registry keeps what refers to a manifest. What such a manifest says
 * and whether it is believed is its reader's: sign.c's for signatures,
 * streams_pull.c's for streams.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "image/mediatype.h"
#include "image/push.h"
#include "image/referrers.h"

#define LOOKED_AT_MAX 256 /* manifests of one type that are looked at */
#define PAGES_MAX 16

static void
auto_json(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(auto_json)))

/* ---- finding them ---------------------------------------------------------------------- */

struct walk {
	struct remote *r;
	const struct digest *subject;
	const char *type, *what;
	referrer_fn *fn;
	void *arg;
	unsigned seen;
};

/* One artifact: 0 also when it is none of ours or damaged. */
static int
look_at(struct walk *w, const struct img_desc *d, struct err *e)
{
	AUTO_FINI(remote_manifest) struct remote_manifest m;
	char text[DIGEST_TEXT_LEN];
	const struct img_manifest *p;
	const char *type;
	int rc;

	remote_manifest_init(&m);
	rc = remote_manifest_get(w->r, digest_print(&d->digest, text), NULL, &m, e);
	if (rc < 0)
		return rc == -E_INTR ? rc : 0;
	p = m.parsed;
	type = p->is_index ? NULL : img_manifest_artifact_type(p);
	if (type == NULL || strcmp(type, w->type) != 0 || p->subject == NULL ||
	    !digest_equal(&p->subject->digest, w->subject))
		return 0;
	return w->fn(w->arg, &m, e);
}

static int
look_at_all(struct walk *w, const struct img_manifest *index, struct err *e)
{
	for (size_t i = 0; i < index->n_manifests; i++) {
		const struct img_desc *d = &index->manifests[i];
		int rc;

		if (d->artifact_type != NULL && strcmp(d->artifact_type, w->type) != 0)
			continue;
		if (++w->seen > LOOKED_AT_MAX) {
			event_warn(
			    w->r->net->events, "only the first %d %s are looked at", LOOKED_AT_MAX, w->what);
			return 0;
		}
		if ((rc = look_at(w, d, e)) != 0)
			return rc;
	}
	return 0;
}

/* The target of the Link with rel="next" into url; false when there is none. */
static bool
next_page(const struct exchange *x, struct buf *url)
{
	const char *link = exchange_answer_header(x, "Link"), *end;
	AUTO_FINI(buf) struct buf target = BUF_INIT(URL_MAX), whole = BUF_INIT(URL_MAX);

	if (link == NULL || link[0] != '<' || (end = strchr(link, '>')) == NULL ||
	    strstr(end, "next") == NULL)
		return false;
	buf_add(&target, link + 1, (size_t)(end - link - 1));
	if (url_join(buf_cstr(&x->target), buf_cstr(&target), &whole, NULL) < 0 ||
	    !url_same_origin(buf_cstr(&x->target), buf_cstr(&whole)))
		return false;
	buf_reset(url);
	buf_str(url, buf_cstr(&whole));
	return true;
}

/* E_NOENT: this registry has no referrers API. */
static int
by_referrers(struct walk *w, struct err *e)
{
	static const struct exchange_ops ops = { .data = NULL };
	AUTO_FINI(exchange) struct exchange x = { 0 };
	char text[DIGEST_TEXT_LEN];
	int rc;

	if ((rc = exchange_init(&x, w->r->client, &ops, IMG_MANIFEST_MAX, e)) < 0)
		return rc;
	x.what = w->what;
	remote_scope(w->r, "pull", x.scope);
	exchange_url(&x, "/v2/%s/referrers/%s", w->r->name, digest_print(w->subject, text));
	url_query(&x.url, "artifactType", w->type);
	exchange_header(&x, "Accept: " MEDIA_OCI_INDEX);
	for (int page = 0; page < PAGES_MAX; page++) {
		AUTO(img_manifest) struct img_manifest *index = NULL;

		rc = exchange_run(&x, e);
		if (rc < 0)
			return x.status >= 400 && x.status < 500 && x.status != 401 && x.status != 403 &&
				x.status != 429
			    ? err_set(e, E_NOENT, "no referrers")
			    : rc;
		rc = img_manifest_parse(buf_cstr(&x.answer), x.answer.len, MEDIA_OCI_INDEX, &index, e);
		if (rc < 0)
			return page == 0 ? err_set(e, E_NOENT, "no referrers") : rc;
		if ((rc = look_at_all(w, index, e)) != 0 || !next_page(&x, &x.url))
			return rc;
	}
	return 0;
}

/* distribution-spec, "Referrers Tag Schema". */
static void
fallback_tag(const struct digest *d, char out[static REF_TAG_MAX + 1])
{
	char hex[DIGEST_HEX_LEN];

	snprintf(out, REF_TAG_MAX + 1, "%s-%.64s", digest_name(d->alg), digest_hex(d, hex));
}

static int
by_tag(struct walk *w, struct err *e)
{
	AUTO_FINI(remote_manifest) struct remote_manifest m;
	char tag[REF_TAG_MAX + 1];
	int rc;

	remote_manifest_init(&m);
	fallback_tag(w->subject, tag);
	rc = remote_manifest_get(w->r, tag, NULL, &m, e);
	if (rc == -E_NOENT)
		return 0;
	if (rc < 0)
		return rc;
	return m.parsed->is_index ? look_at_all(w, m.parsed, e) : 0;
}

int
referrers_each(struct remote *r, const struct digest *subject, const char *artifact_type, const char *what,
    referrer_fn *fn, void *arg, struct err *e)
{
	struct walk w = { r, subject, artifact_type, what, fn, arg, 0 };
	int rc = by_referrers(&w, e);

	return rc == -E_NOENT ? by_tag(&w, e) : rc;
}

/* ---- sending one ----------------------------------------------------------------------------- */

/* Is it in the list already? */
static bool
is_listed(const json_t *index, const char *digest)
{
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(index, "manifests"), i, d)
	{
		const char *has = json_string_value(json_object_get(d, "digest"));

		if (has != NULL && strcmp(has, digest) == 0)
			return true;
	}
	return false;
}

static int
read_index(struct remote *r, const char *tag, json_t **index, struct err *e)
{
	AUTO_FINI(remote_manifest) struct remote_manifest old;
	int rc;

	remote_manifest_init(&old);
	rc = remote_manifest_get(r, tag, NULL, &old, e);
	if (rc < 0 && rc != -E_NOENT)
		return rc;
	if (rc == 0 && old.parsed->is_index)
		return img_json_parse(buf_cstr(&old.text), old.text.len, IMG_MANIFEST_MAX, tag, index, e);
	*index = json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_OCI_INDEX, "manifests");
	return *index == NULL ? err_nomem(e) : 0;
}

/* For registries that do not keep track of what refers to what: so we do, in an index. */
static int
add_to_index(struct remote *r, const char *scope, const struct digest *subject, const char *artifact_type,
    const struct digest *manifest, size_t size, struct err *e)
{
	AUTO_JSON json_t *index = NULL;
	AUTO_FREE char *text = NULL;
	char tag[REF_TAG_MAX + 1], digest[DIGEST_TEXT_LEN];
	json_t *d;
	int rc;

	fallback_tag(subject, tag);
	if ((rc = read_index(r, tag, &index, e)) < 0)
		return rc;
	if (is_listed(index, digest_print(manifest, digest)))
		return 0;
	d = json_pack("{s:s, s:s, s:I, s:s}", "mediaType", MEDIA_OCI_MANIFEST, "digest", digest, "size",
	    (json_int_t)size, "artifactType", artifact_type);
	if (d == NULL || json_array_append_new(json_object_get(index, "manifests"), d) < 0 ||
	    (text = json_dumps(index, JSON_COMPACT | JSON_SORT_KEYS)) == NULL)
		return err_nomem(e);
	return push_manifest(r, scope, tag, MEDIA_OCI_INDEX, text, strlen(text), NULL, e);
}

int
referrers_push(struct remote *r, const char *scope, const struct referrer_subject *subject,
    const char *artifact_type, const struct digest *d, const struct buf *text, struct err *e)
{
	char which[DIGEST_TEXT_LEN];
	bool tracked = false;
	int rc = push_manifest(
	    r, scope, digest_print(d, which), MEDIA_OCI_MANIFEST, buf_cstr(text), text->len, &tracked, e);

	if (rc < 0 || tracked)
		return rc;
	return add_to_index(r, scope, &subject->digest, artifact_type, d, text->len, e);
}
