/*
 * The server's certificate.  A handshake takes the generation that is current;
 * a replaced generation is kept until the server has stopped, as a handshake
 * may still use it (a few kilobytes each, one per renewal).
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "base/file.h"
#include "registry/tls.h"

#define PEM_MAX ((size_t)1024 * 1024)
#define CHAIN_MAX 16

struct generation {
	struct generation *older;
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned n;
	gnutls_privkey_t key;
};

struct tls {
	char *cert, *key;
	_Atomic(struct generation *) current;
};

/* GnuTLS gives its callback no argument of ours; a program has one server. */
static _Atomic(struct tls *) serving;

static void
generation_free(struct generation *g)
{
	for (unsigned i = 0; i < g->n; i++)
		gnutls_pcert_deinit(&g->chain[i]);
	if (g->key != NULL)
		gnutls_privkey_deinit(g->key);
	free(g);
}

static int
gnutls_failed(int code, const char *what, const char *file, struct err *e)
{
	return err_set(e, E_INVAL, "%s '%s': %s", what, file, gnutls_strerror(code));
}

static int
read_pem(const char *file, struct buf *b, struct err *e)
{
	int rc = file_read(AT_FDCWD, file, b, e);

	return rc < 0 ? err_wrap(e, "read '%s'", file) : 0;
}

/* Does the key belong to the first certificate? Both are asked for their public half. */
static int
check_pair(const struct generation *g, const struct tls *t, struct err *e)
{
	unsigned char a[64], b[64];
	size_t na = sizeof(a), nb = sizeof(b);
	gnutls_pubkey_t pub;
	int rc;

	if (gnutls_pubkey_init(&pub) < 0)
		return err_nomem(e);
	rc = gnutls_pubkey_import_privkey(pub, g->key, 0, 0);
	if (rc >= 0)
		rc = gnutls_pubkey_get_key_id(pub, GNUTLS_KEYID_USE_SHA256, a, &na);
	gnutls_pubkey_deinit(pub);
	if (rc >= 0)
		rc = gnutls_pubkey_get_key_id(g->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &nb);
	if (rc < 0)
		return gnutls_failed(rc, "key", t->key, e);
	if (na != nb || memcmp(a, b, na) != 0)
		return err_set(e, E_INVAL, "key '%s': it is not that of certificate '%s'", t->key, t->cert);
	return 0;
}

static int
load(const struct tls *t, struct generation **out, struct err *e)
{
	AUTO_FINI(buf) struct buf cert = BUF_INIT(PEM_MAX), key = BUF_INIT(PEM_MAX);
	struct generation *g = calloc(1, sizeof(*g));
	gnutls_datum_t pem;
	int rc;

	if (g == NULL)
		return err_nomem(e);
	if ((rc = read_pem(t->cert, &cert, e)) < 0 || (rc = read_pem(t->key, &key, e)) < 0)
		goto out;
	pem = (gnutls_datum_t){ (unsigned char *)cert.data, (unsigned)cert.len };
	g->n = CHAIN_MAX;
	rc = gnutls_pcert_list_import_x509_raw(g->chain, &g->n, &pem, GNUTLS_X509_FMT_PEM, 0);
	if (rc < 0) {
		g->n = 0;
		rc = gnutls_failed(rc, "certificate", t->cert, e);
		goto out;
	}
	pem = (gnutls_datum_t){ (unsigned char *)key.data, (unsigned)key.len };
	rc = gnutls_privkey_init(&g->key);
	if (rc >= 0)
		rc = gnutls_privkey_import_x509_raw(g->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	rc = rc < 0 ? gnutls_failed(rc, "key", t->key, e) : check_pair(g, t, e);
out:
	buf_fini(&key);
	if (rc < 0)
		generation_free(g);
	else
		*out = g;
	return rc;
}

int
tls_reload(struct tls *t, struct err *e)
{
	struct generation *g;
	int rc = load(t, &g, e);

	if (rc < 0)
		return rc;
	g->older = atomic_load(&t->current);
	atomic_store(&t->current, g);
	return 0;
}

int
tls_open(const char *cert, const char *key, struct tls **out, struct err *e)
{
	struct tls *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return err_nomem(e);
	t->cert = strdup(cert);
	t->key = strdup(key);
	rc = t->cert == NULL || t->key == NULL ? err_nomem(e) : tls_reload(t, e);
	if (rc < 0) {
		tls_close(t);
		return rc;
	}
	atomic_store(&serving, t);
	*out = t;
	return 0;
}

void
tls_close(struct tls *t)
{
	struct tls *self = t;

	if (t == NULL)
		return;
	atomic_compare_exchange_strong(&serving, &self, NULL);
	for (struct generation *g = atomic_load(&t->current), *older; g != NULL; g = older) {
		older = g->older;
		generation_free(g);
	}
	free(t->cert);
	free(t->key);
	free(t);
}

static int
retrieve(gnutls_session_t session, const gnutls_datum_t *req_ca, int nreqs,
    const gnutls_pk_algorithm_t *algos, int nalgos, gnutls_pcert_st **chain, unsigned *n,
    gnutls_privkey_t *key)
{
	struct tls *t = atomic_load(&serving);
	struct generation *g = t == NULL ? NULL : atomic_load(&t->current);

	if (g == NULL)
		return -1;
	*chain = g->chain;
	*n = g->n;
	*key = g->key;
	return 0;
}

void *
tls_callback(struct tls *t)
{
	return (void *)(uintptr_t)retrieve;
}
