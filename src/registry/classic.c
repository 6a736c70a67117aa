/*
 * /classic/NAME_TAG.xz and its companions, as the shell framework's import
 * fetches them: for images that carry a whole classic stream (the annotation
 * io.pot.classic.meta of image/mediatype.h).  Making the files is
 * classic_make.c's; here is which image a name means, and sending.
 */
#include <sys/stat.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "image/mediatype.h"
#include "image/skein.h"
#include "registry/classic.h"
#include "registry/range.h"

struct classic_req {
	struct job job;
	struct req *req;
	enum classic_file file;
	struct db_classic found;
	int rc;
	struct err err;
};

bool
classic_split(const char *name, char stem[static PATH_REST_MAX + 1], enum classic_file *file)
{
	static const struct {
		const char *end;
		enum classic_file file;
	} ends[] = { { ".xz", CLASSIC_XZ }, { ".xz.meta", CLASSIC_META }, { ".xz.skein", CLASSIC_SKEIN },
		{ ".xz.skein.sig", CLASSIC_SIG } };
	size_t len = strnlen(name, PATH_REST_MAX + 1);

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(ends[i].end);

		if (len > PATH_REST_MAX || len <= n || strcmp(name + len - n, ends[i].end) != 0)
			continue;
		memcpy(stem, name, len - n);
		stem[len - n] = '\0';
		*file = ends[i].file;
		return true;
	}
	return false;
}

bool
classic_candidate(const char *stem, unsigned n, char repo[static REPO_NAME_MAX + 1],
    char tag[static TAG_MAX + 1], bool *valid)
{
	const char *cut = stem;
	size_t len;

	for (unsigned i = 0;; i++) {
		cut = strchr(i == 0 ? cut : cut + 1, '_');
		if (cut == NULL)
			return false;
		if (i == n)
			break;
	}
	len = (size_t)(cut - stem);
	*valid = len <= REPO_NAME_MAX && strlen(cut + 1) <= TAG_MAX;
	if (!*valid)
		return true;
	/* A pot's name may have capitals, a repository's may not. */
	for (size_t i = 0; i < len; i++)
		repo[i] = (char)tolower((unsigned char)stem[i]);
	repo[len] = '\0';
	snprintf(tag, TAG_MAX + 1, "%s", cut + 1);
	*valid = repo_name_is_valid(repo) && tag_is_valid(tag);
	return true;
}

static void
classic_free(void *arg)
{
	struct classic_req *c = arg;

	db_classic_fini(&c->found);
	free(c);
}

static enum http_next
send_text(struct req *r, const char *text)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(64 * 1024);
	size_t n = strlen(text);

	buf_str(&b, text);
	if (n == 0 || text[n - 1] != '\n')
		buf_str(&b, "\n");
	return reply_object(r, 200, http_object_bytes(buf_cstr(&b), b.len, "text/plain"));
}

static enum http_next
send_file(struct req *r, int fd, const char *tag)
{
	char etag[CLASSIC_NAME_LEN + 2];
	struct stat st;

	if (fstat(fd, &st) < 0) {
		fd_close(fd);
		return reply_error(r, 500, "UNSUPPORTED", "the file cannot be read");
	}
	snprintf(etag, sizeof(etag), "\"%s\"", tag);
	return reply_range(r, fd, (uint64_t)st.st_size, "application/x-xz", etag, NULL);
}

static bool
is_skein(const char *text)
{
	return text != NULL && strlen(text) == SKEIN_HEX_LEN - 1 &&
	    strspn(text, "0123456789abcdef") == SKEIN_HEX_LEN - 1;
}

/* From what was made in classic/. */
static enum http_next
send_made(struct req *r)
{
	struct registry *g = r->app;
	struct classic_req *c = r->state;
	AUTO_FINI(buf) struct buf text = BUF_INIT(SKEIN_HEX_LEN);
	char name[CLASSIC_NAME_LEN], file[CLASSIC_NAME_LEN + 8];
	struct err e = ERR_INIT;
	int fd;

	if (c->rc < 0)
		return reply_err(r, "MANIFEST_UNKNOWN", &c->err);
	if (classic_name(&c->found, name, &e) < 0)
		return reply_err(r, "MANIFEST_UNKNOWN", &e);
	snprintf(file, sizeof(file), "%s%s", name, c->file == CLASSIC_XZ ? ".xz" : ".skein");
	if (c->file == CLASSIC_SKEIN) {
		if (file_read(g->store.classic, file, &text, &e) < 0)
			return reply_err(r, "MANIFEST_UNKNOWN", &e);
		return send_text(r, buf_cstr(&text));
	}
	fd = openat(g->store.classic, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		err_sys(&e, "open a classic image file");
		return reply_err(r, "MANIFEST_UNKNOWN", &e);
	}
	return send_file(r, fd, name);
}

static void
run_make(struct job *job)
{
	struct classic_req *c = (struct classic_req *)job;

	c->rc = classic_make(c->req->app, &c->found, &c->err);
	http_resume(c->req);
}

static enum http_next
make_first(struct req *r)
{
	struct registry *g = r->app;
	struct classic_req *c = r->state;

	c->job.run = run_make;
	r->resumed = send_made;
	http_suspend(r);
	work_submit(g->slow, &c->job);
	return NEXT_WAIT;
}

static enum http_next
send_classic(struct req *r)
{
	struct registry *g = r->app;
	struct classic_req *c = r->state;
	const struct db_classic *f = &c->found;
	bool as_is = strcmp(f->media_type, MEDIA_ZFS_SEND_XZ) == 0;
	char hex[DIGEST_HEX_LEN];
	struct err e = ERR_INIT;
	uint64_t size;
	int fd;

	switch (c->file) {
	case CLASSIC_META:
		return send_text(r, f->meta);
	case CLASSIC_SIG:
		if (!as_is || f->sig == NULL || !is_skein(f->skein))
			return reply_error(r, 404, "MANIFEST_UNKNOWN", "this image has no classic signature");
		return send_text(r, f->sig);
	case CLASSIC_SKEIN:
		return as_is && is_skein(f->skein) ? send_text(r, f->skein) : make_first(r);
	case CLASSIC_XZ:
		break;
	}
	if (!as_is)
		return make_first(r);
	fd = store_blob_open(&g->store, &f->digest, &size, &e);
	return fd < 0 ? reply_err(r, "BLOB_UNKNOWN", &e) : send_file(r, fd, digest_hex(&f->digest, hex));
}

/* The first image that the name may mean, that is there, and that has a classic stream. */
static enum http_next
find_and_send(struct req *r, const char *stem)
{
	struct registry *g = r->app;
	struct classic_req *c = r->state;
	char repo[REPO_NAME_MAX + 1], tag[TAG_MAX + 1];
	struct err e = ERR_INIT;
	struct db *db = registry_db(g, &e);
	bool valid;

	if (db == NULL)
		return reply_err(r, "MANIFEST_UNKNOWN", &e);
	for (unsigned n = 0; classic_candidate(stem, n, repo, tag, &valid); n++) {
		int rc = valid ? db_classic_get(db, repo, tag, &c->found, &e) : -E_NOENT;

		if (rc < 0 && rc != -E_NOENT)
			return reply_err(r, "MANIFEST_UNKNOWN", &e);
		if (rc < 0)
			continue;
		memcpy(r->path.repo, repo, sizeof(repo));
		r->path.repo_valid = true;
		return access_allows(r, repo, RIGHT_PULL) ? send_classic(r) : access_refuse(r, RIGHT_PULL);
	}
	return reply_error(r, 404, "MANIFEST_UNKNOWN", "no image of this name has a classic stream");
}

enum http_next
classic_get(struct req *r)
{
	struct classic_req *c;
	char stem[PATH_REST_MAX + 1];
	enum classic_file file;

	if (!classic_split(r->path.rest, stem, &file))
		return reply_error(
		    r, 404, "MANIFEST_UNKNOWN", "this is not the name of a classic image file");
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return reply_error(r, 503, "TOOMANYREQUESTS", "out of memory");
	c->req = r;
	c->file = file;
	r->state = c;
	r->state_free = classic_free;
	return find_and_send(r, stem);
}
