/*
 * ADD's URLs: asking whether what is here is still what the server has, and
 * fetching it when not. The wire is image/download.h's; here are the
 * conditions, the record of each URL, and the store of what came. Two builds
 * that fetch the same at a time both do, and the second rename changes
 * nothing.
 */
#include <sys/stat.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <curl/curl.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "builder/copy_impl.h"
#include "image/download.h"

#define DIR_NAME "fetched"
#define RECORD_PREFIX "url-"
#define VALIDATOR_MAX 512 /* of an ETag, a date */
#define RECORD_MAX (16u * 1024)

/* What is known of a URL from before. */
struct record {
	char name[sizeof(RECORD_PREFIX) + DIGEST_HEX_LEN]; /* of its file */
	bool known;
	char etag[VALIDATOR_MAX], modified[VALIDATOR_MAX];
	struct digest digest;
	uint64_t size;
};

struct transfer {
	const char *url; /* as it stands in the step */
	int fd;
	const struct record *before;
	struct record *rec; /* the new one */
	bool same;          /* nothing came, as nothing has changed */
};

/* ---- records ----------------------------------------------------------------------- */

static int
open_dir(struct bld *b, struct err *e)
{
	return dir_make(b->dir, DIR_NAME, 0700, e);
}

static bool
content_is_there(int dir, const struct digest *d, uint64_t *size)
{
	char hex[DIGEST_HEX_LEN];
	struct stat st;

	if (fstatat(dir, digest_hex(d, hex), &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	*size = (uint64_t)st.st_size;
	return true;
}

/* A header's value that may be sent back. */
static void
keep(char out[static VALIDATOR_MAX], const char *value)
{
	size_t len = value != NULL ? strlen(value) : 0;

	out[0] = '\0';
	if (len == 0 || len >= VALIDATOR_MAX)
		return;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return;
	}
	memcpy(out, value, len + 1);
}

static int
record_name(const char *url, struct record *r, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	struct digest d;
	int rc = digest_of(DIGEST_SHA256, url, strlen(url), &d, e);

	if (rc == 0)
		snprintf(r->name, sizeof(r->name), "%s%s", RECORD_PREFIX, digest_hex(&d, hex));
	return rc;
}

/* A record that cannot be read is as none. */
static void
record_read(int dir, struct record *r)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *digest;

	if (file_read(dir, r->name, &b, NULL) < 0 || kv_parse(&kv, buf_cstr(&b), b.len, r->name, NULL) < 0)
		return;
	digest = kv_get(&kv, "digest");
	if (digest == NULL || digest_parse(digest, &r->digest, NULL) < 0 ||
	    !content_is_there(dir, &r->digest, &r->size))
		return;
	keep(r->etag, kv_get(&kv, "etag"));
	keep(r->modified, kv_get(&kv, "last-modified"));
	r->known = true;
}

static int
record_write(int dir, const char *url, const struct record *r, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(RECORD_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	char digest[DIGEST_TEXT_LEN];
	int rc = kv_add(&kv, "version", "1", e);

	/* The URL is for people who look; a query in it may be a secret. */
	if (rc == 0 && strchr(url, '?') == NULL)
		rc = kv_add(&kv, "url", url, e);
	if (rc == 0 && (rc = kv_add(&kv, "digest", digest_print(&r->digest, digest), e)) == 0 &&
	    r->etag[0] != '\0')
		rc = kv_add(&kv, "etag", r->etag, e);
	if (rc == 0 && r->modified[0] != '\0')
		rc = kv_add(&kv, "last-modified", r->modified, e);
	if (rc < 0)
		return rc;
	kv_print(&kv, &b);
	if ((rc = buf_check(&b, "record", e)) < 0)
		return rc;
	return file_write_atomic(dir, r->name, 0600, b.data, b.len, e);
}

/* It was asked for: prune goes by the time of the record. */
static void
record_touch(int dir, const struct record *r)
{
	if (utimensat(dir, r->name, NULL, AT_SYMLINK_NOFOLLOW) < 0)
		return; /* without a record there is nothing to keep */
}

/* ---- the wire ------------------------------------------------------------------------- */

/* 304 to a condition: 1, nothing comes. Else what the file's next condition will be. */
static int
on_head(void *arg, const struct http_call *call, struct err *e)
{
	struct transfer *t = arg;
	const char *length = http_header(call, "Content-Length");
	uint64_t size;

	if (http_status(call) == 304 && t->before->known) {
		t->same = true;
		return 1;
	}
	if (http_status(call) != 200)
		return 0;
	keep(t->rec->etag, http_header(call, "ETag"));
	keep(t->rec->modified, http_header(call, "Last-Modified"));
	if (length != NULL && text_uint(length, 0, INT64_MAX, &size, "length", NULL) == 0 &&
	    size > BLD_FETCH_MAX)
		return err_set(e, E_LIMIT, "%.300s: is larger than %llu bytes", t->url,
		    (unsigned long long)BLD_FETCH_MAX);
	return 0;
}

static int
request(struct bld *b, struct transfer *t, struct err *e)
{
	const struct http_params par = { .cancel = b->eng->cancel };
	AUTO_FINI(buf) struct buf url = BUF_INIT(URL_MAX);
	AUTO_FINI(strv) struct strv headers = STRV_INIT(8);
	AUTO(http) struct http *h = NULL;
	struct download_args args = {
		.what = t->url, .max = BLD_FETCH_MAX, .events = &b->eng->events, .head = on_head, .arg = t
	};
	int rc;

	strv_add(&headers, "Accept: */*");
	if (t->before->known && t->before->etag[0] != '\0')
		strv_fmt(&headers, "If-None-Match: %s", t->before->etag);
	if (t->before->known && t->before->modified[0] != '\0')
		strv_fmt(&headers, "If-Modified-Since: %s", t->before->modified);
	if ((rc = strv_check(&headers, "headers", e)) < 0 || (rc = url_join(t->url, t->url, &url, e)) < 0 ||
	    (rc = http_new(&h, &par, e)) < 0)
		return rc;
	args.url = url.data;
	args.headers = strv_argv(&headers);
	return download_file(h, &args, t->fd, 0, e);
}

/* ---- checking -------------------------------------------------------------------------- */

static int
parse_checksum(const char *text, struct digest *want, struct err *e)
{
	int rc = digest_parse(text, want, e);

	if (rc < 0)
		return err_wrap(e, "--checksum");
	return 0;
}

/* fd: the content; got: its sha256. */
static int
check_sum(const char *url, int fd, const struct digest *got, const struct digest *want, struct err *e)
{
	char have[DIGEST_TEXT_LEN], wanted[DIGEST_TEXT_LEN];
	struct digest found = *got;
	int rc = 0;

	if (want->alg != DIGEST_SHA256) {
		if (lseek(fd, 0, SEEK_SET) < 0)
			return err_sys(e, "reading what was fetched");
		rc = digest_of_fd(want->alg, fd, &found, NULL, e);
	}
	if (rc < 0 || digest_equal(&found, want))
		return rc;
	err_set(e, E_CORRUPT, "%.200s has the checksum %s and not %.71s", url, digest_print(&found, have),
	    digest_print(want, wanted));
	return err_hint(e, "find out why before the checksum is changed");
}

static int
check_stored(int dir, const char *url, const struct digest *got, const struct digest *want, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	AUTO(fd) int fd = openat(dir, digest_hex(got, hex), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "what was fetched") : check_sum(url, fd, got, want, e);
}

/* ---- fetching ---------------------------------------------------------------------------- */

/* Whole and right: it becomes visible. */
static int
publish(
    struct bld *b, struct transfer *t, int dir, const char *temp, const struct digest *want, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	int rc;

	if (lseek(t->fd, 0, SEEK_SET) < 0)
		return err_sys(e, "%.300s: read", t->url);
	rc = digest_of_fd(DIGEST_SHA256, t->fd, &t->rec->digest, &t->rec->size, e);
	if (rc == 0 && want != NULL)
		rc = check_sum(t->url, t->fd, &t->rec->digest, want, e);
	if (rc < 0)
		return rc;
	if (fsync(t->fd) < 0)
		return err_sys(e, "%.300s: write", t->url);
	fault_point("build.fetch.whole");
	if (renameat(b->tmp, temp, dir, digest_hex(&t->rec->digest, hex)) < 0)
		return err_sys(e, "%.300s: keep", t->url);
	fault_point("build.fetch.kept");
	if ((rc = dir_sync(dir, DIR_NAME, e)) < 0)
		return rc;
	return record_write(dir, t->url, t->rec, e);
}

static int
transfer(struct bld *b, int dir, const char *url, struct record *rec, const struct digest *want, bool *came,
    struct err *e)
{
	char temp[32];
	const struct record before = *rec;
	struct transfer t = { .url = url, .before = &before, .rec = rec };
	int rc;

	snprintf(temp, sizeof(temp), "fetch-%ld", (long)getpid()); /* other stages fetch as well */
	t.fd = openat(b->tmp, temp, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (t.fd < 0)
		return err_sys(e, "a file for what is fetched");
	rc = request(b, &t, e);
	if (rc == 0 && t.same) {
		*rec = before;
		record_touch(dir, rec);
		rc = want != NULL ? check_stored(dir, url, &rec->digest, want, e) : 0;
	} else if (rc == 0) {
		rc = publish(b, &t, dir, temp, want, e);
		*came = true;
	}
	fd_close(t.fd);
	(void)unlinkat(b->tmp, temp, 0);
	return rc;
}

static void
tell(const struct record *r, bool came, struct bld_fetched *out)
{
	time_t when = r->modified[0] != '\0' ? curl_getdate(r->modified, NULL) : -1;

	out->digest = r->digest;
	out->size = r->size;
	out->mtime = when > 0 ? when : 0;
	out->fetched = came;
}

int
bld_fetch(struct bld *b, const char *url, const char *checksum, struct bld_fetched *out, struct err *e)
{
	struct record rec = { .known = false };
	struct digest want;
	bool came = false;
	int rc;

	memset(out, 0, sizeof(*out));
	bld_url_name(url, out->name);
	if (strlen(url) > URL_MAX)
		return err_set(e, E_INVAL, "%.100s…: the URL is too long", url);
	if ((checksum != NULL && (rc = parse_checksum(checksum, &want, e)) < 0) ||
	    (rc = record_name(url, &rec, e)) < 0)
		return rc;
	if (checksum == NULL && !url_is_https(url))
		once_warn(b, "%s: plain http without --checksum proves nothing about what comes", url);
	AUTO(fd) int dir = open_dir(b, e);
	if (dir < 0)
		return take_fd(dir);
	record_read(dir, &rec);
	/* The very content that is wanted is here, whoever it came from. */
	if (checksum != NULL && want.alg == DIGEST_SHA256 && content_is_there(dir, &want, &rec.size)) {
		if (!rec.known || !digest_equal(&rec.digest, &want)) {
			rec.digest = want;
			rec.etag[0] = rec.modified[0] = '\0';
			rc = record_write(dir, url, &rec, e);
		}
		record_touch(dir, &rec);
	} else if (rec.known && once_is_noted(b, url)) {
		rc = checksum != NULL ? check_stored(dir, url, &rec.digest, &want, e) : 0;
	} else {
		rc = transfer(b, dir, url, &rec, checksum != NULL ? &want : NULL, &came, e);
	}
	if (rc < 0)
		return rc;
	(void)once_note(b, url);
	tell(&rec, came, out);
	return 0;
}

int
bld_fetch_open(struct bld *b, const struct digest *d, struct err *e)
{
	char hex[DIGEST_HEX_LEN];
	AUTO(fd) int dir = open_dir(b, e);
	int fd;

	if (dir < 0)
		return take_fd(dir);
	fd = openat(dir, digest_hex(d, hex), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	err_sys(e, "what was fetched");
	return err_hint(e, "it was pruned meanwhile: build again");
}

/* ---- pruning --------------------------------------------------------------------------------- */

/* The digests, as hexadecimal text, that records name which stay. */
static int
prune_records(int fd, int64_t before, struct strv *used, struct err *e)
{
	AUTO(dir) DIR *d = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	struct dirent *entry;
	struct stat st;

	if (d == NULL)
		return err_sys(e, DIR_NAME);
	rewinddir(d);
	while ((entry = readdir(d)) != NULL) {
		struct record r = { .known = false };
		char hex[DIGEST_HEX_LEN];

		if (strncmp(entry->d_name, RECORD_PREFIX, strlen(RECORD_PREFIX)) != 0 ||
		    strlen(entry->d_name) >= sizeof(r.name) ||
		    fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		memcpy(r.name, entry->d_name, strlen(entry->d_name) + 1);
		record_read(fd, &r);
		if (r.known && (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec >= before)
			strv_add(used, digest_hex(&r.digest, hex));
		else if (unlinkat(fd, entry->d_name, 0) < 0)
			return err_sys(e, "%s", entry->d_name);
	}
	return strv_check(used, "records", e);
}

static bool
is_used(const struct strv *used, const char *name)
{
	size_t lo = 0, hi = used->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(name, used->v[mid]);

		if (c == 0)
			return true;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return false;
}

int
bld_fetch_prune(int parent, int64_t before, uint64_t *bytes, struct err *e)
{
	AUTO_FINI(strv) struct strv used = STRV_INIT(1000000);
	AUTO(fd) int fd = dir_open(parent, DIR_NAME, NULL);
	AUTO(dir) DIR *d = NULL;
	struct dirent *entry;
	struct stat st;
	int rc;

	if (fd < 0)
		return 0; /* nothing was ever fetched */
	if ((rc = prune_records(fd, before, &used, e)) < 0)
		return rc;
	strv_sort(&used);
	d = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	if (d == NULL)
		return err_sys(e, DIR_NAME);
	rewinddir(d);
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    strncmp(entry->d_name, RECORD_PREFIX, strlen(RECORD_PREFIX)) == 0 ||
		    is_used(&used, entry->d_name) || fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		/* What was fetched since then may be without its record for a moment. */
		if ((int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec >= before)
			continue;
		if (unlinkat(fd, entry->d_name, 0) < 0)
			return err_sys(e, "%s", entry->d_name);
		*bytes += (uint64_t)st.st_blocks * 512;
	}
	return 0;
}
