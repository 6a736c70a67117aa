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
#include "image/http.h"
#include "image/store_impl.h"

#define REDIRECTS_MAX 5
#define SMALL_MAX (64u * 1024)          /* .meta, .skein, .sig */
#define LARGE_MAX (UINT64_C(256) << 30) /* .xz */

struct download {
	const struct classic_from *from;
	const char *what;
	int fd;
	uint64_t have, max;
	bool body; /* the answer is the file */
	int rc;
	struct err err;
	char next[URL_MAX]; /* redirected to, or "" */
};

static bool
is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int
on_head(void *arg, struct http_call *call, struct err *e)
{
	struct download *d = arg;
	const char *to = http_header(call, "Location");
	long status = http_status(call);

	d->body = status == 200;
	if (status == 200)
		return 0;
	if (is_redirect(status) && to != NULL && strlen(to) < sizeof(d->next)) {
		snprintf(d->next, sizeof(d->next), "%s", to);
		return 0;
	}
	if (status == 404)
		return err_set(e, E_NOENT, "%s: the server does not have it", d->what);
	return err_set(e, E_SYS, "%s: the server answers with status %ld", d->what, status);
}

static int
on_data(void *arg, const void *data, size_t n, struct err *e)
{
	struct download *d = arg;

	if (!d->body)
		return 0;
	if (n > d->max - d->have)
		return err_set(
		    e, E_LIMIT, "%s: it is larger than %llu bytes", d->what, (unsigned long long)d->max);
	d->have += n;
	event_progress(d->from->events, d->what, d->have, 0);
	return fd_write_all(d->fd, data, n, d->what, e);
}

static void
on_done(void *arg, struct http_call *call, int rc, struct err *e)
{
	struct download *d = arg;

	(void)call;
	d->rc = rc;
	if (rc < 0 && e != NULL)
		d->err = *e;
}

/* One request and its answer. */
static int
ask(struct http *h, struct download *d, const char *url, struct err *e)
{
	const struct http_sink sink = { on_head, on_data, on_done, d };
	const struct http_request req = {
		.method = "GET", .url = url, .body_fd = -1, .insecure = d->from->insecure
	};
	struct http_call *call = NULL;
	int rc = http_call_new(&call, h, &sink, e);

	if (rc == 0)
		rc = http_start(call, &req, e);
	while (rc == 0 && http_is_busy(h))
		rc = http_step(h, NULL, 0, e);
	if (call != NULL)
		http_call_free(call);
	if (rc == 0 && d->rc < 0) {
		if (e != NULL)
			*e = d->err;
		rc = d->rc;
	}
	return rc;
}

static int
fetch_url(struct http *h, struct download *d, const char *first, struct err *e)
{
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX), next = BUF_INIT(URL_MAX);
	int rc = 0;

	buf_str(&url, first);
	for (int i = 0; i <= REDIRECTS_MAX; i++) {
		rc = buf_check(&url, "URL", e);
		d->next[0] = '\0';
		if (rc == 0)
			rc = ask(h, d, url.data, e);
		if (rc < 0 || d->body)
			return rc;
		buf_reset(&next);
		rc = url_join(url.data, d->next, &next, e);
		if (rc == 0 && url_is_https(url.data) && !url_is_https(buf_cstr(&next)))
			rc = err_set(e, E_SYS, "%s: the server sends us away from https", d->what);
		/* That the first one was named as insecure says nothing of another. */
		if (rc == 0 && d->from->insecure && !url_same_origin(first, buf_cstr(&next)))
			rc = err_set(e, E_SYS, "%s: an insecure server sends us elsewhere", d->what);
		if (rc < 0)
			return rc;
		buf_reset(&url);
		buf_str(&url, buf_cstr(&next));
	}
	return err_set(e, E_SYS, "%s: more than %d redirects", d->what, REDIRECTS_MAX);
}

static int
fetch_file(
    struct http *h, const struct classic_from *from, int dir, const char *end, uint64_t max, struct err *e)
{
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX);
	char name[CLASSIC_STEM_LEN + 16];
	struct download d = { .from = from, .what = name, .max = max, .fd = -1 };
	size_t n = strlen(from->place);
	int rc;

	snprintf(name, sizeof(name), "%s%s", from->stem, end);
	while (n > 0 && from->place[n - 1] == '/')
		n--;
	/* The stem is of letters that need no escape. */
	buf_fmt(&url, "%.*s/%s", (int)n, from->place, name);
	rc = buf_check(&url, "URL", e);
	if (rc < 0)
		return rc;
	d.fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d.fd < 0)
		return err_sys(e, "%s", name);
	rc = fetch_url(h, &d, url.data, e);
	fd_close(d.fd);
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
