/*
 * The storage suite's Linux: attributes of files, a kernel without fsopen(2),
 * and the cases that are about its mounts, namespaces and btrfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "os.h"
#include "suite.h"

extern const struct suite_case suite_idmap[]; /* storage_idmap.c */

bool
os_set_note(int fd, const char *value)
{
	return fsetxattr(fd, "user.note", value, strlen(value), 0) == 0;
}

ssize_t
os_get_note(int fd, char *out, size_t size)
{
	return fgetxattr(fd, "user.note", out, size);
}

/* A file capability (VFS_CAP_REVISION_2, effective, CAP_NET_BIND_SERVICE), as setcap writes it. */
static const unsigned char file_cap[20] = { 1, 0, 0, 2, 0, 4 };

bool
os_set_right(int fd)
{
	return fsetxattr(fd, "security.capability", file_cap, sizeof(file_cap), 0) == 0;
}

bool
os_has_right(int fd)
{
	unsigned char got[sizeof(file_cap) + 1];

	return fgetxattr(fd, "security.capability", got, sizeof(got)) == (ssize_t)sizeof(file_cap) &&
	    memcmp(got, file_cap, sizeof(file_cap)) == 0;
}

dev_t
os_device(unsigned major, unsigned minor)
{
	return makedev(major, minor);
}

/* fsopen(2) answers ENOSYS from now on, in this process and its children. */
bool
os_be_old_kernel(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* seccomp_data.nr */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsopen, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = { ARRAY_LEN(code), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static bool
detached_mount(struct suite *t)
{
	AUTO_FINI(buf) struct buf was = BUF_INIT(1 << 22);
	AUTO_FINI(buf) struct buf is = BUF_INIT(1 << 22);

	if (strcmp(t->par.mechanism, "zfs") == 0)
		SKIP("a dataset has a mount point of its own");
	DO(stor_create(t->s, POT("a"), &t->e));
	OK(suite_put(t, POT("a"), "f", "1"));
	DO(stor_clone(t->s, POT("a"), NULL, POT("b"), &t->e));
	DO(file_read(AT_FDCWD, "/proc/self/mountinfo", &was, &t->e));
	int root = stor_mount(t->s, POT("b"), false, &t->e);
	int ro = stor_mount(t->s, POT("a"), true, &t->e);
	OK(root >= 0 && ro >= 0);
	DO(file_read(AT_FDCWD, "/proc/self/mountinfo", &is, &t->e));
	/* Others may mount meanwhile; nothing of this installation may be there. */
	OK(strstr(buf_cstr(&is), t->dir) == NULL || strcmp(buf_cstr(&was), buf_cstr(&is)) == 0);
	close(root);
	close(ro);
	DO(stor_unmount(t->s, POT("b"), &t->e));
	DO(stor_unmount(t->s, POT("a"), &t->e));
	return suite_empty(t);
}

/* Takes the mount as root directory of a namespace of its own, as a pot's first process does. */
static int
enter_root(struct suite *t)
{
	int root = stor_mount(t->s, POT("a"), false, &t->e);

	if (root < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	if (move_mount(root, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0 || fchdir(root) < 0)
		return 2;
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return 3;
	if (umount2(".", MNT_DETACH) < 0 || mkdir("/d", 0755) < 0 || mount("t", "/d", "tmpfs", 0, NULL) < 0)
		return 4;
	return open("/d/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) < 0 ? 5 : 0;
}

/* Also where the host's mounts are shared: run_storage.sh makes them so. */
static bool
root_of_a_namespace(struct suite *t)
{
	if (suite_copies(t) || geteuid() != 0)
		SKIP("a plain directory is no mount");
	DO(stor_create(t->s, POT("a"), &t->e));
	int status = suite_child(t, enter_root, NULL, NULL);
	OK(WIFEXITED(status));
	OK(WEXITSTATUS(status) == 0);
	DO(stor_unmount(t->s, POT("a"), &t->e));
	/* What was mounted in there did not come out. */
	OK(suite_has(t, POT("a"), "d/f", NULL));
	return suite_empty(t);
}

static int
make_nested(int dirfd, const char *name)
{
	struct btrfs_ioctl_vol_args args = { 0 };
	/* A root comes as a path only, which ioctl(2) refuses. */
	AUTO(fd) int dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(args.name, sizeof(args.name), "%s", name);
	return dir < 0 ? -1 : ioctl(dir, BTRFS_IOC_SUBVOL_CREATE, &args);
}

/* A subvolume name with a file, which nobody may change: read-only as a whole, or file by file. */
static bool
make_guarded(int root, const char *name, bool read_only)
{
	uint64_t flags = BTRFS_SUBVOL_RDONLY;
	long attr = FS_IMMUTABLE_FL;

	if (make_nested(root, name) < 0)
		return false;
	AUTO(fd) int dir = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !fd_put(dir, "f", "1"))
		return false;
	if (read_only)
		return ioctl(dir, BTRFS_IOC_SUBVOL_SETFLAGS, &flags) == 0;
	AUTO(fd) int file = openat(dir, "f", O_RDONLY | O_CLOEXEC);
	return file >= 0 && ioctl(file, FS_IOC_SETFLAGS, &attr) == 0 &&
	    ioctl(dir, FS_IOC_SETFLAGS, &attr) == 0;
}

/* One in the other, depth times, each with a file and below a directory of its own. */
static bool
make_deep(int root, int depth)
{
	int at = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = at >= 0;

	for (int i = 0; good && i < depth; i++) {
		good = mkdirat(at, "d", 0755) == 0;
		AUTO(fd) int dir = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		good = good && dir >= 0 && make_nested(dir, "deep") == 0 && fd_put(dir, "deep/f", "1");
		close(at);
		at = good ? openat(dir, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
		good = at >= 0;
	}
	fd_close(at);
	return good;
}

/* 0, or the errno of the first one. */
static int
make_nest(struct suite *t, struct stor_fs fs)
{
	int root = stor_mount(t->s, fs, false, &t->e);
	int why = root < 0 ? EIO : make_nested(root, "plain") < 0 ? errno : 0;

	if (why == 0 &&
	    !(fd_put(root, "plain/f", "1") && make_guarded(root, "read-only", true) &&
		make_guarded(root, "immutable", false) && make_deep(root, 12)))
		why = EIO;
	fd_close(root);
	return stor_unmount(t->s, fs, &t->e) < 0 ? EIO : why;
}

/* What processes in a pot can make of its root, and the host must be able to take away. */
static bool
nested_subvolumes(struct suite *t)
{
	DO(stor_create(t->s, POT("a"), &t->e));
	DO(stor_snapshot(t->s, POT("a"), "s", &t->e));
	int why = make_nest(t, POT("a"));
	if (why == ENOTTY || why == ENOSYS || why == EOPNOTSUPP) {
		OK(suite_empty(t));
		SKIP("no subvolumes can be made in a root");
	}
	OK(why == 0);
	DO(stor_rollback(t->s, POT("a"), "s", &t->e));
	OK(suite_has(t, POT("a"), "plain/f", NULL));
	OK(make_nest(t, POT("a")) == 0);
	DO(stor_snapshot(t->s, POT("a"), "nested", &t->e));
	DO(stor_clone(t->s, POT("a"), "nested", POT("b"), &t->e));
	DO(stor_clone(t->s, POT("a"), NULL, POT("c"), &t->e));
	DO(stor_rename(t->s, POT("a"), "z", &t->e));
	OK(suite_has(t, POT("z"), "immutable/f", "1"));
	DO(stor_destroy(t->s, POT("z"), &t->e));
	OK(stor_exists(t->s, POT("z"), &t->e) == 0);
	/* The names of the nested ones are free in a clone, which does not have them. */
	OK(suite_has(t, POT("b"), "plain/f", NULL));
	return suite_empty(t);
}

static const struct suite_case suite_mounts[] = {
	{ "mounts are detached", detached_mount },
	{ "a root can be the root of a namespace, and keeps its mounts inside", root_of_a_namespace },
	{ "subvolumes made inside a root go with it", nested_subvolumes },
	{ NULL, NULL },
};

const struct suite_case *const suite_os[] = { suite_mounts, suite_idmap, NULL };
