/* See token.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/file.h"
#include "image/manifest.h"
#include "registry/token.h"

#define MAC_LEN 32

int
token_key(int dirfd, uint8_t key[static TOKEN_KEY_LEN], struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(TOKEN_KEY_LEN);
	struct err missing = ERR_INIT;
	int rc = file_read(dirfd, "token.key", &b, &missing);

	if (rc == 0 && b.len == TOKEN_KEY_LEN) {
		memcpy(key, b.data, TOKEN_KEY_LEN);
		return 0;
	}
	if (rc < 0 && missing.code != E_NOENT) {
		*e = missing;
		return err_wrap(e, "read token.key");
	}
	if (RAND_bytes(key, TOKEN_KEY_LEN) != 1)
		return err_set(e, E_SYS, "make token.key: no randomness");
	return file_write_atomic(dirfd, "token.key", 0600, key, TOKEN_KEY_LEN, e);
}

/* base64 with - and _ and no padding (RFC 4648, section 5). */
static int
encode(const void *data, size_t n, struct buf *out, struct err *e)
{
	size_t len = (n + 2) / 3 * 4;
	char *text = malloc(len + 1);

	if (text == NULL)
		return err_nomem(e);
	EVP_EncodeBlock((unsigned char *)text, data, (int)n);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '=') {
			len = i;
			break;
		}
		text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	}
	buf_add(out, text, len);
	free(text);
	return 0;
}

/* Exactly what encode makes; false for anything else. */
static bool
decode(const char *text, size_t n, struct buf *out)
{
	uint32_t bits = 0;
	int have = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		int v = c >= 'A' && c <= 'Z' ? c - 'A'
		    : c >= 'a' && c <= 'z'   ? c - 'a' + 26
		    : c >= '0' && c <= '9'   ? c - '0' + 52
		    : c == '-'               ? 62
		    : c == '_'               ? 63
					     : -1;
		char byte;

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			byte = (char)(bits >> have);
			buf_add(out, &byte, 1);
			bits &= (1u << have) - 1;
		}
	}
	return bits == 0 && have < 6 && !out->failed;
}

static int
mac(const uint8_t key[static TOKEN_KEY_LEN], const void *data, size_t n, uint8_t out[static MAC_LEN],
    struct err *e)
{
	unsigned len = MAC_LEN;

	if (HMAC(EVP_sha256(), key, TOKEN_KEY_LEN, data, n, out, &len) == NULL)
		return err_set(e, E_SYS, "sign a token: libcrypto refused");
	return 0;
}

int
token_print(const struct token *t, const uint8_t key[static TOKEN_KEY_LEN], struct buf *out, struct err *e)
{
	json_t *scopes = json_array(), *payload;
	uint8_t sum[MAC_LEN];
	char *text;
	int rc;

	for (size_t i = 0; i < t->n; i++)
		json_array_append_new(
		    scopes, json_pack("[s, i]", t->scopes[i].repo, (int)t->scopes[i].rights));
	payload = json_pack("{s:s, s:I, s:o}", "sub", t->user, "exp", (json_int_t)t->expires, "acc", scopes);
	text = payload == NULL ? NULL : json_dumps(payload, JSON_COMPACT);
	json_decref(payload);
	if (text == NULL)
		return err_nomem(e);
	rc = mac(key, text, strlen(text), sum, e);
	if (rc == 0)
		rc = encode(text, strlen(text), out, e);
	buf_str(out, ".");
	if (rc == 0)
		rc = encode(sum, sizeof(sum), out, e);
	free(text);
	return rc < 0 ? rc : buf_check(out, "token", e);
}

static bool
read_payload(const json_t *payload, struct token *t)
{
	const char *user;
	json_int_t expires;
	json_t *scopes, *entry;
	size_t i;

	if (json_unpack(
		(json_t *)payload, "{s:s, s:I, s:o}", "sub", &user, "exp", &expires, "acc", &scopes) != 0)
		return false;
	if (!json_is_array(scopes) || json_array_size(scopes) > TOKEN_SCOPES)
		return false;
	snprintf(t->user, sizeof(t->user), "%s", user);
	t->expires = expires;
	json_array_foreach(scopes, i, entry)
	{
		const char *repo;
		int rights;

		if (json_unpack(entry, "[s, i]", &repo, &rights) != 0)
			return false;
		snprintf(t->scopes[i].repo, sizeof(t->scopes[i].repo), "%s", repo);
		t->scopes[i].rights = (unsigned)rights;
	}
	t->n = json_array_size(scopes);
	return true;
}

int
token_parse(
    const char *text, const uint8_t key[static TOKEN_KEY_LEN], int64_t now, struct token *t, struct err *e)
{
	AUTO_FINI(buf) struct buf payload = BUF_INIT(TOKEN_MAX), sum = BUF_INIT(MAC_LEN);
	size_t len = strnlen(text, TOKEN_MAX + 1);
	const char *dot = memchr(text, '.', len);
	uint8_t expected[MAC_LEN];
	json_t *json = NULL;
	bool fine;
	int rc;

	memset(t, 0, sizeof(*t));
	if (dot == NULL || len > TOKEN_MAX || !decode(text, (size_t)(dot - text), &payload) ||
	    !decode(dot + 1, len - (size_t)(dot - text) - 1, &sum) || sum.len != MAC_LEN)
		return err_set(e, E_PERM, "the token is not one of this registry");
	rc = mac(key, payload.data, payload.len, expected, e);
	if (rc < 0)
		return rc;
	if (CRYPTO_memcmp(expected, sum.data, MAC_LEN) != 0)
		return err_set(e, E_PERM, "the token is not one of this registry");
	rc = img_json_parse(buf_cstr(&payload), payload.len, TOKEN_MAX, "token", &json, e);
	if (rc < 0)
		return rc;
	fine = read_payload(json, t);
	json_decref(json);
	if (!fine)
		return err_set(e, E_PERM, "the token is not one of this registry");
	return t->expires > now ? 0 : err_set(e, E_PERM, "the token is over");
}

static void
add_scope(struct token *t, const char *repo, size_t n, unsigned rights)
{
	struct scope *s = &t->scopes[t->n];

	if (n > REPO_NAME_MAX || t->n == TOKEN_SCOPES || rights == 0)
		return;
	memcpy(s->repo, repo, n);
	s->repo[n] = '\0';
	s->rights = rights;
	t->n += repo_name_is_valid(s->repo);
}

void
token_add_scope(struct token *t, const char *text, size_t len)
{
	static const char prefix[] = "repository:";
	size_t n = sizeof(prefix) - 1;
	const char *colon = NULL;
	unsigned rights;

	if (len <= n || memcmp(text, prefix, n) != 0)
		return;
	for (size_t i = n; i < len; i++) {
		if (text[i] == ':')
			colon = text + i;
	}
	if (colon == NULL ||
	    rights_parse(colon + 1, len - (size_t)(colon + 1 - text), true, &rights, NULL) < 0)
		return;
	add_scope(t, text + n, (size_t)(colon - text) - n, rights);
}

unsigned
token_rights(const struct token *t, const char *repo)
{
	unsigned rights = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->scopes[i].repo, repo) == 0)
			rights |= t->scopes[i].rights;
	}
	return rights;
}
