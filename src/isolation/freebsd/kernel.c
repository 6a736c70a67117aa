/*
 * The operations of a plan, as FreeBSD's kernel does them (struct kern), and
 * what every start and end of a pot makes of them.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/cpuset.h>
#include <sys/ioctl.h>
#include <sys/proc.h>
#include <sys/rctl.h>
#include <sys/socket.h>
#include <sys/sockio.h>
#include <sys/user.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet6/in6_var.h>
#include <netinet6/nd6.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/host.h"
#include "base/inroot.h"

static int
op_record(void *arg, const struct plan_record *r, struct err *e)
{
	return record_write(r, e);
}

static int
op_forget(void *arg, const char *jail, struct err *e)
{
	return record_drop(jail, e);
}

static int
op_ruleset_make(void *arg, unsigned ruleset, char *const *devices, struct err *e)
{
	return ruleset_make(ruleset, devices, e);
}

static int
op_ruleset_drop(void *arg, unsigned ruleset, struct err *e)
{
	return ruleset_drop(ruleset, e);
}

static int
op_mount(void *arg, int root_fd, const char *root, const struct plan_mount *m, struct err *e)
{
	return mount_make(root_fd, root, m, e);
}

static int
op_cover(void *arg, int root_fd, const char *root, struct err *e)
{
	return mount_cover(root_fd, root, e);
}

static int
op_unmount_all(void *arg, const char *root, bool covered, struct err *e)
{
	return mount_drop_all(root, covered, e);
}

static int
op_jail_make(void *arg, const struct params *p, struct err *e)
{
	int jid = jail_make(p, e);

	return jid < 0 ? jid : 0;
}

static int
op_jail_drop(void *arg, const char *jail, struct err *e)
{
	return jail_drop(jail, e);
}

static int
op_shm_drop(void *arg, const char *root, struct err *e)
{
	return shm_drop(root, e);
}

/* The jail of a pot that runs. */
static int
living(const char *jail, struct err *e)
{
	int jid = *jail == '\0' ? -E_NOENT : jail_find(jail, e);

	return jid == -E_NOENT ? err_set(e, E_STATE, "the pot has ended") : jid;
}

static int
op_dataset(void *arg, const char *jail, const char *dataset, struct err *e)
{
	int jid = living(jail, e);

	return jid < 0 ? jid : dataset_give(jid, dataset, e);
}

/* ---- with a pot that runs */

static int
op_known(void *arg, const char *jail, struct err *e)
{
	struct plan_record r;

	return record_read(jail, &r, e);
}

/* To all processes of the jail at once, and by none of their ids: those could be others' by now. */
static int
signal_inside(void *arg)
{
	return kill(-1, *(int *)arg) == 0 || errno == ESRCH ? 0 : errno;
}

static int
op_signal_all(void *arg, const char *jail, int sig, struct err *e)
{
	int jid = living(jail, e), sys = 0, rc;

	if (jid < 0)
		return jid;
	rc = jail_inside(jid, signal_inside, &sig, &sys, e);
	return rc == 0 && sys != 0 ? err_sysno(e, sys, "cannot signal the processes of the pot") : rc;
}

static int
count_running(void *arg, const struct kinfo_proc *k)
{
	if (k->ki_stat != SSTOP && k->ki_stat != SZOMB)
		++*(unsigned *)arg;
	return 0;
}

static int
op_running(void *arg, const char *jail, unsigned *n, struct err *e)
{
	int jid = living(jail, e);

	*n = 0;
	return jid < 0 ? jid : procs_each(jid, count_running, n, e);
}

static int
op_root_open(void *arg, const char *jail, struct err *e)
{
	int jid = living(jail, e), rc, fd;
	char path[MAXPATHLEN];

	if (jid < 0)
		return jid;
	rc = jail_path(jid, path, sizeof(path), e);
	if (rc < 0)
		return rc;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "cannot open %s", path);
}

static void
op_root_close(void *arg, int root_fd)
{
	fd_close(root_fd);
}

static int
op_unmount(void *arg, int root_fd, const char *target, struct err *e)
{
	AUTO(fd) int on = inroot_open(root_fd, target, O_PATH, 0, e);
	char path[1024];
	int rc;

	if (on < 0)
		return on;
	rc = host_fd_path(on, path, sizeof(path), e);
	/* What is open is busy. */
	fd_close(take_fd(on));
	return rc < 0 ? rc : mount_drop_one(path, e);
}

/* ---- a network of its own begins with lo0: 127.0.0.1/8 and ::1, as rc(8) gives it */

static int
loopback_inside(void *arg)
{
	struct ifaliasreq a4 = { .ifra_name = "lo0" };
	struct in6_aliasreq a6 = { .ifra_name = "lo0" };
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&a4.ifra_addr,
			   *mask = (struct sockaddr_in *)(void *)&a4.ifra_mask;
	struct ifreq flags = { .ifr_name = "lo0" };
	int s4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	    s6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), sys = 0;

	if (s4 >= 0) {
		*in = (struct sockaddr_in){ .sin_len = sizeof(*in),
			.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		*mask = (struct sockaddr_in){
			.sin_len = sizeof(*mask), .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xff000000u)
		};
		if (ioctl(s4, SIOCGIFFLAGS, &flags) != 0)
			sys = errno;
		flags.ifr_flags = (short)(flags.ifr_flags | IFF_UP);
		if (sys == 0 && (ioctl(s4, SIOCSIFFLAGS, &flags) != 0 || ioctl(s4, SIOCAIFADDR, &a4) != 0))
			sys = errno;
		close(s4);
	}
	if (s6 >= 0) {
		a6.ifra_addr = (struct sockaddr_in6){ .sin6_len = sizeof(a6.ifra_addr),
			.sin6_family = AF_INET6,
			.sin6_addr = in6addr_loopback };
		a6.ifra_prefixmask = a6.ifra_addr;
		memset(&a6.ifra_prefixmask.sin6_addr, 0xff, 16);
		a6.ifra_flags = IN6_IFF_NODAD;
		a6.ifra_lifetime.ia6t_vltime = a6.ifra_lifetime.ia6t_pltime = ND6_INFINITE_LIFETIME;
		/* The kernel may have given it already, with the interface. */
		if (sys == 0 && ioctl(s6, SIOCAIFADDR_IN6, &a6) != 0 && errno != EEXIST)
			sys = errno;
		close(s6);
	}
	return s4 < 0 && s6 < 0 ? EPROTONOSUPPORT : sys;
}

static int
op_loopback(void *arg, const char *jail, struct err *e)
{
	int jid = jail_find(jail, e), sys, rc;

	if (jid < 0)
		return jid;
	rc = jail_inside(jid, loopback_inside, NULL, &sys, e);
	if (rc == 0 && sys != 0)
		rc = err_sysno(e, sys, "cannot set up lo0 of jail %s", jail);
	return rc;
}

/* ---- CPUs: "0-1,4" */

static int
cpus_parse(const char *list, cpuset_t *set, struct err *e)
{
	CPU_ZERO(set);
	for (const char *p = list; *p != '\0';) {
		char *end;
		unsigned long from = strtoul(p, &end, 10), to = from;

		if (end != p && *end == '-') {
			p = end + 1;
			to = strtoul(p, &end, 10);
		}
		if (end == p || to < from || to >= CPU_SETSIZE || (*end != ',' && *end != '\0'))
			return err_set(e, E_INVAL, "\"%s\" is not a list of CPUs", list);
		for (; from <= to; from++)
			CPU_SET((int)from, set);
		p = end + (*end == ',');
	}
	return 0;
}

static int
op_cpus(void *arg, const char *jail, const char *list, struct err *e)
{
	int jid = jail_find(jail, e), rc;
	cpuset_t set;

	if (jid < 0)
		return jid;
	rc = cpus_parse(list, &set, e);
	if (rc == 0 && cpuset_setaffinity(CPU_LEVEL_ROOT, CPU_WHICH_JAIL, jid, sizeof(set), &set) != 0)
		rc = err_sys(e, "cannot give jail %s the CPUs %s", jail, list);
	return rc;
}

/* ---- rules of rctl */

static int
op_rule_drop(void *arg, const char *filter, struct err *e)
{
	if (rctl_remove_rule(filter, strlen(filter) + 1, NULL, 0) == 0)
		return 0;
	/* None, or accounting is off and there can be none. */
	if (errno == ESRCH || errno == ENOENT || errno == ENOSYS)
		return 0;
	return err_sys(e, "cannot remove the limits %s", filter);
}

/* "jail:NAME:RESOURCE:ACTION=N", as people call it. */
static const char *
limit_of(const char *rule)
{
	static const struct {
		const char *resource, *limit;
	} words[] = {
		{ ":memoryuse:", "a limit of memory" },
		{ ":swapuse:", "a limit of swap" },
		{ ":maxproc:", "a limit of processes" },
		{ ":pcpu:", "a CPU quota" },
		{ ":throttle=", "a limit of I/O" },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strstr(rule, words[i].resource) != NULL)
			return words[i].limit;
	return "a limit";
}

static int
op_rule_add(void *arg, const char *rule, struct err *e)
{
	int rc;

	if (!racct_is_on())
		return racct_off(limit_of(rule), e);
	/* The kernel takes the same one twice. */
	rc = op_rule_drop(arg, rule, e);
	if (rc < 0)
		return rc;
	return rctl_add_rule(rule, strlen(rule) + 1, NULL, 0) == 0 ? 0 : err_sys(e, "cannot limit %s", rule);
}

const struct kern kern_freebsd = {
	.record = op_record,
	.forget = op_forget,
	.ruleset_make = op_ruleset_make,
	.ruleset_drop = op_ruleset_drop,
	.mount = op_mount,
	.cover = op_cover,
	.unmount_all = op_unmount_all,
	.jail_make = op_jail_make,
	.jail_drop = op_jail_drop,
	.shm_drop = op_shm_drop,
	.dataset = op_dataset,
	.loopback = op_loopback,
	.cpus = op_cpus,
	.rule_add = op_rule_add,
	.rule_drop = op_rule_drop,
	.known = op_known,
	.signal_all = op_signal_all,
	.running = op_running,
	.root_open = op_root_open,
	.root_close = op_root_close,
	.unmount = op_unmount,
};
