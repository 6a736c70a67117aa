/* Counters of a pot's interfaces, as its own /proc/PID/net/dev tells them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "network/network.h"

#define DEV_MAX (256 * 1024)

/* "  eth0: BYTES PACKETS ERRS DROP FIFO FRAME COMPRESSED MULTICAST BYTES PACKETS ERRS …" (proc(5)). */
static bool
parse_line(char *line, struct net_stats *s)
{
	char *colon = strrchr(line, ':');

	if (colon == NULL)
		return false;
	*colon = '\0';
	line += strspn(line, " ");
	snprintf(s->ifname, sizeof(s->ifname), "%.*s", NET_IFNAME - 1, line);
	return sscanf(colon + 1,
		   "%" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &s->rx_bytes, &s->rx_packets, &s->rx_errors, &s->tx_bytes, &s->tx_packets,
		   &s->tx_errors) == 6;
}

int
net_stats(struct net *n, int32_t pid, net_stats_fn *fn, void *arg, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(DEV_MAX);
	AUTO(fd) int fd = -1;
	char path[48], *line, *next;
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/net/dev", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? err_set(e, E_NOENT, "process %d has ended", (int)pid)
				       : err_sys(e, "%s", path);
	rc = fd_read_all(fd, &b, e);
	for (line = b.data; rc == 0 && line != NULL && *line != '\0'; line = next) {
		struct net_stats s = { { 0 } };

		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		/* Two lines of headings have no colon followed by numbers. */
		if (parse_line(line, &s) && strcmp(s.ifname, "lo") != 0)
			rc = fn(arg, &s);
	}
	return rc;
}
