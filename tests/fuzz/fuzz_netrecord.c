/*
 * The network's records: the claim of an address or a port, a pot's index, a
 * bridge. All three readers see the input; what they take is what may be
 * written, and a bridge's record reads back the same.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/name.h"
#include "network/bridge.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define ID "0123456789abcdef"

static char place[] = "/tmp/pot-fuzz-XXXXXX";

static void
leave(void)
{
	if (tree_remove(AT_FDCWD, place, NULL) < 0)
		abort();
}

/* A directory for all inputs of the process. */
static int
directory(void)
{
	static int fd = -1;

	if (fd < 0) {
		if (mkdtemp(place) == NULL || atexit(leave) != 0)
			abort();
		fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || mkdirat(fd, "bridges", 0700) < 0 || mkdirat(fd, "pots", 0700) < 0)
			abort();
	}
	return fd;
}

static void
put(int dir, const char *name, const uint8_t *data, size_t size)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

static void
check_claim(int dir)
{
	struct net_claim c;
	struct err e = ERR_INIT;

	if (net_claim_read(dir, "claim", &c, &e) == 0) {
		if (net_pot_id_check(c.id, NULL) < 0 || memchr(c.pot, 0, sizeof(c.pot)) == NULL)
			abort();
	} else if (e.msg[0] == '\0' || strpbrk(e.msg, "\n\x1b") != NULL) {
		abort();
	}
}

static void
check_index(const struct net *n)
{
	AUTO_FINI(strv) struct strv lines = STRV_INIT(4096);

	if (net_index_read(n, ID, &lines, NULL) < 0)
		return;
	for (size_t i = 0; i < lines.n; i++) {
		if (lines.v[i][0] == '\0' || strchr(lines.v[i], '\n') != NULL)
			abort();
	}
}

static void
check_bridge(const struct net *n)
{
	struct net_bridge b, again;
	struct err e = ERR_INIT;

	if (net_bridge_read(n, "b", &b, &e) < 0) {
		if (e.msg[0] == '\0' || strpbrk(e.msg, "\n\x1b") != NULL)
			abort();
		return;
	}
	if (net_bridge_write(n, &b, 7, &e) < 0 || net_bridge_read(n, "b", &again, &e) < 0 ||
	    !net_prefix_equal(&b.net4, &again.net4) || !net_prefix_equal(&b.net6, &again.net6) ||
	    b.nat6 != again.nat6)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct net n = { .fd = directory(), .root_fd = -1 };

	snprintf(n.node, sizeof(n.node), "01234567");
	put(n.fd, "claim", data, size);
	put(n.fd, "pots/" ID, data, size);
	put(n.fd, "bridges/b", data, size);
	check_claim(n.fd);
	check_index(&n);
	check_bridge(&n);
	return 0;
}
