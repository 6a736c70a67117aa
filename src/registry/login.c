/*
 * A right password is kept as an HMAC under a key of this process, never as
 * itself. Whoever guesses is slowed down by address.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/text.h"
#include "registry/login.h"
#include "registry/registry.h"

#define PLACES 256
#define KNOWN_MS INT64_C(300000)
#define TRIES_PER_SECOND 2
#define TRIES_AT_ONCE 20
#define MAC_LEN 32

struct logins {
	pthread_mutex_t lock, slow;
	uint8_t key[32];
	struct limiter *tries;
	uint64_t version;
	struct {
		uint8_t mac[MAC_LEN];
		int64_t until;
	} v[PLACES];
};

int
logins_new(struct logins **out, struct err *e)
{
	struct logins *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return err_nomem(e);
	pthread_mutex_init(&l->lock, NULL);
	pthread_mutex_init(&l->slow, NULL);
	rc = RAND_bytes(l->key, sizeof(l->key)) == 1 ? 0 : err_set(e, E_SYS, "no randomness");
	if (rc == 0)
		rc = limiter_new(TRIES_PER_SECOND, TRIES_AT_ONCE, &l->tries, e);
	if (rc < 0)
		logins_free(l);
	else
		*out = l;
	return rc;
}

void
logins_free(struct logins *l)
{
	if (l == NULL)
		return;
	limiter_free(l->tries);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->slow);
	explicit_bzero(l, sizeof(*l));
	free(l);
}

void
logins_forget(struct logins *l)
{
	pthread_mutex_lock(&l->lock);
	memset(l->v, 0, sizeof(l->v));
	l->version++;
	pthread_mutex_unlock(&l->lock);
}

static bool
mac_of(const struct logins *l, const char *user, const char *password, uint8_t out[static MAC_LEN])
{
	char text[USER_MAX + LOGIN_PASSWORD_MAX + 4];
	unsigned len = MAC_LEN;
	/* No user name has a colon. */
	int n = snprintf(text, sizeof(text), "%s:%s", user, password);
	bool made =
	    HMAC(EVP_sha256(), l->key, sizeof(l->key), (unsigned char *)text, (size_t)n, out, &len) != NULL;

	explicit_bzero(text, sizeof(text));
	return made;
}

bool
logins_known(struct logins *l, const char *user, const char *password)
{
	uint8_t mac[MAC_LEN];
	bool known;

	if (!mac_of(l, user, password, mac))
		return false;
	pthread_mutex_lock(&l->lock);
	known =
	    l->v[mac[0]].until > text_monotonic_ms() && CRYPTO_memcmp(l->v[mac[0]].mac, mac, MAC_LEN) == 0;
	pthread_mutex_unlock(&l->lock);
	return known;
}

bool
logins_check(struct logins *l, struct registry *g, const char *user, const char *password)
{
	uint8_t mac[MAC_LEN];
	uint64_t version;
	bool right;

	pthread_mutex_lock(&l->lock);
	version = l->version;
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_lock(&l->slow);
	pthread_rwlock_rdlock(&g->auth_lock);
	right = g->auth != NULL && auth_verify(g->auth, user, password);
	pthread_rwlock_unlock(&g->auth_lock);
	pthread_mutex_unlock(&l->slow);
	if (!right || !mac_of(l, user, password, mac))
		return right;
	pthread_mutex_lock(&l->lock);
	if (version == l->version) {
		memcpy(l->v[mac[0]].mac, mac, MAC_LEN);
		l->v[mac[0]].until = text_monotonic_ms() + KNOWN_MS;
	}
	pthread_mutex_unlock(&l->lock);
	return right;
}

bool
logins_may_try(struct logins *l, const char *addr, unsigned *wait_s)
{
	return limiter_take(l->tries, addr, wait_s);
}
