/*
 * Settings below /proc/sys/net: forwarding, which pots cannot be reached
 * without, and those of our bridges. Values of the host's are recorded before they
 * are changed and restored when the network goes, unless somebody else has
 * changed them since.
 *
 * Turning IPv6 forwarding on makes a host deaf to router advertisements, and lose
 * the default route that came by one; interfaces that listened (accept_ra 1) are
 * told to go on listening (2).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/text.h"
#include "network/linux/os.h"

#define RECORD "sysctl"
#define RECORD_MAX 65536
#define PATH_SIZE 128
#define IPV4_FORWARD "ipv4/ip_forward"
#define IPV6_FORWARD "ipv6/conf/all/forwarding"

static int
open_at(const char *path, int flags)
{
	char full[PATH_SIZE];

	if ((size_t)snprintf(full, sizeof(full), "/proc/sys/net/%s", path) >= sizeof(full)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(full, flags | O_CLOEXEC);
}

long
os_sysctl_get(const char *path)
{
	AUTO(fd) int fd = open_at(path, O_RDONLY);
	char text[24];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

bool
os_hairpin(const struct net_spec *s)
{
	return s->nports > 0 &&
	    (os_sysctl_get("bridge/bridge-nf-call-iptables") == 1 ||
		os_sysctl_get("bridge/bridge-nf-call-ip6tables") == 1);
}

static int
set(const char *path, long value, struct err *e)
{
	AUTO(fd) int fd = open_at(path, O_WRONLY);
	char text[24];
	int n = snprintf(text, sizeof(text), "%ld", value);

	if (fd < 0 || write(fd, text, (size_t)n) != n)
		return err_sys(e, "cannot set /proc/sys/net/%s to %ld", path, value);
	return 0;
}

/* ---- the record: lines "set=OLD NEW PATH", and of which boot it is ------------------------------- */

static int
boot_text(char out[static 2 * HOST_BOOT_ID_LEN + 1], struct err *e)
{
	uint8_t id[HOST_BOOT_ID_LEN];
	int rc = host_boot_id(id, e);

	for (size_t i = 0; rc == 0 && i < sizeof(id); i++)
		snprintf(out + 2 * i, 3, "%02x", id[i]);
	return rc;
}

/* What was changed since the machine was started; before that it is history. */
static int
record_read(const struct net *n, struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	char boot[2 * HOST_BOOT_ID_LEN + 1];
	struct err why = ERR_INIT;
	const char *of;
	int rc = boot_text(boot, e);

	if (rc < 0)
		return rc;
	rc = file_read(n->fd, RECORD, &b, &why);
	if (rc == 0)
		rc = kv_parse(kv, buf_cstr(&b), b.len, RECORD, &why);
	if (rc < 0 && rc != -E_NOENT) {
		if (e != NULL)
			*e = why;
		return rc;
	}
	of = kv_get(kv, "boot");
	if (of == NULL || strcmp(of, boot) != 0) {
		kv_fini(kv);
		*kv = (struct kv)KV_INIT;
		return kv_set(kv, "boot", boot, e);
	}
	return 0;
}

static int
record_write(const struct net *n, const struct kv *kv, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	int rc;

	kv_print(kv, &b);
	rc = buf_check(&b, RECORD, e);
	return rc < 0 ? rc : file_write_atomic(n->fd, RECORD, 0600, b.data, b.len, e);
}

/* One setting to be made: remembered first. */
static int
remember(struct kv *kv, const char *path, long want, struct err *e)
{
	char line[PATH_SIZE + 48];
	long now = os_sysctl_get(path);
	const char *old;

	if (now < 0)
		return err_set(e, E_NOTSUP, "the kernel has no /proc/sys/net/%s", path);
	if (now == want)
		return 0;
	snprintf(line, sizeof(line), "%ld %ld %s", now, want, path);
	/* Changed by us before and by somebody back since: the first value is still the host's own. */
	for (size_t pos = 0; (old = kv_next(kv, "set", &pos)) != NULL;) {
		const char *name = strrchr(old, ' ');

		if (name != NULL && strcmp(name + 1, path) == 0)
			return 1;
	}
	return kv_add(kv, "set", line, e) < 0 ? -E_NOMEM : 1;
}

/* Interfaces that listen to routers: they shall go on. */
static int
remember_listeners(struct kv *kv, bool apply, struct err *e)
{
	AUTO(dir) DIR *d = opendir("/proc/sys/net/ipv6/conf");
	struct dirent *de;
	int changes = 0;

	while (d != NULL && (de = readdir(d)) != NULL) {
		char path[PATH_SIZE];
		int rc;

		if (de->d_name[0] == '.' || strcmp(de->d_name, "all") == 0 ||
		    strcmp(de->d_name, "default") == 0 || strcmp(de->d_name, "lo") == 0)
			continue;
		snprintf(path, sizeof(path), "ipv6/conf/%.32s/accept_ra", de->d_name);
		if (os_sysctl_get(path) != 1)
			continue;
		rc = apply ? set(path, 2, e) : remember(kv, path, 2, e);
		if (rc < 0)
			return rc;
		changes += rc;
	}
	return changes;
}

int
os_forwarding(const struct net *n, bool ip4, bool ip6, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	bool set4 = ip4 && os_sysctl_get(IPV4_FORWARD) == 0;
	bool set6 = ip6 && os_sysctl_get(IPV6_FORWARD) == 0;
	int rc;

	if (!set4 && !set6)
		return 0;
	rc = record_read(n, &kv, e);
	if (rc == 0 && set4)
		rc = remember(&kv, IPV4_FORWARD, 1, e);
	if (rc >= 0 && set6)
		rc = remember(&kv, IPV6_FORWARD, 1, e);
	if (rc >= 0 && set6)
		rc = remember_listeners(&kv, false, e);
	if (rc >= 0)
		rc = record_write(n, &kv, e);
	fault_point("net.sysctl.recorded");
	if (rc == 0 && set6)
		rc = remember_listeners(&kv, true, e);
	if (rc >= 0 && set6)
		rc = set(IPV6_FORWARD, 1, e);
	if (rc >= 0 && set4)
		rc = set(IPV4_FORWARD, 1, e);
	return rc < 0 ? rc : 0;
}

int
os_forwarding_restore(const struct net *n, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *line;
	int rc = record_read(n, &kv, e);

	for (size_t pos = 0; rc == 0 && (line = kv_next(&kv, "set", &pos)) != NULL;) {
		char path[PATH_SIZE];
		long old, ours;

		if (sscanf(line, "%ld %ld %127s", &old, &ours, path) != 3 || strstr(path, "..") != NULL)
			return err_set(e, E_CORRUPT, "net/" RECORD ": '%s' is no setting", line);
		/* An interface may be gone, and what somebody else has set meanwhile is his. */
		if (os_sysctl_get(path) == ours)
			rc = set(path, old, e);
	}
	return rc;
}

int
os_bridge_sysctls(const struct net_bridge_plan *p, struct err *e)
{
	char path[PATH_SIZE];
	int rc = 0;

	if (p->ip4) {
		/* So that ports published on 127.0.0.1 lead to pots. The rules keep such addresses off the bridge. */
		snprintf(path, sizeof(path), "ipv4/conf/%s/route_localnet", p->ifname);
		rc = set(path, 1, e);
	}
	snprintf(path, sizeof(path), "ipv6/conf/%s/accept_ra", p->ifname);
	if (rc == 0 && os_sysctl_get(path) > 0)
		rc = set(path, 0, e);
	snprintf(path, sizeof(path), "ipv6/conf/%s/disable_ipv6", p->ifname);
	if (rc == 0 && os_sysctl_get(path) >= 0 && os_sysctl_get(path) != !p->ip6)
		rc = set(path, !p->ip6, e);
	if (rc == 0 && p->ip6 && os_sysctl_get(path) < 0) {
		rc = err_set(e, E_NOTSUP, "the kernel has no IPv6");
		err_hint(e, "use the stack ipv4, or start the kernel without ipv6.disable=1");
	}
	return rc;
}
