/*
 * Where the files of a classic image come from: a directory, or a server that
 * gives them as plain files, from which they are fetched into a directory of
 * ours below partial/, named after place and image. That one goes when the
 * image was taken in; what an interrupted fetch got of the large file stays in
 * it for the next one. Nothing is checked here but sizes.
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "image/classic_fetch.h"
#include "image/download.h"
#include "image/store_impl.h"

#define SMALL_MAX (64u * 1024) /* .meta, .skein, .sig */
#define LOOK_MS 200
#define LARGE_MAX (UINT64_C(256) << 30) /* .xz */

static void
file_url(const struct classic_from *from, const char *name, struct buf *url)
{
	size_t n = strlen(from->place);

	while (n > 0 && from->place[n - 1] == '/')
		n--;
	/* The stem is of letters that need no escape. */
	buf_fmt(url, "%.*s/%s", (int)n, from->place, name);
}

static int
fetch_file(struct http *h, const struct classic_from *from, int dir, const char *end, uint64_t max,
    bool *resumed, struct err *e)
{
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX);
	char name[CLASSIC_STEM_LEN + 16];
	struct download_args d = {
		.what = name, .max = max, .insecure = from->insecure, .events = from->events
	};
	off_t have;
	int rc;

	snprintf(name, sizeof(name), "%s%s", from->stem, end);
	file_url(from, name, &url);
	rc = buf_check(&url, "URL", e);
	if (rc < 0)
		return rc;
	AUTO(fd)
	int fd = openat(
	    dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (resumed == NULL ? O_TRUNC : 0), 0600);
	if (fd < 0 || (have = lseek(fd, 0, SEEK_END)) < 0)
		return err_sys(e, "%s", name);
	d.url = url.data;
	if (resumed != NULL)
		*resumed = have > 0;
	rc = download_file(h, &d, fd, (uint64_t)have, e);
	/* All of it is there, or nothing of it is right: the sum will tell. */
	return rc == -E_CORRUPT && have > 0 ? 0 : rc;
}

static int
fetch_all(struct classic_files *f, const struct classic_from *from, struct err *e)
{
	const struct http_params par = { .cancel = from->cancel, .stall_s = from->stall_s };
	AUTO(http) struct http *h = NULL;
	int rc = http_new(&h, &par, e);

	/* The small ones first: without them the large one is of no use. */
	if (rc == 0)
		rc = fetch_file(h, from, f->dir, ".xz.skein", SMALL_MAX, NULL, e);
	if (rc == 0 && from->signature)
		rc = fetch_file(h, from, f->dir, ".xz.skein.sig", SMALL_MAX, NULL, e);
	if (rc == 0)
		rc = fetch_file(h, from, f->dir, ".xz.meta", SMALL_MAX, NULL, e);
	fault_point("image.import.small");
	if (rc == 0)
		rc = fetch_file(h, from, f->dir, ".xz", LARGE_MAX, &f->resumed, e);
	fault_point("image.import.fetched");
	return rc;
}

/* STORE_CLASSIC and sixteen digits; its lock has the same name with STORE_CLASSIC_LOCK behind. */
static int
name_dir(struct classic_files *f, const struct classic_from *from, char lock[static CLASSIC_DIR_LEN + 8],
    struct err *e)
{
	AUTO_FINI(buf) struct buf key = BUF_INIT(URL_MAX + CLASSIC_STEM_LEN);
	char hex[DIGEST_HEX_LEN];
	struct digest d;
	int rc;

	file_url(from, from->stem, &key);
	rc = buf_check(&key, "URL", e);
	if (rc == 0)
		rc = digest_of(DIGEST_SHA256, key.data, key.len, &d, e);
	if (rc < 0)
		return rc;
	snprintf(f->name, sizeof(f->name), STORE_CLASSIC "%.16s", digest_hex(&d, hex));
	snprintf(lock, CLASSIC_DIR_LEN + 8, "%s" STORE_CLASSIC_LOCK, f->name);
	return 0;
}

static int
lock_dir(struct img_store *s, const char *lock, const volatile bool *cancel, struct err *e)
{
	for (;;) {
		int fd = lock_named(s->partial, lock, true, LOOK_MS, e);

		if (fd != -E_BUSY)
			return fd;
		if (cancel != NULL && *cancel)
			return err_set(e, E_INTR, "interrupted while another command fetches the image");
	}
}

static int
make_dir(struct classic_files *f, struct img_store *s, const struct classic_from *from, struct err *e)
{
	char lock[CLASSIC_DIR_LEN + 8];
	int rc = name_dir(f, from, lock, e);

	if (rc < 0)
		return rc;
	f->partial = s->partial;
	f->lock = lock_dir(s, lock, from->cancel, e);
	if (f->lock < 0)
		return f->lock;
	if (mkdirat(s->partial, f->name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "making %s", f->name);
	f->dir = dir_open(s->partial, f->name, e);
	return f->dir < 0 ? f->dir : 0;
}

/* Has anything come that the next fetch can go on with? */
static bool
has_some(const struct classic_files *f, const struct classic_from *from)
{
	char name[CLASSIC_STEM_LEN + 8];
	struct stat st;

	snprintf(name, sizeof(name), "%s.xz", from->stem);
	return f->dir >= 0 && fstatat(f->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
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
	rc = make_dir(f, s, from, e);
	if (rc == 0)
		rc = fetch_all(f, from, e);
	if (rc < 0 && !has_some(f, from))
		classic_files_drop(f);
	return rc;
}

void
classic_files_drop(struct classic_files *f)
{
	char lock[CLASSIC_DIR_LEN + 8];

	if (f->lock < 0)
		return;
	snprintf(lock, sizeof(lock), "%s" STORE_CLASSIC_LOCK, f->name);
	fd_close(take_fd(f->dir));
	if (tree_remove(f->partial, f->name, NULL) == 0)
		(void)unlinkat(f->partial, lock, 0);
	fd_close(take_fd(f->lock));
}

void
classic_files_fini(struct classic_files *f)
{
	fd_close(take_fd(f->dir));
	fd_close(take_fd(f->lock));
}
