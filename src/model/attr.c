/*
 * The table of attributes and the checking of their values. What an attribute
 * does is the engine's; where it is kept, potconf's.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/auto.h"
#include "base/text.h"
#include "model/attr.h"
#include "model/signame.h"

#define STRING_MAX 4096
#define STOP_TIMEOUT_MAX (24 * 60 * 60)
#define SYSV "new|inherit|disable"

/* clang-format off */
#define ROW(name, type, def, flags, choices, max, summary) \
	{ name, "pot.attr." name, type, def, flags, summary, choices, max }
#define BOOL(name, flags, summary) ROW(name, ATTR_BOOL, "NO", flags, NULL, 0, summary)

/* Pot attributes, then those that are parameters of a FreeBSD jail: jail(8). */
const struct attr attr_table[] = {
	BOOL("start-at-boot", 0, "started when the system comes up"),
	BOOL("early-start-at-boot", 0, "started before the services of the system"),
	BOOL("persistent", ATTR_LINUX | ATTR_FREEBSD, "the pot stays when its command has ended"),
	BOOL("no-rc-script", 0, "the command runs without the system's start-up scripts"),
	BOOL("prunable", ATTR_LINUX | ATTR_FREEBSD, "pot prune removes it once it has run"),
	BOOL("localhost-tunnel", 0, "exported ports are forwarded from the host's localhost"),
	ROW("no-tmpfs", ATTR_BOOL, "YES", ATTR_LINUX | ATTR_FREEBSD, NULL, 0, "NO: a tmpfs is mounted on /tmp"),
	BOOL("no-etc-hosts", ATTR_LINUX | ATTR_FREEBSD, "/etc/hosts is left as the root has it"),
	BOOL("to-be-pruned", ATTR_READONLY | ATTR_LINUX | ATTR_FREEBSD, "set when a prunable pot has started"),
	ROW("exec_stop", ATTR_STRING, "", ATTR_LINUX | ATTR_FREEBSD, NULL, 0,
	    "command run inside before the stop signal"),
	ROW("stop_timeout", ATTR_DURATION, "10", ATTR_LINUX | ATTR_FREEBSD, NULL, STOP_TIMEOUT_MAX,
	    "time from the stop signal to SIGKILL"),
	ROW("stop_signal", ATTR_SIGNAL, "TERM", ATTR_LINUX | ATTR_FREEBSD, NULL, 0,
	    "signal that asks the command to end"),
	ROW("no_new_privs", ATTR_BOOL, "YES", ATTR_LINUX, NULL, 0,
	    "NO: setuid programs inside may raise rights"),
	ROW("enforce_statfs", ATTR_UINT, "2", ATTR_FREEBSD, NULL, 2, "which mounts are seen inside"),
	BOOL("mount", ATTR_FREEBSD, "file systems may be mounted inside (allow.mount)"),
	BOOL("fdescfs", ATTR_FREEBSD, "fdescfs is mounted on /dev/fd"),
	BOOL("linprocfs", ATTR_FREEBSD, "linprocfs is mounted on /compat/linux/proc"),
	BOOL("nullfs", ATTR_FREEBSD, "nullfs may be mounted inside"),
	BOOL("procfs", ATTR_FREEBSD, "procfs is mounted on /proc"),
	BOOL("tmpfs", ATTR_FREEBSD, "tmpfs may be mounted inside"),
	BOOL("zfs", ATTR_FREEBSD, "ZFS datasets may be mounted inside"),
	ROW("zfs_dataset", ATTR_STRING, "", ATTR_FREEBSD, NULL, 0, "ZFS datasets that the pot manages"),
	BOOL("raw_sockets", ATTR_FREEBSD, "raw sockets may be made inside"),
	ROW("sysvshm", ATTR_STRING, "new", ATTR_FREEBSD, SYSV, 0, "System V shared memory"),
	ROW("sysvsem", ATTR_STRING, "new", ATTR_FREEBSD, SYSV, 0, "System V semaphores"),
	ROW("sysvmsg", ATTR_STRING, "new", ATTR_FREEBSD, SYSV, 0, "System V message queues"),
	ROW("children", ATTR_UINT, "0", ATTR_FREEBSD, NULL, 999999, "how many jails may be made inside"),
	BOOL("mlock", ATTR_FREEBSD, "memory may be locked inside"),
	ROW("chflags", ATTR_BOOL, "YES", ATTR_FREEBSD, NULL, 0, "file flags may be changed inside"),
	ROW("socket_af", ATTR_BOOL, "YES", ATTR_FREEBSD, NULL, 0, "sockets of any protocol may be made inside"),
	BOOL("set_hostname", ATTR_FREEBSD, "the host name may be changed inside"),
	ROW("securelevel", ATTR_STRING, "-1", ATTR_FREEBSD, "-1|0|1|2|3", 0, "the kernel's securelevel inside"),
	ROW("devfs_ruleset", ATTR_UINT, "4", ATTR_FREEBSD, NULL, 65535, "rules of the devfs on /dev"),
};
/* clang-format on */
const size_t attr_count = ARRAY_LEN(attr_table);

const struct attr *
attr_find(const char *name, struct err *e)
{
	const char *names[ARRAY_LEN(attr_table)], *near;

	for (size_t i = 0; i < attr_count; i++) {
		if (strcmp(attr_table[i].name, name) == 0)
			return &attr_table[i];
		names[i] = attr_table[i].name;
	}
	err_set(e, E_INVAL, "attribute '%.64s': there is no such attribute", name);
	near = text_nearest(name, names, attr_count);
	if (near != NULL)
		err_hint(e, "did you mean %s?", near);
	else
		err_hint(e, "pot-attributes(7) lists them");
	return NULL;
}

static char *
copy(const char *text, struct err *e)
{
	char *s = strdup(text);

	if (s == NULL)
		err_nomem(e);
	return s;
}

static char *
norm_bool(const struct attr *a, const char *value, struct err *e)
{
	static const struct {
		const char *text, *norm;
	} words[] = { { "yes", "YES" }, { "no", "NO" }, { "true", "YES" }, { "false", "NO" }, { "on", "YES" },
		{ "off", "NO" }, { "1", "YES" }, { "0", "NO" } };

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(value, words[i].text) == 0)
			return copy(words[i].norm, e);
	}
	err_set(e, E_INVAL, "attribute %s: '%.64s' is neither YES nor NO", a->name, value);
	return NULL;
}

static char *
norm_uint(const struct attr *a, const char *value, struct err *e)
{
	char what[64], text[24];
	uint64_t n;

	snprintf(what, sizeof(what), "attribute %s", a->name);
	if (text_uint(value, 0, a->max, &n, what, e) < 0)
		return NULL;
	snprintf(text, sizeof(text), "%" PRIu64, n);
	return copy(text, e);
}

/* Is value one of the words of "a|b|c"? */
static bool
is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value), n;

	for (const char *p = choices;; p += n + 1) {
		n = strcspn(p, "|");
		if (n == len && strncmp(p, value, n) == 0)
			return true;
		if (p[n] == '\0')
			return false;
	}
}

static char *
norm_string(const struct attr *a, const char *value, struct err *e)
{
	AUTO_FINI(strv) struct strv words = STRV_INIT(STRING_MAX);

	if (a->choices != NULL) {
		if (is_choice(a->choices, value))
			return copy(value, e);
		err_set(e, E_INVAL, "attribute %s: '%.64s' is not one of %s", a->name, value, a->choices);
		return NULL;
	}
	if (strnlen(value, STRING_MAX + 1) > STRING_MAX) {
		err_set(e, E_LIMIT, "attribute %s: longer than %d bytes", a->name, STRING_MAX);
		return NULL;
	}
	if (text_split(value, &words, e) < 0 || strv_check(&words, "the command", e) < 0) {
		err_wrap(e, "attribute %s", a->name);
		return NULL;
	}
	return copy(value, e);
}

static char *
norm_duration(const struct attr *a, const char *value, struct err *e)
{
	char what[64], text[32];
	int64_t ms;
	size_t len;

	snprintf(what, sizeof(what), "attribute %s", a->name);
	if (text_duration(value, &ms, what, e) < 0)
		return NULL;
	if (ms > (int64_t)a->max * 1000) {
		err_set(e, E_INVAL, "attribute %s: '%.64s' is more than %u seconds", a->name, value, a->max);
		return NULL;
	}
	snprintf(text, sizeof(text), "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
	len = strlen(text);
	while (text[len - 1] == '0')
		text[--len] = '\0';
	if (text[len - 1] == '.')
		text[--len] = '\0';
	return copy(text, e);
}

static char *
norm_signal(const struct attr *a, const char *value, struct err *e)
{
	char text[16];
	int sig = signame_parse(value, e);

	if (sig < 0) {
		err_wrap(e, "attribute %s", a->name);
		return NULL;
	}
	signame_print(sig, text);
	/* A number without a name (32 and 33 of Linux' C library) stays a number. */
	if (strncmp(text, "SIG", 3) != 0)
		snprintf(text, sizeof(text), "SIG%d", sig);
	return copy(text + 3, e);
}

char *
attr_normalize(const struct attr *a, const char *value, struct err *e)
{
	switch (a->type) {
	case ATTR_BOOL:
		return norm_bool(a, value, e);
	case ATTR_UINT:
		return norm_uint(a, value, e);
	case ATTR_STRING:
		return norm_string(a, value, e);
	case ATTR_DURATION:
		return norm_duration(a, value, e);
	case ATTR_SIGNAL:
		return norm_signal(a, value, e);
	}
	err_set(e, E_INVAL, "attribute %s: of no known type", a->name);
	return NULL;
}
