/*
 * Parameters in a command file: ${NAME} in its words. Words are cut before, so
 * that a value can never become another word or another option.
 */
#include <ctype.h>
#include <string.h>

#include "model/flavour.h"

/* The argument of this name, or NULL. */
static const char *
find_argument(const struct strv *args, const char *name, size_t len)
{
	for (size_t i = 0; args != NULL && i < args->n; i++) {
		if (strncmp(args->v[i], name, len) == 0 && args->v[i][len] == '=')
			return args->v[i] + len + 1;
	}
	return NULL;
}

/* Nothing that a line is split at, and nothing that quotes. */
static bool
is_plain(const char *value)
{
	for (const unsigned char *s = (const unsigned char *)value; *s != '\0'; s++) {
		if (!isalnum(*s) && *s < 0x80 && strchr("._:/@%+,=-~^", *s) == NULL)
			return false;
	}
	return true;
}

int
flavour_fill(const char *text, const struct strv *args, bool line, struct buf *out, struct err *e)
{
	const char *s = text, *dollar, *close, *value;

	for (; (dollar = strstr(s, "${")) != NULL; s = close + 1) {
		close = strchr(dollar, '}');
		if (close == NULL)
			break;
		value = find_argument(args, dollar + 2, (size_t)(close - dollar - 2));
		if (value == NULL) {
			/* It is the shell's, in the pot. */
			close = dollar + 1;
			buf_add(out, s, (size_t)(close + 1 - s));
			continue;
		}
		if (line && !is_plain(value)) {
			err_set(e, E_INVAL, "the value of '%.*s' cannot stand in a command line",
			    (int)(close - dollar - 2), dollar + 2);
			return err_hint(
			    e, "letters, digits and . _ : / @ %% + , = - ~ ^ can; set-env takes any");
		}
		buf_add(out, s, (size_t)(dollar - s));
		buf_str(out, value);
	}
	buf_str(out, s);
	return buf_check(out, "the line", e);
}
