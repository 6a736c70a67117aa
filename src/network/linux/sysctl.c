/*
 * Settings below /proc/sys/net: forwarding, which pots cannot be reached
 * without, and those of our bridges. What the host's own were is recorded (settings.h).
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
#include "network/linux/os.h"
#include "network/settings.h"

#define PATH_SIZE NET_SETTING_NAME
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

/* One setting to be made: remembered first. */
static int
remember(struct kv *kv, const char *path, long want, struct err *e)
{
	long now = os_sysctl_get(path);
	int rc;

	if (now < 0)
		return err_set(e, E_NOTSUP, "the kernel has no /proc/sys/net/%s", path);
	if (now == want)
		return 0;
	rc = net_settings_note(kv, path, now, want, e);
	return rc < 0 ? rc : 1;
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
	rc = net_settings_read(n, &kv, e);
	if (rc == 0 && set4)
		rc = remember(&kv, IPV4_FORWARD, 1, e);
	if (rc >= 0 && set6)
		rc = remember(&kv, IPV6_FORWARD, 1, e);
	if (rc >= 0 && set6)
		rc = remember_listeners(&kv, false, e);
	if (rc >= 0)
		rc = net_settings_write(n, &kv, e);
	fault_point("net.sysctl.recorded");
	if (rc == 0 && set6)
		rc = remember_listeners(&kv, true, e);
	if (rc >= 0 && set6)
		rc = set(IPV6_FORWARD, 1, e);
	if (rc >= 0 && set4)
		rc = set(IPV4_FORWARD, 1, e);
	return rc < 0 ? rc : 0;
}

static int
restore(void *arg, const char *path, long was, long ours, struct err *e)
{
	(void)arg;
	if (strstr(path, "..") != NULL)
		return err_set(e, E_CORRUPT, "net/sysctl: '%s' is no setting", path);
	/* An interface may be gone, and what somebody else has set meanwhile is his. */
	return os_sysctl_get(path) == ours ? set(path, was, e) : 0;
}

int
os_forwarding_restore(const struct net *n, struct err *e)
{
	return net_settings_each(n, restore, NULL, e);
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
