/* Range, Content-Range and If-None-Match. Numbers that overflow are no numbers. */
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "registry/range.h"

/* Decimal digits up to INT64_MAX; returns what follows them, or NULL. */
static const char *
number(const char *s, uint64_t *out)
{
	uint64_t v = 0;

	if (*s < '0' || *s > '9')
		return NULL;
	for (; *s >= '0' && *s <= '9'; s++) {
		if (v > (INT64_MAX - 9) / 10)
			return NULL;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*out = v;
	return s;
}

static enum range_result
suffix(const char *s, uint64_t size, uint64_t *first, uint64_t *length)
{
	uint64_t n;

	s = number(s, &n);
	if (s == NULL || *s != '\0')
		return RANGE_WHOLE;
	if (n == 0 || size == 0)
		return RANGE_UNSATISFIABLE;
	*length = n < size ? n : size;
	*first = size - *length;
	return RANGE_PART;
}

enum range_result
range_parse(const char *header, uint64_t size, uint64_t *first, uint64_t *length)
{
	uint64_t last = size == 0 ? 0 : size - 1, given;
	const char *s;

	if (header == NULL || strncasecmp(header, "bytes=", 6) != 0 || strchr(header, ',') != NULL)
		return RANGE_WHOLE;
	s = header + 6;
	if (*s == '-')
		return suffix(s + 1, size, first, length);
	s = number(s, first);
	if (s == NULL || *s++ != '-')
		return RANGE_WHOLE;
	if (*s != '\0') {
		s = number(s, &given);
		if (s == NULL || *s != '\0')
			return RANGE_WHOLE;
		/* RFC 9110 lets such a range be ignored; the distribution-spec wants it refused. */
		if (given < *first)
			return RANGE_UNSATISFIABLE;
		if (given < last)
			last = given;
	}
	if (*first >= size)
		return RANGE_UNSATISFIABLE;
	*length = last - *first + 1;
	return RANGE_PART;
}

bool
chunk_range_parse(const char *header, uint64_t *first, uint64_t *last)
{
	const char *s = number(header, first);

	if (s == NULL || *s != '-')
		return false;
	s = number(s + 1, last);
	return s != NULL && *s == '\0' && *last >= *first;
}

bool
etag_matches(const char *header, const char *etag)
{
	size_t n = strlen(etag);

	if (header == NULL)
		return false;
	for (const char *s = header;;) {
		s += strspn(s, " \t,");
		if (*s == '\0')
			return false;
		if (*s == '*')
			return true;
		if (strncmp(s, "W/", 2) == 0)
			s += 2;
		if (strncmp(s, etag, n) == 0 && (s[n] == '\0' || strchr(" \t,", s[n]) != NULL))
			return true;
		s += strcspn(s, ",");
	}
}
