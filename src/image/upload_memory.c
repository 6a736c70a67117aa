/*
 * One small file for each upload under way: the URL at which the registry
 * wants to be told more. Locked by the push that uses it. Nothing of it is
 * trusted: the registry is asked how much it has, checks the digest at the
 * end, and no credentials go to another origin than its own.
 */
#include "image/upload_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "image/store_impl.h"

#define UPLOADS "uploads"
#define LOCATION_MAX 8192

void
upload_memory_open(struct upload_memory *m, struct img_store *s, const char *host, const char *repository,
    const struct digest *blob)
{
	char text[DIGEST_TEXT_LEN];
	AUTO_FINI(buf) struct buf key = BUF_INIT(4096);
	struct digest d;
	struct err ignored = ERR_INIT;

	*m = (struct upload_memory)UPLOAD_MEMORY_INIT;
	buf_fmt(&key, "%s/%s@%s", host, repository, digest_print(blob, text));
	if (key.failed || digest_of(DIGEST_SHA256, key.data, key.len, &d, &ignored) < 0 ||
	    (m->dir = dir_make(s->dir, UPLOADS, 0700, &ignored)) < 0)
		return;
	(void)digest_hex(&d, m->name);
	m->fd = lock_file(m->dir, m->name, true, 0, &ignored);
	/* Its last user may have removed it meanwhile: then it is not worth another try. */
	if (m->fd >= 0 && !file_is_named(m->dir, m->name, m->fd))
		fd_close(take_fd(m->fd));
}

bool
upload_memory_get(const struct upload_memory *m, struct buf *location)
{
	char text[LOCATION_MAX];
	ssize_t n = m->fd < 0 ? 0 : pread(m->fd, text, sizeof(text), 0);

	/* Whole only with the newline at its end. */
	if (n < 2 || text[n - 1] != '\n' || memchr(text, '\0', (size_t)n) != NULL ||
	    memchr(text, '\n', (size_t)n - 1) != NULL)
		return false;
	location->len = 0;
	buf_add(location, text, (size_t)n - 1);
	return !location->failed;
}

void
upload_memory_put(const struct upload_memory *m, const struct buf *location)
{
	char text[LOCATION_MAX];
	int n = snprintf(text, sizeof(text), "%s\n", location->data);

	if (m->fd < 0 || n >= (int)sizeof(text))
		return;
	if (ftruncate(m->fd, 0) != 0 || pwrite(m->fd, text, (size_t)n, 0) != n)
		(void)!ftruncate(m->fd, 0);
}

void
upload_memory_drop(struct upload_memory *m)
{
	if (m->fd >= 0)
		unlinkat(m->dir, m->name, 0);
	fd_close(take_fd(m->fd));
}

void
upload_memory_close(struct upload_memory *m)
{
	char byte;

	if (m->fd >= 0 && pread(m->fd, &byte, 1, 0) != 1)
		unlinkat(m->dir, m->name, 0);
	fd_close(take_fd(m->fd));
	fd_close(take_fd(m->dir));
}

int
upload_memory_prune(struct img_store *s, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	AUTO(fd) int dir = dir_make(s->dir, UPLOADS, 0700, e);
	int r = dir < 0 ? dir : store_names(dir, false, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		AUTO(fd) int fd = lock_file(dir, names.v[i], true, 0, e);

		if (fd == -E_BUSY)
			continue;
		if (fd < 0 || unlinkat(dir, names.v[i], 0) != 0)
			return fd < 0 ? fd : err_sys(e, "removing %s", names.v[i]);
	}
	return r;
}
