/*
 * What pots need of the kernel, as a table for `doctor`.  A probe changes
 * nothing: it calls with arguments that a kernel with the feature refuses for
 * another reason than "no such call", or works on a detached object.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

#include "base/file.h"
#include "base/linux/pidfd.h"
#include "isolation/linux/cgroup.h"
#include "isolation/linux/child.h"

#define FREE_IDS 0x7fff0000u

static int
missing(struct buf *why, int sys)
{
	buf_str(why, strerror(sys));
	return 0;
}

/* A call that exists fails in another way than ENOSYS. */
static int
call_exists(long r, struct buf *why)
{
	return r < 0 && errno == ENOSYS ? missing(why, errno) : 1;
}

static int
ns_exists(const char *name, struct buf *why)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	return access(path, F_OK) == 0 ? 1 : missing(why, errno);
}

static int
probe_mnt(struct buf *why)
{
	return ns_exists("mnt", why);
}

static int
probe_pid(struct buf *why)
{
	return ns_exists("pid", why);
}

static int
probe_net(struct buf *why)
{
	return ns_exists("net", why);
}

static int
probe_uts_ipc(struct buf *why)
{
	return ns_exists("uts", why) && ns_exists("ipc", why);
}

static int
probe_cgroup_ns(struct buf *why)
{
	return ns_exists("cgroup", why);
}

static int
probe_root(struct buf *why)
{
	if (geteuid() == 0)
		return 1;
	buf_str(why, "not root");
	return 0;
}

static int
probe_clone3(struct buf *why)
{
	return call_exists(syscall(SYS_clone3, NULL, 0), why);
}

static int
probe_pidfd(struct buf *why)
{
	int fd = pidfd_of(getpid());

	if (fd < 0)
		return missing(why, errno);
	close(fd);
	return 1;
}

static int
fs_type(const char *type, struct buf *why)
{
	int fd = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);

	if (fd < 0)
		return missing(why, errno);
	close(fd);
	return 1;
}

static int
probe_fsopen(struct buf *why)
{
	return fs_type("tmpfs", why) && fs_type("proc", why);
}

static int
probe_devpts(struct buf *why)
{
	return fs_type("devpts", why);
}

static int
probe_mqueue(struct buf *why)
{
	return fs_type("mqueue", why);
}

/* Read-only detached clones: works on a mount that nobody else sees. */
static int
probe_setattr(struct buf *why)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int ok;

	if (fd < 0)
		return missing(why, errno);
	ok = syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;
	if (!ok)
		buf_str(why, strerror(errno));
	close(fd);
	return ok;
}

static int
probe_openat2(struct buf *why)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));

	if (fd < 0)
		return missing(why, errno);
	close(fd);
	return 1;
}

/* pivot_root refuses the kernel's initial file system as the root to leave. */
static int
probe_pivot(struct buf *why)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(16u << 20);
	AUTO(fd) int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	bool initial = false;

	if (fd < 0 || fd_read_all(fd, &b, NULL) < 0) {
		buf_str(why, "/proc/self/mountinfo cannot be read");
		return 0;
	}
	/* Of several on "/" the last one is what is seen. */
	for (const char *l = buf_cstr(&b); *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n') {
		int at = 0, len = (int)strcspn(l, "\n");

		if (sscanf(l, "%*d %*d %*s %*s / %n", &at) == 0 && at > 0 && at < len) {
			const char *dash = memmem(l, (size_t)len, " - ", 3);

			initial = dash != NULL && strncmp(dash, " - rootfs ", 10) == 0;
		}
	}
	if (initial)
		buf_str(why, "the root is the initramfs");
	return !initial;
}

static int
probe_freeze(struct buf *why)
{
	struct cg_trees *t = malloc(sizeof(*t));
	struct err e = ERR_INIT;
	int ok;

	if (t == NULL || cg_find(t, &e) < 0) {
		free(t);
		buf_str(why, e.msg);
		return 0;
	}
	ok = t->tree[CG_V2].mount[0] != '\0' || t->tree[CG_FREEZER].mount[0] != '\0';
	free(t);
	if (!ok)
		buf_str(why, "neither cgroup2 nor the v1 freezer is mounted");
	return ok;
}

/* A mapped tmpfs or any other file system: here only that the call knows of maps. */
static int
probe_userns(struct buf *why)
{
	struct err e = ERR_INIT;
	int fd = iso_userns(FREE_IDS, 65536, &e);

	if (fd < 0) {
		buf_str(why, e.msg);
		return 0;
	}
	close(fd);
	return 1;
}

/* The attribute is there when it is refused for the bad fd, and not as unknown. */
static int
probe_idmap(struct buf *why)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = 0x7fffffff };
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC), ok, sys;

	if (fd < 0)
		return missing(why, errno);
	ok = syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;
	sys = errno;
	close(fd);
	return ok || sys == EBADF ? 1 : missing(why, sys);
}

static int
probe_seccomp(struct buf *why)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 1 : missing(why, errno);
}

/* The kernel gives a user namespace its own /proc and /sys only where nothing hides the host's. */
static int
hides_kernel(const char *line, size_t len)
{
	static const char *const ours[] = { " /proc/", " /sys/" };
	const char *dash = memmem(line, len, " - ", 3);
	int at = 0;

	if (dash == NULL || sscanf(line, "%*d %*d %*s %*s%n", &at) != 0 || at <= 0 || (size_t)at >= len)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		if (strncmp(line + at, ours[i], strlen(ours[i])) == 0)
			/* A file, or tmpfs as container engines put over directories. */
			return strncmp(dash, " - tmpfs ", 9) == 0 || strncmp(dash, " - devtmpfs ", 12) == 0;
	return 0;
}

static int
probe_visible(struct buf *why)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(16u << 20);
	AUTO(fd) int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fd_read_all(fd, &b, NULL) < 0) {
		buf_str(why, "/proc/self/mountinfo cannot be read");
		return 0;
	}
	for (const char *l = buf_cstr(&b); *l != '\0'; l += strcspn(l, "\n"), l += *l == '\n') {
		size_t len = strcspn(l, "\n");

		/* The directory in which v1 hierarchies are is an empty one of sysfs. */
		if (hides_kernel(l, len) && memmem(l, len, " /sys/fs/cgroup ", 16) == NULL) {
			buf_str(why, "something is mounted over parts of /proc or /sys");
			return 0;
		}
	}
	return 1;
}

#define KERNEL "a kernel with this feature compiled in"
const struct iso_feature iso_features[] = {
	{ "root", "everything but looking", "run pot as root", true, probe_root },
	{ "mount namespace", "a root of its own", KERNEL, true, probe_mnt },
	{ "pid namespace", "processes that end together", KERNEL, true, probe_pid },
	{ "uts and ipc namespaces", "a host name and shared memory of its own", KERNEL, true, probe_uts_ipc },
	{ "cgroup namespace", "hiding the host's groups", KERNEL, true, probe_cgroup_ns },
	{ "user namespace", "user ids of its own", "a kernel with it, and user.max_user_namespaces above 0",
	    false, probe_userns },
	{ "id-mapped mounts", "user ids of its own", "Linux 5.12 or later; for overlay 5.19", false,
	    probe_idmap },
	{ "whole /proc and /sys", "user ids of its own",
	    "run pot outside of containers, or pots with --userns off", false, probe_visible },
	{ "seccomp filters", "the system call filter", KERNEL, true, probe_seccomp },
	{ "net namespace", "network type none", KERNEL, false, probe_net },
	{ "clone3", "processes made in their group (they enter it without)", "Linux 5.7 or later", false,
	    probe_clone3 },
	{ "pidfd", "ends that are told (looked for again and again without), the Nomad driver",
	    "Linux 5.3 or later", false, probe_pidfd },
	{ "fsopen", "mounts made by fd", "Linux 5.2 or later", true, probe_fsopen },
	{ "mount_setattr", "read-only mounts, the protected shim", "Linux 5.12 or later", true,
	    probe_setattr },
	{ "pivot_root", "a root of its own", "boot from a disk or tmpfs, not from the initramfs", true,
	    probe_pivot },
	{ "devpts", "terminals in pots", KERNEL, true, probe_devpts },
	{ "mqueue", "/dev/mqueue in pots", KERNEL, true, probe_mqueue },
	{ "openat2", "fast safe paths (a slower walker is used without)", "Linux 5.6 or later", false,
	    probe_openat2 },
	{ "freezing groups", "pause, top of all processes, sure kills", "mount cgroup2 or the v1 freezer",
	    false, probe_freeze },
};
const size_t iso_nfeatures = ARRAY_LEN(iso_features);

/* ---- in the system's own words */

const bool iso_has_capabilities = true;

void
iso_words(bool own_net, bool userns, struct buf *out)
{
	buf_fmt(out, "pid mount uts ipc cgroup%s%s", own_net ? " net" : "", userns ? " user" : "");
}

/* Its groups and ids are told elsewhere. */
int
iso_facts(const struct iso_ref *ref, struct strv *v, struct err *e)
{
	return 0;
}
