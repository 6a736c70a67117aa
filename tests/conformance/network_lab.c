/* The laboratory (network_lab.h). Links and routes of its own are made with ip(8): another program than the one tested. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "network_lab.h"

#define ANSWER_MS 1000 /* who has not answered until then does not */

bool
lab_fail(struct lab *t, const char *file, int line, const char *what)
{
	printf("# %s:%d: not so: %s\n", file, line, what);
	if (t->e.code != E_OK)
		printf("#   last error: %s%s%s\n", t->e.msg, t->e.hint[0] ? " -- " : "", t->e.hint);
	return false;
}

/* ---- processes and namespaces ------------------------------------------------------- */

static bool
enter(pid_t ns)
{
	char path[48];
	int fd, rc;

	if (ns == 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	rc = fd < 0 ? -1 : setns(fd, CLONE_NEWNET);
	if (fd >= 0)
		close(fd);
	return rc == 0;
}

/* A child that dies with us. */
static pid_t
child(void)
{
	pid_t me = getpid(), pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != me)
			_exit(1);
	}
	return pid;
}

pid_t
lab_namespace(void)
{
	int ready[2];
	char c;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid = child();
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		lab_kill(&pid);
	close(ready[0]);
	return pid;
}

void
lab_kill(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

bool
lab_sh(pid_t ns, const char *fmt, ...)
{
	char cmd[4096];
	va_list ap;
	pid_t pid;
	int status;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	pid = child();
	if (pid == 0) {
		if (!enter(ns))
			_exit(126);
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

void
lab_read(pid_t ns, char out[static 256], const char *fmt, ...)
{
	char cmd[4096];
	int p[2];
	va_list ap;
	pid_t pid;
	size_t n = 0;
	ssize_t k;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	out[0] = '\0';
	if (pipe2(p, O_CLOEXEC) < 0)
		return;
	pid = child();
	if (pid == 0) {
		if (!enter(ns) || dup2(p[1], 1) < 0)
			_exit(126);
		execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	while (n < 255 && (k = read(p[0], out + n, 255 - n)) > 0)
		n += (size_t)k;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	close(p[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* ---- services ------------------------------------------------------------------------- */

static void
text_of(const struct sockaddr_in6 *a, char out[static 64])
{
	if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr))
		inet_ntop(AF_INET, a->sin6_addr.s6_addr + 12, out, 64);
	else
		inet_ntop(AF_INET6, &a->sin6_addr, out, 64);
}

static int
listen_on(int type, const char *addr, uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0), zero = 0, one = 1;

	if (fd < 0 || inet_pton(AF_INET6, addr, &a.sin6_addr) != 1 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0))
		_exit(1);
	return fd;
}

static _Noreturn void
serve(int tcp, int udp)
{
	for (;;) {
		struct pollfd p[2] = { { tcp, POLLIN, 0 }, { udp, POLLIN, 0 } };
		struct sockaddr_in6 from;
		socklen_t len = sizeof(from);
		char text[64], in[64];

		if (poll(p, 2, -1) < 0)
			_exit(1);
		if (p[0].revents) {
			int fd = accept4(tcp, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);

			text_of(&from, text);
			if (fd >= 0 && write(fd, text, strlen(text)) < 0)
				_exit(1);
			close(fd);
		}
		len = sizeof(from);
		if (p[1].revents && recvfrom(udp, in, sizeof(in), 0, (struct sockaddr *)&from, &len) >= 0) {
			text_of(&from, text);
			sendto(udp, text, strlen(text), 0, (struct sockaddr *)&from, len);
		}
	}
}

pid_t
lab_serve(pid_t ns, uint16_t port)
{
	return lab_serve_on(ns, "::", port);
}

pid_t
lab_serve_on(pid_t ns, const char *addr, uint16_t port)
{
	int ready[2], tcp, udp;
	char c;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid = child();
	if (pid == 0) {
		if (!enter(ns))
			_exit(1);
		tcp = listen_on(SOCK_STREAM, addr, port);
		udp = listen_on(SOCK_DGRAM, addr, port);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		serve(tcp, udp);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		lab_kill(&pid);
	close(ready[0]);
	return pid;
}

static socklen_t
address(const char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)out;
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons(port);
		return sizeof(*a4);
	}
	a6->sin6_family = AF_INET6;
	a6->sin6_port = htons(port);
	return inet_pton(AF_INET6, text, &a6->sin6_addr) == 1 ? sizeof(*a6) : 0;
}

static void
ask(const char *from, enum port_proto proto, const char *addr, uint16_t port, int out)
{
	struct timeval wait = { .tv_usec = ANSWER_MS * 1000 % 1000000, .tv_sec = ANSWER_MS / 1000 };
	struct sockaddr_storage to, own;
	socklen_t len = address(addr, port, &to), own_len;
	int fd = socket(to.ss_family, (proto == PORT_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	char text[64];
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (from != NULL) {
		own_len = address(from, 0, &own);
		if (bind(fd, (struct sockaddr *)&own, own_len) < 0)
			_exit(1);
	}
	if (connect(fd, (struct sockaddr *)&to, len) < 0 || (proto == PORT_UDP && send(fd, "?", 1, 0) < 0))
		_exit(1);
	n = recv(fd, text, sizeof(text), 0);
	_exit(n > 0 && write(out, text, (size_t)n) == n ? 0 : 1);
}

void
lab_ask_from(
    pid_t ns, const char *from, enum port_proto proto, const char *addr, uint16_t port, char seen[static 64])
{
	int p[2];
	ssize_t n;
	pid_t pid;

	seen[0] = '\0';
	if (pipe2(p, O_CLOEXEC) < 0)
		return;
	pid = child();
	if (pid == 0) {
		if (!enter(ns))
			_exit(1);
		ask(from, proto, addr, port, p[1]);
	}
	close(p[1]);
	n = read(p[0], seen, 63);
	seen[n > 0 ? n : 0] = '\0';
	close(p[0]);
	waitpid(pid, NULL, 0);
}

void
lab_ask(pid_t ns, enum port_proto proto, const char *addr, uint16_t port, char seen[static 64])
{
	lab_ask_from(ns, NULL, proto, addr, port, seen);
}

/* ---- what is left ------------------------------------------------------------------------ */

bool
lab_gone(const char *ifname)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool gone = false;
	char in[16384];

	/* Listening first, so that no event between the look and the wait is missed. */
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return false;
	while (!(gone = if_nametoindex(ifname) == 0)) {
		struct pollfd p = { fd, POLLIN, 0 };

		if (poll(&p, 1, 10000) <= 0 || recv(fd, in, sizeof(in), 0) < 0)
			break;
	}
	close(fd);
	return gone;
}

bool
lab_no_pots(struct lab *t)
{
	struct if_nameindex *all = if_nameindex();
	char line[256];
	bool fine = true;

	for (struct if_nameindex *i = all; i != NULL && i->if_name != NULL; i++)
		if (strncmp(i->if_name, "pv", 2) == 0 && !lab_gone(i->if_name)) {
			printf("# the link %s is left\n", i->if_name);
			fine = false;
		}
	if_freenameindex(all);
	for (const char *const *set = (const char *const[]){ "inet:port4", "inet:port4a", "inet:port6",
		 "inet:port6a", "inet:open6", "bridge:source4", "bridge:source6", "bridge:target6", NULL };
	     *set != NULL; set++) {
		lab_read(0, line,
		    "nft list set %.*s pot-%s %s 2>/dev/null | grep elements || nft list map %.*s pot-%s %s "
		    "2>/dev/null | grep elements",
		    (int)strcspn(*set, ":"), *set, t->par.id, strchr(*set, ':') + 1, (int)strcspn(*set, ":"),
		    *set, t->par.id, strchr(*set, ':') + 1);
		if (line[0] != '\0') {
			printf("# %s has %s\n", *set, line);
			fine = false;
		}
	}
	return fine;
}

/* ---- the installation ---------------------------------------------------------------------- */

static void
on_event(void *arg, const struct pot_event *ev)
{
	struct lab *t = arg;

	t->warnings += ev->kind == POT_EV_WARN;
}

bool
lab_install(struct lab *t, bool isolate)
{
	snprintf(t->dir, sizeof(t->dir), "/tmp/pot-network-XXXXXX");
	OK(mkdtemp(t->dir) != NULL);
	t->par =
	    (struct net_params){ .root = t->dir, .id = "c0ffee01", .cidr4 = "", .cidr6 = "", .routed6 = "" };
	t->par.isolate = isolate;
	t->par.events = (struct pot_events){ on_event, t };
	t->par.root_fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->warnings = 0;
	DO(net_open(&t->n, &t->par, &t->e));
	DO(net_init(t->n, &t->e));
	return true;
}

bool
lab_uninstall(struct lab *t)
{
	char line[256];
	bool fine = true;

	for (unsigned i = 0; i < LAB_POTS; i++) {
		if (t->pots[i].id[0] != '\0' && t->n != NULL)
			fine = lab_down(t, i) && fine;
		memset(&t->pots[i], 0, sizeof(t->pots[i]));
	}
	if (t->n != NULL && net_fini(t->n, &t->e) < 0)
		fine = lab_fail(t, __FILE__, __LINE__, "net_fini");
	net_close(t->n);
	t->n = NULL;
	lab_read(0, line, "nft list tables; ip -o link | grep -E ' p[bv]'; ls -A %s", t->dir);
	if (line[0] != '\0') {
		printf("# left: %s\n", line);
		fine = false;
	}
	close(t->par.root_fd);
	return rmdir(t->dir) == 0 && fine;
}

bool
lab_init(struct lab *t, const char *dir)
{
	OK(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0);
	OK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	t->lan = lab_namespace();
	OK(t->lan > 0);
	OK(lab_sh(0,
	    "ip link set lo up && ip link add lan0 type veth peer name lan1 && ip link set lan1 netns %d && "
	    "ip addr add " LAN_HOST4 "/24 dev lan0 && ip addr add " LAN_HOST6 "/64 dev lan0 nodad && "
	    "ip link set lan0 up",
	    (int)t->lan));
	OK(lab_sh(t->lan,
	    "ip link set lo up && ip addr add " LAN_PEER4 "/24 dev lan1 && "
	    "ip addr add " LAN_PEER6 "/64 dev lan1 nodad && ip link set lan1 up"));
	OK(lab_sh(0, "ip route add default via " LAN_PEER4 " && ip -6 route add default via " LAN_PEER6));
	t->lan_service = lab_serve(t->lan, 7);
	OK(t->lan_service > 0);
	return true;
}

void
lab_fini(struct lab *t)
{
	lab_kill(&t->lan_service);
	lab_kill(&t->lan);
}

/* ---- pots ------------------------------------------------------------------------------------ */

bool
lab_pot(struct lab *t, unsigned i, const char *bridge, enum ip_stack stack)
{
	struct lab_pot *p = &t->pots[i];

	if (p->id[0] == '\0') {
		snprintf(p->id, sizeof(p->id), "%016x", 0xabc000 + i);
		snprintf(p->name, sizeof(p->name), "pot%u", i);
		p->spec =
		    (struct net_spec){ .id = p->id, .pot = p->name, .type = NET_BRIDGE, .stack = stack };
		p->spec.ports = p->ports;
	}
	if (p->pid == 0)
		p->pid = lab_namespace();
	OK(p->pid > 0);
	if (bridge != NULL)
		DO(net_lease(t->n, p->id, p->name, bridge, stack, NULL, NULL,
		    &p->spec.leases[p->spec.nleases++], &t->e));
	return true;
}

bool
lab_publish(struct lab *t, unsigned i, const char *port)
{
	struct lab_pot *p = &t->pots[i];

	DO(port_parse(port, p->ports, &p->spec.nports, &t->e));
	for (size_t k = 0; k < p->spec.nports; k++)
		DO(net_port_reserve(t->n, p->id, p->name, &p->ports[k], &t->e));
	return true;
}

bool
lab_up(struct lab *t, unsigned i, uint16_t service)
{
	struct lab_pot *p = &t->pots[i];

	DO(net_up(t->n, &p->spec, p->pid, NULL, &t->e));
	if (service != 0) {
		p->service = lab_serve(p->pid, service);
		OK(p->service > 0);
	}
	return true;
}

/* The pot's end, and of its leases too. */
bool
lab_down(struct lab *t, unsigned i)
{
	struct lab_pot *p = &t->pots[i];
	bool fine = true;

	if (p->id[0] == '\0')
		return true;
	lab_kill(&p->service);
	lab_kill(&p->pid);
	if (net_down(t->n, &p->spec, &t->e) < 0)
		fine = lab_fail(t, __FILE__, __LINE__, "net_down");
	if (net_release(t->n, p->id, &t->e) < 0)
		fine = lab_fail(t, __FILE__, __LINE__, "net_release");
	p->id[0] = '\0';
	return fine;
}

void
lab_addr(const struct lab *t, unsigned i, int family, char out[static IP_TEXT])
{
	const struct net_lease *l = &t->pots[i].spec.leases[0];

	ip_print(family == 4 ? &l->a4 : &l->a6, out);
}
