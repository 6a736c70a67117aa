/*
 * Images as wholes. Nothing here is visible by itself: a manifest is a blob
 * like others until a reference names it, and a ready record only says what
 * unpacked layers are good for.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/inroot.h"
#include "base/text.h"
#include "image/mediatype.h"
#include "image/pump.h"
#include "image/store_impl.h"

#define READY_MAX (16u * 1024 * 1024)

static inline void
json_release(json_t *j)
{
	json_decref(j);
}
DEFINE_AUTO(json, json_t *, NULL, json_release)

void
img_image_free(struct img_image *i)
{
	if (i == NULL)
		return;
	img_manifest_free(i->manifest);
	img_config_free(i->config);
	free(i);
}

/* ---- reading ----------------------------------------------------------------------- */

static int
read_manifest(struct img_store *s, struct img_image *i, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(IMG_MANIFEST_MAX);
	int r;

	if ((r = img_blob_read(s, &i->digest, &b, e)) < 0 ||
	    (r = img_manifest_parse(buf_cstr(&b), b.len, NULL, &i->manifest, e)) < 0)
		return r;
	i->size = b.len;
	if (i->manifest->is_index)
		return err_set(e, E_NOTSUP, "this is an index of images, not one");
	if (media_role(i->manifest->config.media_type) != MEDIA_CONFIG)
		return err_set(e, E_NOTSUP, "this is an artifact (%s) and no image that could run",
		    i->manifest->config.media_type);
	return 0;
}

static int
read_config(struct img_store *s, struct img_image *i, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(IMG_CONFIG_MAX);
	int r;

	if (i->manifest->config.size > IMG_CONFIG_MAX)
		return err_set(e, E_LIMIT, "its config is larger than %u bytes", IMG_CONFIG_MAX);
	if ((r = img_blob_read(s, &i->manifest->config.digest, &b, e)) < 0)
		return r;
	return img_config_parse(buf_cstr(&b), b.len, &i->config, e);
}

static int
check_layers(struct img_store *s, const struct img_image *i, struct err *e)
{
	const struct img_manifest *m = i->manifest;
	int r;

	if (m->n_layers != i->config->ndiffs)
		return err_set(e, E_INVAL, "its manifest has %zu layers and its config %zu", m->n_layers,
		    i->config->ndiffs);
	for (size_t k = 0; k < m->n_layers; k++) {
		if (media_role(m->layers[k].media_type) != MEDIA_LAYER)
			return err_set(e, E_NOTSUP, "a layer of type %s", m->layers[k].media_type);
		if ((r = img_pin(s, &m->layers[k].digest, e)) < 0)
			return r;
	}
	return 0;
}

int
img_image_open(struct img_store *s, const struct digest *manifest, struct img_image **out, struct err *e)
{
	AUTO(img_image) struct img_image *i = calloc(1, sizeof(*i));
	char text[DIGEST_TEXT_LEN];
	int r;

	if (i == NULL)
		return err_nomem(e);
	i->digest = *manifest;
	if ((r = read_manifest(s, i, e)) < 0 || (r = read_config(s, i, e)) < 0 ||
	    (r = check_layers(s, i, e)) < 0)
		return err_wrap(e, "image %.19s", digest_print(manifest, text));
	*out = take_ptr(i);
	return 0;
}

int
img_image_check(struct img_store *s, const struct img_image *i, struct err *e)
{
	char text[DIGEST_TEXT_LEN];

	for (size_t k = 0; k < i->manifest->n_layers; k++) {
		const struct img_desc *d = &i->manifest->layers[k];
		uint64_t size = 0;
		int r = img_blob_has(s, &d->digest, &size, e);

		if (r < 0)
			return r;
		if (r == 0)
			return err_set(
			    e, E_NOENT, "layer %s is not on this node", digest_print(&d->digest, text));
		if (size != d->size)
			return err_set(e, E_CORRUPT, "layer %s has %llu bytes, not %llu",
			    digest_print(&d->digest, text), (unsigned long long)size,
			    (unsigned long long)d->size);
	}
	return 0;
}

/* ---- unpacking ------------------------------------------------------------------------ */

int
img_image_chain(const struct img_image *i, struct digest *chain, struct err *e)
{
	int r = 0;

	memset(chain, 0, sizeof(*chain));
	for (size_t k = 0; k < i->config->ndiffs && r == 0; k++) {
		struct digest below = *chain;

		r = img_chain_id(k > 0 ? &below : NULL, &i->config->diffs[k], chain, e);
	}
	return r;
}

struct progress {
	const struct pot_events *events;
	uint64_t total;
};

static void
on_progress(void *arg, uint64_t done)
{
	const struct progress *p = arg;

	event_progress(p->events, "unpacking", done, p->total);
}

/* An image without a layer is an empty root: the layer of an empty tar. */
static int
unpack_nothing(
    struct img_store *s, struct stor *stor, const volatile bool *cancel, struct digest *chain, struct err *e)
{
	static const char empty[1024];
	struct img_unpack *u = NULL;
	struct digest diff;
	int r = digest_of(DIGEST_SHA256, empty, sizeof(empty), &diff, e), w;
	const struct img_unpack_args args = { .diff = &diff, .cancel = cancel };

	if (r < 0 || (r = img_unpack_begin(s, stor, &args, &u, chain, e)) != 0)
		return r < 0 ? r : 0;
	w = fd_write_all(img_unpack_fd(u), empty, sizeof(empty), "unpacking", e);
	r = img_unpack_end(&u, w == 0, e);
	return r < 0 ? r : w;
}

static int
unpack_layers(struct img_store *s, struct stor *stor, const struct img_image *i,
    const struct img_ready_args *a, struct digest *chain, struct err *e)
{
	const struct img_manifest *m = i->manifest;
	AUTO_FREE struct pump_blob *blobs = calloc(m->n_layers, sizeof(*blobs));
	AUTO_FINI(pump) struct pump pump = { 0 };
	struct progress p = { a->events, 0 };
	int r;

	if (blobs == NULL)
		return err_nomem(e);
	for (size_t k = 0; k < m->n_layers; k++) {
		struct pump_blob *b = &blobs[k];

		*b = (struct pump_blob){ .digest = m->layers[k].digest, .size = m->layers[k].size };
		b->have = b->size;
		b->state = PUMP_WHOLE;
		snprintf(b->what, sizeof(b->what), "layer %zu of %zu", k + 1, m->n_layers);
		p.total += b->size;
	}
	if ((r = pump_init(&pump, s, stor, blobs, i->config->diffs, m->n_layers, e)) < 0)
		return r;
	pump.max_size = a->max_size;
	pump.cancel = a->cancel;
	return pump_run(&pump, a->events != NULL ? on_progress : NULL, &p, chain, e);
}

/* Many images name a working directory that they do not have: noted, so that pots get it when they are made. */
static int
note_workdir(struct stor *stor, struct img_ready_record *rec, struct err *e)
{
	const char *workdir = kv_get(&rec->settings, IMG_SET_WORKDIR);
	const struct stor_fs fs = { STOR_IMAGE, rec->fs };

	if (workdir == NULL || workdir[0] != '/')
		return 0;
	struct stor_look look;
	int r = stor_look_begin(stor, fs, &look, e);

	if (r < 0)
		return r;
	int dir = inroot_open(look.root, workdir, O_RDONLY | O_DIRECTORY, 0, NULL);
	fd_close(dir);
	stor_look_end(stor, fs, &look);
	return dir == -E_NOENT ? kv_add(&rec->settings, IMG_SET_MAKE, workdir, e) : 0;
}

static int
write_ready(struct img_store *s, struct stor *stor, const struct img_image *i, const struct digest *chain,
    struct err *e)
{
	AUTO_FINI(img_ready_record) struct img_ready_record rec = { .settings = KV_INIT };
	AUTO_FINI(buf) struct buf b = BUF_INIT(READY_MAX), path = BUF_INIT(256);
	int r;

	(void)digest_print(&i->digest, rec.manifest);
	char hex[DIGEST_HEX_LEN];
	snprintf(rec.fs, sizeof(rec.fs), "%.*s", (int)sizeof(rec.fs) - 1, digest_hex(chain, hex));
	if ((r = img_config_settings(i->config, &rec.settings, e)) < 0 ||
	    (r = note_workdir(stor, &rec, e)) < 0 || (r = img_ready_record_print(&rec, &b, e)) < 0 ||
	    (r = img_ready_path(rec.manifest, &path, e)) < 0)
		return r;
	fault_point("image.ready.unpacked");
	AUTO(fd) int lock = lock_file(s->ready, ".lock", true, STORE_LOCK_MS, e);
	if (lock < 0)
		return lock;
	return file_write_atomic(s->ready, strchr(path.data, '/') + 1, 0600, b.data, b.len, e);
}

int
img_image_ready(struct img_store *s, struct stor *stor, const struct img_image *i,
    const struct img_ready_args *a, struct err *e)
{
	AUTO_FINI(img_ready_record) struct img_ready_record rec = { .settings = KV_INIT };
	struct digest chain;
	char text[DIGEST_TEXT_LEN];
	int r;

	if (img_platform_fit(&i->config->platform) == 0)
		return err_set(e, E_NOTSUP, "the image is for %.16s/%.16s and cannot run here",
		    i->config->platform.os, i->config->platform.arch);
	r = i->manifest->n_layers == 0 ? unpack_nothing(s, stor, a->cancel, &chain, e)
				       : unpack_layers(s, stor, i, a, &chain, e);
	if (r < 0)
		return err_wrap(e, "image %.19s", digest_print(&i->digest, text));
	/* It never changes: the same manifest has the same config and layers. */
	if (img_ready_read(s, &i->digest, &rec, NULL) == 0)
		return 0;
	return write_ready(s, stor, i, &chain, e);
}

int
img_ready_read(
    struct img_store *s, const struct digest *manifest, struct img_ready_record *rec, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(READY_MAX), path = BUF_INIT(256);
	char text[DIGEST_TEXT_LEN];
	int r;

	if ((r = img_ready_path(digest_print(manifest, text), &path, e)) < 0 ||
	    (r = file_read(s->dir, path.data, &b, e)) < 0)
		return r;
	return img_ready_record_parse(rec, buf_cstr(&b), b.len, path.data, e);
}

/* ---- making --------------------------------------------------------------------------- */

static json_t *
descriptor(const char *media_type, const struct digest *d, uint64_t size)
{
	char text[DIGEST_TEXT_LEN];

	return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest_print(d, text), "size",
	    (json_int_t)size);
}

/* The OCI name of what may be a Docker one: a manifest of ours has no mixture. */
static const char *
oci_layer_type(const char *media_type)
{
	const struct media_type *t = media_find(media_type);

	if (t == NULL || !t->docker)
		return media_type;
	return t->comp == COMP_GZIP ? MEDIA_OCI_LAYER_GZIP
	    : t->comp == COMP_ZSTD  ? MEDIA_OCI_LAYER_ZSTD
				    : MEDIA_OCI_LAYER;
}

static json_t *
layer_list(const struct img_new *n)
{
	json_t *list = json_array();

	for (size_t i = 0; n->below != NULL && i < n->below->manifest->n_layers; i++) {
		const struct img_desc *d = &n->below->manifest->layers[i];

		if (json_array_append_new(
			list, descriptor(oci_layer_type(d->media_type), &d->digest, d->size)) != 0)
			break;
	}
	for (size_t i = 0; i < n->nlayers; i++) {
		const struct img_layer *l = &n->layers[i];

		if (json_array_append_new(list, descriptor(l->media_type, &l->blob, l->size)) != 0)
			break;
	}
	return list;
}

static int
build_manifest(
    const struct img_new *n, const struct digest *config, size_t size, struct buf *b, struct err *e)
{
	size_t want = n->nlayers + (n->below != NULL ? n->below->manifest->n_layers : 0);
	AUTO(json) json_t *layers = layer_list(n);
	AUTO(json) json_t *annotations = json_object();
	AUTO(json) json_t *root = NULL;

	if (json_array_size(layers) != want)
		return err_nomem(e);
	for (const char *const *a = n->annotations; a != NULL && a[0] != NULL; a += 2)
		if (json_object_set_new(annotations, a[0], json_string(a[1])) != 0)
			return err_set(e, E_INVAL, "an annotation is not UTF-8");
	root = json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType", MEDIA_OCI_MANIFEST,
	    "config", descriptor(MEDIA_OCI_CONFIG, config, size), "layers", layers);
	if (root == NULL ||
	    (json_object_size(annotations) > 0 && json_object_set(root, "annotations", annotations) != 0))
		return err_nomem(e);
	AUTO_FREE char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		return err_nomem(e);
	buf_str(b, text);
	return buf_check(b, "the image's manifest", e);
}

int
img_image_make(struct img_store *s, const struct img_new *n, struct digest *manifest, struct err *e)
{
	AUTO_FINI(buf) struct buf config = BUF_INIT(IMG_CONFIG_MAX), text = BUF_INIT(IMG_MANIFEST_MAX);
	AUTO_FREE struct digest *diffs = calloc(n->nlayers + 1, sizeof(*diffs));
	const struct img_config_new c = {
		.below = n->below != NULL ? n->below->config : NULL,
		.platform = n->platform,
		.settings = n->settings,
		.builder = n->builder,
		.diffs = diffs,
		.ndiffs = n->nlayers,
		.history = n->history,
		.nhistory = n->nhistory,
		.created_ns = n->created_ns,
	};
	struct digest d;
	int r;

	if (diffs == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < n->nlayers; i++)
		diffs[i] = n->layers[i].diff;
	if ((r = img_config_build(&c, &config, e)) < 0 ||
	    (r = img_blob_put(s, config.data, config.len, &d, e)) < 0)
		return r;
	fault_point("image.make.config");
	if ((r = build_manifest(n, &d, config.len, &text, e)) < 0)
		return r;
	return img_blob_put(s, text.data, text.len, manifest, e);
}

int
img_source_date(int64_t *epoch, struct err *e)
{
	const char *text = secure_getenv("SOURCE_DATE_EPOCH");
	uint64_t v;
	int r;

	*epoch = -1;
	if (text == NULL || text[0] == '\0')
		return 0;
	if ((r = text_uint(text, 0, UINT64_C(253402300799), &v, "SOURCE_DATE_EPOCH", e)) < 0)
		return r;
	*epoch = (int64_t)v;
	return 0;
}
