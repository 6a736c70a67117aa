/*
 * One record of a pot's log, as the shim writes it (shimproto.h). A crash or
 * a full disk can leave half a record, and a log may have been edited: what
 * does not have the exact shape is not a record, and the caller passes over it.
 */
#include <string.h>

#include "model/logline.h"
#include "model/shimproto.h"

#define NANO INT64_C(1000000000)

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits up to `end`; false when there is none, or when the value passes max. */
static bool
digits(const char **p, const char *end, int64_t max, int64_t *value)
{
	const char *start = *p;
	int64_t v = 0;

	for (; *p < end && is_digit(**p); (*p)++) {
		int d = **p - '0';

		if (v > (max - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*value = v;
	return *p > start;
}

bool
logline_parse(const char *record, size_t len, struct logline *l)
{
	const char *p = record, *end = record + len, *fraction;
	int64_t sec, nsec;

	if (!digits(&p, end, INT64_MAX / NANO - 1, &sec) || p == end || *p != '.')
		return false;
	fraction = ++p;
	if (!digits(&p, end, NANO - 1, &nsec) || p - fraction != 9)
		return false;
	if (end - p < 4 || p[0] != ' ' || (p[1] != 'o' && p[1] != 'e') || (p[2] != 'F' && p[2] != 'P') ||
	    p[3] != ' ')
		return false;
	l->time_ns = sec * NANO + nsec;
	l->stream = p[1];
	l->whole = p[2] == 'F';
	l->text = p + 4;
	l->len = (size_t)(end - l->text);
	return l->len <= SHIM_LOG_LINE && memchr(l->text, '\n', l->len) == NULL;
}
