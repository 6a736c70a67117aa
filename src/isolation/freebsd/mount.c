/*
 * Mounts. FreeBSD has none that are in no namespace, so what iso_bind and
 * iso_tmpfs give is a wish: a description in memory without a name, which
 * whoever has the fd can read, made true below a pot's root. A mount point is
 * reached by a process of its own that stands on it: no path that the pot
 * could bend is walked from the host's root.
 */
#include "isolation/freebsd/jail.h"

#include <sys/param.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/host.h"
#include "base/inroot.h"

#define WISH_MAGIC 0x50574953u
#define ERRMSG_SIZE 200
#define OPTIONS_MAX 20

/* What is in the memory: no pointers. */
struct wish {
	uint32_t magic;
	bool tmpfs, dir, ro, noexec;
	unsigned mode, owner;
	uint64_t size;
	uint64_t dev, ino; /* of the source */
	char path[1024];
};

static int
wish_put(const struct wish *w, struct err *e)
{
	AUTO(fd) int fd = shm_open(SHM_ANON, O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*w)) != 0 || pwrite(fd, w, sizeof(*w), 0) != (ssize_t)sizeof(*w))
		return err_sys(e, "cannot describe a mount");
	return take_fd(fd);
}

static int
wish_read(int fd, struct wish *w, struct err *e)
{
	if (pread(fd, w, sizeof(*w), 0) != (ssize_t)sizeof(*w) || w->magic != WISH_MAGIC)
		return err_set(e, E_INVAL, "not a description of a mount");
	w->path[sizeof(w->path) - 1] = '\0';
	return 0;
}

int
iso_bind(int dirfd, const char *path, bool ro, bool recursive, struct err *e)
{
	AUTO(fd) int opened = *path != '\0' ? openat(dirfd, path, O_PATH | O_CLOEXEC) : -1;
	int fd = *path == '\0' ? dirfd : opened, rc;
	struct wish w = { .magic = WISH_MAGIC, .ro = ro };
	struct stat st;

	(void)recursive; /* nullfs shows what one file system has */
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, "cannot open \"%s\" to mount it", path);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(e, E_INVAL, "\"%s\": only directories and files can be mounted", path);
	rc = host_fd_path(fd, w.path, sizeof(w.path), e);
	if (rc < 0)
		return rc;
	w.dir = S_ISDIR(st.st_mode);
	w.dev = st.st_dev;
	w.ino = st.st_ino;
	return wish_put(&w, e);
}

int
iso_view(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : err_sys(e, "cannot open \"%s\"", path);
}

/* There is no file without a name that could be mounted: it has one that only root can look at. */
int
iso_file(const struct iso_file *f, char named[static ISO_FILE_NAME], struct err *e)
{
	AUTO(fd) int dir = record_dir(e), fd = -1;
	int rc;

	named[0] = '\0';
	if (dir < 0)
		return dir;
	record_file(arc4random(), named);
	fd = open(named, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = err_sys(e, "cannot make %s", named);
		named[0] = '\0';
		return rc;
	}
	rc = fd_write_all(fd, f->data, f->len, named, e);
	if (rc == 0 && (fchown(fd, f->uid, f->gid) != 0 || fchmod(fd, f->mode & 07777) != 0))
		rc = err_sys(e, "%s", named);
	if (rc == 0)
		rc = iso_bind(AT_FDCWD, named, true, false, e);
	if (rc < 0) {
		(void)unlink(named);
		named[0] = '\0';
	}
	return rc;
}

/* A tmpfs opens no file that has lost its last name: it goes with its mount. */
void
iso_file_done(const char *named, bool mounted)
{
	if (!mounted)
		(void)unlink(named);
}

int
iso_tmpfs(uint64_t size, mode_t mode, uint32_t owner, struct err *e)
{
	return wish_put(
	    &(struct wish){
		.magic = WISH_MAGIC, .tmpfs = true, .dir = true, .size = size, .mode = mode, .owner = owner },
	    e);
}

int
iso_restrict(int mount_fd, bool ro, bool noexec, struct err *e)
{
	struct wish w;
	int rc = wish_read(mount_fd, &w, e);

	if (rc < 0)
		return rc;
	w.ro = w.ro || ro;
	w.noexec = w.noexec || noexec;
	if (pwrite(mount_fd, &w, sizeof(w), 0) != (ssize_t)sizeof(w))
		return err_sys(e, "cannot describe a mount");
	return 0;
}

/* A storage's mount is a directory of the host here, and shown as it is. */
static int
wish_of_directory(int fd, const struct stat *st, struct wish *w, struct err *e)
{
	*w = (struct wish){ .magic = WISH_MAGIC, .dir = true, .dev = st->st_dev, .ino = st->st_ino };
	return host_fd_path(fd, w->path, sizeof(w->path), e);
}

int
mount_wish_get(int fd, struct mount_wish *out, struct err *e)
{
	AUTO(fd) int from = -1;
	struct stat st;
	struct wish w;
	int rc;

	if (fstat(fd, &st) != 0)
		return err_sys(e, "a description of a mount");
	rc = S_ISDIR(st.st_mode) ? wish_of_directory(fd, &st, &w, e) : wish_read(fd, &w, e);
	if (rc < 0)
		return rc;
	memcpy(out->path, w.path, sizeof(out->path));
	out->mount = (struct plan_mount){ .fstype = w.tmpfs ? "tmpfs" : "nullfs",
		.dir = w.dir,
		.from_fd = -1,
		.ro = w.ro,
		.noexec = w.noexec,
		.nosuid = w.tmpfs,
		.size = w.size,
		.mode = w.mode };
	if (w.tmpfs)
		return 0;
	/* Still the same? */
	from = open(w.path, O_PATH | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) != 0)
		return err_sys(e, "cannot open \"%s\" to mount it", w.path);
	if (st.st_dev != w.dev || st.st_ino != w.ino)
		return err_set(e, E_STATE, "\"%s\" is no longer what was to be mounted", w.path);
	out->mount.from = out->path;
	out->mount.from_fd = take_fd(from);
	return 0;
}

/* ---- what is there */

static bool
is_unmounted(const char *id, int flags)
{
	return unmount(id, MNT_BYFSID | flags) == 0 || errno == EINVAL || errno == ENOENT;
}

static int
drop(const struct statfs *f, struct err *e)
{
	char id[64];

	/* By number: the path could lead to something else by now. */
	snprintf(id, sizeof(id), "FSID:%d:%d", f->f_fsid.val[0], f->f_fsid.val[1]);
	if (!is_unmounted(id, 0) && (errno != EBUSY || !is_unmounted(id, MNT_FORCE)))
		return err_sys(e, "cannot unmount %s", f->f_mntonname);
	if (record_is_file(f->f_mntfromname))
		(void)unlink(f->f_mntfromname);
	return 0;
}

static int
list(struct statfs **out, struct err *e)
{
	int n = getfsstat(NULL, 0, MNT_NOWAIT), got;
	struct statfs *v;

	if (n < 0)
		return err_sys(e, "cannot list mounts");
	n += 32;
	v = calloc((size_t)n, sizeof(*v));
	if (v == NULL)
		return err_nomem(e);
	got = getfsstat(v, n * (long)sizeof(*v), MNT_NOWAIT);
	if (got < 0) {
		free(v);
		return err_sys(e, "cannot list mounts");
	}
	*out = v;
	return got;
}

/* ---- making one */

struct options {
	struct iovec iov[OPTIONS_MAX];
	size_t n;
	char size[24], mode[12], ruleset[12];
	char errmsg[ERRMSG_SIZE];
};

static void
option(struct options *o, const char *name, const void *value, size_t len)
{
	if (o->n + 2 > OPTIONS_MAX)
		return;
	o->iov[o->n++] = (struct iovec){ .iov_base = (void *)(uintptr_t)name, .iov_len = strlen(name) + 1 };
	o->iov[o->n++] = (struct iovec){ .iov_base = (void *)(uintptr_t)value, .iov_len = len };
}

static void
option_text(struct options *o, const char *name, const char *value)
{
	option(o, name, value, strlen(value) + 1);
}

struct job {
	const struct plan_mount *m;
	int cwd; /* where the child stands: on the mount point, or in a file's directory */
	const char *from, *fspath;
};

struct answer {
	int sys;
	char errmsg[ERRMSG_SIZE];
};

static int
do_mount(const struct job *j, struct options *o)
{
	const struct plan_mount *m = j->m;
	int flags = (m->ro ? MNT_RDONLY : 0) | (m->noexec ? MNT_NOEXEC : 0) | (m->nosuid ? MNT_NOSUID : 0);

	option_text(o, "fstype", m->fstype);
	option_text(o, "fspath", j->fspath);
	option_text(o, "from", j->from != NULL ? j->from : m->fstype);
	if (m->size != 0) {
		snprintf(o->size, sizeof(o->size), "%llu", (unsigned long long)m->size);
		option_text(o, "size", o->size);
	}
	if (m->mode != 0) {
		snprintf(o->mode, sizeof(o->mode), "%o", m->mode);
		option_text(o, "mode", o->mode);
	}
	if (m->ruleset != 0) {
		snprintf(o->ruleset, sizeof(o->ruleset), "%u", m->ruleset);
		option_text(o, "ruleset", o->ruleset);
	}
	option(o, "errmsg", o->errmsg, sizeof(o->errmsg));
	return nmount(o->iov, (unsigned)o->n, flags) == 0 ? 0 : errno;
}

static _Noreturn void
mount_child(const struct job *j, int report)
{
	struct options o = { .n = 0 };
	struct answer a = { 0 };

	if (fchdir(j->cwd) != 0)
		a.sys = errno;
	else
		a.sys = do_mount(j, &o);
	snprintf(a.errmsg, sizeof(a.errmsg), "%s", o.errmsg);
	(void)!write(report, &a, sizeof(a));
	_exit(0);
}

static int
run_job(const struct job *j, struct err *e)
{
	struct answer a = { .sys = ESRCH };
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) != 0)
		return err_sys(e, "cannot make a pipe");
	pid = fork();
	if (pid == 0)
		mount_child(j, p[1]);
	fd_close(p[1]);
	if (pid > 0) {
		while (read(p[0], &a, sizeof(a)) < 0 && errno == EINTR)
			;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	fd_close(p[0]);
	if (pid < 0)
		return err_sys(e, "cannot make a process");
	a.errmsg[sizeof(a.errmsg) - 1] = '\0';
	if (a.sys == 0)
		return 0;
	err_sysno(e, a.sys, "cannot mount %s on %s of the pot",
	    j->m->from != NULL ? j->m->from : j->m->fstype, *j->m->target != '\0' ? j->m->target : "/");
	/* It means: I have no such file system, and no module of that name. */
	if (strcmp(a.errmsg, "Invalid fstype") == 0)
		err_hint(e, "the kernel has no %s: kldload %s", j->m->fstype, j->m->fstype);
	else if (a.errmsg[0] != '\0')
		err_hint(e, "the kernel says: %s", a.errmsg);
	return err_wrap(e, "mount");
}

/* The one that was just made for a file is where it was meant to be, and not where a link has led it. */
static int
verify(const char *from, const char *on, struct err *e)
{
	AUTO_FREE struct statfs *v = NULL;
	int n = list(&v, e);

	if (n < 0)
		return n;
	for (int i = n - 1; i >= 0; i--)
		if (strcmp(v[i].f_mntonname, on) == 0)
			return 0;
	for (int i = n - 1; i >= 0; i--)
		if (strcmp(v[i].f_mntfromname, from) == 0)
			(void)!drop(&v[i], NULL);
	return err_set(e, E_STATE, "%s was moved while something was mounted on it", on);
}

/*
 * A file's mount point cannot be stood on, its directory can; the last name in it is the kernel's to look up, so what
 * came of it is looked at. (From inside of a chroot the kernel would note a path that is none of the host's.)
 */
static int
mount_file(int target, const struct plan_mount *m, struct err *e)
{
	AUTO(fd) int parent = -1;
	struct job j = { .m = m, .from = m->from };
	char path[1024], dir[1024];
	char *slash;
	int rc = host_fd_path(target, path, sizeof(path), e);

	if (rc < 0)
		return rc;
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	j.fspath = path + (slash - dir) + 1;
	*(slash == dir ? slash + 1 : slash) = '\0';
	parent = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (parent < 0)
		return err_sys(e, "cannot open %s", dir);
	j.cwd = parent;
	rc = run_job(&j, e);
	return rc < 0 ? rc : verify(m->from, path, e);
}

int
mount_cover(int root_fd, const char *root, struct err *e)
{
	AUTO(fd) int on = -1;
	struct plan_mount m = {
		.fstype = "nullfs", .target = "", .dir = true, .from_fd = root_fd, .ro = true
	};
	struct job j = { .m = &m, .fspath = "." };
	char from[1024];
	int rc = host_fd_path(root_fd, from, sizeof(from), e);

	if (rc < 0)
		return rc;
	if (mkdir(root, 0755) != 0 && errno != EEXIST)
		return err_sys(e, "cannot make %s", root);
	on = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (on < 0)
		return err_sys(e, "cannot open %s", root);
	m.from = j.from = from;
	j.cwd = on;
	return run_job(&j, e);
}

int
mount_make(int root_fd, const char *root, const struct plan_mount *m, struct err *e)
{
	/* What is missing is made in the root itself: the view is read-only. */
	AUTO(fd) int made = inroot_mount_target(root_fd, m->target, m->dir, e), view = -1, in_view = -1;
	struct job j = { .m = m, .from = m->from, .fspath = "." };

	if (made < 0)
		return made;
	j.cwd = made;
	if (root != NULL) {
		view = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (view < 0)
			return err_sys(e, "cannot open %s", root);
		j.cwd = in_view = inroot_open(view, m->target, O_PATH, 0, e);
		if (in_view < 0)
			return in_view;
	}
	return m->dir ? run_job(&j, e) : mount_file(j.cwd, m, e);
}

/* ---- taking them away */

int
mount_drop_all(const char *root, bool covered, struct err *e)
{
	AUTO_FREE struct statfs *v = NULL;
	size_t len = strlen(root);
	int n = list(&v, e), rc = 0;

	if (n < 0)
		return n;
	/* A record that says "/" would be all of the host. */
	if (len < 2)
		return err_set(e, E_CORRUPT, "the record of a jail says that \"%s\" is its root", root);
	for (int i = n - 1; i >= 0 && rc == 0; i--) {
		const char *on = v[i].f_mntonname;
		bool below = strncmp(on, root, len) == 0 && on[len] == '/';
		bool cover = covered && strcmp(on, root) == 0 && strcmp(v[i].f_fstypename, "nullfs") == 0;

		if (below || cover)
			rc = drop(&v[i], e);
	}
	if (rc == 0 && covered && rmdir(root) != 0 && errno != ENOENT)
		rc = err_sys(e, "cannot remove %s", root);
	return rc;
}

int
mount_drop_one(const char *path, struct err *e)
{
	AUTO_FREE struct statfs *v = NULL;
	int n = list(&v, e);

	if (n < 0)
		return n;
	for (int i = n - 1; i >= 0; i--)
		if (strcmp(v[i].f_mntonname, path) == 0)
			return drop(&v[i], e);
	return err_set(e, E_NOENT, "nothing is mounted on %s", path);
}
