/*
 * Where the files of a classic image come from: a directory, or a server that
 * gives them as plain files, from which they are fetched into a directory of
 * ours below partial/. That one goes at the end, or with the next prune when
 * this process dies. Nothing is checked here but sizes.
 */
#include <sys/random.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "image/classic_fetch.h"
#include "image/download.h"
#include "image/store_impl.h"

#define SMALL_MAX (64u * 1024)          /* .meta, .skein, .sig */
#define LARGE_MAX (UINT64_C(256) << 30) /* .xz */

static int
fetch_file(
    struct http *h, const struct classic_from *from, int dir, const char *end, uint64_t max, struct err *e)
{
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX);
	char name[CLASSIC_STEM_LEN + 16];
	struct download_args d = {
		.what = name, .max = max, .insecure = from->insecure, .events = from->events
	};
	size_t n = strlen(from->place);
	int fd, rc;

	snprintf(name, sizeof(name), "%s%s", from->stem, end);
	while (n > 0 && from->place[n - 1] == '/')
		n--;
	/* The stem is of letters that need no escape. */
	buf_fmt(&url, "%.*s/%s", (int)n, from->place, name);
	rc = buf_check(&url, "URL", e);
	if (rc < 0)
		return rc;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", name);
	d.url = url.data;
	rc = download_file(h, &d, fd, 0, e);
	fd_close(fd);
	if (rc < 0)
		(void)unlinkat(dir, name, 0);
	return rc;
}

static int
fetch_all(const struct classic_from *from, int dir, struct err *e)
{
	const struct http_params par = { .cancel = from->cancel };
	AUTO(http) struct http *h = NULL;
	int rc = http_new(&h, &par, e);

	/* The small ones first: without them the large one is of no use. */
	if (rc == 0)
		rc = fetch_file(h, from, dir, ".xz.skein", SMALL_MAX, e);
	if (rc == 0 && from->signature)
		rc = fetch_file(h, from, dir, ".xz.skein.sig", SMALL_MAX, e);
	if (rc == 0)
		rc = fetch_file(h, from, dir, ".xz.meta", SMALL_MAX, e);
	if (rc == 0)
		rc = fetch_file(h, from, dir, ".xz", LARGE_MAX, e);
	return rc;
}

/* partial/.load-N with its lock, as of an archive that is being read: prune knows both. */
static int
make_dir(struct classic_files *f, struct img_store *s, struct err *e)
{
	char lock[sizeof(f->name) + 8];
	unsigned long long r;
	int rc;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return err_sys(e, "random bytes");
	snprintf(f->name, sizeof(f->name), ".load-%016llx", r);
	snprintf(lock, sizeof(lock), "%s.lock", f->name);
	f->partial = s->partial;
	f->lock = lock_file(s->partial, lock, true, 0, e);
	if (f->lock < 0)
		return take_fd(f->lock);
	rc = mkdirat(s->partial, f->name, 0700) < 0 ? err_sys(e, "making %s", f->name) : 0;
	f->dir = rc < 0 ? rc : dir_open(s->partial, f->name, e);
	return f->dir < 0 ? take_fd(f->dir) : 0;
}

int
classic_files_open(
    struct classic_files *f, struct img_store *s, const struct classic_from *from, struct err *e)
{
	static const char file[] = "file://";
	bool plain = strncmp(from->place, "http://", 7) == 0;
	const char *path = from->place;
	int rc;

	*f = (struct classic_files)CLASSIC_FILES_INIT;
	if (!plain && !url_is_https(from->place)) {
		if (strncmp(path, file, strlen(file)) == 0)
			path += strlen(file);
		if (strstr(path, "://") != NULL)
			return err_set(e, E_NOTSUP, "images come from a directory, http or https only");
		f->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return f->dir < 0 ? err_sys(e, "directory %s", path) : 0;
	}
	/* Over plain HTTP only a signature says that the files are whose they should be. */
	if (plain && !from->signature && !from->insecure) {
		err_set(e, E_PERM, "plain http proves nothing about what comes");
		return err_hint(e, "give the maker's key with -C, an https URL, or --insecure");
	}
	rc = make_dir(f, s, e);
	if (rc == 0)
		rc = fetch_all(from, f->dir, e);
	if (rc < 0)
		classic_files_fini(f);
	return rc;
}

void
classic_files_fini(struct classic_files *f)
{
	char lock[sizeof(f->name) + 8];

	fd_close(take_fd(f->dir));
	if (f->lock < 0)
		return;
	snprintf(lock, sizeof(lock), "%s.lock", f->name);
	if (tree_remove(f->partial, f->name, NULL) == 0)
		(void)unlinkat(f->partial, lock, 0);
	fd_close(take_fd(f->lock));
}
