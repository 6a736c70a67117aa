/* A bridge brought up before any pot is on it. */
#include "network/linux/os.h"

int
net_bridge_up(struct net *n, const char *name, struct err *e)
{
	struct os_bridge b = { .index = 0 };
	struct net_os *os;
	int rc = net_ready(n, e);

	if (rc == 0)
		rc = net_bridge_read(n, name, &b.rec, e);
	if (rc == 0)
		rc = os_get(n, &os, e);
	return rc < 0 ? rc : os_ensure(n, os, &b, 1, e);
}
