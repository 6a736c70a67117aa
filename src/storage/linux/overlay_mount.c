/*
 * Overlay mounts that are in no namespace. With Linux 6.7 and later every
 * layer is given to the mount API by its own parameter; before, all names
 * must be one string for mount(2), which wants a place to mount on: that is
 * done by a short-lived child in a mount namespace of its own. Also the probe
 * and the question whether an upper directory is mounted. What is to be
 * mounted is decided in overlay.c.
 *
 * Names go through /proc/self/fd: short whatever the installation is called,
 * and the pot's mountinfo tells nothing about the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/ids.h"
#include "storage/linux/detached.h"
#include "storage/linux/overlay.h"

/*
 * What a pot wrote must not steer lookups: no redirects followed, no data from
 * elsewhere. These are defaults of most kernels, but a module parameter or the
 * kernel's configuration may say otherwise.
 */
#define SAFE_OPTIONS "redirect_dir=nofollow,metacopy=off"
#define LEGACY_DATA_MAX 4095 /* mount(2) takes one page */

/* What to put together; all names are relative to base. */
struct plan {
	int base;
	const struct strv *lowers;    /* top first */
	const char *dir;              /* upper/ and work/ are in this; NULL: read-only */
	const char *place;            /* a directory to mount on where a place is needed */
	const struct stor_idmap *map; /* or NULL */
	int mapped;                   /* with a map: the detached, mapped mount that base is in */
};

static int
set(int fs, const char *key, const char *value)
{
	return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
}

/* The kernel's own words about a failed configuration, if it left any. */
static int
explain(int fs, const char *entry, struct err *e)
{
	char text[256];
	int sys = errno;

	ssize_t n = read(fs, text, sizeof(text) - 1);
	err_sysno(e, sys, "mounting %s as overlay", entry);
	if (n > 2) {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		/* "e text": the first letter is the severity. */
		err_hint(e, "the kernel says: %s", text + 2);
	}
	return -err_from_errno(sys);
}

static int
set_path(int fs, const char *key, const struct plan *p, const char *name, const char *below)
{
	char path[64 + OVL_ENTRY_LEN];

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s%s", p->base, name, below);
	return set(fs, key, path);
}

static int
add_lowers(int fs, const struct plan *p)
{
	for (size_t i = 0; i < p->lowers->n; i++)
		if (set_path(fs, "lowerdir+", p, p->lowers->v[i], "") < 0)
			return -1;
	return 0;
}

static int
add_upper(int fs, const struct plan *p)
{
	if (p->dir == NULL)
		return 0;
	if (set_path(fs, "upperdir", p, p->dir, "/upper") < 0)
		return -1;
	return set_path(fs, "workdir", p, p->dir, "/work");
}

/* Where overlayfs cannot make its work directory it mounts read-only and says so in the kernel's log alone. */
static int
check_writable(int fd, const char *entry, struct err *e)
{
	struct statvfs vfs;

	if (fstatvfs(fd, &vfs) < 0)
		return err_sys(e, "overlay: %s", entry);
	if ((vfs.f_flag & ST_RDONLY) == 0)
		return 0;
	if (vfs.f_bavail == 0 || vfs.f_favail == 0) {
		err_set(e, E_NOSPC, "overlay: cannot mount %s: no space left on its file system", entry);
		return err_hint(e, "make room, for instance by pot prune");
	}
	err_set(e, E_SYS, "overlay: %s came up read-only", entry);
	return err_hint(e, "dmesg tells why");
}

/*
 * overlayfs writes to its layers as whoever mounted it. Where those are
 * mapped, that must be somebody whom the map knows: the pot's root.
 */
static int
create_as_owner(int fs, const struct plan *p, struct err *e)
{
	int rc = p->map != NULL ? ids_enter(p->map->first, e) : 0;

	if (rc < 0)
		return rc;
	rc = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	if (p->map != NULL) {
		int sys = errno;

		ids_leave();
		errno = sys;
	}
	return rc;
}

/* The mount's fd; -E_NOTSUP when this kernel cannot take layers one by one. */
static int
mount_by_fsopen(const struct plan *p, const char *entry, struct err *e)
{
	AUTO(fd) int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return errno == ENOSYS ? err_set(e, E_NOTSUP, "no fsopen")
				       : err_sys(e, "overlay file system");
	if (add_lowers(fs, p) < 0)
		return errno == EINVAL ? err_set(e, E_NOTSUP, "no lowerdir+") : explain(fs, entry, e);
	set(fs, "source", "pot");
	if (add_upper(fs, p) < 0 || set(fs, "redirect_dir", "nofollow") < 0 || set(fs, "metacopy", "off") < 0)
		return explain(fs, entry, e);
	if (create_as_owner(fs, p, e) < 0) {
		/* Before Linux 6.15 a layer must not be in a detached mount. */
		if (p->map != NULL && errno == EINVAL)
			return err_set(e, E_NOTSUP, "no layers in detached mounts");
		return explain(fs, entry, e);
	}
	AUTO(fd) int fd = fsmount(fs, FSMOUNT_CLOEXEC, p->dir == NULL ? MOUNT_ATTR_RDONLY : 0);
	if (fd < 0)
		return explain(fs, entry, e);
	int r = p->dir == NULL ? 0 : check_writable(fd, entry, e);
	return r < 0 ? r : take_fd(fd);
}

static int
legacy_data(const struct plan *p, struct buf *data, struct err *e)
{
	buf_str(data, SAFE_OPTIONS ",lowerdir=");
	for (size_t i = 0; i < p->lowers->n; i++)
		buf_fmt(data, "%s%s", i > 0 ? ":" : "", p->lowers->v[i]);
	if (p->dir != NULL)
		buf_fmt(data, ",upperdir=%s/upper,workdir=%s/work", p->dir, p->dir);
	return buf_check(data, "options of an overlay mount", e);
}

/*
 * In the child: only system calls. Its descriptors are the parent's
 * (CLONE_FILES), so what it puts into `slot` is there when it has ended; its
 * working directory is its own. Names must not lead through descriptors: they
 * are of the parent's mount namespace, and the kernel mounts only what is in
 * the child's. The exit status is an errno.
 */
static void __attribute__((noreturn)) mount_in_child(const struct plan *p, const char *data, int slot)
{
	if (fchdir(p->base) < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		_exit(errno);
	/* Any place will do: what counts is that it is one of this namespace. */
	if (p->map != NULL &&
	    (move_mount(p->mapped, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
		fchdir(p->base) < 0 || ids_enter(p->map->first, NULL) < 0))
		_exit(errno);
	if (mount("pot", p->place, "overlay", p->dir == NULL ? MS_RDONLY : 0, data) < 0)
		_exit(errno);
	int fd = open_tree(AT_FDCWD, p->place, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0 || dup3(fd, slot, O_CLOEXEC) < 0)
		_exit(errno);
	/* The table is shared: what stays open here stays open in the parent. */
	close(fd);
	_exit(0);
}

/* The slot is a descriptor of the parent's that the child replaces by the mount's. */
static int
mount_by_child(const struct plan *p, const char *entry, struct err *e)
{
	AUTO_FINI(buf) struct buf data = BUF_INIT(LEGACY_DATA_MAX);
	int status;

	int rc = legacy_data(p, &data, e);
	if (rc < 0)
		return rc;
	AUTO(fd) int slot = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (slot < 0)
		return err_sys(e, "/dev/null");
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		return err_sys(e, "mounting %s: fork", entry);
	if (pid == 0)
		mount_in_child(p, data.data, slot);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "mounting %s: wait", entry);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return p->map != NULL && p->dir != NULL && check_writable(slot, entry, e) < 0 ? -E_SYS
											      : take_fd(slot);
	if (p->map != NULL && WIFEXITED(status) &&
	    (WEXITSTATUS(status) == EINVAL || WEXITSTATUS(status) == EPERM))
		return err_set(e, E_NOTSUP, "mounting %s: the kernel's overlay cannot map user ids", entry);
	return err_sysno(e, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR, "mounting %s as overlay", entry);
}

static int
mount_plan(const struct plan *p, const char *entry, struct err *e)
{
	int fd = mount_by_fsopen(p, entry, e);

	return fd == -E_NOTSUP ? mount_by_child(p, entry, e) : fd;
}

/*
 * Writes go through overlayfs also where nothing is below: it keeps what is
 * written from meaning something to a later overlay (whiteouts, trusted.overlay.*),
 * and the kernel then knows that upper is in use.
 */
int
ovl_mount(const struct ovl *o, const struct ovl_fs *f, bool ro, const struct stor_idmap *map, struct err *e)
{
	AUTO_FINI(strv) struct strv lowers = STRV_INIT(OVL_DEPTH_MAX + 2);
	char dir[OVL_ENTRY_LEN + 8];
	AUTO(fd) int mapped = -1, base = -1;
	struct plan p = { o->layers, &lowers, ro ? NULL : dir, "../empty", map, -1 };

	if (ro && f->layers.n == 0) {
		AUTO(fd) int upper = dir_open(f->dir, "upper", e);
		return upper < 0 ? upper : detached_mount(upper, true, map, f->entry, e);
	}
	/* The layers are mapped, all at once by a mount above them; overlayfs itself takes no map. */
	if (map != NULL) {
		p.mapped = mapped = detached_mount(o->top, false, map, f->entry, e);
		if (mapped < 0)
			return mapped;
		p.base = base = openat(mapped, "layers", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (base < 0)
			return err_sys(e, "overlay: layers");
	}
	snprintf(dir, sizeof(dir), "../fs/%s", f->entry);
	if (ro)
		strv_fmt(&lowers, "%s/upper", dir);
	for (size_t i = f->layers.n; i-- > 0;)
		strv_fmt(&lowers, "%s/diff", f->layers.v[i]);
	if (lowers.n == 0)
		strv_add(&lowers, "../empty");
	int rc = strv_check(&lowers, f->entry, e);
	if (rc == 0)
		rc = mount_plan(&p, f->entry, e);
	if (rc >= 0 && mapped >= 0 && map->spent != NULL)
		*map->spent = take_fd(mapped);
	return rc;
}

/*
 * overlayfs marks the directories that a mount writes to, and with index=on
 * refuses to share them. The work directory given here is none (it must not
 * be upper), so that the attempt ends, one step later, in EINVAL when upper is
 * free: nothing is mounted or changed either way.
 */
int
ovl_in_use(const struct ovl *o, const struct ovl_fs *f, struct err *e)
{
	char path[96];

	AUTO(fd) int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0 && errno == ENOSYS)
		return 1; /* Linux before 5.2: the mark alone must do. */
	if (fs < 0)
		return err_sys(e, "overlay file system");
	snprintf(path, sizeof(path), "/proc/self/fd/%d/empty", o->top);
	bool set_up = set(fs, "lowerdir", path) == 0 && set(fs, "index", "on") == 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/upper", f->dir);
	set_up = set_up && set(fs, "upperdir", path) == 0 && set(fs, "workdir", path) == 0;
	if (!set_up)
		return err_sys(e, "%s: is it mounted", f->entry);
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 && errno != EBUSY)
		return 0;
	return 1;
}

static int
refuse(struct buf *why, const char *reason, int sys)
{
	buf_fmt(why, "%s: %s", reason, strerror(sys));
	return 0;
}

/* Makes what a mount needs in dir and mounts it: 1, or 0 with why. */
static int
try_mount(int dir, struct buf *why, struct err *e)
{
	AUTO_FINI(strv) struct strv lowers = STRV_INIT(1);
	const struct plan p = { dir, &lowers, ".", "layers", NULL, -1 };
	struct err reason = ERR_INIT;

	strv_add(&lowers, "layers");
	int rc = strv_check(&lowers, "probe", e);
	if (rc < 0)
		return rc;
	if (mkdirat(dir, "layers", 0700) < 0 || mkdirat(dir, "upper", 0700) < 0 ||
	    mkdirat(dir, "work", 0700) < 0)
		return refuse(why, "a directory cannot be made", errno);
	AUTO(fd) int upper = dir_open(dir, "upper", e);
	if (upper < 0)
		return upper;
	if (fsetxattr(upper, "trusted.overlay.probe", "1", 1, 0) < 0)
		return refuse(why, "trusted extended attributes do not work here", errno);
	AUTO(fd) int mnt = mount_plan(&p, "a test directory", &reason);
	if (mnt < 0) {
		buf_str(why, reason.msg);
		return 0;
	}
	/* An upper that is not good enough gives a mount that only reads. */
	AUTO(fd) int file = openat(mnt, "probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return file < 0 ? refuse(why, "an overlay mount cannot be written to", errno) : 1;
}

int
ovl_probe(const char *dir, struct buf *why, struct err *e)
{
	char name[] = ".pot-probe-0123456789abcdef";

	AUTO(fd) int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return refuse(why, dir, errno);
	ovl_new_id(name + strlen(name) - OVL_ID_LEN);
	if (mkdirat(at, name, 0700) < 0)
		return refuse(why, "a directory cannot be made", errno);
	AUTO(fd) int own = dir_open(at, name, e);
	int rc = own < 0 ? own : try_mount(own, why, e);
	struct err ignored;
	/* What it found stands; a directory that cannot be removed is reported only on top of success. */
	int removed = tree_remove(at, name, rc < 0 ? &ignored : e);
	return rc < 0 ? rc : removed < 0 ? removed : rc;
}
