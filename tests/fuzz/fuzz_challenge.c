/* What registries answer: challenges, tokens, signatures with their statements, URLs. First byte: which. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/auth.h"
#include "image/http.h"
#include "image/sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
read_signature(const char *text, size_t len)
{
	struct sign_signature s;
	struct sign_statement st;
	struct sign_public p;
	const char *message;
	bool locked;

	(void)!signify_public_parse(text, len, &p, NULL);
	(void)!signify_secret_is_locked(text, len, &locked, NULL);
	(void)!sign_statement_parse(text, len, &st, NULL);
	if (signify_signature_parse(text, len, &s, &message, NULL) == 0 &&
	    (message < text || message > text + len))
		abort();
}

static void
read_token(const char *text, size_t len)
{
	AUTO_FINI(buf) struct buf token = BUF_INIT(AUTH_TOKEN_MAX);
	int64_t ms;

	if (auth_parse_token(text, len, &token, &ms, NULL) == 0 &&
	    (token.len == 0 || ms <= 0 || strpbrk(buf_cstr(&token), "\r\n ") != NULL))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = malloc(size + 1);
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX);
	struct auth_challenge c;

	if (text == NULL || size == 0)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	if (data[0] == 's')
		read_signature(text, size - 1);
	else if (data[0] == 't')
		read_token(text, size - 1);
	else if (data[0] == 'u' && url_join("https://registry.example.org/v2/", text, &url, NULL) == 0 &&
	    strncmp(buf_cstr(&url), "http", 4) != 0)
		abort();
	else if (auth_parse(text, &c, NULL) == 0 && c.kind == AUTH_NONE)
		abort();
	return 0;
}
