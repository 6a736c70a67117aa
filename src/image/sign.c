/* Statements, and where a registry keeps them. Whose signature counts is trust.c's. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "image/mediatype.h"
#include "image/push.h"
#include "image/sign.h"
#include "image/upload.h"

#define KIND "pot image signature 1"
#define BLOB_MAX (16 * 1024) /* of a signature with its statement */
#define SIGNATURES_MAX 256   /* of one image that are looked at */
#define PAGES_MAX 16

static void
auto_json(json_t **j)
{
	json_decref(*j);
}
#define AUTO_JSON __attribute__((cleanup(auto_json)))

/* ---- statements --------------------------------------------------------------------- */

static int
print_json(json_t *j, struct buf *out, struct err *e)
{
	AUTO_FREE char *text = j != NULL ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	if (text == NULL)
		return err_nomem(e);
	buf_str(out, text);
	return buf_check(out, "JSON", e);
}

int
sign_statement_print(const struct sign_statement *s, struct buf *out, struct err *e)
{
	AUTO_JSON json_t *j = NULL;
	char time[TEXT_TIME_LEN];

	text_time_print(s->time_ns, true, time);
	j = json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", KIND, "digest", s->digest, "name", s->name, "tag",
	    s->tag, "time", time);
	return print_json(j, out, e);
}

static bool
take_text(const json_t *j, const char *key, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(j, key));

	if (s == NULL || strlen(s) >= size)
		return false;
	memcpy(out, s, strlen(s) + 1);
	return true;
}

int
sign_statement_parse(const char *text, size_t len, struct sign_statement *s, struct err *e)
{
	AUTO_JSON json_t *j = NULL;
	char kind[64], time[64];
	int rc = img_json_parse(text, len, BLOB_MAX, "the statement", &j, e);

	if (rc < 0)
		return rc;
	*s = (struct sign_statement){ .time_ns = 0 };
	if (!take_text(j, "type", kind, sizeof(kind)) || strcmp(kind, KIND) != 0 ||
	    !take_text(j, "digest", s->digest, sizeof(s->digest)) || !ref_is_digest(s->digest) ||
	    !take_text(j, "name", s->name, sizeof(s->name)) || !ref_is_name(s->name) ||
	    !take_text(j, "tag", s->tag, sizeof(s->tag)) || (s->tag[0] != '\0' && !ref_is_tag(s->tag)) ||
	    !take_text(j, "time", time, sizeof(time)) || strchr(time, 'T') == NULL)
		return err_set(e, E_INVAL, "not a statement about an image");
	return text_time(time, &s->time_ns, "the statement's time", e);
}

/* ---- finding them ---------------------------------------------------------------------- */

struct walk {
	struct remote *r;
	const struct digest *subject;
	sign_found_fn *fn;
	void *arg;
	unsigned seen;
};

/* One artifact: 0 also when it is none of ours or damaged. */
static int
look_at(struct walk *w, const struct img_desc *d, struct err *e)
{
	AUTO_FINI(remote_manifest) struct remote_manifest m;
	AUTO_FINI(buf) struct buf blob = BUF_INIT(BLOB_MAX);
	char text[DIGEST_TEXT_LEN];
	const struct img_manifest *p;
	struct sign_found f;
	const char *type;
	int rc;

	remote_manifest_init(&m);
	rc = remote_manifest_get(w->r, digest_print(&d->digest, text), NULL, &m, e);
	if (rc < 0)
		return rc == -E_INTR ? rc : 0;
	p = m.parsed;
	type = p->is_index ? NULL : img_manifest_artifact_type(p);
	if (type == NULL || strcmp(type, MEDIA_SIGNATURE) != 0 || p->subject == NULL ||
	    !digest_equal(&p->subject->digest, w->subject) || p->n_layers != 1 ||
	    strcmp(p->layers[0].media_type, MEDIA_SIGNIFY) != 0)
		return 0;
	rc = remote_blob_get(w->r, &p->layers[0].digest, p->layers[0].size, &blob, e);
	if (rc < 0)
		return rc == -E_INTR ? rc : 0;
	if (signify_signature_parse(buf_cstr(&blob), blob.len, &f.signature, &f.message, NULL) < 0)
		return 0;
	f.len = blob.len - (size_t)(f.message - buf_cstr(&blob));
	if (sign_statement_parse(f.message, f.len, &f.statement, NULL) < 0)
		return 0;
	return w->fn(w->arg, &f, e);
}

static int
look_at_all(struct walk *w, const struct img_manifest *index, struct err *e)
{
	for (size_t i = 0; i < index->n_manifests; i++) {
		const struct img_desc *d = &index->manifests[i];
		int rc;

		if (d->artifact_type != NULL && strcmp(d->artifact_type, MEDIA_SIGNATURE) != 0)
			continue;
		if (++w->seen > SIGNATURES_MAX) {
			event_warn(
			    w->r->net->events, "only the first %d signatures are looked at", SIGNATURES_MAX);
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
	x.what = "signatures";
	remote_scope(w->r, "pull", x.scope);
	exchange_url(&x, "/v2/%s/referrers/%s", w->r->name, digest_print(w->subject, text));
	url_query(&x.url, "artifactType", MEDIA_SIGNATURE);
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
sign_each(struct remote *r, const struct digest *d, sign_found_fn *fn, void *arg, struct err *e)
{
	struct walk w = { r, d, fn, arg, 0 };
	int rc = by_referrers(&w, e);

	return rc == -E_NOENT ? by_tag(&w, e) : rc;
}

/* ---- making one ----------------------------------------------------------------------------- */

static json_t *
descriptor(const char *media_type, const struct digest *d, uint64_t size)
{
	char text[DIGEST_TEXT_LEN];

	return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest_print(d, text), "size",
	    (json_int_t)size);
}

/* Signature, statement: as signify -e writes them. */
static int
make_blob(const struct sign_secret *key, const struct sign_statement *s, struct buf *out, struct err *e)
{
	AUTO_FINI(buf) struct buf message = BUF_INIT(BLOB_MAX);
	struct sign_signature sig;
	int rc;

	if ((rc = sign_statement_print(s, &message, e)) < 0 ||
	    (rc = signify_sign(key, buf_cstr(&message), message.len, &sig, e)) < 0 ||
	    (rc = signify_signature_print(&sig, "pot image signature, see pot-verify(8)", out, e)) < 0)
		return rc;
	buf_add(out, buf_cstr(&message), message.len);
	return buf_check(out, "signature", e);
}

static int
make_manifest(const struct sign_subject *subject, const struct upload blobs[2], const char *time,
    struct buf *out, struct err *e)
{
	AUTO_JSON json_t *j = NULL;

	j = json_pack("{s:i, s:s, s:s, s:o, s:[o], s:o, s:{s:s}}", "schemaVersion", 2, "mediaType",
	    MEDIA_OCI_MANIFEST, "artifactType", MEDIA_SIGNATURE, "config",
	    descriptor(MEDIA_OCI_EMPTY, &blobs[0].digest, blobs[0].size), "layers",
	    descriptor(MEDIA_SIGNIFY, &blobs[1].digest, blobs[1].size), "subject",
	    descriptor(subject->media_type, &subject->digest, subject->size), "annotations", ANN_CREATED,
	    time);
	return print_json(j, out, e);
}

/* For registries that do not keep track of what refers to what: so we do, in an index. */
static int
add_to_index(struct remote *r, const char *scope, const struct digest *subject, const struct digest *manifest,
    size_t size, struct err *e)
{
	AUTO_FINI(remote_manifest) struct remote_manifest old;
	AUTO_FINI(buf) struct buf text = BUF_INIT(IMG_MANIFEST_MAX);
	AUTO_JSON json_t *index = NULL;
	char tag[REF_TAG_MAX + 1];
	json_t *d;
	int rc;

	remote_manifest_init(&old);
	fallback_tag(subject, tag);
	rc = remote_manifest_get(r, tag, NULL, &old, e);
	if (rc < 0 && rc != -E_NOENT)
		return rc;
	if (rc == 0 && old.parsed->is_index)
		rc = img_json_parse(buf_cstr(&old.text), old.text.len, IMG_MANIFEST_MAX, tag, &index, e);
	else
		index = json_pack(
		    "{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", MEDIA_OCI_INDEX, "manifests");
	if (rc < 0 && rc != -E_NOENT)
		return rc;
	d = descriptor(MEDIA_OCI_MANIFEST, manifest, size);
	if (d == NULL || json_object_set_new(d, "artifactType", json_string(MEDIA_SIGNATURE)) < 0 ||
	    json_array_append_new(json_object_get(index, "manifests"), d) < 0)
		return err_nomem(e);
	if ((rc = print_json(index, &text, e)) < 0)
		return rc;
	return push_manifest(r, scope, tag, MEDIA_OCI_INDEX, buf_cstr(&text), text.len, NULL, e);
}

static int
put_blob(struct img_store *s, struct upload *u, const char *what, const struct buf *text, struct err *e)
{
	*u = (struct upload){ .size = text->len, .fd = -1 };
	snprintf(u->what, sizeof(u->what), "%s", what);
	return img_blob_put(s, buf_cstr(text), text->len, &u->digest, e);
}

int
sign_push(struct remote *r, struct img_store *store, const struct sign_secret *key,
    const struct sign_subject *subject, const char *tag, struct err *e)
{
	AUTO_FINI(buf)
	struct buf empty = BUF_INIT(8), blob = BUF_INIT(BLOB_MAX), manifest = BUF_INIT(BLOB_MAX);
	struct sign_statement s = { .time_ns = text_now_ns() };
	char scope[CLIENT_SCOPE_MAX], text[DIGEST_TEXT_LEN], time[TEXT_TIME_LEN];
	bool tracked = false;
	struct upload blobs[2];
	struct digest d;
	int rc;

	digest_print(&subject->digest, s.digest);
	snprintf(s.name, sizeof(s.name), "%s", r->name);
	snprintf(s.tag, sizeof(s.tag), "%s", tag);
	text_time_print(s.time_ns, false, time);
	buf_str(&empty, "{}");
	if ((rc = make_blob(key, &s, &blob, e)) < 0 ||
	    (rc = put_blob(store, &blobs[0], "signature's config", &empty, e)) < 0 ||
	    (rc = put_blob(store, &blobs[1], "signature", &blob, e)) < 0 ||
	    (rc = make_manifest(subject, blobs, time, &manifest, e)) < 0 ||
	    (rc = img_blob_put(store, buf_cstr(&manifest), manifest.len, &d, e)) < 0)
		return rc;
	remote_scope(r, "pull,push", scope);
	if ((rc = upload_all(r, store, scope, blobs, ARRAY_LEN(blobs), e)) < 0 ||
	    (rc = push_manifest(r, scope, digest_print(&d, text), MEDIA_OCI_MANIFEST, buf_cstr(&manifest),
		 manifest.len, &tracked, e)) < 0)
		return rc;
	return tracked ? 0 : add_to_index(r, scope, &subject->digest, &d, manifest.len, e);
}
