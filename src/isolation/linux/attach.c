/*
 * Detached mounts (a bind, a tmpfs), the way into a running pot for them, and
 * the pot's root as seen from outside.  Joining is done by a short-lived child
 * on shared memory: only it changes its mount namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/mount.h>

#include "base/file.h"
#include "base/linux/pidfd.h"
#include "isolation/linux/child.h"

int
iso_bind(int dirfd, const char *path, bool ro, bool recursive, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NODEV | (ro ? MOUNT_ATTR_RDONLY : 0),
		.propagation = MS_PRIVATE };
	unsigned rec = recursive ? AT_RECURSIVE : 0, itself = *path == '\0' ? AT_EMPTY_PATH : 0;
	AUTO(fd)
	int fd = (int)syscall(SYS_open_tree, dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | rec | itself);

	if (fd < 0) {
		int r = err_sys(e, "cannot open \"%s\" for a bind mount", path);

		return errno == ENOSYS ? err_hint(e, "Linux 5.12 or later is needed; see pot doctor") : r;
	}
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | rec, &attr, sizeof(attr)) != 0)
		return err_sys(e, "cannot set the attributes of a bind mount of \"%s\"", path);
	return take_fd(fd);
}

int
iso_view(const char *path, struct err *e)
{
	return iso_bind(AT_FDCWD, path, true, false, e);
}

/* The kernel explains a refusal in words, one message per read. */
static int
tmpfs_error(int fs, struct err *e)
{
	char why[200];
	int sys = errno;
	ssize_t n = read(fs, why, sizeof(why) - 1);

	if (n <= 2)
		return err_sysno(e, sys, "cannot make a tmpfs");
	why[n] = '\0';
	why[strcspn(why, "\n")] = '\0';
	return err_set(e, err_from_errno(sys), "cannot make a tmpfs: %s", why + 2);
}

int
iso_tmpfs(uint64_t size, mode_t mode, uint32_t owner, struct err *e)
{
	char text[32];
	AUTO(fd) int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0)
		return err_sys(e, "cannot make a tmpfs");
	snprintf(text, sizeof(text), "%o", (unsigned)mode & 07777);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", text, 0) != 0)
		return tmpfs_error(fs, e);
	snprintf(text, sizeof(text), "%u", (unsigned)owner);
	if (owner != 0 &&
	    (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "uid", text, 0) != 0 ||
		syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "gid", text, 0) != 0))
		return tmpfs_error(fs, e);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
	if (size != 0 && syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", text, 0) != 0)
		return tmpfs_error(fs, e);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return tmpfs_error(fs, e);
	fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return fd >= 0 ? fd : err_sys(e, "cannot make a tmpfs");
}

static int
fill_file(int fd, const struct iso_file *f, struct err *e)
{
	int rc = fd_write_all(fd, f->data, f->len, "a file in memory", e);

	if (rc == 0 && (fchown(fd, f->uid, f->gid) != 0 || fchmod(fd, f->mode & 07777) != 0))
		rc = err_sys(e, "a file in memory");
	return rc;
}

/* Older kernels clone mounts only that are somewhere: below the host's own file system in memory. */
static int
named_file(const struct iso_file *f, char named[static ISO_FILE_NAME], struct err *e)
{
	unsigned long long random;
	int rc;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	snprintf(named, ISO_FILE_NAME, "/dev/shm/.pot-%016llx", random);
	AUTO(fd) int fd = open(named, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = err_sys(e, "cannot make %s", named);
		named[0] = '\0';
		return rc;
	}
	rc = fill_file(fd, f, e);
	if (rc == 0)
		rc = iso_bind(AT_FDCWD, named, true, false, e);
	if (rc < 0) {
		unlink(named);
		named[0] = '\0';
	}
	return rc;
}

int
iso_file(const struct iso_file *f, char named[static ISO_FILE_NAME], struct err *e)
{
	AUTO(fd) int dir = iso_tmpfs(0, 0755, 0, e);
	AUTO(fd) int fd = dir < 0 ? dir : openat(dir, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int rc;

	named[0] = '\0';
	if (dir < 0)
		return dir;
	if (fd < 0)
		return err_sys(e, "cannot make a file in memory");
	if ((rc = fill_file(fd, f, e)) < 0)
		return rc;
	rc = iso_bind(dir, "file", true, false, NULL);
	return rc >= 0 ? rc : named_file(f, named, e);
}

void
iso_file_done(const char *named, bool mounted)
{
	(void)mounted;
	(void)unlink(named);
}

int
iso_restrict(int mount_fd, bool ro, bool noexec, struct err *e)
{
	struct mount_attr attr = { .attr_set =
				       (ro ? MOUNT_ATTR_RDONLY : 0) | (noexec ? MOUNT_ATTR_NOEXEC : 0) };

	if (attr.attr_set != 0 &&
	    syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0)
		return err_sys(e, "cannot set the attributes of a mount");
	return 0;
}

int
iso_userns_of(const struct iso_ref *ref, int *fd, uint32_t *first, uint32_t *ids, struct err *e)
{
	char path[40];
	int r = walls_ids(&ref->init, first, ids, e);

	*fd = -1;
	if (r < 0 || *ids == 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)ref->init.pid);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0 || !proc_id_alive(&ref->init)) {
		fd_close(take_fd(*fd));
		return err_set(e, E_STATE, "the pot has ended");
	}
	return 0;
}

int
child_pidfd(const struct proc_id *id, struct err *e)
{
	AUTO(fd) int fd = -1;
	char dir[32];

	if (id->pid > 0)
		fd = pidfd_of(id->pid);
	if (id->pid > 0 && fd < 0 && errno == ENOSYS) {
		snprintf(dir, sizeof(dir), "/proc/%d", (int)id->pid);
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	/* Compared after the fd holds the process: a pid that was reused shows another start time. */
	if (fd < 0 || !proc_id_alive(id))
		return err_set(e, E_STATE, "the pot has ended");
	return take_fd(fd);
}

static int
join_run(const struct iso_ref *ref, struct join_mount *j, struct err *e)
{
	AUTO(fd) int pidfd = child_pidfd(&ref->init, e);
	int dumpable = prctl(PR_GET_DUMPABLE), r;
	uint32_t first, ids;
	char *stack;

	if (pidfd < 0)
		return pidfd;
	r = walls_ids(&ref->init, &first, &ids, e);
	if (r < 0)
		return r;
	stack = child_stack_new(1);
	if (stack == NULL)
		return err_nomem(e);
	j->pidfd = pidfd;
	j->userns = ids != 0;
	/* Nobody in the pot may trace what shares this process's memory. */
	prctl(PR_SET_DUMPABLE, 0);
	r = child_run(child_join_mount, j, stack, -1, 0);
	if (dumpable == 1)
		prctl(PR_SET_DUMPABLE, 1);
	child_stack_free(stack, 1);
	if (r < 0)
		return child_error(e, -r, STEP_JOIN, "");
	if (j->fail.sys == ESRCH)
		return err_set(e, E_STATE, "the pot has ended");
	if (j->fail.sys == 0)
		return 0;
	if (j->fail.step == STEP_UMOUNT && j->fail.sys == EINVAL)
		return err_set(e, E_NOENT, "nothing is mounted at \"%s\" in the pot", j->target);
	return child_error(e, j->fail.sys, j->fail.step, j->fail.what);
}

int
iso_mount_into(const struct iso_ref *ref, const struct iso_mount *m, struct err *e)
{
	struct join_mount j = { .mount = m, .target = m->target };

	return join_run(ref, &j, e);
}

int
iso_unmount_from(const struct iso_ref *ref, const char *target, struct err *e)
{
	struct join_mount j = { .target = target };

	return join_run(ref, &j, e);
}

int
iso_root(const struct iso_ref *ref, struct err *e)
{
	char path[40];
	AUTO(fd) int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)ref->init.pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* The comparison comes after the opening, so it speaks about what was opened. */
	if (fd < 0 || !proc_id_alive(&ref->init))
		return err_set(e, E_STATE, "the pot has ended");
	return take_fd(fd);
}
