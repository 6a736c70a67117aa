/*
 * How often the kernel killed in a pot for want of memory. rctl(8) counts
 * nothing, but tells of each rule that is hit (the "devctl" rule beside the
 * "sigkill" one, rules.c); nlsysevent(4) hands that to any number of
 * listeners, before the killed process can end. Each pot-shim listens for its
 * own pot and adds a byte to a file beside the jail's record: its length is
 * the count. devd(8), which hears the same, serves ten clients in all.
 */
#include "isolation/freebsd/jail.h"

#include <sys/types.h>
#include <sys/linker.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <netlink/netlink.h>
#include <netlink/netlink_snl_generic.h>

#include "base/auto.h"
#include "base/file.h"

#define FAMILY "nlsysevent"
#define GROUP "RCTL"

/* The number of the kernel's group of such events; 0 where it has none. */
static int
group_of(struct snl_state *ss)
{
	int group = snl_get_genl_mcast_group(ss, FAMILY, GROUP, NULL);

	if (group == 0 && kldload(FAMILY) >= 0)
		group = snl_get_genl_mcast_group(ss, FAMILY, GROUP, NULL);
	return group;
}

int
kills_listen(void)
{
	struct snl_state ss;
	int group, fd = -1;

	if (!racct_is_on() || !snl_init(&ss, NETLINK_GENERIC))
		return -1;
	group = group_of(&ss);
	if (group != 0 && setsockopt(ss.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) == 0)
		fd = fcntl(ss.fd, F_DUPFD_CLOEXEC, 3);
	snl_free(&ss);
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

int
kills_open(const char *jail, struct err *e)
{
	char file[RECORD_NAME_MAX];
	AUTO(fd) int dir = record_dir(e);
	int fd;

	if (dir < 0)
		return dir;
	record_kills(jail, file);
	fd = openat(dir, file, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : err_sys(e, "cannot make %s", file);
}

int
iso_oom_kills(const char *cgroup, uint64_t *kills, struct err *e)
{
	const char *jail = jail_of(cgroup);
	char file[RECORD_NAME_MAX];
	AUTO(fd) int dir = -1;
	struct stat st;

	*kills = 0;
	if (jail == NULL)
		return err_set(e, E_INVAL, "\"%s\" does not name a jail", cgroup);
	dir = record_dir(e);
	if (dir < 0)
		return dir;
	record_kills(jail, file);
	if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0)
		*kills = (uint64_t)st.st_size;
	else if (errno != ENOENT)
		return err_sys(e, "%s", file);
	return 0;
}
