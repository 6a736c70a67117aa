/*
 * Looking at a file system that others may look at, too: read-only mounts,
 * counted by a lock file that all of them share, so that the last one gives
 * back what the mechanism may have mounted on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "storage/storage.h"

#define WAIT_MS 60000

static void
lock_name(struct stor_fs fs, char out[static STOR_NAME_MAX + 32])
{
	snprintf(out, STOR_NAME_MAX + 32, ".look-%d-%s", (int)fs.kind, fs.name);
}

int
stor_look_begin(struct stor *s, struct stor_fs fs, struct stor_look *l, struct err *e)
{
	char name[STOR_NAME_MAX + 32];
	int rc = stor_exists(s, fs, e);

	*l = (struct stor_look)STOR_LOOK_INIT;
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(e, E_NOENT, "%s: is not in the storage", fs.name);
	lock_name(fs, name);
	if ((l->lock = lock_named(s->dirfd, name, false, WAIT_MS, e)) < 0)
		return l->lock;
	l->root = stor_mount(s, fs, true, e);
	if (l->root >= 0)
		return 0;
	rc = l->root;
	stor_look_end(s, fs, l);
	return rc;
}

void
stor_look_end(struct stor *s, struct stor_fs fs, struct stor_look *l)
{
	char name[STOR_NAME_MAX + 32];

	fd_close(take_fd(l->root));
	if (l->lock < 0)
		return;
	lock_name(fs, name);
	/* Given back first: two that end at one time must not wait for each other. */
	fd_close(take_fd(l->lock));
	AUTO(fd) int last = lock_file(s->dirfd, name, true, 0, NULL);
	if (last < 0 || !file_is_named(s->dirfd, name, last))
		return;
	/* What cannot be given back now is with the next look, or with destroy. */
	(void)!stor_unmount(s, fs, NULL);
	unlinkat(s->dirfd, name, 0);
}
