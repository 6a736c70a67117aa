/*
 * Mounts of a command that is started in place of the pot's own: made here,
 * attached by the start, known to nobody afterwards.
 */
#include "engine/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/inroot.h"

static int
is_dir(int fd, bool *dir, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(e, "looking at a mount");
	*dir = S_ISDIR(st.st_mode);
	return 0;
}

static int
bind_mount(const struct epot_walls *w, const struct eng_mount *m, bool *dir, struct err *e)
{
	AUTO(fd) int fd = iso_bind(m->fd, "", m->read_only, false, e);
	/* A mount is no directory everywhere; what it shows is. */
	int rc = fd < 0 ? fd : is_dir(m->fd, dir, e);

	if (rc == 0 && w->iso.ids != 0)
		rc = walls_map(w, fd, e);
	return rc < 0 ? rc : take_fd(fd);
}

static int
part_of(int root, const struct eng_mount *m, bool *dir, struct err *e)
{
	AUTO(fd) int fd = inroot_open(root, m->path, O_PATH, 0, e);
	int rc = fd < 0 ? fd : is_dir(fd, dir, e);

	if (rc < 0)
		return rc;
	rc = iso_bind(fd, "", m->read_only, false, NULL);
	if (rc >= 0)
		return rc;
	err_set(e, E_NOTSUP, "this kernel cannot mount a part of a tree that is mounted nowhere");
	return err_hint(e, "leave source= away, or use Linux 6.15 or later");
}

static int
fs_mount(struct epot *p, const struct epot_walls *w, const struct eng_mount *m, bool *dir, struct err *e)
{
	struct stor *s = p->eng->stor;
	AUTO(fd) int root = -1;

	*dir = true;
	if (w->iso.ids != 0) {
		root = stor_mount_mapped(s, m->fs, m->read_only, &w->map, e);
		if (root < 0 && root != -E_NOTSUP)
			return root;
	}
	if (root < 0)
		root = stor_mount(s, m->fs, m->read_only, e);
	if (root < 0 || m->path == NULL || m->path[0] == '\0')
		return take_fd(root);
	return part_of(root, m, dir, e);
}

int
command_mount(struct epot *p, const struct epot_walls *w, const struct eng_mount *m, bool *dir,
    char named[static ISO_FILE_NAME], struct err *e)
{
	uint32_t first = w->iso.ids != 0 ? w->iso.id_first : 0;
	const struct iso_file file = { m->data, m->len, m->mode, first + m->uid, first + m->gid };

	named[0] = '\0';
	*dir = true;
	switch (m->kind) {
	case ENG_MOUNT_BIND:
		return bind_mount(w, m, dir, e);
	case ENG_MOUNT_FS:
		return fs_mount(p, w, m, dir, e);
	case ENG_MOUNT_TMPFS:
		return iso_tmpfs(m->size, m->mode, first, e);
	case ENG_MOUNT_FILE:
		*dir = false;
		return iso_file(&file, named, e);
	}
	return err_set(e, E_INVAL, "an unknown kind of mount");
}
