/* See wire.h. */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/jail.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "network/freebsd/pf.h"
#include "network/freebsd/rules.h"
#include "wire.h"

#define HANG_MS 20000  /* what should answer is given this long */
#define SILENT_MS 1500 /* what should not */

static unsigned tests, failed; /* of the whole program: what TAP counts */

bool
ok(bool holds, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", holds ? "" : "not ", ++tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	puts("");
	fflush(stdout);
	failed += !holds;
	return holds;
}

bool
fine(int rc, const struct err *e, const char *what)
{
	if (!ok(rc >= 0, "%s", what))
		printf("# %s%s%s\n", e->msg, e->hint[0] != '\0' ? "; " : "", e->hint);
	return rc >= 0;
}

void
bail(const char *why)
{
	printf("Bail out! %s\n", why);
	exit(1);
}

/* ---- jails ------------------------------------------------------------------------------ */

/* The kernel lets nobody into a jail who holds an open directory: all but this fd and stdio are closed. */
bool
enter(int jid, int keep)
{
	if (jid <= 0)
		return true;
	if (keep > 3)
		(void)close_range(3, (unsigned)keep - 1, 0);
	(void)close_range((unsigned)keep + 1, ~0U, 0);
	return jail_attach(jid) == 0;
}

static void
param(struct iovec *v, size_t *n, const char *name, const void *value, size_t len)
{
	v[*n].iov_base = (void *)(uintptr_t)name;
	v[(*n)++].iov_len = strlen(name) + 1;
	v[*n].iov_base = (void *)(uintptr_t)value;
	v[(*n)++].iov_len = len;
}

/* A jail with a network of its own and one process, which waits to be killed. */
struct guest
guest_new(const char *name)
{
	struct iovec v[16];
	struct guest g = { -1, -1 };
	char errmsg[256] = "";
	int vnet = JAIL_SYS_NEW, ready[2];
	size_t n = 0;

	param(v, &n, "name", name, strlen(name) + 1);
	param(v, &n, "path", "/", 2);
	param(v, &n, "vnet", &vnet, sizeof(vnet));
	param(v, &n, "persist", NULL, 0);
	param(v, &n, "errmsg", errmsg, sizeof(errmsg));
	g.jid = jail_set(v, (unsigned)n, JAIL_CREATE);
	if (g.jid < 0) {
		printf("# jail_set: %s %s\n", strerror(errno), errmsg);
		bail("no jail with a network of its own");
	}
	if (pipe(ready) != 0 || (g.pid = fork()) < 0)
		bail("fork");
	if (g.pid == 0) {
		char c = 'y';

		if (!enter(g.jid, ready[1])) {
			printf("# jail_attach(%d): %s\n", g.jid, strerror(errno));
			fflush(stdout);
			c = 'n';
		}

		if (write(ready[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	char c = 'n';

	close(ready[1]);
	if (read(ready[0], &c, 1) != 1 || c != 'y')
		bail("jail_attach");
	close(ready[0]);
	return g;
}

void
guest_end(struct guest *g)
{
	if (g->pid > 0) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
	}
	if (g->jid > 0)
		jail_remove(g->jid);
	g->pid = g->jid = -1;
}

/* ---- TCP --------------------------------------------------------------------------------- */

static socklen_t
address(const char *text, uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in *a4 = (void *)ss;
	struct sockaddr_in6 *a6 = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, text, &a4->sin_addr) == 1) {
		a4->sin_len = sizeof(*a4);
		a4->sin_family = AF_INET;
		a4->sin_port = htons(port);
		return sizeof(*a4);
	}
	inet_pton(AF_INET6, text, &a6->sin6_addr);
	a6->sin6_len = sizeof(*a6);
	a6->sin6_family = AF_INET6;
	a6->sin6_port = htons(port);
	return sizeof(*a6);
}

/* Tells everybody who calls who he is. */
static void
answer_all(int fd)
{
	for (;;) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int c = accept(fd, (struct sockaddr *)&ss, &len);
		char text[INET6_ADDRSTRLEN] = "";

		if (c < 0)
			continue;
		inet_ntop(ss.ss_family,
		    ss.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)(void *)&ss)->sin_addr
					    : (void *)&((struct sockaddr_in6 *)(void *)&ss)->sin6_addr,
		    text, sizeof(text));
		(void)!write(c, text, strlen(text));
		close(c);
	}
}

static void
give_all(int fd, unsigned bytes)
{
	char *zeros = calloc(1, bytes);

	for (;;) {
		int c = accept(fd, NULL, NULL);

		for (unsigned n = 0; c >= 0 && zeros != NULL && n < bytes;) {
			ssize_t w = write(c, zeros, bytes - n);

			if (w <= 0)
				break;
			n += (unsigned)w;
		}
		close(c);
	}
}

pid_t
serve_bytes(int jid, const char *addr, uint16_t port, unsigned bytes)
{
	struct sockaddr_storage ss;
	socklen_t len = address(addr, port, &ss);
	int ready[2];
	char c = 'n';
	pid_t pid = -1;

	if (pipe(ready) != 0 || (pid = fork()) < 0)
		bail("fork");
	if (pid == 0) {
		int fd, on = 1;

		if (!enter(jid, ready[1]))
			_exit(1);
		fd = socket(ss.ss_family, SOCK_STREAM, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		c = bind(fd, (struct sockaddr *)&ss, len) == 0 && listen(fd, 8) == 0 ? 'y' : 'n';
		if (write(ready[1], &c, 1) != 1 || c == 'n')
			_exit(1);
		if (bytes > 0)
			give_all(fd, bytes);
		answer_all(fd);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1 || c != 'y')
		printf("# nobody can listen on %s port %u in jail %d\n", addr, port, jid);
	close(ready[0]);
	return pid;
}

pid_t
serve(int jid, const char *addr, uint16_t port)
{
	return serve_bytes(jid, addr, port, 0);
}

void
silence(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool
read_bytes(const char *addr, uint16_t port, unsigned bytes)
{
	struct sockaddr_storage ss;
	socklen_t len = address(addr, port, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);
	unsigned have = 0;

	if (fd < 0 || connect(fd, (struct sockaddr *)&ss, len) != 0)
		return false;
	while (have < bytes) {
		struct pollfd p = { fd, POLLIN, 0 };
		char some[4096];
		ssize_t n = poll(&p, 1, HANG_MS) == 1 ? read(fd, some, sizeof(some)) : -1;

		if (n <= 0)
			return false;
		have += (unsigned)n;
	}
	return true;
}

long
fetch(int jid, const char *addr, uint16_t port, unsigned bytes)
{
	int64_t began = text_monotonic_ms();
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter(jid, 0) && read_bytes(addr, port, bytes) ? 0 : 1);
	waitpid(pid, &status, 0);
	return status == 0 ? (long)(text_monotonic_ms() - began) : -1;
}

static void
call(const char *from, const char *addr, uint16_t port, int ms, int out)
{
	struct sockaddr_storage ss, own;
	socklen_t len = address(addr, port, &ss);
	char text[INET6_ADDRSTRLEN] = "";
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0), why = 0;
	socklen_t wlen = sizeof(why);
	struct pollfd p = { fd, POLLOUT, 0 };

	if (from != NULL) {
		socklen_t ownlen = address(from, 0, &own);

		if (bind(fd, (struct sockaddr *)&own, ownlen) != 0)
			_exit(4);
	}
	if (fd < 0 || (connect(fd, (struct sockaddr *)&ss, len) != 0 && errno != EINPROGRESS) ||
	    poll(&p, 1, ms) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &wlen) != 0 || why != 0)
		_exit(1);
	p.events = POLLIN;
	if (poll(&p, 1, ms) != 1 || read(fd, text, sizeof(text) - 1) <= 0)
		_exit(2);
	_exit(write(out, text, strlen(text)) > 0 ? 0 : 3);
}

/* As whom is one seen who calls from there, by an address of his or NULL any? "" : nobody answers. */
static const char *
called_from(int jid, const char *from, const char *addr, uint16_t port, int ms)
{
	static char text[INET6_ADDRSTRLEN];
	int out[2];
	pid_t pid = -1;
	ssize_t n;

	if (pipe(out) != 0 || (pid = fork()) < 0)
		bail("fork");
	if (pid == 0) {
		if (!enter(jid, out[1]))
			_exit(9);
		call(from, addr, port, ms, out[1]);
	}
	close(out[1]);
	n = read(out[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	close(out[0]);
	waitpid(pid, NULL, 0);
	return text;
}

void
answers(int jid, const char *addr, uint16_t port, const char *seen, const char *what)
{
	const char *got = called_from(jid, NULL, addr, port, HANG_MS);

	if (!ok(got[0] != '\0' && (seen == NULL || strcmp(got, seen) == 0), "%s", what))
		printf("# %s port %u: seen as '%s'%s%s\n", addr, port, got, seen != NULL ? ", not as " : "",
		    seen != NULL ? seen : "");
}

void
is_silent_from(int jid, const char *from, const char *addr, uint16_t port, const char *what)
{
	const char *got = called_from(jid, from, addr, port, SILENT_MS);

	ok(got[0] == '\0', "%s", what);
}

void
is_silent(int jid, const char *addr, uint16_t port, const char *what)
{
	is_silent_from(jid, NULL, addr, port, what);
}

/* ---- the outside --------------------------------------------------------------------------- */

struct guest outside;
struct link_sys links = LINK_SYS_INIT;

void
outside_make(void)
{
	struct net_plan_link l = { .inner = "eth0", .ip4 = true, .ip6 = true, .naddrs = 2 };
	struct ip_prefix p4, p6;
	char inner[NET_IFNAME];
	struct err e = ERR_INIT;

	outside = guest_new("pottest-outside");
	if (ip_prefix_parse(OUT_PEER4 "/24", &l.addrs[0], &e) < 0 ||
	    ip_prefix_parse(OUT_PEER6 "/64", &l.addrs[1], &e) < 0 ||
	    ip_prefix_parse(OUT_HOST4 "/24", &p4, &e) < 0 || ip_prefix_parse(OUT_HOST6 "/64", &p6, &e) < 0 ||
	    link_epair_make(&links, OUT_LINK, inner, &e) < 0 || link_ip6(&links, OUT_LINK, true, &e) < 0 ||
	    link_addr_add(&links, OUT_LINK, &p4, &e) < 0 || link_addr_add(&links, OUT_LINK, &p6, &e) < 0 ||
	    link_up(&links, OUT_LINK, &e) < 0 || link_move(&links, inner, outside.jid, &e) < 0 ||
	    link_inside(outside.jid, inner, &l, &e) < 0) {
		printf("# %s\n", e.msg);
		bail("no outside");
	}
}

/* The machine's main ruleset, options before and rules behind the lines that lead to pot's. */
void
pf_main(const char *options, const char *rules)
{
	FILE *f = popen("/sbin/pfctl -q -f -", "w");

	if (f == NULL || fprintf(f, "%s%s%s", options, RULES_HOOKS, rules) < 0 || pclose(f) != 0)
		bail("pfctl");
}

void
pf_prepare(void)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(1 << 20);
	struct pf pf = PF_INIT;
	struct err e = ERR_INIT;

	if (pf_enable(&pf, &e) < 0 || pf_main_rules(&text, &e) < 0) {
		printf("# %s\n", e.msg);
		bail("no pf");
	}
	if (text.len > 0)
		bail("pf has rules: they would be lost");
	pf_main("", "");
	pf_fini(&pf);
}

/* A machine that was booted by hand may have none on lo0. True: it had. */
bool
lo0_prepare(void)
{
	const struct ip_prefix local = { { 4, { 127, 0, 0, 1 } }, 8 };
	struct err e = ERR_INIT;
	bool had = link_addr_has("lo0", &local.addr, &e) == 1;

	if (link_addr_add(&links, "lo0", &local, &e) < 0 || link_up(&links, "lo0", &e) < 0)
		bail(e.msg);
	return had;
}

int
done(void)
{
	printf("1..%u\n", tests);
	return failed != 0;
}
