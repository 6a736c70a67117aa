/* Points in time and spans of it, as people type and read them, and the two clocks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define NS_PER_S INT64_C(1000000000)
#define S_PER_DAY 86400
#define NS_PER_MS INT64_C(1000000)

int64_t
text_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t
text_monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / NS_PER_MS;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits up to nine significant ones as billionths; false when there is none. */
static bool
read_fraction(const char **s, int64_t *billionths)
{
	int64_t place = NS_PER_S / 10;

	*billionths = 0;
	if (!is_digit(**s))
		return false;
	for (; is_digit(**s); (*s)++, place /= 10)
		*billionths += (**s - '0') * place;
	return true;
}

static int64_t
duration_unit(const char **s)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t len = strlen(units[i].name);

		if (strncmp(*s, units[i].name, len) == 0) {
			*s += len;
			return units[i].ms;
		}
	}
	return 0;
}

#define DURATION_MAX (INT64_MAX / NS_PER_MS) /* 292 years: fits in ns as well */

/* One number with its unit; a missing unit is seconds, and only at the end of the text. */
static bool
duration_part(const char **s, bool first, int64_t *ms)
{
	int64_t whole = 0, billionths = 0, unit;

	if (!is_digit(**s))
		return false;
	for (; is_digit(**s); (*s)++) {
		whole = whole * 10 + (**s - '0');
		if (whole > DURATION_MAX)
			return false;
	}
	if (**s == '.') {
		(*s)++;
		if (!read_fraction(s, &billionths))
			return false;
	}
	unit = duration_unit(s);
	if (unit == 0 && !(first && **s == '\0'))
		return false;
	if (unit == 0)
		unit = 1000;
	if (whole > (DURATION_MAX - *ms) / unit - 1)
		return false;
	*ms += whole * unit + billionths * unit / NS_PER_S;
	return true;
}

int
text_duration(const char *text, int64_t *ms, const char *what, struct err *e)
{
	const char *s = text;
	int64_t sum = 0;

	do {
		if (!duration_part(&s, s == text, &sum))
			return err_set(e, E_INVAL, "%s: \"%s\" is not a time span such as 10, 1.5m or 2h30m",
			    what, text);
	} while (*s != '\0');
	*ms = sum;
	return 0;
}

/* Days from 1970-01-01 in the Gregorian calendar, counted from a March so that leap days come last. */
static int64_t
days_from_date(int64_t year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = y / 400, year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static bool
read_digits(const char **s, int count, int lo, int hi, int *out)
{
	int n = 0;

	for (int i = 0; i < count; i++, (*s)++) {
		if (!is_digit(**s))
			return false;
		n = n * 10 + (**s - '0');
	}
	*out = n;
	return n >= lo && n <= hi;
}

static bool
read_char(const char **s, const char *any)
{
	if (**s == '\0' || strchr(any, **s) == NULL)
		return false;
	(*s)++;
	return true;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* "Z", "+hh:mm" or "-hh:mm" to seconds east of UTC. */
static bool
read_zone(const char **s, int *seconds)
{
	int sign, h, m;

	*seconds = 0;
	if (read_char(s, "Zz"))
		return true;
	sign = **s == '-' ? -1 : 1;
	if (!read_char(s, "+-") || !read_digits(s, 2, 0, 23, &h) || !read_char(s, ":") ||
	    !read_digits(s, 2, 0, 59, &m))
		return false;
	*seconds = sign * (h * 3600 + m * 60);
	return true;
}

static bool
combine(int64_t seconds, int64_t ns, int64_t *out)
{
	if (seconds > INT64_MAX / NS_PER_S - 1 || seconds < INT64_MIN / NS_PER_S + 1)
		return false;
	*out = seconds * NS_PER_S + ns;
	return true;
}

/* RFC 3339, section 5.6; the date alone is midnight UTC. */
static bool
read_rfc3339(const char *s, int64_t *ns)
{
	int year, month, day, h = 0, m = 0, sec = 0, zone = 0;
	int64_t fraction = 0;

	if (!read_digits(&s, 4, 1, 9999, &year) || !read_char(&s, "-") ||
	    !read_digits(&s, 2, 1, 12, &month) || !read_char(&s, "-") ||
	    !read_digits(&s, 2, 1, days_in_month(year, month), &day))
		return false;
	if (*s != '\0') {
		if (!read_char(&s, "Tt ") || !read_digits(&s, 2, 0, 23, &h) || !read_char(&s, ":") ||
		    !read_digits(&s, 2, 0, 59, &m) || !read_char(&s, ":") || !read_digits(&s, 2, 0, 60, &sec))
			return false;
		if (read_char(&s, ".") && !read_fraction(&s, &fraction))
			return false;
		if (!read_zone(&s, &zone) || *s != '\0')
			return false;
	}
	return combine(
	    days_from_date(year, month, day) * S_PER_DAY + h * 3600 + m * 60 + sec - zone, fraction, ns);
}

static bool
read_epoch(const char *s, int64_t *ns)
{
	int64_t seconds = 0, fraction = 0;

	if (!is_digit(*s))
		return false;
	for (; is_digit(*s); s++) {
		if (seconds > INT64_MAX / NS_PER_S)
			return false;
		seconds = seconds * 10 + (*s - '0');
	}
	if (read_char(&s, ".") && !read_fraction(&s, &fraction))
		return false;
	return *s == '\0' && combine(seconds, fraction, ns);
}

int
text_time(const char *text, int64_t *ns, const char *what, struct err *e)
{
	int64_t ms;

	if (*text == '@' ? read_epoch(text + 1, ns) : read_rfc3339(text, ns))
		return 0;
	if (*text != '@' && text_duration(text, &ms, what, NULL) == 0) {
		*ns = text_now_ns() - ms * NS_PER_MS;
		return 0;
	}
	return err_set(e, E_INVAL,
	    "%s: \"%s\" is not a time such as 2026-11-22T20:52:27Z, @1795380747 or 10m (ago)", what, text);
}

void
text_time_print(int64_t ns, bool fraction, char out[static TEXT_TIME_LEN])
{
	int64_t seconds = ns / NS_PER_S, rest = ns % NS_PER_S;
	size_t len;
	struct tm tm;
	time_t t;

	if (rest < 0) {
		rest += NS_PER_S;
		seconds--;
	}
	t = (time_t)seconds;
	gmtime_r(&t, &tm);
	len = strftime(out, TEXT_TIME_LEN, "%Y-%m-%dT%H:%M:%S", &tm);
	if (fraction)
		snprintf(out + len, TEXT_TIME_LEN - len, ".%09" PRId64 "Z", rest);
	else
		snprintf(out + len, TEXT_TIME_LEN - len, "Z");
}

void
text_age_print(int64_t ns, char out[static TEXT_AGE_LEN])
{
	int64_t s = ns > 0 ? ns / NS_PER_S : 0;

	if (s < 60)
		snprintf(out, TEXT_AGE_LEN, "%" PRId64 "s", s);
	else if (s < 3600)
		snprintf(out, TEXT_AGE_LEN, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
	else if (s < S_PER_DAY)
		snprintf(out, TEXT_AGE_LEN, "%" PRId64 "h%" PRId64 "m", s / 3600, s % 3600 / 60);
	else
		snprintf(out, TEXT_AGE_LEN, "%" PRId64 "d%" PRId64 "h", s / S_PER_DAY, s % S_PER_DAY / 3600);
}
