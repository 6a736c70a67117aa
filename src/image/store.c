/*
 * Opening the store of images, and its blobs. A blob comes in as a file of
 * partial/ that its filler has locked, and becomes visible by rename after its
 * digest was found right. A filler that dies leaves the file to whoever comes
 * next: the lock goes with it. References are refs.c's, pins pins.c's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "image/store_impl.h"

#define CHUNK ((size_t)256 * 1024)
#define WRITEBACK ((uint64_t)8 * 1024 * 1024) /* written back in pieces of this size as they come */
#define LOOK_MS 200 /* how often a wait for another process looks at the caller's flag */

struct img_blob {
	int fd, partial; /* partial: borrowed from the store */
	char name[STORE_FILE_LEN];
	struct digest want;
	bool known;      /* want says which blob it is */
	uint64_t size;   /* that it must have, or IMG_SIZE_UNKNOWN */
	uint64_t have;   /* bytes in the file */
	uint64_t hashed; /* of which the hash has seen so many */
	uint64_t begun;  /* bytes that the system was told to write back */
	struct hasher *h;
};

/* ---- names and directories --------------------------------------------------- */

void
store_file_name(const struct digest *d, char out[static STORE_FILE_LEN])
{
	(void)digest_print(d, out);
	*strchr(out, ':') = '-';
}

bool
store_file_parse(const char *name, struct digest *d)
{
	char text[DIGEST_TEXT_LEN];
	char *dash;

	if (snprintf(text, sizeof(text), "%s", name) >= (int)sizeof(text) ||
	    (dash = strchr(text, '-')) == NULL)
		return false;
	*dash = ':';
	return digest_parse(text, d, NULL) == 0;
}

int
store_names(int dirfd, bool hidden, struct strv *v, struct err *e)
{
	AUTO(dir) DIR *d = NULL;
	struct dirent *entry;
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (d = fdopendir(fd)) == NULL) {
		fd_close(fd);
		return err_sys(e, "reading the images");
	}
	while ((entry = readdir(d)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    (hidden || entry->d_name[0] != '.'))
			strv_add(v, entry->d_name);
	strv_sort(v);
	return strv_check(v, "images", e);
}

int
store_lock(struct img_store *s, bool exclusive, struct err *e)
{
	int fd = lock_file(s->dir, IMG_LOCK, exclusive, STORE_LOCK_MS, e);

	if (fd == -E_BUSY)
		return err_set(e, E_BUSY, "the images are locked by another command");
	return fd;
}

static int
write_layout(struct img_store *s, struct err *e)
{
	static const char text[] = "{\"imageLayoutVersion\": \"1.0.0\"}";

	if (faccessat(s->dir, "oci-layout", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return file_write_atomic(s->dir, "oci-layout", 0644, text, sizeof(text) - 1, e);
}

static int
open_parts(struct img_store *s, int rootfd, struct err *e)
{
	AUTO(fd) int blobs = -1;
	const struct {
		const char *name;
		int *fd;
	} parts[] = { { "partial", &s->partial }, { "refs", &s->refs }, { "ready", &s->ready },
		{ "layers", &s->layers }, { "subjects", &s->subjects }, { "pins", &s->pins } };

	/* 0700: images may hold what not every user of the host may read. */
	if ((s->dir = dir_make(rootfd, IMG_DIR, 0700, e)) < 0)
		return s->dir;
	if ((blobs = dir_make(s->dir, "blobs", 0755, e)) < 0)
		return blobs;
	for (int i = 0; i < DIGEST_ALGS; i++)
		if ((s->blobs[i] = dir_make(blobs, digest_name((enum digest_alg)i), 0755, e)) < 0)
			return s->blobs[i];
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if ((*parts[i].fd = dir_make(s->dir, parts[i].name, 0755, e)) < 0)
			return *parts[i].fd;
	return write_layout(s, e);
}

int
img_store_open(struct img_store **out, int rootfd, struct err *e)
{
	struct img_store *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return err_nomem(e);
	s->dir = s->partial = s->refs = s->ready = s->layers = s->subjects = s->pins = s->pin_fd = -1;
	for (int i = 0; i < DIGEST_ALGS; i++)
		s->blobs[i] = -1;
	s->pinned = (struct strv)STRV_INIT(1 << 20);
	pthread_mutex_init(&s->mutex, NULL);
	if ((r = open_parts(s, rootfd, e)) < 0) {
		img_store_close(s);
		return err_wrap(e, "the store of images");
	}
	*out = s;
	return 0;
}

void
img_store_close(struct img_store *s)
{
	if (s == NULL)
		return;
	store_pins_end(s);
	const int fds[] = { s->dir, s->partial, s->refs, s->ready, s->layers, s->subjects, s->pins };
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fd_close(fds[i]);
	for (int i = 0; i < DIGEST_ALGS; i++)
		fd_close(s->blobs[i]);
	strv_fini(&s->pinned);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

int
img_store_fd(const struct img_store *s)
{
	return s->dir;
}

/* ---- looking ------------------------------------------------------------------- */

static int
blob_missing(const struct digest *d, struct err *e)
{
	char text[DIGEST_TEXT_LEN];

	return err_set(e, E_NOENT, "blob %s: not on this node", digest_print(d, text));
}

/* 1 and *size, or 0. */
static int
blob_stat(struct img_store *s, const struct digest *d, uint64_t *size, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	struct stat st;

	if (fstatat(s->blobs[d->alg], digest_hex(d, hex), &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (size != NULL)
			*size = (uint64_t)st.st_size;
		return 1;
	}
	return errno == ENOENT ? 0 : err_sys(e, "blob %s", hex);
}

int
img_blob_has(struct img_store *s, const struct digest *d, uint64_t *size, struct err *e)
{
	int r = img_pin(s, d, e);

	return r < 0 ? r : blob_stat(s, d, size, e);
}

int
img_blob_open(struct img_store *s, const struct digest *d, uint64_t *size, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	struct stat st;
	int r = img_pin(s, d, e);

	if (r < 0)
		return r;
	AUTO(fd) int fd = openat(s->blobs[d->alg], digest_hex(d, hex), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? blob_missing(d, e) : err_sys(e, "blob %s", hex);
	if (fstat(fd, &st) != 0)
		return err_sys(e, "blob %s", hex);
	if (size != NULL)
		*size = (uint64_t)st.st_size;
	return take_fd(fd);
}

int
img_blob_open_partial(struct img_store *s, const struct digest *d, struct err *e)
{
	char name[STORE_FILE_LEN];

	store_file_name(d, name);
	int fd = openat(s->partial, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "%s", name) : fd;
}

int
img_blob_read(struct img_store *s, const struct digest *d, struct buf *b, struct err *e)
{
	AUTO(fd) int fd = img_blob_open(s, d, NULL, e);
	char text[DIGEST_TEXT_LEN];
	struct digest found;
	int r;

	if (fd < 0)
		return fd;
	if ((r = fd_read_all(fd, b, e)) < 0)
		return err_wrap(e, "blob %s", digest_print(d, text));
	if ((r = digest_of(d->alg, buf_cstr(b), b->len, &found, e)) < 0)
		return r;
	if (!digest_equal(&found, d)) {
		err_set(e, E_CORRUPT, "blob %s: its content has changed", digest_print(d, text));
		return err_hint(e, "remove the image with pot rmi -f and pull it again");
	}
	return 0;
}

/* ---- coming in -------------------------------------------------------------------- */

static struct img_blob *
blob_make(struct img_store *s, enum digest_alg alg, struct err *e)
{
	struct img_blob *b = calloc(1, sizeof(*b));

	if (b == NULL || hasher_new(alg, &b->h, NULL) < 0) {
		free(b);
		err_nomem(e);
		return NULL;
	}
	b->fd = -1;
	b->partial = s->partial;
	b->size = IMG_SIZE_UNKNOWN;
	return b;
}

static void
blob_free(struct img_blob *b)
{
	fd_close(b->fd);
	hasher_free(b->h);
	free(b);
}

/* Locks the partial file. 1: locked; 0: it was renamed or removed while we waited. */
static int
lock_partial(struct img_blob *b, int wait_ms, struct err *e)
{
	AUTO(fd) int fd = lock_file(b->partial, b->name, true, wait_ms, e);

	if (fd < 0)
		return fd;
	if (!file_is_named(b->partial, b->name, fd))
		return 0;
	b->fd = take_fd(fd);
	return 1;
}

/* What another process left in it. */
static int
take_up(struct img_blob *b, struct err *e)
{
	struct stat st;

	if (fstat(b->fd, &st) != 0)
		return err_sys(e, "%s", b->name);
	b->have = (uint64_t)st.st_size;
	if (b->have > b->size)
		return img_blob_restart(b, e);
	return 0;
}

/* 1: there whole; 0: *out filled in; E_BUSY when another has it. */
static int
blob_take(struct img_store *s, struct img_blob *b, int wait_ms, struct err *e)
{
	for (;;) {
		int r = img_blob_has(s, &b->want, NULL, e);

		if (r != 0)
			return r;
		if ((r = lock_partial(b, wait_ms, e)) < 0)
			return r;
		if (r == 0)
			continue;
		/* Committed between the two looks: then the file is one that our open made. */
		if ((r = blob_stat(s, &b->want, NULL, e)) != 0) {
			if (r == 1)
				unlinkat(b->partial, b->name, 0);
			return r;
		}
		return take_up(b, e);
	}
}

static int
blob_get(struct img_store *s, const struct digest *d, uint64_t size, bool wait, const volatile bool *cancel,
    struct img_blob **out, struct err *e)
{
	struct img_blob *b = blob_make(s, d->alg, e);
	int r;

	*out = NULL;
	if (b == NULL)
		return -E_NOMEM;
	b->want = *d;
	b->known = true;
	b->size = size;
	store_file_name(d, b->name);
	do {
		r = blob_take(s, b, wait ? LOOK_MS : 0, e);
		if (r == -E_BUSY && wait && cancel != NULL && *cancel)
			r = err_set(e, E_INTR, "interrupted while another command fetches %s", b->name);
	} while (r == -E_BUSY && wait);
	fault_point("image.blob.locked");
	if (r != 0)
		blob_free(b);
	else
		*out = b;
	return r;
}

int
img_blob_begin(struct img_store *s, const struct digest *d, uint64_t size, const volatile bool *cancel,
    struct img_blob **out, struct err *e)
{
	return blob_get(s, d, size, true, cancel, out, e);
}

int
img_blob_try(struct img_store *s, const struct digest *d, uint64_t size, struct img_blob **out, struct err *e)
{
	return blob_get(s, d, size, false, NULL, out, e);
}

int
img_blob_new(struct img_store *s, struct img_blob **out, struct err *e)
{
	struct img_blob *b = blob_make(s, DIGEST_SHA256, e);
	unsigned long long random;
	int r;

	*out = NULL;
	if (b == NULL)
		return -E_NOMEM;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
		r = err_sys(e, "cannot get random bytes");
		blob_free(b);
		return r;
	}
	snprintf(b->name, sizeof(b->name), STORE_PARTIAL_NEW "%016llx", random);
	/* Locked, so that prune knows a living one. */
	if ((b->fd = lock_file(b->partial, b->name, true, 0, e)) < 0) {
		r = b->fd;
		blob_free(b);
		return r;
	}
	*out = b;
	return 0;
}

uint64_t
img_blob_have(const struct img_blob *b)
{
	return b->have;
}

int
img_blob_replay(struct img_blob *b, img_bytes_fn *fn, void *arg, struct err *e)
{
	AUTO_FREE char *chunk = malloc(CHUNK);
	int r = chunk == NULL ? err_nomem(e) : hasher_reset(b->h, e);

	for (b->hashed = 0; r == 0 && b->hashed < b->have;) {
		ssize_t n = pread(b->fd, chunk, CHUNK, (off_t)b->hashed);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, "%s", b->name)
				     : err_set(e, E_SYS, "%s: became shorter", b->name);
		if ((uint64_t)n > b->have - b->hashed)
			n = (ssize_t)(b->have - b->hashed);
		r = hasher_add(b->h, chunk, (size_t)n, e);
		if (r == 0 && fn != NULL)
			r = fn(arg, chunk, (size_t)n, e);
		b->hashed += (uint64_t)n;
	}
	return r;
}

int
img_blob_restart(struct img_blob *b, struct err *e)
{
	if (ftruncate(b->fd, 0) != 0)
		return err_sys(e, "%s", b->name);
	b->have = b->hashed = b->begun = 0;
	return hasher_reset(b->h, e);
}

int
img_blob_write(struct img_blob *b, const void *data, size_t n, struct err *e)
{
	int r = b->hashed == b->have ? 0 : img_blob_replay(b, NULL, NULL, e);

	if (r < 0)
		return r;
	if (b->size != IMG_SIZE_UNKNOWN && n > b->size - b->have)
		return err_set(e, E_LIMIT, "%s: more came than the %llu bytes announced", b->name,
		    (unsigned long long)b->size);
	for (const char *p = data; n > 0;) {
		ssize_t w = pwrite(b->fd, p, n, (off_t)b->have);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			r = err_sys(e, "keeping %s", b->name);
			if (r == -E_NOSPC)
				err_hint(e, "pot image prune makes room");
			return r;
		}
		if ((r = hasher_add(b->h, p, (size_t)w, e)) < 0)
			return r;
		b->have += (uint64_t)w;
		b->hashed = b->have;
		p += w;
		n -= (size_t)w;
	}
	if (b->have >= b->begun + WRITEBACK) {
		file_begin_writeback(b->fd, b->begun, b->have - b->begun);
		b->begun = b->have;
	}
	return 0;
}

static int
wrong_content(const struct img_blob *b, const struct digest *found, struct err *e)
{
	char want[DIGEST_TEXT_LEN], got[DIGEST_TEXT_LEN];

	if (b->size != IMG_SIZE_UNKNOWN && b->have != b->size)
		return err_set(e, E_CORRUPT, "blob %s: has %llu bytes, not %llu",
		    digest_print(&b->want, want), (unsigned long long)b->have, (unsigned long long)b->size);
	return err_set(e, E_CORRUPT, "blob %s: its digest is %s", digest_print(&b->want, want),
	    digest_print(found, got));
}

static int
check_content(struct img_blob *b, struct err *e)
{
	struct digest found;
	int r = b->hashed == b->have ? 0 : img_blob_replay(b, NULL, NULL, e);

	if (r == 0)
		r = hasher_end(b->h, &found, e);
	if (r < 0)
		return r;
	if (b->known &&
	    (!digest_equal(&found, &b->want) || (b->size != IMG_SIZE_UNKNOWN && b->have != b->size)))
		return wrong_content(b, &found, e);
	b->want = found;
	return 0;
}

/* The file becomes the blob. Whole content on the disk first, then the name. */
static int
publish(struct img_store *s, const struct img_blob *b, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	int r = img_pin(s, &b->want, e);

	if (r < 0)
		return r;
	if (fchmod(b->fd, 0444) != 0 || fsync(b->fd) != 0)
		return err_sys(e, "keeping %s", b->name);
	fault_point("image.blob.synced");
	if (renameat(s->partial, b->name, s->blobs[b->want.alg], digest_hex(&b->want, hex)) != 0)
		return err_sys(e, "keeping %s", b->name);
	fault_point("image.blob.renamed");
	return dir_sync(s->blobs[b->want.alg], "blobs", e);
}

int
img_blob_commit(struct img_store *s, struct img_blob **bp, struct digest *d, uint64_t *size, struct err *e)
{
	struct img_blob *b = take_ptr(*bp);
	int r = check_content(b, e);

	if (r == 0) {
		if (d != NULL)
			*d = b->want;
		if (size != NULL)
			*size = b->have;
		r = publish(s, b, e);
	}
	img_blob_abort(b, r != -E_CORRUPT && r != 0);
	return r;
}

void
img_blob_abort(struct img_blob *b, bool keep)
{
	if (b == NULL)
		return;
	/* After a commit the name is gone, or another's by now. */
	if ((!keep || !b->known || b->have == 0) && file_is_named(b->partial, b->name, b->fd))
		unlinkat(b->partial, b->name, 0);
	blob_free(b);
}

int
img_blob_put(struct img_store *s, const void *data, size_t n, struct digest *out, struct err *e)
{
	struct img_blob *b = NULL;
	int r = digest_of(DIGEST_SHA256, data, n, out, e);

	if (r == 0)
		r = img_blob_begin(s, out, n, NULL, &b, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (img_blob_have(b) != 0)
		r = img_blob_restart(b, e);
	if (r == 0)
		r = img_blob_write(b, data, n, e);
	if (r < 0) {
		img_blob_abort(b, false);
		return r;
	}
	return img_blob_commit(s, &b, NULL, NULL, e);
}
