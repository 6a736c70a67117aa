/*
 * Cases of the storage conformance suite: a root with mapped ids. What is
 * written through it is 0-based for every other way to the same file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/ids.h"
#include "suite.h"

#define FIRST 0x71230000u

static bool
put_map(pid_t pid, const char *file)
{
	char path[64], map[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	snprintf(map, sizeof(map), "0 %u 65536", FIRST);
	AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, map, strlen(map)) == (ssize_t)strlen(map);
}

/* A user namespace with the map; -1 with errno. */
static int
new_userns(void)
{
	char path[64];
	int fd = -1, status;
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return -1;
	if (pid == 0) {
		for (;;)
			pause();
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (put_map(pid, "uid_map") && put_map(pid, "gid_map"))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return fd;
}

static bool
owned_by(
    struct suite *t, struct stor_fs fs, const struct stor_idmap *map, const char *path, uid_t uid, gid_t gid)
{
	struct stat st;
	int root = stor_mount_mapped(t->s, fs, true, map, &t->e);

	OK(root >= 0);
	int rc = fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW);
	close(root);
	DO(stor_unmount(t->s, fs, &t->e));
	OK(rc == 0 && st.st_uid == uid && st.st_gid == gid);
	return true;
}

/* As the pot's root does it: a file, a user's, one that was there before. */
static bool
write_mapped(struct suite *t, const struct stor_idmap *map)
{
	int root = stor_mount_mapped(t->s, POT("a"), false, map, &t->e);
	struct stat st;

	OK(root >= 0);
	DO(ids_enter(FIRST, &t->e));
	bool good = fd_put(root, "new", "1") && fd_put(root, "theirs", "2") &&
	    mkdirat(root, "dir", 0755) == 0 && fchownat(root, "theirs", FIRST + 1000, FIRST + 50, 0) == 0 &&
	    symlinkat("new", root, "link") == 0;
	/* Copied up from below with the owner it had. */
	AUTO(fd) int old = openat(root, "old", O_WRONLY | O_APPEND | O_CLOEXEC);
	good = good && old >= 0 && write(old, "x", 1) == 1 && fstat(old, &st) == 0;
	ids_leave();
	good = good && st.st_uid == FIRST + 33 && st.st_gid == FIRST + 44;
	/* Ids outside of the map cannot be written. */
	good = good && fchownat(root, "new", 5, 5, 0) < 0;
	close(take_fd(old));
	close(root);
	DO(stor_unmount(t->s, POT("a"), &t->e));
	OK(good);
	return true;
}

static bool
mapped_root(struct suite *t)
{
	struct stor_idmap map = { new_userns(), FIRST, NULL };
	AUTO(fd) int ns = map.userns_fd;

	if ((t->s->caps & STOR_CAP_IDMAP) == 0) {
		REFUSED(E_NOTSUP, stor_mount_mapped(t->s, POT("a"), false, &map, &t->e));
		SKIP("it cannot map ids");
	}
	OK(ns >= 0);
	DO(stor_create(t->s, BASE("b"), &t->e));
	int root = stor_mount(t->s, BASE("b"), false, &t->e);
	OK(root >= 0);
	bool good = fd_put(root, "old", "0") && fchownat(root, "old", 33, 44, 0) == 0;
	close(root);
	DO(stor_unmount(t->s, BASE("b"), &t->e));
	OK(good);
	DO(stor_snapshot(t->s, BASE("b"), "s", &t->e));
	DO(stor_clone(t->s, BASE("b"), "s", POT("a"), &t->e));
	OK(owned_by(t, POT("a"), &map, "old", FIRST + 33, FIRST + 44));
	OK(write_mapped(t, &map));
	DO(stor_snapshot(t->s, POT("a"), "after", &t->e));
	DO(stor_clone(t->s, POT("a"), "after", POT("c"), &t->e));
	for (int i = 0; i < 2; i++) {
		struct stor_fs fs = i == 0 ? POT("a") : POT("c");

		OK(owned_by(t, fs, NULL, "new", 0, 0) && owned_by(t, fs, NULL, "dir", 0, 0));
		OK(owned_by(t, fs, NULL, "theirs", 1000, 50) && owned_by(t, fs, NULL, "link", 0, 0));
		OK(owned_by(t, fs, NULL, "old", 33, 44));
		OK(owned_by(t, fs, &map, "theirs", FIRST + 1000, FIRST + 50));
		OK(suite_has(t, fs, "old", "0x"));
	}
	OK(owned_by(t, BASE("b"), NULL, "old", 33, 44));
	return suite_empty(t);
}

const struct suite_case suite_idmap[] = {
	{ "a mapped root shows and keeps owners", mapped_root },
	{ NULL, NULL },
};
