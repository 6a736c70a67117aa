/* Writing OCI archives: layout, index, blobs, in a fixed order and with no time of now in them. */
#include "image/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <jansson.h>

#include "base/file.h"
#include "image/image.h"
#include "image/mediatype.h"
#include "image/tarout.h"

#define CHUNK ((size_t)1024 * 1024)
#define INDEX_MAX (16u * 1024 * 1024)

static inline void
json_release(json_t *j)
{
	json_decref(j);
}
DEFINE_AUTO(json, json_t *, NULL, json_release)

struct out {
	struct img_store *store;
	const struct img_archive_args *args;
	struct tarout tar;
	struct digest *done; /* blobs that are in the archive */
	size_t n, cap;
	uint64_t bytes, total;
	char *chunk;
	int fd;
};

static int
to_fd(void *arg, const void *data, size_t n, struct err *e)
{
	const struct out *o = arg;

	return fd_write_all(o->fd, data, n, "writing the archive", e);
}

static int
put_dir(struct out *o, const char *path, struct err *e)
{
	const struct tar_entry en = { .path = path, .type = TAR_DIR, .mode = 0755 };

	return tarout_entry(&o->tar, &en, e);
}

static int
put_text(struct out *o, const char *path, const char *text, size_t n, struct err *e)
{
	const struct tar_entry en = { .path = path, .type = TAR_FILE, .mode = 0644, .size = n };
	int r = tarout_entry(&o->tar, &en, e);

	return r < 0 ? r : tarout_data(&o->tar, text, n, e);
}

static int
copy_blob(struct out *o, int fd, uint64_t size, struct err *e)
{
	while (size > 0) {
		ssize_t n = read(fd, o->chunk, size < CHUNK ? (size_t)size : CHUNK);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, "reading a blob")
				     : err_set(e, E_CORRUPT, "a blob is shorter than it was");
		if (o->args->cancel != NULL && *o->args->cancel)
			return err_set(e, E_INTR, "interrupted");
		if ((r = tarout_data(&o->tar, o->chunk, (size_t)n, e)) < 0)
			return r;
		size -= (uint64_t)n;
		o->bytes += (uint64_t)n;
		event_progress(o->args->events, "saving", o->bytes, o->total);
	}
	return 0;
}

static int
put_blob(struct out *o, const struct digest *d, struct err *e)
{
	char path[DIGEST_TEXT_LEN + 16], hex[DIGEST_HEX_LEN];
	uint64_t size = 0;
	int r;

	for (size_t i = 0; i < o->n; i++)
		if (digest_equal(&o->done[i], d))
			return 0;
	if (o->n == o->cap) {
		size_t cap = o->cap == 0 ? 64 : o->cap * 2;
		struct digest *v = reallocarray(o->done, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		o->done = v;
		o->cap = cap;
	}
	AUTO(fd) int fd = img_blob_open(o->store, d, &size, e);
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "blobs/%s/%s", digest_name(d->alg), digest_hex(d, hex));
	const struct tar_entry en = { .path = path, .type = TAR_FILE, .mode = 0644, .size = size };
	if ((r = tarout_entry(&o->tar, &en, e)) < 0 || (r = copy_blob(o, fd, size, e)) < 0)
		return r;
	o->done[o->n++] = *d;
	return 0;
}

static int
put_image(struct out *o, const struct img_save *s, struct err *e)
{
	AUTO(img_image) struct img_image *i = NULL;
	struct digest d;
	int r;

	if ((r = digest_parse(s->rec->manifest, &d, e)) < 0 || (r = img_image_open(o->store, &d, &i, e)) < 0)
		return r;
	for (size_t k = 0; k < i->manifest->n_layers && r == 0; k++)
		r = put_blob(o, &i->manifest->layers[k].digest, e);
	if (r == 0)
		r = put_blob(o, &i->manifest->config.digest, e);
	return r < 0 ? r : put_blob(o, &d, e);
}

static json_t *
index_entry(const struct img_image *i, const char *name)
{
	const struct img_platform *p = &i->config->platform;
	char text[DIGEST_TEXT_LEN];
	json_t *entry = json_pack("{s:s, s:s, s:I, s:{s:s, s:s}}", "mediaType", i->manifest->media_type,
	    "digest", digest_print(&i->digest, text), "size", (json_int_t)i->size, "annotations",
	    ANN_REF_NAME, name, "io.containerd.image.name", name);

	if (entry != NULL && p->os != NULL && p->arch != NULL)
		json_object_set_new(
		    entry, "platform", json_pack("{s:s, s:s}", "os", p->os, "architecture", p->arch));
	return entry;
}

static int
put_index(struct out *o, const struct img_save *v, size_t n, struct err *e)
{
	AUTO(json) json_t *list = json_array();
	AUTO(json) json_t *root = NULL;

	for (size_t k = 0; k < n; k++) {
		AUTO(img_image) struct img_image *i = NULL;
		char name[REF_TEXT];
		struct digest d;
		int r;

		if ((r = digest_parse(v[k].rec->manifest, &d, e)) < 0 ||
		    (r = img_image_open(o->store, &d, &i, e)) < 0)
			return r;
		ref_print(v[k].ref, name);
		if (json_array_append_new(list, index_entry(i, name)) != 0)
			return err_nomem(e);
		for (size_t l = 0; l < i->manifest->n_layers; l++)
			o->total += i->manifest->layers[l].size;
	}
	root =
	    json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", MEDIA_OCI_INDEX, "manifests", list);
	AUTO_FREE char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		return err_nomem(e);
	return put_text(o, "index.json", text, strlen(text), e);
}

int
img_archive_write(struct img_store *s, int fd, const struct img_save *v, size_t n,
    const struct img_archive_args *args, struct err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	struct out o = { .store = s, .args = args, .fd = fd, .chunk = malloc(CHUNK) };
	int r = o.chunk == NULL ? err_nomem(e) : 0;

	tarout_init(&o.tar, to_fd, &o);
	if (r == 0)
		r = put_text(&o, "oci-layout", layout, sizeof(layout) - 1, e);
	if (r == 0)
		r = put_index(&o, v, n, e);
	if (r == 0)
		r = put_dir(&o, "blobs/", e);
	if (r == 0)
		r = put_dir(&o, "blobs/sha256/", e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_image(&o, &v[i], e);
	if (r == 0)
		r = tarout_end(&o.tar, e);
	free(o.done);
	free(o.chunk);
	return r;
}
