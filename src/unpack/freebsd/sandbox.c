/*
 * The FreeBSD lock-up: root directory moved to the target, then capability
 * mode with the least rights on the few open fds. In capability mode only
 * look-ups below an fd are left, without "..": what base/inroot.h does there.
 */
#include "unpack/sandbox.h"

#include <sys/types.h>
#include <sys/capsicum.h>
#include <sys/extattr.h>
#include <sys/procctl.h>
#include <sys/resource.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"

int
sandbox_begin(struct err *e)
{
	struct rlimit none = { 0, 0 };
	int sig = SIGKILL, off = PROC_TRACE_CTL_DISABLE, nnp = PROC_NO_NEW_PRIVS_ENABLE;

	if (procctl(P_PID, 0, PROC_PDEATHSIG_CTL, &sig) != 0 ||
	    procctl(P_PID, 0, PROC_TRACE_CTL, &off) != 0 ||
	    procctl(P_PID, 0, PROC_NO_NEW_PRIVS_CTL, &nnp) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
		return err_sys(e, "sandbox: protecting the process");
	return 0;
}

static int
limit_fds(int root_fd, struct err *e)
{
	cap_rights_t in, out, root;

	cap_rights_init(&in, CAP_READ, CAP_FSTAT, CAP_EVENT);
	cap_rights_init(&out, CAP_WRITE, CAP_FSTAT, CAP_EVENT);
	cap_rights_init(&root, CAP_LOOKUP, CAP_READ, CAP_WRITE, CAP_PWRITE, CAP_SEEK, CAP_CREATE, CAP_FCNTL,
	    CAP_FCHDIR, CAP_FSTAT, CAP_FSTATAT, CAP_FSTATFS, CAP_FSYNC, CAP_FTRUNCATE, CAP_FCHMOD,
	    CAP_FCHMODAT, CAP_FCHOWN, CAP_FCHOWNAT, CAP_FUTIMES, CAP_FUTIMESAT, CAP_MKDIRAT, CAP_MKFIFOAT,
	    CAP_SYMLINKAT, CAP_LINKAT_SOURCE, CAP_LINKAT_TARGET, CAP_UNLINKAT, CAP_EXTATTR_SET,
	    CAP_EXTATTR_LIST, CAP_EXTATTR_DELETE, CAP_ACL_SET);
	if (cap_rights_limit(STDIN_FILENO, &in) != 0 || cap_rights_limit(STDOUT_FILENO, &out) != 0 ||
	    cap_rights_limit(STDERR_FILENO, &out) != 0 || cap_rights_limit(root_fd, &root) != 0)
		return err_sys(e, "sandbox: limiting open files");
	return 0;
}

int
sandbox_enter(int root_fd, uint64_t memory, uint64_t max_file, struct err *e)
{
	/* RLIMIT_AS counts what is mapped already: the program and its libraries. */
	rlim_t as = (rlim_t)memory + 256 * 1024 * 1024;
	struct rlimit space = { as, as }, size = { (rlim_t)max_file, (rlim_t)max_file }, files = { 64, 64 };
	int r;

	if (fchdir(root_fd) != 0 || chroot(".") != 0 || chdir("/") != 0)
		return err_sys(e, "sandbox: changing the root directory");
	if (setrlimit(RLIMIT_FSIZE, &size) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    setrlimit(RLIMIT_AS, &space) != 0)
		return err_sys(e, "sandbox: resource limits");
	if ((r = limit_fds(root_fd, e)) < 0)
		return r;
	if (cap_enter() != 0)
		return err_sys(e, "sandbox: capability mode");
	return 0;
}

int
sandbox_sync(int root_fd, struct err *e)
{
	AUTO(fd) int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0)
		return err_sys(e, "writing to disk");
	return 0;
}

int
sandbox_setxattr(int fd, const char *name, const void *value, size_t size)
{
	if (strncmp(name, "user.", 5) != 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return extattr_set_fd(fd, EXTATTR_NAMESPACE_USER, name + 5, value, size) < 0 ? -1 : 0;
}

int
sandbox_clear_xattrs(int fd)
{
	char names[64 * 1024], name[256];
	ssize_t len = extattr_list_fd(fd, EXTATTR_NAMESPACE_USER, names, sizeof(names));

	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : -1;
	/* Each name has its length in one byte before it, and no NUL: extattr_list_fd(2). */
	for (ssize_t at = 0; at < len;) {
		size_t n = (unsigned char)names[at];

		if (at + 1 + (ssize_t)n > len)
			break;
		memcpy(name, names + at + 1, n);
		name[n] = '\0';
		if (extattr_delete_fd(fd, EXTATTR_NAMESPACE_USER, name) != 0 && errno != ENOATTR)
			return -1;
		at += 1 + (ssize_t)n;
	}
	return 0;
}
