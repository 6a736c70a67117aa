/* See upload.h. The table's lock is never held over a read or write of a file's content. */
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rand.h>

#include "base/text.h"
#include "registry/upload.h"

#define RANDOM_LEN 16
#define BUCKETS 1024

struct session {
	struct upload u; /* first */
	struct session *next;
	bool taken;
	_Atomic uint64_t size; /* for upload_size */
	int64_t used;          /* monotonic ms */
};

struct uploads {
	struct store *store;
	pthread_mutex_t lock;
	struct session *buckets[BUCKETS];
	unsigned n, max;
};

static struct session **
bucket(struct uploads *us, const char *id)
{
	unsigned h = 0;

	for (int i = 0; i < 8; i++)
		h = h * 33 + (unsigned char)id[i];
	return &us->buckets[h % BUCKETS];
}

static void
put_hex(const uint8_t *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int
repo_part(const char *repo, char out[static 17], struct err *e)
{
	struct digest d;
	int rc = digest_of(DIGEST_SHA256, repo, strlen(repo), &d, e);

	if (rc == 0)
		put_hex(d.bytes, 8, out);
	return rc;
}

static int
check_id(const char *repo, const char *id, struct err *e)
{
	char part[17];
	int rc;

	if (strlen(id) != UPLOAD_ID_LEN - 1 || strspn(id, "0123456789abcdef") != UPLOAD_ID_LEN - 1)
		return err_set(e, E_NOENT, "upload: not known");
	if ((rc = repo_part(repo, part, e)) < 0)
		return rc;
	return strcmp(id + 2 * RANDOM_LEN, part) == 0 ? 0 : err_set(e, E_NOENT, "upload: not known");
}

int
uploads_open(struct store *store, unsigned max, struct uploads **out, struct err *e)
{
	struct uploads *us = calloc(1, sizeof(*us));

	if (us == NULL)
		return err_nomem(e);
	us->store = store;
	us->max = max;
	pthread_mutex_init(&us->lock, NULL);
	*out = us;
	return 0;
}

static void
session_free(struct session *s)
{
	fd_close(s->u.fd);
	hasher_free(s->u.hasher);
	free(s);
}

void
uploads_close(struct uploads *us)
{
	if (us == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct session *s = us->buckets[i], *next; s != NULL; s = next) {
			next = s->next;
			session_free(s);
		}
	}
	pthread_mutex_destroy(&us->lock);
	free(us);
}

unsigned
uploads_count(struct uploads *us)
{
	unsigned n;

	pthread_mutex_lock(&us->lock);
	n = us->n;
	pthread_mutex_unlock(&us->lock);
	return n;
}

static struct session *
find(struct uploads *us, const char *id)
{
	struct session *s = *bucket(us, id);

	while (s != NULL && strcmp(s->u.id, id) != 0)
		s = s->next;
	return s;
}

/* Puts a new, taken session into the table. E_LIMIT. Locks. */
static int
insert(struct uploads *us, struct session *s, struct err *e)
{
	struct session **b = bucket(us, s->u.id);
	int rc = 0;

	pthread_mutex_lock(&us->lock);
	if (us->n >= us->max) {
		rc = err_set(e, E_LIMIT, "upload: there are %u already", us->n);
	} else if (find(us, s->u.id) != NULL) {
		rc = err_set(e, E_BUSY, "upload: another request is at it");
	} else {
		s->taken = true;
		s->next = *b;
		*b = s;
		us->n++;
	}
	pthread_mutex_unlock(&us->lock);
	return rc;
}

int
upload_new(struct uploads *us, const char *repo, enum digest_alg alg, struct upload **out, struct err *e)
{
	struct session *s = calloc(1, sizeof(*s));
	uint8_t id[RANDOM_LEN];
	int rc;

	if (s == NULL)
		return err_nomem(e);
	s->u.fd = -1;
	s->u.alg = alg;
	rc = RAND_bytes(id, sizeof(id)) == 1 ? 0 : err_set(e, E_SYS, "upload: no randomness");
	if (rc == 0)
		rc = repo_part(repo, s->u.id + 2 * RANDOM_LEN, e);
	if (rc == 0) {
		char first = s->u.id[2 * RANDOM_LEN];

		put_hex(id, sizeof(id), s->u.id);
		s->u.id[2 * RANDOM_LEN] = first;
		rc = hasher_new(alg, &s->u.hasher, e);
	}
	if (rc == 0) {
		s->u.fd = openat(
		    us->store->uploads, s->u.id, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		rc = s->u.fd < 0 ? err_sys(e, "make a file for the upload") : 0;
	}
	if (rc == 0) {
		rc = insert(us, s, e);
		if (rc < 0)
			(void)unlinkat(us->store->uploads, s->u.id, 0);
	}
	if (rc < 0) {
		session_free(s);
		return rc;
	}
	*out = &s->u;
	return 0;
}

/* From before a restart: the file is all there is. */
static int
revive(struct uploads *us, const char *id, struct upload **out, struct err *e)
{
	AUTO(fd) int fd = openat(us->store->uploads, id, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct session *s;
	struct stat st;
	int rc;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, E_NOENT, "upload: not known");
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "open the upload's file");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_nomem(e);
	memcpy(s->u.id, id, sizeof(s->u.id));
	s->u.size = (uint64_t)st.st_size;
	atomic_store(&s->size, s->u.size);
	s->u.fd = take_fd(fd);
	rc = insert(us, s, e);
	if (rc < 0)
		session_free(s);
	else
		*out = &s->u;
	return rc;
}

int
upload_take(struct uploads *us, const char *repo, const char *id, struct upload **out, struct err *e)
{
	struct session *s;
	int rc = check_id(repo, id, e);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&us->lock);
	s = find(us, id);
	if (s != NULL && s->taken)
		rc = err_set(e, E_BUSY, "upload: another request is at it");
	else if (s != NULL)
		s->taken = true;
	pthread_mutex_unlock(&us->lock);
	if (rc < 0)
		return rc;
	if (s == NULL)
		return revive(us, id, out, e);
	s->u.fd = openat(us->store->uploads, id, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (s->u.fd < 0) {
		rc = err_sys(e, "open the upload's file");
		upload_give(us, &s->u);
		return rc;
	}
	*out = &s->u;
	return 0;
}

int
upload_size(struct uploads *us, const char *repo, const char *id, uint64_t *size, struct err *e)
{
	struct upload *u = NULL;
	struct session *s;
	int rc = check_id(repo, id, e);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&us->lock);
	s = find(us, id);
	if (s != NULL)
		*size = atomic_load(&s->size);
	pthread_mutex_unlock(&us->lock);
	if (s != NULL)
		return 0;
	rc = revive(us, id, &u, e);
	if (rc == 0) {
		*size = u->size;
		upload_give(us, u);
	}
	return rc;
}

void
upload_give(struct uploads *us, struct upload *u)
{
	struct session *s = (struct session *)u;

	fd_close(u->fd);
	u->fd = -1;
	pthread_mutex_lock(&us->lock);
	s->taken = false;
	s->used = text_monotonic_ms();
	pthread_mutex_unlock(&us->lock);
}

static void
forget(struct uploads *us, struct session *s)
{
	struct session **at = bucket(us, s->u.id);

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	us->n--;
}

void
upload_end(struct uploads *us, struct upload *u)
{
	struct session *s = (struct session *)u;

	(void)unlinkat(us->store->uploads, u->id, 0);
	pthread_mutex_lock(&us->lock);
	forget(us, s);
	pthread_mutex_unlock(&us->lock);
	session_free(s);
}

int
upload_add(struct upload *u, const void *data, size_t n, struct err *e)
{
	struct session *s = (struct session *)u;
	const char *p = data;
	int rc = 0;

	if (u->hasher != NULL)
		rc = hasher_add(u->hasher, data, n, e);
	while (rc == 0 && n > 0) {
		ssize_t w = pwrite(u->fd, p, n, (off_t)u->size);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0) {
			/* The digest is ahead of the file now. */
			hasher_free(take_ptr(u->hasher));
			return err_sys(e, "write the upload");
		}
		p += w;
		n -= (size_t)w;
		u->size += (uint64_t)w;
	}
	atomic_store(&s->size, u->size);
	return rc;
}

void
upload_use(struct upload *u, enum digest_alg alg)
{
	if (u->alg == alg && u->hasher != NULL)
		return;
	u->alg = alg;
	hasher_free(take_ptr(u->hasher));
	if (u->size == 0)
		(void)!hasher_new(alg, &u->hasher, NULL);
}

int
upload_finish(struct upload *u, struct digest *d, struct err *e)
{
	uint64_t size = u->size;
	int rc;

	/* After a restart there may be more in the file than was counted: never so for a session in memory. */
	if (ftruncate(u->fd, (off_t)u->size) < 0)
		return err_sys(e, "write the upload");
	if (u->hasher != NULL) {
		rc = hasher_end(u->hasher, d, e);
		hasher_free(take_ptr(u->hasher));
	} else if (lseek(u->fd, 0, SEEK_SET) < 0) {
		rc = err_sys(e, "read the upload");
	} else {
		rc = digest_of_fd(u->alg, u->fd, d, &size, e);
	}
	if (rc < 0)
		return rc;
	if (size != u->size)
		return err_set(e, E_CORRUPT, "upload: its file changed");
	return fsync(u->fd) < 0 ? err_sys(e, "sync the upload") : 0;
}

static void
expire_files(struct uploads *us, int64_t idle_s)
{
	AUTO(fd) int own = openat(us->store->uploads, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(dir) DIR *dir = own < 0 ? NULL : fdopendir(own);
	time_t now = time(NULL);
	struct dirent *d;

	if (dir == NULL)
		return;
	own = -1;
	while ((d = readdir(dir)) != NULL) {
		struct stat st;
		bool known;

		if (d->d_name[0] == '.' ||
		    fstatat(us->store->uploads, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    now - st.st_mtime < idle_s)
			continue;
		pthread_mutex_lock(&us->lock);
		known = strlen(d->d_name) == UPLOAD_ID_LEN - 1 && find(us, d->d_name) != NULL;
		pthread_mutex_unlock(&us->lock);
		if (!known)
			(void)unlinkat(us->store->uploads, d->d_name, 0);
	}
}

void
uploads_expire(struct uploads *us, int64_t idle_s)
{
	int64_t before = text_monotonic_ms() - idle_s * 1000;

	for (size_t i = 0; i < BUCKETS; i++) {
		struct session *gone = NULL;

		pthread_mutex_lock(&us->lock);
		for (struct session *s = us->buckets[i], *next; s != NULL; s = next) {
			next = s->next;
			if (s->taken || s->used > before)
				continue;
			forget(us, s);
			s->next = gone;
			gone = s;
		}
		pthread_mutex_unlock(&us->lock);
		for (struct session *next; gone != NULL; gone = next) {
			next = gone->next;
			(void)unlinkat(us->store->uploads, gone->u.id, 0);
			session_free(gone);
		}
	}
	expire_files(us, idle_s);
}
