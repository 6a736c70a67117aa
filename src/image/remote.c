/*
 * Opening a registry and fetching what is small: manifests and the blobs of
 * signatures.  Layers are fetch.c's.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "image/credentials.h"
#include "image/mediatype.h"
#include "image/remote.h"

bool
img_net_is_insecure(const struct img_net *net, const char *host)
{
	for (const char *const *v = net->insecure; v != NULL && *v != NULL; v++)
		if (strcasecmp(*v, host) == 0)
			return true;
	return false;
}

int
remote_open(struct remote *r, const struct img_net *net, const struct reference *ref, struct err *e)
{
	const struct http_params hp = { net->stall_s, net->cancel };
	struct client_params cp = { .host = ref->host, .ca_file = net->ca_file, .events = net->events };
	AUTO_FINI(credential) struct credential cred;
	int rc;

	*r = (struct remote)REMOTE_INIT;
	r->net = net;
	credential_init(&cred);
	if (ref->host[0] == '\0') {
		err_set(e, E_INVAL, "image '%s' names no registry", ref->name);
		return err_hint(e, "write HOST[:PORT]/%s, as docker.io/library/%s", ref->name, ref->name);
	}
	snprintf(r->name, sizeof(r->name), "%s", ref->name);
	if (strcmp(ref->host, "docker.io") == 0 && strchr(ref->name, '/') == NULL)
		snprintf(r->name, sizeof(r->name), "library/%.240s", ref->name);
	if ((rc = cred_get(net->rootfd, net->auth_file, ref->host, &cred, e)) < 0)
		return rc;
	cp.insecure = img_net_is_insecure(net, ref->host);
	if (rc > 0) {
		cp.user = buf_cstr(&cred.user);
		cp.password = buf_cstr(&cred.password);
		cp.realm = cred.realm[0] != '\0' ? cred.realm : NULL;
	}
	if ((rc = http_new(&r->http, &hp, e)) < 0 || (rc = client_new(&r->client, r->http, &cp, e)) < 0 ||
	    (rc = client_hello(r->client, e)) < 0)
		return rc;
	return 0;
}

void
remote_fini(struct remote *r)
{
	if (r->client != NULL)
		client_free(take_ptr(r->client));
	if (r->http != NULL)
		http_free(take_ptr(r->http));
}

void
remote_scope(const struct remote *r, const char *actions, char out[static CLIENT_SCOPE_MAX])
{
	snprintf(out, CLIENT_SCOPE_MAX, "repository:%s:%s", r->name, actions);
}

/* ---- manifests ---------------------------------------------------------------- */

void
remote_manifest_init(struct remote_manifest *m)
{
	*m = (struct remote_manifest){ .parsed = NULL };
	buf_init(&m->text, IMG_MANIFEST_MAX);
}

void
remote_manifest_fini(struct remote_manifest *m)
{
	buf_fini(&m->text);
	img_manifest_free(take_ptr(m->parsed));
}

static int
refuse_large(void *arg, struct exchange *x, struct err *e)
{
	const char *length = exchange_answer_header(x, "Content-Length");

	if (length != NULL && (strlen(length) > 9 || strtoul(length, NULL, 10) > x->answer.max))
		return err_set(e, E_LIMIT, "larger than %zu MiB", x->answer.max / (1024 * 1024));
	return 0;
}

/* Without parameters; only types that say something. */
static void
note_media_type(const struct exchange *x, struct remote_manifest *m)
{
	const char *type = exchange_answer_header(x, "Content-Type");
	size_t n;

	m->media_type[0] = '\0';
	if (type == NULL)
		return;
	n = strcspn(type, "; \t");
	if (media_find_n(type, n) != NULL && n < sizeof(m->media_type)) {
		memcpy(m->media_type, type, n);
		m->media_type[n] = '\0';
	}
}

/* The digest asked for, or that of the header, must be the one of the bytes. */
static int
check_digest(const struct exchange *x, const char *which, struct remote_manifest *m, struct err *e)
{
	const char *header = exchange_answer_header(x, "Docker-Content-Digest");
	bool by_digest = ref_is_digest(which);
	char is[DIGEST_TEXT_LEN];
	struct digest want;
	int rc;

	if (by_digest)
		rc = digest_parse(which, &want, e);
	else if (header != NULL)
		rc = digest_parse(header, &want, e);
	else
		return digest_of(DIGEST_SHA256, buf_cstr(&m->text), m->text.len, &m->digest, e);
	if (rc < 0)
		return rc;
	if ((rc = digest_of(want.alg, buf_cstr(&m->text), m->text.len, &m->digest, e)) < 0)
		return rc;
	if (!digest_equal(&want, &m->digest))
		return err_set(e, E_CORRUPT, "what came has the digest %s, not %s",
		    digest_print(&m->digest, is), by_digest ? which : header);
	return 0;
}

int
remote_manifest_get(
    struct remote *r, const char *which, const char *expected, struct remote_manifest *m, struct err *e)
{
	static const struct exchange_ops ops = { .head = refuse_large };
	AUTO_FINI(exchange) struct exchange x = { 0 };
	char what[REF_NAME_MAX + REF_DIGEST_MAX + 4];
	int rc;

	snprintf(what, sizeof(what), "%s%s%s", r->name, ref_is_digest(which) ? "@" : ":", which);
	if ((rc = exchange_init(&x, r->client, &ops, IMG_MANIFEST_MAX, e)) < 0)
		return rc;
	x.what = what;
	remote_scope(r, "pull", x.scope);
	exchange_url(&x, "/v2/%s/manifests/%s", r->name, which);
	exchange_header(&x,
	    "Accept: " MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_DOCKER_LIST
	    ", " MEDIA_DOCKER_MANIFEST);
	if ((rc = exchange_run(&x, e)) < 0)
		return rc;
	buf_reset(&m->text);
	buf_add(&m->text, buf_cstr(&x.answer), x.answer.len);
	note_media_type(&x, m);
	if ((rc = buf_check(&m->text, what, e)) < 0 || (rc = check_digest(&x, which, m, e)) < 0) {
		err_wrap(e, "registry %s: %s", client_host(r->client), what);
		return rc;
	}
	img_manifest_free(take_ptr(m->parsed));
	if (expected == NULL && m->media_type[0] != '\0')
		expected = m->media_type;
	rc = img_manifest_parse(buf_cstr(&m->text), m->text.len, expected, &m->parsed, e);
	if (rc < 0)
		err_wrap(e, "registry %s: %s", client_host(r->client), what);
	return rc;
}

int
remote_blob_has(struct remote *r, const struct digest *d, struct err *e)
{
	static const struct exchange_ops ops = { .data = NULL };
	AUTO_FINI(exchange) struct exchange x = { 0 };
	char text[DIGEST_TEXT_LEN];
	int rc;

	if ((rc = exchange_init(&x, r->client, &ops, 0, e)) < 0)
		return rc;
	x.method = "HEAD";
	x.what = digest_print(d, text);
	remote_scope(r, "pull", x.scope);
	exchange_url(&x, "/v2/%s/blobs/%s", r->name, text);
	rc = exchange_run(&x, e);
	return rc == 0 ? 1 : rc == -E_NOENT ? 0 : rc;
}

int
remote_blob_get(struct remote *r, const struct digest *d, uint64_t size, struct buf *out, struct err *e)
{
	static const struct exchange_ops ops = { .head = refuse_large };
	AUTO_FINI(exchange) struct exchange x = { 0 };
	char text[DIGEST_TEXT_LEN];
	struct digest is;
	int rc;

	digest_print(d, text);
	if (size > out->max)
		return err_set(e, E_LIMIT, "registry %s: %s: larger than %zu bytes", client_host(r->client),
		    text, out->max);
	if ((rc = exchange_init(&x, r->client, &ops, out->max, e)) < 0)
		return rc;
	x.what = text;
	remote_scope(r, "pull", x.scope);
	exchange_url(&x, "/v2/%s/blobs/%s", r->name, text);
	if ((rc = exchange_run(&x, e)) < 0 ||
	    (rc = digest_of(d->alg, buf_cstr(&x.answer), x.answer.len, &is, e)) < 0)
		return rc;
	if (x.answer.len != size || !digest_equal(d, &is))
		return err_set(e, E_CORRUPT, "registry %s: %s: what came is something else",
		    client_host(r->client), text);
	buf_reset(out);
	buf_add(out, buf_cstr(&x.answer), x.answer.len);
	return buf_check(out, text, e);
}
