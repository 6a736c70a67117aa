/* Values out of a profile's JSON (reader.h). What they mean is profile.c's matter. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "seccomp/linux/reader.h"

size_t
read_enter(struct reader *r, const char *key)
{
	size_t len = strlen(r->place);

	snprintf(r->place + len, sizeof(r->place) - len, "%s%s", len > 0 ? "." : "", key);
	return len;
}

size_t
read_enter_index(struct reader *r, size_t i)
{
	size_t len = strlen(r->place);

	snprintf(r->place + len, sizeof(r->place) - len, "[%zu]", i);
	return len;
}

int
read_wrong(struct reader *r, enum err_code code, const char *fmt, ...)
{
	AUTO_FINI(buf) struct buf why = BUF_INIT(512);
	AUTO_FINI(buf) struct buf safe = BUF_INIT(512);
	va_list ap;

	va_start(ap, fmt);
	buf_vfmt(&why, fmt, ap);
	va_end(ap);
	text_escape(buf_cstr(&why), why.len, &safe);
	return err_set(
	    r->e, code, "%s: %s%s%s", r->what, r->place, r->place[0] != '\0' ? ": " : "", buf_cstr(&safe));
}

/* Is it one of the words, with a blank between? */
static bool
is_listed(const char *word, const char *words)
{
	size_t len = strlen(word), n;

	for (const char *p = words; *p != '\0'; p += n + strspn(p + n, " ")) {
		n = strcspn(p, " ");
		if (n == len && memcmp(p, word, n) == 0)
			return true;
	}
	return false;
}

int
read_keys(struct reader *r, const json_t *object, const char *known)
{
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return read_wrong(r, E_INVAL, "is not an object");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (!is_listed(key, known))
			return read_wrong(r, E_INVAL, "\"%.64s\" is no key of it (%s)", key, known);
	}
	return 0;
}

int
read_string(struct reader *r, const json_t *object, const char *key, const char **out)
{
	json_t *j = json_object_get(object, key);
	size_t back = read_enter(r, key);

	*out = NULL;
	if (j != NULL && !json_is_null(j)) {
		if (!json_is_string(j) || strlen(json_string_value(j)) != json_string_length(j))
			return read_wrong(r, E_INVAL, "is not a string");
		if (json_string_length(j) > 0)
			*out = json_string_value(j);
	}
	r->place[back] = '\0';
	return 0;
}

int
read_number(struct reader *r, const json_t *object, const char *key, uint64_t max, uint64_t *out)
{
	json_t *j = json_object_get(object, key);
	size_t back = read_enter(r, key);

	if (j == NULL || json_is_null(j)) {
		r->place[back] = '\0';
		return 0;
	}
	if (!json_is_integer(j) || json_integer_value(j) < 0 || (uint64_t)json_integer_value(j) > max)
		return read_wrong(r, E_INVAL, "is not a number from 0 to %llu", (unsigned long long)max);
	*out = (uint64_t)json_integer_value(j);
	r->place[back] = '\0';
	return 1;
}

int
read_list(struct reader *r, const json_t *object, const char *key, json_t **out)
{
	json_t *j = json_object_get(object, key), *item;
	size_t back = read_enter(r, key), i;

	*out = NULL;
	if (j != NULL && !json_is_null(j)) {
		if (!json_is_array(j))
			return read_wrong(r, E_INVAL, "is not a list");
		json_array_foreach(j, i, item)
		{
			if (json_is_string(item) && json_string_length(item) > 0 &&
			    strlen(json_string_value(item)) == json_string_length(item))
				continue;
			read_enter_index(r, i);
			return read_wrong(r, E_INVAL, "is not a word");
		}
		*out = j;
	}
	r->place[back] = '\0';
	return 0;
}
