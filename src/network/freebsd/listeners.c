/* Who has a port of the host: the kernel's list of sockets, then its list of open files. */
#include <sys/types.h>
#include <sys/param.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/socketvar.h>
#include <sys/sysctl.h>
#define _WANT_FILE
#include <sys/file.h>
#include <sys/user.h>
#include <netinet/in.h>
#include <netinet/in_pcb.h>
#include <netinet/tcp.h>
#include <netinet/tcp_fsm.h>
#include <netinet/tcp_var.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "network/net_impl.h"

#define LIST_MAX (256u * 1024 * 1024)

/* A list that sysctl(3) gives; NULL when it does not. It may have grown: some room is left. */
static char *
read_list(const char *name, size_t *len)
{
	AUTO_FREE char *p = NULL;

	if (sysctlbyname(name, NULL, len, NULL, 0) != 0 || *len > LIST_MAX)
		return NULL;
	*len += *len / 4 + 4096;
	p = malloc(*len);
	return p != NULL && sysctlbyname(name, p, len, NULL, 0) == 0 ? take_ptr(p) : NULL;
}

static bool
has_port(const struct xinpcb *in, const struct port_map *m)
{
	static const uint8_t any[16];
	bool six = (in->inp_vflag & INP_IPV6) != 0;
	const void *addr = six ? (const void *)&in->in6p_laddr : (const void *)&in->inp_laddr;
	size_t n = six ? 16 : 4;

	if (ntohs(in->inp_lport) != m->host)
		return false;
	return m->addr.family == 0 || memcmp(addr, any, n) == 0 ||
	    (m->addr.family == (six ? 6 : 4) && memcmp(addr, m->addr.b, n) == 0);
}

/* The kernel's name of the socket that has it; 0: none. */
static uint64_t
find_socket(const struct port_map *m)
{
	bool udp = m->proto == PORT_UDP;
	size_t len, at;
	AUTO_FREE char *list = read_list(udp ? "net.inet.udp.pcblist" : "net.inet.tcp.pcblist", &len);

	/* A header (struct xinpgen) stands before and behind the entries, each begins with its size. */
	for (at = sizeof(struct xinpgen); list != NULL && at + sizeof(ksize_t) <= len;) {
		const struct xinpcb *in = (const struct xinpcb *)(const void *)(list + at);
		const struct xtcpcb *tcp = (const struct xtcpcb *)(const void *)(list + at);
		size_t size = udp ? in->xi_len : tcp->xt_len;

		if (size < (udp ? sizeof(*in) : sizeof(*tcp)) || at + size > len)
			break;
		if (!udp)
			in = &tcp->xt_inp;
		if (has_port(in, m) && (udp || tcp->t_state == TCPS_LISTEN))
			return (uint64_t)in->xi_socket.xso_so;
		at += size;
	}
	return 0;
}

static pid_t
find_pid(uint64_t so)
{
	size_t len;
	AUTO_FREE char *list = read_list("kern.file", &len);

	for (size_t at = 0; list != NULL && at + sizeof(struct xfile) <= len; at += sizeof(struct xfile)) {
		const struct xfile *f = (const struct xfile *)(const void *)(list + at);

		if (f->xf_size != sizeof(*f))
			break;
		if ((uint64_t)f->xf_data == so)
			return f->xf_pid;
	}
	return 0;
}

bool
net_port_holder(const struct port_map *m, char out[static NET_HOLDER_TEXT])
{
	uint64_t so = find_socket(m);
	pid_t pid = so == 0 ? 0 : find_pid(so);
	int mib[] = { CTL_KERN, KERN_PROC, KERN_PROC_PID, pid };
	struct kinfo_proc p;
	size_t len = sizeof(p);
	char safe[64];

	if (pid == 0 || sysctl(mib, ARRAY_LEN(mib), &p, &len, NULL, 0) != 0 || len < sizeof(p))
		return false;
	text_escape_into(safe, sizeof(safe), p.ki_comm, strnlen(p.ki_comm, sizeof(p.ki_comm)));
	snprintf(out, NET_HOLDER_TEXT, "process %d (%s)", (int)pid, safe);
	return true;
}
