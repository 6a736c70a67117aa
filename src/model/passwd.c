/*
 * Looking users up in the passwd and group text of an untrusted root. Nothing
 * is read or changed here; the text is hostile. A line that is not exactly as
 * passwd(5) and group(5) say is passed over, as if it were not there: so a
 * trick with a number can make a user unknown, never another one.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/passwd.h"

#define ID_MAX UINT64_C(4294967294) /* (uid_t)-1 means "leave it" to setresuid and chown */
#define PASSWD_LINE 1024
#define GROUP_LINE 65536 /* member lists grow long */
#define PASSWD_FIELDS 7
#define GROUP_FIELDS 4

/* A piece of the text. */
struct span {
	const char *s;
	size_t len;
};

struct user_line {
	struct span name, home, shell;
	uid_t uid;
	gid_t gid;
};

struct group_line {
	struct span name, members;
	gid_t gid;
};

static bool
span_is(struct span f, const char *s)
{
	return strlen(s) == f.len && memcmp(f.s, s, f.len) == 0;
}

/* Decimal digits only, no leading zeros ("010" is 8 to some readers), 0..ID_MAX. */
static bool
span_id(struct span f, uint32_t *id)
{
	uint64_t n = 0;

	if (f.len == 0 || f.len > 10 || (f.len > 1 && f.s[0] == '0'))
		return false;
	for (size_t i = 0; i < f.len; i++) {
		if (f.s[i] < '0' || f.s[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(f.s[i] - '0');
	}
	if (n > ID_MAX)
		return false;
	*id = (uint32_t)n;
	return true;
}

/* Names are compared, never interpreted; only those that could be confused with syntax are refused. */
static bool
is_name(struct span f)
{
	return f.len > 0 && f.len < sizeof(((struct passwd_user *)0)->name) && f.s[0] != '+' &&
	    f.s[0] != '-' && memchr(f.s, ' ', f.len) == NULL;
}

/* Cuts the next line of at most max bytes without control characters into exactly n fields. */
static bool
next_line(const char **text, size_t max, struct span *fields, size_t n)
{
	while (**text != '\0') {
		const char *line = *text;
		size_t len = strcspn(line, "\n"), used = 0;
		bool good = len <= max;

		*text = line + len + (line[len] == '\n');
		fields[0].s = line;
		for (size_t i = 0; good && i <= len; i++) {
			if (i == len || line[i] == ':') {
				fields[used].len = (size_t)(line + i - fields[used].s);
				if (++used < n)
					fields[used].s = line + i + 1;
				else
					good = i == len;
			} else if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
				good = false;
			}
		}
		if (good && used == n)
			return true;
	}
	return false;
}

static bool
next_user(const char **text, struct user_line *u)
{
	struct span f[PASSWD_FIELDS];

	while (next_line(text, PASSWD_LINE, f, PASSWD_FIELDS)) {
		if (!is_name(f[0]) || !span_id(f[2], &u->uid) || !span_id(f[3], &u->gid))
			continue;
		u->name = f[0];
		u->home = f[5];
		u->shell = f[6];
		return true;
	}
	return false;
}

static bool
next_group(const char **text, struct group_line *g)
{
	struct span f[GROUP_FIELDS];

	while (next_line(text, GROUP_LINE, f, GROUP_FIELDS)) {
		if (!is_name(f[0]) || !span_id(f[2], &g->gid))
			continue;
		g->name = f[0];
		g->members = f[3];
		return true;
	}
	return false;
}

static bool
is_member(struct span members, const char *name)
{
	const char *p = members.s, *end = p + members.len;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		struct span one = { p, (size_t)((comma != NULL ? comma : end) - p) };

		if (span_is(one, name))
			return true;
		p += one.len + 1;
	}
	return false;
}

static bool
is_number(struct span f)
{
	return f.len > 0 && strspn(f.s, "0123456789") >= f.len;
}

/* An absolute path that fits is copied, anything else leaves the default. */
static void
copy_path(struct span f, char *out, size_t size, const char *def)
{
	bool good = f.len > 0 && f.len < size && f.s[0] == '/';

	snprintf(out, size, "%.*s", good ? (int)f.len : (int)strlen(def), good ? f.s : def);
}

/* Finds by uid, or by name when name is not NULL. The first line wins, as with getpwnam. */
static bool
find_user(const char *passwd, const char *name, uid_t uid, struct passwd_user *u)
{
	struct user_line l;

	while (next_user(&passwd, &l)) {
		if (name != NULL ? !span_is(l.name, name) : l.uid != uid)
			continue;
		u->uid = l.uid;
		u->gid = l.gid;
		snprintf(u->name, sizeof(u->name), "%.*s", (int)l.name.len, l.name.s);
		copy_path(l.home, u->home, sizeof(u->home), "/");
		copy_path(l.shell, u->shell, sizeof(u->shell), "");
		return true;
	}
	return false;
}

static int
too_large(const char *kind, struct span f, struct err *e)
{
	return err_set(e, E_INVAL, "%s %.*s: a number from 0 to %llu without leading zeros is wanted", kind,
	    f.len < 32 ? (int)f.len : 32, f.s, (unsigned long long)ID_MAX);
}

static int
set_user(const char *passwd, struct span f, struct passwd_user *u, struct err *e)
{
	char name[sizeof(u->name)];

	if (is_number(f)) {
		if (!span_id(f, &u->uid))
			return too_large("user", f, e);
		if (!find_user(passwd, NULL, u->uid, u))
			u->gid = 0;
		return 0;
	}
	if (!is_name(f))
		return err_set(e, E_INVAL, "user '%.*s': not a user's name or number",
		    f.len < 64 ? (int)f.len : 64, f.s);
	snprintf(name, sizeof(name), "%.*s", (int)f.len, f.s);
	if (!find_user(passwd, name, 0, u)) {
		(void)err_set(e, E_NOENT, "user '%s': not in the pot's /etc/passwd", name);
		(void)err_hint(e, "name one that is there, or give numbers: UID[:GID]");
		return -E_NOENT;
	}
	return 0;
}

static int
set_group(const char *group, struct span f, struct passwd_user *u, struct err *e)
{
	struct group_line l;

	if (is_number(f))
		return span_id(f, &u->gid) ? 0 : too_large("group", f, e);
	if (!is_name(f))
		return err_set(e, E_INVAL, "group '%.*s': not a group's name or number",
		    f.len < 64 ? (int)f.len : 64, f.s);
	while (next_group(&group, &l)) {
		if (l.name.len == f.len && memcmp(l.name.s, f.s, f.len) == 0) {
			u->gid = l.gid;
			return 0;
		}
	}
	(void)err_set(e, E_NOENT, "group '%.*s': not in the pot's /etc/group", (int)f.len, f.s);
	(void)err_hint(e, "name one that is there, or give a number");
	return -E_NOENT;
}

/* Adds the groups that list the user. A number without a name is in none. */
static int
add_groups(const char *group, struct passwd_user *u, struct err *e)
{
	struct group_line l;
	size_t i;

	while (u->name[0] != '\0' && next_group(&group, &l)) {
		if (!is_member(l.members, u->name))
			continue;
		for (i = 0; i < u->ngroups && u->groups[i] != l.gid; i++)
			;
		if (i < u->ngroups)
			continue;
		if (u->ngroups == PASSWD_GROUPS_MAX) {
			err_set(e, E_LIMIT, "user '%s': in more than %d groups of the pot's /etc/group",
			    u->name, PASSWD_GROUPS_MAX);
			err_hint(e, "name the group to use: USER:GROUP");
			return -E_LIMIT;
		}
		u->groups[u->ngroups++] = l.gid;
	}
	return 0;
}

int
passwd_lookup(const char *passwd, const char *group, const char *spec, struct passwd_user *out, struct err *e)
{
	struct passwd_user u = { .home = "/" };
	bool as_root = spec == NULL || spec[0] == '\0';
	struct span user, grp = { NULL, 0 };
	const char *colon;
	int r;

	if (as_root)
		spec = "0";
	colon = strchr(spec, ':');
	user.s = spec;
	user.len = colon != NULL ? (size_t)(colon - spec) : strlen(spec);
	if (colon != NULL) {
		grp.s = colon + 1;
		grp.len = strlen(colon + 1);
	}
	if (user.len == 0 || (colon != NULL && (grp.len == 0 || strchr(grp.s, ':') != NULL))) {
		err_set(e, E_INVAL, "user '%.64s': not of the form USER or USER:GROUP", spec);
		err_hint(e, "names or numbers of the pot's own users, e.g. www, 1000 or www:www");
		return -E_INVAL;
	}
	r = set_user(passwd != NULL ? passwd : "", user, &u, e);
	if (r == 0 && as_root)
		u.gid = 0;
	if (r == 0 && colon != NULL)
		r = set_group(group != NULL ? group : "", grp, &u, e);
	if (r < 0)
		return r;
	u.groups[u.ngroups++] = u.gid;
	if (colon == NULL && (r = add_groups(group != NULL ? group : "", &u, e)) < 0)
		return r;
	*out = u;
	return 0;
}

const char *
passwd_name(const char *passwd, uid_t uid, char out[static 64])
{
	struct user_line l;

	while (next_user(&passwd, &l)) {
		if (l.uid == uid) {
			snprintf(out, 64, "%.*s", (int)l.name.len, l.name.s);
			return out;
		}
	}
	return NULL;
}
