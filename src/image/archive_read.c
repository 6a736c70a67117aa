/*
 * Reading archives. pot-unpack makes a directory of the tar, partial/.load-N,
 * locked by partial/.load-N.lock so that prune knows what the dead have left;
 * from there blobs are moved into the store after their digest was checked.
 * The directory is hostile: its files are reached inside it only.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <jansson.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/host.h"
#include "base/inroot.h"
#include "base/proc.h"
#include "base/text.h"
#include "image/archive.h"
#include "image/image.h"
#include "image/mediatype.h"
#include "image/store_impl.h"

#define MAX_SIZE "274877906944" /* 256 GiB: layers are limited by themselves */
#define JSON_MAX (16u * 1024 * 1024)

static inline void
json_release(json_t *j)
{
	json_decref(j);
}
DEFINE_AUTO(json, json_t *, NULL, json_release)

struct in {
	struct img_store *store;
	const struct img_archive_args *args;
	img_archive_fn *fn;
	void *arg;
	char name[32], lock_name[40];
	int lock, dir;
};

/* ---- unpacking ------------------------------------------------------------------------ */

static int
make_dir(struct in *in, struct err *e)
{
	unsigned long long random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	snprintf(in->name, sizeof(in->name), ".load-%016llx", random);
	snprintf(in->lock_name, sizeof(in->lock_name), "%s.lock", in->name);
	if ((in->lock = lock_file(in->store->partial, in->lock_name, true, 0, e)) < 0)
		return in->lock;
	in->dir = dir_make(in->store->partial, in->name, 0700, e);
	return in->dir < 0 ? in->dir : 0;
}

static void
in_fini(struct in *in)
{
	struct err ignored = ERR_INIT;

	fd_close(take_fd(in->dir));
	if (in->lock < 0)
		return;
	/* What cannot be removed now, prune removes: the lock goes only with it. */
	if (tree_remove(in->store->partial, in->name, &ignored) == 0)
		unlinkat(in->store->partial, in->lock_name, 0);
	fd_close(take_fd(in->lock));
}

static int
unpack(struct in *in, int fd, struct err *e)
{
	AUTO_FINI(buf) struct buf err = BUF_INIT(65536);
	char program[PATH_MAX], dirfd[16];
	const char *argv[] = { program, "--max-size", MAX_SIZE, "--dirfd", dirfd, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;
	int status = 0, r = host_find_program("pot-unpack", host_libexec(), program, sizeof(program), e);

	if (r < 0)
		return r;
	snprintf(dirfd, sizeof(dirfd), "%d", in->dir);
	spec.argv = argv;
	spec.fd_in = fd;
	spec.err = &err;
	spec.pass_fd = in->dir;
	spec.cancel = in->args->cancel;
	r = proc_run(&spec, &status, e);
	fault_point("image.load.unpacked");
	if (r == 0 || r == -E_INTR || err.len == 0 || status > 128)
		return r;
	char why[512];
	text_escape_into(why, sizeof(why), err.data, strcspn(err.data, "\n"));
	if (status == 4)
		return err_set(e, E_NOSPC, "%s", why);
	return err_set(e, status == 5 ? E_SYS : E_CORRUPT, "%s", why);
}

/* ---- taking blobs ------------------------------------------------------------------------ */

/* Moves the file at path into the store as this blob; what it does not have is E_NOENT. */
static int
take_blob(struct in *in, const char *path, const struct digest *want, uint64_t size, struct err *e)
{
	char hex[DIGEST_HEX_LEN], last[256], text[DIGEST_TEXT_LEN];
	struct digest found;
	struct stat st;
	int r = img_blob_has(in->store, want, NULL, e);

	if (r != 0)
		return r < 0 ? r : 0;
	AUTO(fd) int fd = inroot_open(in->dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, e);
	if (fd < 0)
		return err_wrap(e, "the archive lacks a blob");
	if (fstat(fd, &st) != 0)
		return err_sys(e, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, E_CORRUPT, "%s: not a file", path);
	if ((r = digest_of_fd(want->alg, fd, &found, NULL, e)) < 0)
		return r;
	if (!digest_equal(&found, want) || (size != IMG_SIZE_UNKNOWN && (uint64_t)st.st_size != size))
		return err_set(e, E_CORRUPT,
		    "blob %s of the archive does not have the content that its name promises",
		    digest_print(want, text));
	/* Its mode and owner are the archive's word. */
	if (fchown(fd, 0, 0) != 0 || fchmod(fd, 0444) != 0 || fsync(fd) != 0)
		return err_sys(e, "%s", path);
	AUTO(fd) int parent = inroot_open_parent(in->dir, path, last, e);
	if (parent < 0)
		return parent;
	fault_point("image.load.blob");
	/* A file of several names stays where it is: another name of it may be wanted, too. */
	if (!file_is_named(parent, last, fd) ||
	    linkat(parent, last, in->store->blobs[want->alg], digest_hex(want, hex), 0) != 0) {
		if (errno == EEXIST)
			return 0;
		return err_sys(e, "taking %s", path);
	}
	return dir_sync(in->store->blobs[want->alg], "blobs", e);
}

static int
take_layout_blob(struct in *in, const struct digest *d, uint64_t size, struct err *e)
{
	char path[DIGEST_TEXT_LEN + 16], hex[DIGEST_HEX_LEN];

	snprintf(path, sizeof(path), "blobs/%s/%s", digest_name(d->alg), digest_hex(d, hex));
	return take_blob(in, path, d, size, e);
}

static int
take_image(struct in *in, const struct img_desc *top, const char *name, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(IMG_MANIFEST_MAX);
	AUTO(img_manifest) struct img_manifest *m = NULL;
	AUTO(img_manifest) struct img_manifest *index = NULL;
	struct digest d = top->digest;
	const struct img_desc *pick = NULL;
	int r;

	if ((r = take_layout_blob(in, &d, top->size, e)) < 0 ||
	    (r = img_blob_read(in->store, &d, &b, e)) < 0 ||
	    (r = img_manifest_parse(buf_cstr(&b), b.len, NULL, &m, e)) < 0)
		return r;
	if (m->is_index) {
		index = take_ptr(m);
		buf_reset(&b);
		if ((r = img_index_pick(index, &pick, e)) < 0)
			return r;
		d = pick->digest;
		if ((r = take_layout_blob(in, &d, pick->size, e)) < 0 ||
		    (r = img_blob_read(in->store, &d, &b, e)) < 0 ||
		    (r = img_manifest_parse(buf_cstr(&b), b.len, pick->media_type, &m, e)) < 0)
			return r;
		if (m->is_index)
			return err_set(e, E_NOTSUP, "an index within an index");
	}
	r = take_layout_blob(in, &m->config.digest, m->config.size, e);
	for (size_t i = 0; i < m->n_layers && r == 0; i++)
		r = take_layout_blob(in, &m->layers[i].digest, m->layers[i].size, e);
	return r < 0 ? r : in->fn(in->arg, &d, &top->digest, name, e);
}

static int
read_oci(struct in *in, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(IMG_MANIFEST_MAX);
	AUTO(img_manifest) struct img_manifest *index = NULL;
	int r = inroot_read(in->dir, "index.json", &b, e);

	if (r < 0 || (r = img_manifest_parse(buf_cstr(&b), b.len, MEDIA_OCI_INDEX, &index, e)) < 0)
		return err_wrap(e, "index.json");
	if (index->n_manifests == 0)
		return err_set(e, E_INVAL, "the archive holds no image");
	for (size_t i = 0; i < index->n_manifests && r == 0; i++) {
		const struct img_desc *d = &index->manifests[i];
		const char *name = img_annotation(&d->annotations, "io.containerd.image.name");

		if (name == NULL)
			name = img_annotation(&d->annotations, ANN_REF_NAME);
		r = take_image(in, d, name != NULL ? name : "", e);
	}
	return r;
}

/* ---- Docker's ------------------------------------------------------------------------------- */

/* Layers of a Docker archive are plain tars: their digests are the config's diff_ids. */
static int
take_docker_layers(
    struct in *in, const struct img_config *c, const json_t *names, struct img_layer *layers, struct err *e)
{
	for (size_t i = 0; i < c->ndiffs; i++) {
		const char *path = json_string_value(json_array_get(names, i));
		int r;

		if (path == NULL)
			return err_set(e, E_INVAL, "manifest.json: a layer without a name");
		layers[i] = (struct img_layer){
			.blob = c->diffs[i], .diff = c->diffs[i], .media_type = MEDIA_OCI_LAYER
		};
		if ((r = take_blob(in, path, &c->diffs[i], IMG_SIZE_UNKNOWN, e)) < 0 ||
		    (r = img_blob_has(in->store, &c->diffs[i], &layers[i].size, e)) < 0)
			return r;
	}
	return 0;
}

/* An OCI manifest around Docker's config as it stands: the config's digest, the image's identity, stays. */
static int
make_docker_manifest(struct in *in, const struct buf *config, const struct img_layer *layers, size_t n,
    struct digest *out, struct err *e)
{
	AUTO(json) json_t *list = json_array();
	AUTO(json) json_t *root = NULL;
	char text[DIGEST_TEXT_LEN];
	struct digest d;
	int r = img_blob_put(in->store, config->data, config->len, &d, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list,
			json_pack("{s:s, s:s, s:I}", "mediaType", layers[i].media_type, "digest",
			    digest_print(&layers[i].blob, text), "size", (json_int_t)layers[i].size)) != 0)
			return err_nomem(e);
	root = json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:O}", "schemaVersion", 2, "mediaType",
	    MEDIA_OCI_MANIFEST, "config", "mediaType", MEDIA_OCI_CONFIG, "digest", digest_print(&d, text),
	    "size", (json_int_t)config->len, "layers", list);
	AUTO_FREE char *manifest = root == NULL ? NULL : json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	if (manifest == NULL)
		return err_nomem(e);
	return img_blob_put(in->store, manifest, strlen(manifest), out, e);
}

static int
take_docker(struct in *in, const json_t *item, struct err *e)
{
	AUTO_FINI(buf) struct buf config = BUF_INIT(IMG_CONFIG_MAX);
	AUTO(img_config) struct img_config *c = NULL;
	const char *path = json_string_value(json_object_get(item, "Config"));
	const json_t *names = json_object_get(item, "Layers"), *tags = json_object_get(item, "RepoTags");
	struct digest d;
	size_t i = 0;
	int r;

	if (path == NULL || !json_is_array(names))
		return err_set(e, E_INVAL, "manifest.json: an image without config or layers");
	if ((r = inroot_read(in->dir, path, &config, e)) < 0 ||
	    (r = img_config_parse(buf_cstr(&config), config.len, &c, e)) < 0)
		return r;
	if (c->ndiffs != json_array_size(names))
		return err_set(e, E_INVAL, "manifest.json: not as many layers as the config has");
	AUTO_FREE struct img_layer *layers = calloc(c->ndiffs + 1, sizeof(*layers));
	if (layers == NULL)
		return err_nomem(e);
	if ((r = take_docker_layers(in, c, names, layers, e)) < 0 ||
	    (r = make_docker_manifest(in, &config, layers, c->ndiffs, &d, e)) < 0)
		return r;
	if (json_array_size(tags) == 0)
		return in->fn(in->arg, &d, &d, "", e);
	for (; i < json_array_size(tags) && r == 0; i++) {
		const char *tag = json_string_value(json_array_get(tags, i));

		r = in->fn(in->arg, &d, &d, tag != NULL ? tag : "", e);
	}
	return r;
}

static int
read_docker(struct in *in, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(JSON_MAX);
	AUTO(json) json_t *list = NULL;
	int r = inroot_read(in->dir, "manifest.json", &b, e);

	if (r == -E_NOENT) {
		err_set(e, E_INVAL, "this is no image: there is neither index.json nor manifest.json in it");
		return err_hint(e, "a root tarball becomes a base with pot create-base --from");
	}
	if (r < 0 || (r = img_json_parse(buf_cstr(&b), b.len, JSON_MAX, "manifest.json", &list, e)) < 0)
		return r;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return err_set(e, E_INVAL, "manifest.json: names no image");
	for (size_t i = 0; i < json_array_size(list) && r == 0; i++)
		r = take_docker(in, json_array_get(list, i), e);
	return r;
}

int
img_archive_read(struct img_store *s, int fd, uint64_t size, const struct img_archive_args *args,
    img_archive_fn *fn, void *arg, struct err *e)
{
	struct in in = { .store = s, .args = args, .fn = fn, .arg = arg, .lock = -1, .dir = -1 };
	struct stat st;
	int r = make_dir(&in, e);

	(void)size;
	if (r == 0)
		r = unpack(&in, fd, e);
	if (r == 0)
		r = fstatat(in.dir, "index.json", &st, AT_SYMLINK_NOFOLLOW) == 0 ? read_oci(&in, e)
										 : read_docker(&in, e);
	in_fini(&in);
	return r;
}
