/*
 * The few functions of a C library that pot-shim needs: memory (the compiler
 * calls these by itself), numbers, the clock.  Small rather than fast.
 */
#include "shim/linux/shim.h"

void *
memcpy(void *to, const void *from, size_t n)
{
	char *d = to;
	const char *s = from;

	while (n-- > 0)
		*d++ = *s++;
	return to;
}

void *
memmove(void *to, const void *from, size_t n)
{
	char *d = to;
	const char *s = from;

	if (d <= s)
		return memcpy(to, from, n);
	while (n-- > 0)
		d[n] = s[n];
	return to;
}

void *
memset(void *to, int c, size_t n)
{
	char *d = to;

	while (n-- > 0)
		*d++ = (char)c;
	return to;
}

void *
memchr(const void *p, int c, size_t n)
{
	const char *s = p;

	for (; n-- > 0; s++) {
		if (*s == (char)c)
			return (void *)s;
	}
	return NULL;
}

size_t
text_len(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
}

bool
text_is(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

bool
text_number(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		unsigned digit = (unsigned)(*s - '0');

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = v;
	return true;
}

size_t
text_digits(char *out, uint64_t v, unsigned width)
{
	char tmp[20];
	size_t n = 0;

	do {
		tmp[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0 || n < width);
	for (size_t i = 0; i < n; i++)
		out[i] = tmp[n - 1 - i];
	return n;
}

int64_t
now_ns(void)
{
	int64_t ts[2];

	raw(__NR_clock_gettime, 0 /* CLOCK_REALTIME */, ts);
	return ts[0] * 1000000000 + ts[1];
}
