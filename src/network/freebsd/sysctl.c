/*
 * Settings of the host that pots cannot do without: forwarding, and pf turned on. What they were
 * is recorded before they are changed and restored when the network goes, unless
 * somebody else has changed them since.
 *
 *   ROOT/net/sysctl   boot=ID, and lines set=OLD NEW NAME; pf itself under the name "pf"
 */
#include <sys/types.h>
#include <sys/sysctl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "network/freebsd/os.h"

#define RECORD "sysctl"
#define RECORD_MAX 65536
#define NAME_SIZE 64
#define PF_NAME "pf"

long
os_sysctl_get(const char *name)
{
	long v = 0;
	size_t len = sizeof(v);

	/* int, bool and long alike: little end first on all that pot builds for. */
	return sysctlbyname(name, &v, &len, NULL, 0) == 0 ? v : -1;
}

static int
set(const char *name, long value, struct err *e)
{
	size_t len = 0;

	/* A byte or a word, from release to release. */
	if (sysctlbyname(name, NULL, &len, NULL, 0) == 0 && len <= sizeof(value) &&
	    sysctlbyname(name, NULL, NULL, &value, len) == 0)
		return 0;
	return err_sys(e, "cannot set %s to %ld", name, value);
}

/* ---- the record --------------------------------------------------------------------- */

static int
record_read(const struct net *n, struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	uint8_t id[HOST_BOOT_ID_LEN];
	char boot[2 * HOST_BOOT_ID_LEN + 1];
	struct err why = ERR_INIT;
	const char *of;
	int rc = host_boot_id(id, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < sizeof(id); i++)
		snprintf(boot + 2 * i, 3, "%02x", id[i]);
	rc = file_read(n->fd, RECORD, &b, &why);
	if (rc == 0)
		rc = kv_parse(kv, buf_cstr(&b), b.len, RECORD, &why);
	if (rc < 0 && rc != -E_NOENT) {
		if (e != NULL)
			*e = why;
		return rc;
	}
	/* From before the machine was started: history. */
	of = kv_get(kv, "boot");
	if (of == NULL || strcmp(of, boot) != 0) {
		kv_fini(kv);
		*kv = (struct kv)KV_INIT;
		return kv_set(kv, "boot", boot, e);
	}
	return 0;
}

/* The first value that we found stays the host's own. */
static int
remember(const struct net *n, const char *name, long was, long now, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	char line[NAME_SIZE + 48];
	const char *old;
	int rc = record_read(n, &kv, e);

	for (size_t pos = 0; rc == 0 && (old = kv_next(&kv, "set", &pos)) != NULL;) {
		const char *of = strrchr(old, ' ');

		if (of != NULL && strcmp(of + 1, name) == 0)
			return 0;
	}
	snprintf(line, sizeof(line), "%ld %ld %s", was, now, name);
	if (rc == 0)
		rc = kv_add(&kv, "set", line, e);
	if (rc < 0)
		return rc;
	kv_print(&kv, &b);
	rc = buf_check(&b, RECORD, e);
	return rc < 0 ? rc : file_write_atomic(n->fd, RECORD, 0600, b.data, b.len, e);
}

static int
forward(const struct net *n, const char *name, struct err *e)
{
	long was = os_sysctl_get(name);
	int rc;

	if (was == 1)
		return 0;
	if (was < 0)
		return err_set(e, E_NOTSUP, "the kernel has no %s", name);
	rc = remember(n, name, was, 1, e);
	fault_point("net.sysctl.recorded");
	return rc < 0 ? rc : set(name, 1, e);
}

int
os_forwarding(const struct net *n, bool ip4, bool ip6, struct err *e)
{
	int rc = ip4 ? forward(n, OS_FORWARD4, e) : 0;

	return rc == 0 && ip6 ? forward(n, OS_FORWARD6, e) : rc;
}

int
os_pf_on(const struct net *n, struct net_os *os, struct err *e)
{
	int rc = pf_enable(&os->pf, e);

	/* Written afterwards: who is killed between leaves pf on, and without rules of its own it lets all pass. */
	return rc > 0 ? remember(n, PF_NAME, 0, 1, e) : rc;
}

int
os_settings_restore(const struct net *n, struct net_os *os, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *line;
	int rc = record_read(n, &kv, e);

	for (size_t pos = 0; rc == 0 && (line = kv_next(&kv, "set", &pos)) != NULL;) {
		char name[NAME_SIZE];
		long old, ours;

		if (sscanf(line, "%ld %ld %63s", &old, &ours, name) != 3)
			return err_set(e, E_CORRUPT, "net/" RECORD ": '%s' is no setting", line);
		if (strcmp(name, PF_NAME) == 0)
			rc = pf_disable(&os->pf, e);
		else if (os_sysctl_get(name) == ours)
			rc = set(name, old, e);
	}
	return rc;
}
