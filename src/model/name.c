/*
 * What pots, bases and snapshots may be called, and the host name made from a
 * pot's name. Names become parts of paths, dataset names, cgroup names and
 * log lines, so everything not expected is refused; nothing is looked up here.
 */
#include <stdio.h>
#include <string.h>

#include "model/name.h"

#define HOSTNAME_MAX 63 /* Linux keeps 64 bytes, a DNS label 63 */

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_name(const char *s, const char *also)
{
	size_t len = strnlen(s, POT_NAME_MAX + 1);

	if (len == 0 || len > POT_NAME_MAX || !is_alnum(s[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!is_alnum(s[i]) && strchr(also, s[i]) == NULL)
			return false;
	}
	return true;
}

static int
check(const char *name, const char *kind, const char *also, const char *also_text, struct err *e)
{
	if (name == NULL || name[0] == '\0') {
		err_set(e, E_INVAL, "%s name: it is empty", kind);
	} else if (!is_name(name, also)) {
		/* 80 bytes show what is wrong without flooding the terminal. */
		err_set(e, E_INVAL, "%s name '%.80s'%s: not a valid name", kind, name,
		    strnlen(name, 81) > 80 ? "…" : "");
	} else {
		return 0;
	}
	err_hint(
	    e, "use 1 to %d of A-Z a-z 0-9 %s, beginning with a letter or a digit", POT_NAME_MAX, also_text);
	return -E_INVAL;
}

int
name_check(const char *name, const char *kind, struct err *e)
{
	return check(name, kind, "_-", "_ and -", e);
}

int
name_check_base(const char *name, struct err *e)
{
	return check(name, "base", "_-.", "_ - and .", e);
}

int
name_check_tag(const char *tag, struct err *e)
{
	return check(tag, "snapshot", "_-.", "_ - and .", e);
}

bool
name_is_hostname(const char *s)
{
	size_t label = 0, total = 0;

	for (;; s++, total++) {
		if (total > 253)
			return false;
		if (*s == '.' || *s == '\0') {
			if (label == 0 || label > 63 || s[-1] == '-')
				return false;
			if (*s == '\0')
				return true;
			label = 0;
		} else if (is_alnum(*s) || (*s == '-' && label > 0)) {
			label++;
		} else {
			return false;
		}
	}
}

void
name_hostname(const char *pot, const char *host, char out[static 65])
{
	size_t len = strnlen(pot, HOSTNAME_MAX);

	/* A valid name has only '_' to lose; anything else is a classic pot's, read but never made. */
	for (size_t i = 0; i < len; i++)
		out[i] = is_alnum(pot[i]) ? pot[i] : '-';
	while (len > 0 && out[len - 1] == '-')
		len--;
	out[len] = '\0';
	if (len == 0 || out[0] == '-') {
		snprintf(out, 65, "pot");
		len = 3;
	}
	if (host != NULL && name_is_hostname(host) && len + 1 + strlen(host) <= HOSTNAME_MAX)
		snprintf(out + len, 65 - len, ".%s", host);
}
