/*
 * A running pot as FreeBSD names what it has of it, for `info` and `inspect`:
 * its jail and the jail's parameters, its devfs ruleset and rules of rctl(8).
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/jail.h>
#include <sys/rctl.h>
#include <sys/uio.h>
#include <stdio.h>
#include <string.h>

#define RULES_TEXT_MAX 8192

const bool iso_has_capabilities = false;

void
iso_words(bool own_net, bool userns, struct buf *out)
{
	buf_fmt(out, "jail%s", own_net ? " vnet" : "");
}

static bool
number_of(int jid, char *name, int *n)
{
	char key[] = "jid";
	struct iovec iov[4] = { { key, sizeof(key) }, { &jid, sizeof(jid) }, { name, strlen(name) + 1 },
		{ n, sizeof(*n) } };

	return jail_get(iov, 4, 0) >= 0;
}

static void
add_number(struct strv *v, int jid, const char *what, const char *param)
{
	char name[64];
	int n = 0;

	snprintf(name, sizeof(name), "%s", param);
	if (!number_of(jid, name, &n))
		return;
	strv_add(v, what);
	strv_fmt(v, "%d", n);
}

static void
add_text(struct strv *v, int jid, const char *what, const char *param)
{
	char key[] = "jid", name[64], text[MAXPATHLEN] = "";
	struct iovec iov[4] = { { key, sizeof(key) }, { &jid, sizeof(jid) }, { name, strlen(param) + 1 },
		{ text, sizeof(text) } };

	snprintf(name, sizeof(name), "%s", param);
	if (jail_get(iov, 4, 0) < 0)
		return;
	strv_add(v, what);
	strv_add(v, text);
}

/* "memoryuse:sigkill=33554432,maxproc:deny=100": without the subject, which is the jail in all of them. */
static void
add_rules(struct strv *v, const char *jail)
{
	AUTO_FINI(buf) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	char filter[JAIL_NAME_MAX + 8], text[RULES_TEXT_MAX], *save = NULL;
	size_t subject;

	subject = (size_t)snprintf(filter, sizeof(filter), "jail:%s:", jail);
	if (rctl_get_rules(filter, subject + 1, text, sizeof(text)) != 0 || text[0] == '\0')
		return;
	for (char *r = strtok_r(text, ",", &save); r != NULL; r = strtok_r(NULL, ",", &save))
		buf_fmt(&out, "%s%s", out.len > 0 ? "," : "", strlen(r) > subject ? r + subject : r);
	strv_add(v, "rctl");
	strv_add(v, buf_cstr(&out));
}

int
iso_facts(const struct iso_ref *ref, struct strv *v, struct err *e)
{
	const char *jail = jail_of(ref->cgroup);
	int jid = jail == NULL ? -E_NOENT : jail_find(jail, e);
	struct plan_record r;

	if (jid == -E_NOENT)
		return err_set(e, E_STATE, "the pot has ended");
	if (jid < 0)
		return jid;
	strv_add(v, "jail");
	strv_add(v, jail);
	strv_add(v, "jid");
	strv_fmt(v, "%d", jid);
	add_text(v, jid, "path", "path");
	add_text(v, jid, "osrelease", "osrelease");
	add_number(v, jid, "securelevel", "securelevel");
	add_number(v, jid, "enforce_statfs", "enforce_statfs");
	add_number(v, jid, "children.cur", "children.cur");
	add_number(v, jid, "children.max", "children.max");
	/* None: the attribute devfs_ruleset names the administrator's. */
	if (record_read(jail, &r, NULL) == 0 && r.ruleset != 0) {
		strv_add(v, "devfs ruleset");
		strv_fmt(v, "%u", r.ruleset);
	}
	add_rules(v, jail);
	return strv_check(v, "what the kernel has of the pot", e);
}
