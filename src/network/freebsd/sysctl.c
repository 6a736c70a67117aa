/* Settings of the host that pots cannot do without: forwarding, and pf turned on (settings.h: name "pf"). */
#include <sys/types.h>
#include <sys/sysctl.h>
#include <string.h>

#include "base/fault.h"
#include "network/freebsd/os.h"
#include "network/settings.h"

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

static int
remember(const struct net *n, const char *name, long was, long now, struct err *e)
{
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	int rc = net_settings_read(n, &kv, e);

	if (rc == 0)
		rc = net_settings_note(&kv, name, was, now, e);
	return rc < 0 ? rc : net_settings_write(n, &kv, e);
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

static int
restore(void *arg, const char *name, long was, long ours, struct err *e)
{
	struct net_os *os = arg;

	if (strcmp(name, PF_NAME) == 0)
		return pf_disable(&os->pf, e);
	return os_sysctl_get(name) == ours ? set(name, was, e) : 0;
}

int
os_settings_restore(const struct net *n, struct net_os *os, struct err *e)
{
	return net_settings_each(n, restore, os, e);
}
