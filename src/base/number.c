/* Numbers and sizes that people type and read. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

int
text_uint(const char *text, uint64_t lo, uint64_t hi, uint64_t *out, const char *what, struct err *e)
{
	const char *s = text;
	uint64_t n = 0;

	for (; *s >= '0' && *s <= '9'; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (n > (UINT64_MAX - digit) / 10)
			goto bad;
		n = n * 10 + digit;
	}
	if (s == text || *s != '\0' || n < lo || n > hi)
		goto bad;
	*out = n;
	return 0;
bad:
	return err_set(
	    e, E_INVAL, "%s: \"%s\" is not a number from %" PRIu64 " to %" PRIu64, what, text, lo, hi);
}

/* "k", "K", "kb", "KiB": the power of 1024; -1 when it is none. */
static int
size_unit(const char *unit)
{
	static const char letters[] = "bkmgt";
	char letter = (char)(*unit >= 'A' && *unit <= 'Z' ? *unit + ('a' - 'A') : *unit);
	const char *at;

	if (*unit == '\0')
		return 0;
	at = strchr(letters, letter);
	if (at == NULL)
		return -1;
	unit++;
	if (at != letters && *unit == 'i' && (unit[1] == 'B' || unit[1] == 'b'))
		unit++;
	if (at != letters && (*unit == 'B' || *unit == 'b'))
		unit++;
	return *unit == '\0' ? (int)(at - letters) : -1;
}

#define FRACTION_DIGITS 6 /* more of them are below what any unit here can tell */

int
text_size(const char *text, uint64_t *out, const char *what, struct err *e)
{
	uint64_t whole = 0, fraction = 0, scale = 1, unit;
	const char *s = text;
	int power, digits = 0;

	for (; *s >= '0' && *s <= '9'; s++) {
		if (whole > (INT64_MAX - 9) / 10)
			goto bad;
		whole = whole * 10 + (uint64_t)(*s - '0');
	}
	if (s == text)
		goto bad;
	if (*s == '.') {
		for (s++; *s >= '0' && *s <= '9'; s++, digits++) {
			if (digits < FRACTION_DIGITS) {
				fraction = fraction * 10 + (uint64_t)(*s - '0');
				scale *= 10;
			}
		}
		if (digits == 0)
			goto bad;
	}
	power = size_unit(s);
	if (power < 0 || (power == 0 && digits > 0))
		goto bad;
	unit = UINT64_C(1) << (10 * power);
	if (whole > (uint64_t)INT64_MAX / unit - 1)
		goto bad;
	*out = whole * unit + fraction * unit / scale;
	return 0;
bad:
	return err_set(e, E_INVAL, "%s: \"%s\" is not a size such as 512, 64m or 1.5G", what, text);
}

void
text_size_print(uint64_t size, char out[static TEXT_SIZE_LEN])
{
	static const char letters[] = "KMGTPE";
	uint64_t tenths, rest = 0;
	int i = -1;

	if (size < 1024) {
		snprintf(out, TEXT_SIZE_LEN, "%" PRIu64 "B", size);
		return;
	}
	for (; size >= 1024; i++) {
		rest = size % 1024;
		size /= 1024;
	}
	tenths = size * 10 + (rest * 10 + 512) / 1024;
	if (tenths >= 10240 && letters[i + 1] != '\0') {
		tenths = 10;
		i++;
	}
	snprintf(out, TEXT_SIZE_LEN, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10, letters[i]);
}
