/*
 * Files into and out of a pot. The pot's side is only ever reached by fd
 * below its root: the running pot's own view, or a mount of a stopped one
 * that ends with the command.
 */
#include "engine/epot.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/inroot.h"

/*
 * The root of a pot that stays what it is: a stopped one is locked, so that
 * nobody starts it from under the copy; a running one is not, and its end
 * only makes the copy fail. That one's files have the host's ids from *first
 * on where *ids is not 0.
 */
static int
open_root(struct epot *p, struct eng *g, const char *name, uint32_t *first, uint32_t *ids, struct err *e)
{
	int rc = epot_get(p, g, name, EPOT_WRITE, e);

	*first = *ids = 0;
	if (rc < 0)
		return rc;
	if (state_is_active(&p->state.rec)) {
		const struct iso_ref ref = epot_ref(p);
		AUTO(fd) int ns = -1;

		epot_unlock(p);
		rc = iso_userns_of(&ref, &ns, first, ids, e);
		return rc < 0 ? rc : iso_root(&ref, e);
	}
	rc = eng_need_storage(g, e);
	return rc < 0 ? rc : stor_mount(g->stor, epot_fs(p), false, e);
}

static void
close_root(struct epot *p, int fd)
{
	fd_close(fd);
	if (p->lock_fd >= 0 && p->eng->stor != NULL)
		(void)!stor_unmount(p->eng->stor, epot_fs(p), NULL);
}

/* The last component of a path without trailing slashes; "" for "/" and "..". */
static void
last_name(const char *path, char out[static 256])
{
	size_t end = strlen(path), begin;

	while (end > 0 && path[end - 1] == '/')
		end--;
	begin = end;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	snprintf(out, 256, "%.*s", (int)(end - begin), path + begin);
	if (strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
		out[0] = '\0';
}

/*
 * Where below root a copy named `name` goes: an existing directory takes it
 * under its own name, anything else is the name to have. Returns the
 * directory's fd and fills `last`.
 */
static int
find_target(int root, const char *dst, const char *name, unsigned flags, char last[static 256], struct err *e)
{
	size_t len = strlen(dst);
	int fd = inroot_open(root, dst, O_PATH | O_DIRECTORY, 0, NULL);

	if (fd >= 0) {
		if (*name == '\0') {
			fd_close(fd);
			return err_set(e, E_INVAL, "the source has no name that it could have in %s", dst);
		}
		snprintf(last, 256, "%s", name);
		return fd;
	}
	if ((flags & POT_COPY_PARENTS) != 0) {
		AUTO_FREE char *parent = strdup(dst);
		char *slash;

		if (parent == NULL)
			return err_nomem(e);
		while (len > 1 && parent[len - 1] == '/')
			parent[--len] = '\0';
		slash = strrchr(parent, '/');
		if (slash != NULL && slash != parent) {
			*slash = '\0';
			fd = inroot_mkdirs(root, parent, 0755, e);
			if (fd < 0)
				return fd;
			fd_close(fd);
		}
	}
	return inroot_open_parent(root, dst, last, e);
}

int
eng_copy_in(
    struct eng *g, const char *name, const char *host_src, const char *dst, unsigned flags, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	char src_name[256], last[256];
	AUTO_FREE char *real = realpath(host_src, NULL);
	AUTO(fd) int dir = -1;
	struct tree_ids ids = { .closed = true };
	int root, rc;

	if (real == NULL)
		return err_sys(e, "cannot copy %s", host_src);
	last_name(real, src_name);
	root = open_root(&p, g, name, &ids.dst_first, &ids.count, e);
	if (root < 0)
		return root;
	/* In a mapped root nobody else than the pot's users can make anything. */
	rc = ids.count != 0 ? ids_enter(ids.dst_first, e) : 0;
	if (rc == 0) {
		dir = find_target(root, dst, src_name, flags, last, e);
		rc = dir < 0 ? dir
			     : tree_copy_ids(AT_FDCWD, real, dir, last, TREE_COPY_MERGE,
				   ids.count != 0 ? &ids : NULL, e);
	}
	if (ids.count != 0)
		ids_leave();
	close_root(&p, root);
	return rc < 0 ? err_wrap(e, "copying %s to %s:%s", host_src, name, dst) : 0;
}

int
eng_copy_out(
    struct eng *g, const char *name, const char *src, const char *host_dst, unsigned flags, struct err *e)
{
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	char src_name[256], last[256];
	AUTO(fd) int host = -1;
	AUTO(fd) int dir = -1;
	AUTO(fd) int from = -1;
	AUTO_FREE char *abs = NULL;
	struct tree_ids ids = { .closed = false };
	int root, rc;

	host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (host < 0)
		return err_sys(e, "cannot open /");
	root = open_root(&p, g, name, &ids.src_first, &ids.count, e);
	if (root < 0)
		return root;
	from = inroot_open_parent(root, src, src_name, e);
	rc = from < 0 ? from : 0;
	if (rc == 0 && faccessat(from, src_name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		rc = err_sys(e, "there is no %s", src);
	if (rc == 0) {
		char cwd[PATH_MAX];

		if (host_dst[0] == '/')
			abs = strdup(host_dst);
		else if (getcwd(cwd, sizeof(cwd)) == NULL || asprintf(&abs, "%s/%s", cwd, host_dst) < 0)
			abs = NULL;
		dir = abs == NULL ? err_nomem(e) : find_target(host, abs, src_name, flags, last, e);
		rc = dir < 0 ? dir
			     : tree_copy_ids(from, src_name, dir, last, TREE_COPY_MERGE,
				   ids.count != 0 ? &ids : NULL, e);
	}
	close_root(&p, root);
	return rc < 0 ? err_wrap(e, "copying %s:%s to %s", name, src, host_dst) : 0;
}
