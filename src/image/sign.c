/* Statements, and the artifacts that carry them. Whose signature counts is trust.c's. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "image/mediatype.h"
#include "image/sign.h"
#include "image/upload.h"

#define KIND "pot image signature 1"
#define BLOB_MAX (16 * 1024) /* of a signature with its statement */

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
	sign_found_fn *fn;
	void *arg;
};

/* One artifact: 0 also when it is damaged. */
static int
look_at(void *arg, const struct remote_manifest *m, struct err *e)
{
	AUTO_FINI(buf) struct buf blob = BUF_INIT(BLOB_MAX);
	const struct img_manifest *p = m->parsed;
	struct walk *w = arg;
	struct sign_found f;
	int rc;

	if (p->n_layers != 1 || strcmp(p->layers[0].media_type, MEDIA_SIGNIFY) != 0)
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

int
sign_each(struct remote *r, const struct digest *d, sign_found_fn *fn, void *arg, struct err *e)
{
	struct walk w = { r, fn, arg };

	return referrers_each(r, d, MEDIA_SIGNATURE, "signatures", look_at, &w, e);
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
make_manifest(const struct referrer_subject *subject, const struct upload blobs[2], const char *time,
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

static int
put_blob(struct img_store *s, struct upload *u, const char *what, const struct buf *text, struct err *e)
{
	*u = (struct upload){ .size = text->len, .fd = -1 };
	snprintf(u->what, sizeof(u->what), "%s", what);
	return img_blob_put(s, buf_cstr(text), text->len, &u->digest, e);
}

int
sign_push(struct remote *r, struct img_store *store, const struct sign_secret *key,
    const struct referrer_subject *subject, const char *tag, struct err *e)
{
	AUTO_FINI(buf)
	struct buf empty = BUF_INIT(8), blob = BUF_INIT(BLOB_MAX), manifest = BUF_INIT(BLOB_MAX);
	struct sign_statement s = { .time_ns = text_now_ns() };
	char scope[CLIENT_SCOPE_MAX], time[TEXT_TIME_LEN];
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
	if ((rc = upload_all(r, store, scope, blobs, ARRAY_LEN(blobs), e)) < 0)
		return rc;
	return referrers_push(r, scope, subject, MEDIA_SIGNATURE, &d, &manifest, e);
}
