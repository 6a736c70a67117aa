/*
 * User namespaces: making one with its map, mapping mounts with it, and
 * reading what a running pot's walls are.  A namespace is made by a child
 * that ends at once, and is not waited for until the map is written: what is
 * left of it until it is reaped carries the namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/mount.h>
#include <linux/sched.h>

#include "base/linux/rawsys.h"
#include "isolation/linux/child.h"
#include "isolation/linux/walls.h"

#define STATUS_MAX 8192

static int
nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int
write_map(pid_t pid, const char *file, const char *text, struct err *e)
{
	char path[48];
	AUTO(fd) int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return err_sys(e, "cannot give the user namespace its ids (%s)", text);
	return 0;
}

int
userns_map(pid_t pid, uint32_t first, uint32_t count, struct err *e)
{
	char text[48], path[48];
	int fd, r;

	snprintf(text, sizeof(text), "0 %" PRIu32 " %" PRIu32, first, count);
	if ((r = write_map(pid, "uid_map", text, e)) < 0 || (r = write_map(pid, "gid_map", text, e)) < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, "cannot open the user namespace");
}

int
userns_refused(int sys, struct err *e)
{
	if (sys == EINVAL || sys == ENOSYS || sys == ENOSPC || sys == EPERM || sys == EUSERS) {
		(void)!err_set(e, E_NOTSUP, "the kernel makes no user namespace: %s", strerror(sys));
		return err_hint(e, "see user.max_user_namespaces (sysctl), or --userns off");
	}
	return err_sysno(e, sys, "cannot make a user namespace");
}

const bool iso_has_userns = true;

int
iso_userns(uint32_t first, uint32_t count, struct err *e)
{
	char *stack = child_stack_new(1);
	struct clone_args a = {
		.flags = CLONE_VM | CLONE_NEWUSER,
		.stack = (uint64_t)(uintptr_t)stack,
		.stack_size = CHILD_STACK,
	};
	unsigned long saved;
	long pid;
	int r;

	if (stack == NULL)
		return err_nomem(e);
	child_block_signals(&saved);
	pid = raw_clone3(&a, nothing, NULL);
	child_restore_signals(&saved);
	r = pid < 0 ? userns_refused((int)-pid, e) : userns_map((pid_t)pid, first, count, e);
	if (pid > 0)
		while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
			;
	child_stack_free(stack, 1);
	return r;
}

int
iso_idmap(int mount_fd, int userns_fd, bool recursive, struct err *e)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd };
	unsigned rec = recursive ? AT_RECURSIVE : 0;

	if (syscall(SYS_mount_setattr, mount_fd, "", AT_EMPTY_PATH | rec, &attr, sizeof(attr)) == 0)
		return 0;
	/* EPERM: a file system that is mapped already, or belongs to a user namespace. */
	if (errno == EINVAL || errno == EPERM || errno == EOPNOTSUPP)
		return err_set(e, E_NOTSUP, "its file system takes no id map");
	return err_sys(e, "cannot map the ids of a mount");
}

static int
read_proc(const struct proc_id *id, const char *name, char *out, size_t cap, struct err *e)
{
	char path[48];
	AUTO(fd) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)id->pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, out, cap - 1);
	/* Asked after the reading, so that it speaks about what was read. */
	if (n < 0 || !proc_id_alive(id))
		return err_set(e, E_STATE, "the pot has ended");
	out[n] = '\0';
	return 0;
}

static bool
same_userns(const struct proc_id *id)
{
	char path[48];
	struct stat own, other;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)id->pid);
	return stat("/proc/self/ns/user", &own) == 0 && stat(path, &other) == 0 &&
	    own.st_ino == other.st_ino && own.st_dev == other.st_dev;
}

int
walls_ids(const struct proc_id *id, uint32_t *first, uint32_t *ids, struct err *e)
{
	char map[512];
	uint32_t inside;
	int r;

	*first = *ids = 0;
	if (same_userns(id))
		return 0;
	r = read_proc(id, "uid_map", map, sizeof(map), e);
	if (r < 0)
		return r;
	if (sscanf(map, "%" SCNu32 " %" SCNu32 " %" SCNu32, &inside, first, ids) != 3 || inside != 0)
		return err_set(e, E_STATE, "the pot's user namespace is none that pot makes");
	return 0;
}

/* "Key:\tvalue" of /proc/PID/status, in base 16; false when it is not there. */
static bool
status_hex(const char *status, const char *key, uint64_t *v)
{
	const char *at = strstr(status, key);

	*v = 0;
	return at != NULL && sscanf(at + strlen(key), "%" SCNx64, v) == 1;
}

int
walls_facts(const struct proc_id *id, struct wall_facts *f, struct err *e)
{
	char status[STATUS_MAX];
	uint64_t humble;
	int r = walls_ids(id, &f->first, &f->ids, e);

	if (r == 0)
		r = read_proc(id, "status", status, sizeof(status), e);
	if (r < 0)
		return r;
	f->userns = f->ids != 0;
	if (!status_hex(status, "\nCapBnd:", &f->caps) || !status_hex(status, "\nNoNewPrivs:", &humble))
		return err_set(e, E_NOTSUP, "the kernel does not tell a process's capabilities");
	f->humble = humble == 1;
	return 0;
}

void
walls_oom(pid_t pid)
{
	char path[48], text[16] = "";
	AUTO(fd) int own = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC), fd = -1;

	if (own < 0 || read(own, text, sizeof(text) - 1) <= 0 || strcmp(text, "0\n") == 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "0", 1);
}
