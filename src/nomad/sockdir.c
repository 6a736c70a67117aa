/*
 * Where the plugin's socket is: a directory of its own below one for temporary
 * files. Whoever is killed leaves it there, so each plugin holds a lock in its
 * directory, and the next one removes those whose lock nobody holds.
 */
#include <sys/stat.h>
#include <sys/un.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "nomad/sockdir.h"

#define PREFIX "pot-nomad-"
#define RANDOM "XXXXXX"
#define SOCKET "plugin.sock"
#define LOCK "lock"
#define TRIES 5

static const char *
parent_dir(void)
{
	const char *dir = getenv("PLUGIN_UNIX_SOCKET_DIR");

	if (dir == NULL || dir[0] == '\0')
		dir = getenv("TMPDIR");
	return dir == NULL || dir[0] == '\0' ? "/tmp" : dir;
}

/* ---- what is left of others -------------------------------------------------------- */

/* Others may write below /tmp too: only what is a directory, and ours, is looked into. */
static int
open_own(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 022) != 0))
		fd_close(take_fd(fd));
	return fd;
}

static void
empty(int dir)
{
	(void)unlinkat(dir, SOCKET, 0);
	(void)unlinkat(dir, LOCK, 0);
}

static void
remove_if_left(int parent, const char *name)
{
	AUTO(fd) int dir = open_own(parent, name), lock = -1;

	if (dir < 0)
		return;
	lock = lock_file(dir, LOCK, true, 0, NULL);
	if (lock < 0)
		return;
	empty(dir);
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static void
remove_left(const char *parent)
{
	DIR *d = opendir(parent);
	const struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
		    strlen(entry->d_name) == strlen(PREFIX RANDOM))
			remove_if_left(dirfd(d), entry->d_name);
	if (d != NULL)
		(void)closedir(d);
}

/* ---- our own ------------------------------------------------------------------------ */

/* 1, or 0: until the lock is held, another one may take it for left, and it is gone. */
static int
try_make(struct sockdir *s, const char *parent, struct err *e)
{
	AUTO(fd) int dir = -1;

	if (asprintf(&s->dir, "%s/" PREFIX RANDOM, parent) < 0) {
		s->dir = NULL;
		return err_nomem(e);
	}
	if (mkdtemp(s->dir) == NULL) {
		free(take_ptr(s->dir));
		return err_sys(e, "make a directory for the socket in '%.128s'", parent);
	}
	dir = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		s->lock = lock_file(dir, LOCK, true, 0, e);
	if (dir >= 0 && s->lock >= 0)
		return 1;
	(void)rmdir(s->dir);
	free(take_ptr(s->dir));
	s->lock = -1;
	return 0;
}

int
sockdir_make(struct sockdir *s, struct err *e)
{
	const char *parent = parent_dir();
	int rc = 0;

	if (strlen(parent) + sizeof("/" PREFIX RANDOM "/" SOCKET) >
	    sizeof(((struct sockaddr_un *)0)->sun_path)) {
		err_set(e, E_INVAL, "'%.128s': too long a path for a socket", parent);
		return err_hint(e, "set TMPDIR of the agent to a shorter one");
	}
	remove_left(parent);
	for (int i = 0; i < TRIES && rc == 0; i++)
		rc = try_make(s, parent, e);
	if (rc == 0)
		return err_set(
		    e, E_BUSY, "make a directory for the socket in '%.128s': others remove it", parent);
	if (rc > 0 && asprintf(&s->path, "%s/" SOCKET, s->dir) < 0) {
		s->path = NULL;
		rc = err_nomem(e);
	}
	return rc < 0 ? rc : 0;
}

void
sockdir_remove(struct sockdir *s)
{
	int dir = s->dir == NULL ? -1 : open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0) {
		empty(dir);
		(void)rmdir(s->dir);
		fd_close(dir);
	}
	fd_close(take_fd(s->lock));
	free(take_ptr(s->path));
	free(take_ptr(s->dir));
}
