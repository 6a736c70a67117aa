/*
 * The image of a base. ROOT/images/bases/NAME tells its manifest and when the
 * base was made, so that another base of this name is another image. Unpacked
 * it is a clone of the base.
 */
#include "builder/base.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/kv.h"
#include "image/pack.h"

#define RECORD_MAX 4096

struct base_look {
	const char *name;
	bool found;
	int64_t created_ns;
	char release[64];
};

static int
find_base(void *arg, const struct pot_base_info *info)
{
	struct base_look *b = arg;

	if (strcmp(info->name, b->name) == 0) {
		b->found = true;
		b->created_ns = info->created_ns;
		snprintf(b->release, sizeof(b->release), "%s", info->release);
	}
	return 0;
}

static int
look_up(struct eng *g, const char *name, struct base_look *b, struct err *e)
{
	int rc;

	*b = (struct base_look){ .name = name };
	if ((rc = eng_base_list(g, false, find_base, b, e)) < 0 || b->found)
		return rc;
	err_set(e, E_NOENT, "there is no base %s", name);
	return err_hint(e, "pot create-base -r RELEASE, or pot list -b");
}

/* What was noted when it was made; E_NOENT when that is not, or of an older base of this name. */
static int
read_noted(struct img_store *s, int bases, const struct base_look *b, struct img_image **image, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RECORD_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *manifest, *created;
	struct digest d;
	char want[32];
	int rc;

	if ((rc = file_read(bases, b->name, &text, e)) < 0 ||
	    (rc = kv_parse(&kv, buf_cstr(&text), text.len, IMG_BASES, e)) < 0)
		return rc;
	manifest = kv_get(&kv, "manifest");
	created = kv_get(&kv, "created");
	snprintf(want, sizeof(want), "%lld", (long long)b->created_ns);
	if (manifest == NULL || created == NULL || strcmp(created, want) != 0 ||
	    digest_parse(manifest, &d, NULL) < 0)
		return err_set(e, E_NOENT, "another base had this name");
	if ((rc = img_image_open(s, &d, image, e)) < 0)
		return rc;
	/* Pruned since, when no image of it was left. */
	rc = img_image_check(s, *image, e);
	if (rc < 0)
		img_image_free(take_ptr(*image));
	return rc;
}

static int
note_base(int bases, const struct base_look *b, const struct digest *d, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(RECORD_MAX);
	char digest[DIGEST_TEXT_LEN];
	int rc;

	buf_fmt(&text, "created=%lld\nmanifest=%s\n", (long long)b->created_ns, digest_print(d, digest));
	rc = buf_check(&text, "record", e);
	return rc < 0 ? rc : file_write_atomic(bases, b->name, 0600, text.data, text.len, e);
}

static int
pack_base(struct eng *g, struct img_store *s, const struct base_look *b, int64_t epoch,
    struct img_layer *layer, struct err *e)
{
	const struct stor_fs fs = { STOR_BASE, b->name };
	struct stor_look look;
	int rc = stor_look_begin(g->stor, fs, &look, e);

	if (rc < 0)
		return rc;
	const struct img_difference diff = { look.root, -1, epoch, g->cancel, &g->events };
	rc = img_pack_difference(s, &diff, layer, NULL, e);
	stor_look_end(g->stor, fs, &look);
	return rc;
}

static int
make_base_image(struct eng *g, struct img_store *s, const struct base_look *b, int64_t epoch,
    struct img_image **image, struct err *e)
{
	struct img_host h;
	struct img_layer layer;
	char by[256];
	int64_t created = epoch >= 0 ? epoch * 1000000000 : b->created_ns;
	const struct img_history history = { created, by, NULL, NULL, false };
	struct digest d;
	int rc = pack_base(g, s, b, epoch, &layer, e);

	if (rc < 0)
		return rc;
	img_host_platform(&h);
	const struct img_platform platform = { h.os, h.arch, h.variant, h.os_version, NULL };
	snprintf(by, sizeof(by), "pot create-base %s%s%s", b->name, b->release[0] != '\0' ? " # " : "",
	    b->release);
	const struct img_new n = {
		.platform = &platform,
		.layers = &layer,
		.nlayers = 1,
		.history = &history,
		.nhistory = 1,
		.created_ns = created,
	};
	if ((rc = img_image_make(s, &n, &d, e)) < 0)
		return rc;
	return img_image_open(s, &d, image, e);
}

/* Its unpacked form is the base itself. */
static int
adopt_base(struct eng *g, struct img_store *s, const char *base, const struct img_image *image, struct err *e)
{
	const struct stor_fs fs = { STOR_BASE, base };

	return img_layer_adopt(s, g->stor, &image->config->diffs[0], fs, ENG_BASE_TAG, g->cancel, e);
}

int
bld_base_image(struct eng *g, struct img_store *s, const char *base, int64_t epoch, struct img_image **image,
    struct err *e)
{
	struct base_look b;
	AUTO(fd) int bases = dir_make(img_store_fd(s), IMG_BASES, 0700, e);
	AUTO(fd) int lock = bases < 0 ? -1 : lock_file(bases, ".lock", true, -1, e);
	int rc = bases < 0 ? bases : lock < 0 ? lock : look_up(g, base, &b, e);

	if (rc < 0)
		return rc;
	if (read_noted(s, bases, &b, image, NULL) < 0) {
		event_info(&g->events, "making the layer of base %s", base);
		if ((rc = make_base_image(g, s, &b, epoch, image, e)) < 0 ||
		    (rc = note_base(bases, &b, &(*image)->digest, e)) < 0)
			return rc;
	}
	return adopt_base(g, s, base, *image, e);
}

int
bld_base_known(struct eng *g, struct img_store *s, const char *base, struct img_image **image, struct err *e)
{
	struct base_look b;
	AUTO(fd) int bases = dir_make(img_store_fd(s), IMG_BASES, 0700, e);
	int rc = bases < 0 ? bases : look_up(g, base, &b, e);

	if (rc < 0 || read_noted(s, bases, &b, image, NULL) < 0)
		return rc;
	rc = img_layer_exists(s, &(*image)->config->diffs[0], e);
	if (rc != 1)
		img_image_free(take_ptr(*image));
	return rc;
}
