/*
 * FreeBSD's release sets: the list with their sums first, then the set itself,
 * which becomes visible under its name when its sum is right. The list is that of the
 * port freebsd-release-manifests where it is installed, so that a mirror has
 * to be believed in nothing; else the mirror's own, by https.
 *
 *   CACHE/14.3-RELEASE-amd64-aarch64.txz         whole, and proved once
 *         14.3-RELEASE-amd64-aarch64.txz.part    what came of it so far
 *         .lock-14.3-RELEASE-amd64-aarch64       held while it is fetched or used
 */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "image/bsdsets.h"
#include "image/digest.h"
#include "image/download.h"

#define SET "base"
#define SET_MAX (UINT64_C(8) << 30)
#define LOCK_MS 1000
#define TRIES 2 /* the second one from the beginning */

struct fetching {
	const struct bsdsets_args *args;
	struct http *http;
	char stem[BSDSETS_NAME - 16];
	struct buf url; /* of the release's directory */
	struct bsd_set set;
	struct digest want;
};

/* ---- the list ------------------------------------------------------------------------ */

static int
use_list(struct fetching *f, const struct buf *text, const char *what, struct err *e)
{
	int rc = bsd_manifest_find(text->data, text->len, what, SET, &f->set, e);

	return rc < 0 ? rc : digest_parse_hex(DIGEST_SHA256, f->set.sha256, &f->want, e);
}

/* "amd64-amd64-14.3-RELEASE". 1: it is there. */
static int
installed_list(struct fetching *f, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(BSD_MANIFEST_MAX);
	AUTO(fd) int dir = -1;
	char name[64];
	int rc;

	if (f->args->manifests == NULL)
		return 0;
	dir = open(f->args->manifests, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof(name), "%.20s-%s", f->args->machine, f->args->release->name);
	*strchr(name, '/') = '-';
	if (dir < 0 || faccessat(dir, name, F_OK, 0) != 0)
		return 0;
	rc = file_read(dir, name, &text, e);
	if (rc == 0)
		rc = use_list(f, &text, name, e);
	return rc < 0 ? rc : 1;
}

static bool
is_loopback(const char *url)
{
	char host[64];

	return url_host(url, host, sizeof(host), NULL) == 0 &&
	    (strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0);
}

static int
fetched_list(struct fetching *f, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(BSD_MANIFEST_MAX), url = BUF_INIT(URL_MAX);
	AUTO(fd) int fd = -1;
	struct download_args d = { .what = "MANIFEST",
		.max = BSD_MANIFEST_MAX,
		.insecure = f->args->insecure,
		.events = f->args->events };
	char part[BSDSETS_NAME];
	int rc;

	if (!url_is_https(f->url.data) && !is_loopback(f->url.data) && !f->args->insecure) {
		err_set(e, E_PERM, "plain http proves nothing about what comes");
		return err_hint(e, "use an https mirror, install freebsd-release-manifests, or --insecure");
	}
	buf_fmt(&url, "%s/MANIFEST", buf_cstr(&f->url));
	snprintf(part, sizeof(part), "%s.list", f->stem);
	if ((rc = buf_check(&url, "URL", e)) < 0)
		return rc;
	fd = openat(f->args->cache, part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", part);
	(void)unlinkat(f->args->cache, part, 0);
	d.url = url.data;
	rc = download_file(f->http, &d, fd, 0, e);
	if (rc == -E_NOENT) {
		err_set(e, E_NOENT, "the mirror has no release %s for %s", f->args->release->name,
		    f->args->machine);
		return err_hint(e, "see what there is: %s", buf_cstr(&f->url));
	}
	if (rc == 0 && lseek(fd, 0, SEEK_SET) != 0)
		rc = err_sys(e, "MANIFEST");
	if (rc == 0)
		rc = fd_read_all(fd, &text, e);
	return rc < 0 ? rc : use_list(f, &text, "MANIFEST", e);
}

/* ---- the set -------------------------------------------------------------------------- */

/* 1: that sum, 0: another one, or no such file. */
static int
is_proved(const struct fetching *f, const char *name, struct err *e)
{
	AUTO(fd) int fd = openat(f->args->cache, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct digest have;
	uint64_t size;
	int rc;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", name);
	rc = digest_of_fd(DIGEST_SHA256, fd, &have, &size, e);
	return rc < 0 ? rc : digest_equal(&have, &f->want);
}

/* One go at it; what came stays. */
static int
go_on(struct fetching *f, const char *part, struct err *e)
{
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX);
	AUTO(fd) int fd = openat(f->args->cache, part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct download_args d = {
		.what = f->set.file, .max = SET_MAX, .insecure = f->args->insecure, .events = f->args->events
	};
	off_t have;
	int rc;

	if (fd < 0 || (have = lseek(fd, 0, SEEK_END)) < 0)
		return err_sys(e, "%s", part);
	buf_fmt(&url, "%s/%s", buf_cstr(&f->url), f->set.file);
	if ((rc = buf_check(&url, "URL", e)) < 0)
		return rc;
	d.url = url.data;
	rc = download_file(f->http, &d, fd, (uint64_t)have, e);
	fault_point("bsdsets.fetched");
	if (rc == 0 && fsync(fd) != 0)
		rc = err_sys(e, "%s", part);
	return rc;
}

static int
fetch_set(struct fetching *f, const char *name, struct err *e)
{
	char part[BSDSETS_NAME + 8];
	struct stat st;
	int rc = 0;

	snprintf(part, sizeof(part), "%s.part", name);
	for (int i = 0; i < TRIES; i++) {
		bool resumed = fstatat(f->args->cache, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;

		rc = go_on(f, part, e);
		if (rc == 0)
			rc = is_proved(f, part, e);
		if (rc > 0)
			break;
		if (rc < 0 && rc != -E_CORRUPT)
			return rc;
		/* Wrong, as the mirror gives it or as it was put together from two times. */
		(void)unlinkat(f->args->cache, part, 0);
		if (!resumed)
			return err_set(e, E_CORRUPT,
			    "%s of %s is not what the list of sets says: its sum is another", f->set.file,
			    f->args->release->name);
	}
	if (rc <= 0)
		return err_set(e, E_CORRUPT, "%s of %s: the mirror changes while it is read", f->set.file,
		    f->args->release->name);
	if (renameat(f->args->cache, part, f->args->cache, name) != 0)
		return err_sys(e, "%s", name);
	return dir_sync(f->args->cache, "the cache of releases", e);
}

static int
get(struct fetching *f, const char *name, struct err *e)
{
	int rc = installed_list(f, e);

	if (rc == 0)
		rc = fetched_list(f, e);
	if (rc < 0 || (rc = is_proved(f, name, e)) != 0)
		return rc < 0 ? rc : 0;
	return fetch_set(f, name, e);
}

int
bsdsets_fetch(const struct bsdsets_args *args, char name[static BSDSETS_NAME], struct err *e)
{
	const struct http_params par = { .cancel = args->cancel };
	struct fetching f = { .args = args, .url = BUF_INIT(URL_MAX) };
	char lock_name[BSDSETS_NAME + 8];
	AUTO(fd) int lock = -1;
	int rc;

	snprintf(f.stem, sizeof(f.stem), "%s-%.20s", args->release->name, args->machine);
	*strchr(f.stem, '/') = '-';
	snprintf(name, BSDSETS_NAME, "%s.txz", f.stem);
	snprintf(lock_name, sizeof(lock_name), ".lock-%s", f.stem);
	bsd_release_url(args->release, args->mirror, args->machine, &f.url);
	rc = buf_check(&f.url, "URL", e);
	if (rc == 0)
		lock = rc = lock_file(args->cache, lock_name, true, LOCK_MS, e);
	if (rc == -E_BUSY)
		err_set(e, E_BUSY, "another command fetches %s now", args->release->name);
	if (rc >= 0)
		rc = http_new(&f.http, &par, e);
	if (rc == 0)
		rc = get(&f, name, e);
	if (f.http != NULL)
		http_free(f.http);
	buf_fini(&f.url);
	return rc < 0 ? rc : take_fd(lock);
}
