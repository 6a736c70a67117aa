/*
 * Base64, as RFC 4648 section 4 has it: with padding, without blanks or line
 * ends. Nothing is kept here.
 */
#include <stdint.h>
#include <string.h>

#include "base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(const void *data, size_t n, struct buf *out)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t bits = 0;
		char text[] = "====";

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < have ? p[i + k] : 0);
		for (size_t k = 0; k <= have; k++)
			text[k] = digits[bits >> (18 - 6 * k) & 63];
		buf_add(out, text, 4);
	}
}

static int
digit_of(char c)
{
	const char *p = c != '\0' ? strchr(digits, c) : NULL;

	return p != NULL ? (int)(p - digits) : -1;
}

ssize_t
base64_decode(const char *s, size_t n, void *out, size_t size)
{
	unsigned char *p = out;
	size_t len = 0, pad = 0;

	if (n % 4 != 0)
		return -1;
	if (n > 0 && s[n - 1] == '=')
		pad = s[n - 2] == '=' ? 2 : 1;
	for (size_t i = 0; i < n; i += 4) {
		size_t bytes = i + 4 == n ? 3 - pad : 3;
		uint32_t word = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k > bytes ? 0 : digit_of(s[i + k]);

			if (d < 0)
				return -1;
			word = word << 6 | (uint32_t)d;
		}
		if (len + bytes > size || (bytes < 3 && (word & ((1u << (24 - 8 * bytes)) - 1)) != 0))
			return -1;
		for (size_t k = 0; k < bytes; k++)
			p[len++] = (unsigned char)(word >> (16 - 8 * k));
	}
	return (ssize_t)len;
}
