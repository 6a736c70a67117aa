/* The data directory and its blobs. Who may call what: store.h. */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fault.h"
#include "base/file.h"
#include "registry/db.h"
#include "registry/store.h"

static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

static int
make_layout(const struct store *s, struct err *e)
{
	if (faccessat(s->dirfd, "oci-layout", F_OK, 0) == 0)
		return 0;
	return file_write_atomic(s->dirfd, "oci-layout", 0644, layout, sizeof(layout) - 1, e);
}

int
store_open(const char *dir, struct store *s, struct err *e)
{
	int rc;

	*s = (struct store){ .dirfd = -1, .uploads = -1, .classic = -1, .quarantine = -1, .lock = -1 };
	for (int i = 0; i < DIGEST_ALGS; i++)
		s->blobs[i] = -1;
	s->dir = realpath(dir, NULL);
	if (s->dir == NULL && errno == ENOENT) {
		rc = dir_make_path(dir, 0755, e);
		if (rc < 0)
			return rc;
		s->dir = realpath(dir, NULL);
	}
	if (s->dir == NULL)
		return err_sys(e, "open the data directory '%s'", dir);
	rc = s->dirfd = dir_open(AT_FDCWD, s->dir, e);
	if (rc >= 0) {
		AUTO(fd) int blobs = rc = dir_make(s->dirfd, "blobs", 0755, e);

		for (int i = 0; rc >= 0 && i < DIGEST_ALGS; i++)
			rc = s->blobs[i] = dir_make(blobs, digest_name((enum digest_alg)i), 0755, e);
	}
	if (rc >= 0)
		rc = s->uploads = dir_make(s->dirfd, "uploads", 0700, e);
	if (rc >= 0)
		rc = s->classic = dir_make(s->dirfd, "classic", 0700, e);
	if (rc >= 0)
		rc = s->quarantine = dir_make(s->dirfd, "quarantine", 0700, e);
	if (rc >= 0)
		rc = make_layout(s, e);
	if (rc < 0) {
		store_close(s);
		return rc;
	}
	return 0;
}

void
store_close(struct store *s)
{
	fd_close(s->dirfd);
	for (int i = 0; i < DIGEST_ALGS; i++)
		fd_close(s->blobs[i]);
	fd_close(s->uploads);
	fd_close(s->classic);
	fd_close(s->quarantine);
	fd_close(s->lock);
	free(s->dir);
	s->dir = NULL;
}

int
store_lock(struct store *s, struct err *e)
{
	s->lock = lock_file(s->dirfd, "lock", true, 0, e);
	return s->lock < 0 ? s->lock : 0;
}

int
store_blob_open(const struct store *s, const struct digest *d, uint64_t *size, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	AUTO(fd)
	int fd = openat(s->blobs[d->alg], digest_hex(d, hex), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open blob %s", digest_hex(d, hex));
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_CORRUPT, "blob %s: not a regular file", hex);
	*size = (uint64_t)st.st_size;
	return take_fd(fd);
}

int
store_publish(struct store *s, const char *upload, const struct digest *d, struct err *e)
{
	char hex[DIGEST_HEX_LEN];

	fault_point("registry.publish.before");
	/* Over one that is there: the bytes are the same, and these have just been checked. */
	if (renameat(s->uploads, upload, s->blobs[d->alg], digest_hex(d, hex)) < 0)
		return err_sys(e, "store blob %s", hex);
	s->dirty[d->alg] = true;
	fault_point("registry.publish.after");
	return 0;
}

int
store_blob_remove(struct store *s, const struct digest *d, struct err *e)
{
	char hex[DIGEST_HEX_LEN];

	if (unlinkat(s->blobs[d->alg], digest_hex(d, hex), 0) < 0 && errno != ENOENT)
		return err_sys(e, "remove blob %s", hex);
	return 0;
}

int
store_blob_quarantine(struct store *s, const struct digest *d, struct err *e)
{
	char hex[DIGEST_HEX_LEN];

	if (renameat(s->blobs[d->alg], digest_hex(d, hex), s->quarantine, hex) < 0 && errno != ENOENT)
		return err_sys(e, "quarantine blob %s", hex);
	s->dirty[d->alg] = true;
	return 0;
}

int
store_sync(struct store *s, struct err *e)
{
	for (int i = 0; i < DIGEST_ALGS; i++) {
		if (s->dirty[i]) {
			int rc = dir_sync(s->blobs[i], "blobs", e);

			if (rc < 0)
				return rc;
		}
		s->dirty[i] = false;
	}
	return 0;
}

struct index_text {
	struct buf text;
	bool any;
};

static int
add_to_index(
    void *arg, const char *repo, const char *tag, const char *digest, uint64_t size, const char *media_type)
{
	struct index_text *i = arg;

	/* None of these can hold what JSON escapes: the grammars of names, tags and media types forbid it. */
	buf_fmt(&i->text,
	    "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%llu,"
	    "\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s:%s\"}}",
	    i->any ? ",\n" : "", media_type, digest, (unsigned long long)size, repo, tag);
	i->any = true;
	return 0;
}

/* Not synced: it is made from the catalogue, and made anew at every start. */
int
store_write_index(struct store *s, struct db *db, struct err *e)
{
	struct index_text i = { BUF_INIT((size_t)1024 * 1024 * 1024), false };
	AUTO(fd) int fd = -1;
	int rc;

	buf_str(&i.text,
	    "{\"schemaVersion\":2,\"mediaType\":\"application/"
	    "vnd.oci.image.index.v1+json\",\"manifests\":[\n");
	rc = db_layout(db, add_to_index, &i, e);
	buf_str(&i.text, "]}\n");
	if (rc == 0)
		rc = buf_check(&i.text, "index.json", e);
	if (rc == 0) {
		fd = openat(
		    s->dirfd, ".index.json.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
		rc = fd < 0 ? err_sys(e, "write index.json") : 0;
	}
	if (rc == 0)
		rc = fd_write_all(fd, i.text.data, i.text.len, "index.json", e);
	if (rc == 0 && renameat(s->dirfd, ".index.json.tmp", s->dirfd, "index.json") < 0)
		rc = err_sys(e, "write index.json");
	buf_fini(&i.text);
	return rc;
}

static int
each_in(int dirfd, enum digest_alg alg, store_blob_fn *fn, void *arg, struct err *e)
{
	AUTO(fd) int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *dir = own < 0 ? NULL : fdopendir(own);
	time_t now = time(NULL);
	struct dirent *d;

	if (dir == NULL)
		return err_sys(e, "read the directory of blobs");
	own = -1;
	while ((d = readdir(dir)) != NULL) {
		struct digest digest;
		struct stat st;
		int rc;

		if (digest_parse_hex(alg, d->d_name, &digest, NULL) < 0 ||
		    fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		rc = fn(arg, &digest, (uint64_t)st.st_size, (int64_t)(now - st.st_ctime));
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
store_each_blob(const struct store *s, store_blob_fn *fn, void *arg, struct err *e)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < DIGEST_ALGS; i++)
		rc = each_in(s->blobs[i], (enum digest_alg)i, fn, arg, e);
	return rc;
}
