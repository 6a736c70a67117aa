/*
 * libpot: images of this node. Here the engine, which knows pots, and image/,
 * which knows images, meet: names are read, used ones are protected.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "image/archive.h"
#include "image/layers.h"
#include "image/prune.h"
#include "lib/images.h"

int
lib_store(struct pot_ctx *c, struct img_store **s, struct err *e)
{
	int rc = lib_need_root(e);

	if (rc == 0)
		rc = eng_need_node(c->eng, e);
	return rc < 0 ? rc : img_store_open(s, c->eng->root_fd, e);
}

int
lib_ref(const char *name, struct reference *ref, struct err *e)
{
	int rc = ref_parse(name, ref, e);

	if (rc == 0)
		ref_default_tag(ref);
	return rc;
}

int
lib_find(struct img_store *s, const char *name, struct reference *ref, struct img_ref_record *rec,
    struct img_image **image, struct err *e)
{
	struct digest d;
	int rc = lib_ref(name, ref, e);

	if (rc == 0)
		rc = img_ref_get(s, ref, rec, e);
	if (rc < 0 || image == NULL)
		return rc;
	rc = digest_parse(rec->manifest, &d, e);
	return rc < 0 ? rc : img_image_open(s, &d, image, e);
}

int
lib_name(struct img_store *s, const struct reference *ref, const struct img_image *i,
    const struct digest *digest, struct err *e)
{
	struct img_ref_record rec = { .created_ns = i->config->created_ns, .set_ns = text_now_ns() };

	(void)digest_print(&i->digest, rec.manifest);
	(void)digest_print(digest != NULL ? digest : &i->digest, rec.digest);
	return img_ref_set(s, ref, &rec, e);
}

/* ---- looking ------------------------------------------------------------------------ */

/* A blob and how many images have it. */
struct counted {
	struct digest blob;
	unsigned images;
};
struct counts {
	struct img_store *store;
	struct counted *v;
	size_t n, cap;
	struct strv seen; /* manifests that are counted */
};

static struct counted *
find_count(const struct counts *c, const struct digest *d)
{
	for (size_t i = 0; i < c->n; i++)
		if (digest_equal(&c->v[i].blob, d))
			return &c->v[i];
	return NULL;
}

static int
count_blob(struct counts *c, const struct digest *d, struct err *e)
{
	struct counted *known = find_count(c, d);

	if (known != NULL) {
		known->images++;
		return 0;
	}
	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 64 : c->cap * 2;
		struct counted *v = reallocarray(c->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n++] = (struct counted){ *d, 1 };
	return 0;
}

static int
open_recorded(struct img_store *s, const struct img_ref_record *rec, struct img_image **i, struct err *e)
{
	struct digest d;
	int rc = digest_parse(rec->manifest, &d, e);

	return rc < 0 ? rc : img_image_open(s, &d, i, e);
}

static int
count_image(void *arg, const struct reference *ref, const struct img_ref_record *rec, struct err *e)
{
	struct counts *c = arg;
	AUTO(img_image) struct img_image *i = NULL;
	int rc;

	(void)ref;
	for (size_t k = 0; k < c->seen.n; k++)
		if (strcmp(c->seen.v[k], rec->manifest) == 0)
			return 0;
	strv_add(&c->seen, rec->manifest);
	/* A damaged one is told when it is looked at. */
	if (open_recorded(c->store, rec, &i, NULL) < 0)
		return 0;
	rc = count_blob(c, &i->digest, e);
	if (rc == 0)
		rc = count_blob(c, &i->manifest->config.digest, e);
	for (size_t k = 0; k < i->manifest->n_layers && rc == 0; k++)
		rc = count_blob(c, &i->manifest->layers[k].digest, e);
	return rc;
}

static void
counts_fini(struct counts *c)
{
	free(c->v);
	strv_fini(&c->seen);
}
DEFINE_AUTO_FINI(counts, struct counts)

struct lister {
	struct pot_ctx *ctx;
	struct img_store *store;
	struct counts *counts;
	struct strv used; /* "MANIFEST" of each pot */
	pot_image_fn *fn;
	void *arg;
};

static int
note_used(void *arg, const char *pot, const char *fs, const char *manifest, struct err *e)
{
	struct lister *l = arg;

	(void)pot;
	(void)fs;
	strv_add(&l->used, manifest);
	return strv_check(&l->used, "the pots", e);
}

static void
add_size(const struct counts *c, const struct digest *d, uint64_t size, struct pot_image_info *info)
{
	const struct counted *known = find_count(c, d);

	info->size += size;
	if (known == NULL || known->images < 2)
		info->own += size;
	else
		info->shared += size;
}

static void
add_unpacked(struct img_store *s, const struct img_image *i, struct pot_image_info *info)
{
	AUTO_FINI(img_ready_record) struct img_ready_record ready = { .settings = KV_INIT };
	struct layer_record rec;
	char hex[DIGEST_HEX_LEN];

	if (img_ready_read(s, &i->digest, &ready, NULL) < 0)
		return;
	info->ready = true;
	for (snprintf(hex, sizeof(hex), "%s", ready.fs); layer_record_read(s, hex, &rec, NULL) == 0;) {
		info->unpacked += rec.size;
		if (!rec.has_parent)
			break;
		(void)digest_hex(&rec.parent, hex);
	}
}

static int
fill_info(struct lister *l, const struct reference *ref, const struct img_ref_record *rec,
    struct pot_image_info *info, struct err *e)
{
	AUTO(img_image) struct img_image *i = NULL;
	int rc;

	memset(info, 0, sizeof(*info));
	ref_print(ref, info->name);
	snprintf(info->id, sizeof(info->id), "%s", rec->manifest);
	snprintf(info->digest, sizeof(info->digest), "%s", rec->digest);
	info->created_ns = rec->created_ns;
	info->set_ns = rec->set_ns;
	for (size_t k = 0; k < l->used.n; k++)
		info->pots += strcmp(l->used.v[k], rec->manifest) == 0;
	if ((rc = open_recorded(l->store, rec, &i, e)) < 0)
		return rc;
	snprintf(
	    info->os, sizeof(info->os), "%s", i->config->platform.os != NULL ? i->config->platform.os : "");
	snprintf(info->arch, sizeof(info->arch), "%s",
	    i->config->platform.arch != NULL ? i->config->platform.arch : "");
	info->layers = (unsigned)i->manifest->n_layers;
	add_size(l->counts, &i->digest, i->size, info);
	add_size(l->counts, &i->manifest->config.digest, i->manifest->config.size, info);
	for (size_t k = 0; k < i->manifest->n_layers; k++)
		add_size(l->counts, &i->manifest->layers[k].digest, i->manifest->layers[k].size, info);
	add_unpacked(l->store, i, info);
	return 0;
}

static int
list_one(void *arg, const struct reference *ref, const struct img_ref_record *rec, struct err *e)
{
	struct lister *l = arg;
	struct pot_image_info info;
	struct err own = ERR_INIT;

	/* One damaged image does not hide the others. */
	(void)e;
	if (fill_info(l, ref, rec, &info, &own) < 0)
		event_warn(&l->ctx->eng->events, "image %s: %s", info.name, own.msg);
	return l->fn(l->arg, &info);
}

static int
begin_list(struct lister *l, struct counts *c, struct err *e)
{
	int rc = img_ref_list(l->store, count_image, c, e);

	return rc < 0 ? rc : eng_image_users(l->ctx->eng, note_used, l, e);
}

int
pot_image_list(struct pot_ctx *c, pot_image_fn *fn, void *arg, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	int rc = lib_store(c, &s, e);

	if (rc < 0)
		return rc;
	AUTO_FINI(counts) struct counts counts = { .store = s, .seen = STRV_INIT(1 << 20) };
	struct lister l = { c, s, &counts, STRV_INIT(1 << 20), fn, arg };
	rc = begin_list(&l, &counts, e);
	if (rc == 0)
		rc = img_ref_list(s, list_one, &l, e);
	strv_fini(&l.used);
	return rc;
}

int
pot_image_info(struct pot_ctx *c, const char *name, struct pot_image_info *info, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	struct img_ref_record rec;
	struct reference ref;
	int rc = lib_store(c, &s, e);

	if (rc == 0)
		rc = lib_find(s, name, &ref, &rec, NULL, e);
	if (rc < 0)
		return rc;
	AUTO_FINI(counts) struct counts counts = { .store = s, .seen = STRV_INIT(1 << 20) };
	struct lister l = { c, s, &counts, STRV_INIT(1 << 20), NULL, NULL };
	rc = begin_list(&l, &counts, e);
	if (rc == 0)
		rc = fill_info(&l, &ref, &rec, info, e);
	strv_fini(&l.used);
	return rc;
}

int
pot_image_text(struct pot_ctx *c, const char *name, enum pot_image_part part, char **text, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	AUTO(img_image) struct img_image *i = NULL;
	AUTO_FINI(buf) struct buf b = BUF_INIT(IMG_CONFIG_MAX);
	struct img_ref_record rec;
	struct reference ref;
	int rc = lib_store(c, &s, e);

	if (rc == 0)
		rc = lib_find(s, name, &ref, &rec, &i, e);
	if (rc == 0)
		rc = img_blob_read(
		    s, part == POT_IMAGE_MANIFEST ? &i->digest : &i->manifest->config.digest, &b, e);
	if (rc < 0)
		return rc;
	*text = buf_take(&b);
	return *text == NULL ? err_nomem(e) : 0;
}

/* ---- history ----------------------------------------------------------------------------- */

struct steps {
	struct img_history *v;
	size_t n, cap;
};

static int
add_step(void *arg, const struct img_history *h, struct err *e)
{
	struct steps *s = arg;

	if (s->n == s->cap) {
		size_t cap = s->cap == 0 ? 16 : s->cap * 2;
		struct img_history *v = reallocarray(s->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *h; /* the strings are the config's */
	return 0;
}

static const char *
text_or_empty(const char *s)
{
	return s != NULL ? s : "";
}

static int
tell_step(const struct img_history *h, const struct img_desc *layer, pot_image_step_fn *fn, void *arg)
{
	char digest[DIGEST_TEXT_LEN] = "";
	const struct pot_image_step step = { h->created_ns, text_or_empty(h->created_by),
		text_or_empty(h->comment), text_or_empty(h->author), layer != NULL ? layer->size : 0,
		digest };

	if (layer != NULL)
		(void)digest_print(&layer->digest, digest);
	return fn(arg, &step);
}

int
pot_image_history(struct pot_ctx *c, const char *name, pot_image_step_fn *fn, void *arg, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	AUTO(img_image) struct img_image *i = NULL;
	const struct img_history untold = { 0, "(not told)", NULL, NULL, false };
	struct steps steps = { NULL, 0, 0 };
	struct img_ref_record rec;
	struct reference ref;
	size_t layer;
	int rc = lib_store(c, &s, e);

	if (rc == 0)
		rc = lib_find(s, name, &ref, &rec, &i, e);
	if (rc == 0)
		rc = img_config_history(i->config, add_step, &steps, e);
	if (rc < 0) {
		free(steps.v);
		return rc;
	}
	layer = i->manifest->n_layers;
	for (size_t k = steps.n; k-- > 0 && rc == 0;)
		rc = tell_step(&steps.v[k],
		    steps.v[k].empty_layer || layer == 0 ? NULL : &i->manifest->layers[--layer], fn, arg);
	/* Some builders tell no history, or not all of it. */
	while (layer > 0 && rc == 0)
		rc = tell_step(&untold, &i->manifest->layers[--layer], fn, arg);
	free(steps.v);
	return rc;
}

/* ---- names ---------------------------------------------------------------------------------- */

int
pot_image_tag(struct pot_ctx *c, const char *name, const char *newname, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	AUTO(img_image) struct img_image *i = NULL;
	struct reference from, to;
	struct img_ref_record rec;
	struct digest d;
	int rc = lib_ref(newname, &to, e);

	if (rc == 0 && to.digest[0] != '\0')
		rc = err_set(e, E_INVAL, "%s: a digest is not chosen; give a tag", newname);
	if (rc == 0)
		rc = lib_store(c, &s, e);
	if (rc == 0)
		rc = lib_find(s, name, &from, &rec, &i, e);
	if (rc == 0)
		rc = digest_parse(rec.digest, &d, e);
	return rc < 0 ? rc : lib_name(s, &to, i, &d, e);
}

/* ---- removing --------------------------------------------------------------------------------- */

struct used_arg {
	struct eng *eng;
	int (*add)(void *, const char *, const char *);
	void *add_arg;
};

static int
add_used(void *arg, const char *pot, const char *fs, const char *manifest, struct err *e)
{
	const struct used_arg *u = arg;

	(void)pot;
	(void)e;
	return u->add(u->add_arg, fs, manifest);
}

static int
tell_used(void *arg, int (*add)(void *, const char *, const char *), void *add_arg, struct err *e)
{
	struct used_arg u = { arg, add, add_arg };
	int rc = eng_image_users(u.eng, add_used, &u, e);

	return rc < 0 ? rc : lib_build_used(u.eng, add, add_arg, e);
}

static int
prune(struct pot_ctx *c, struct img_store *s, bool partial, bool dry_run, struct pot_image_gone *gone,
    struct err *e)
{
	const struct img_prune_args args = { tell_used, c->eng, partial, dry_run };
	struct img_prune_report report;
	int rc = eng_need_storage(c->eng, e);

	if (rc == 0)
		rc = img_prune(s, c->eng->stor, &args, &report, e);
	if (rc == 0 && gone != NULL)
		*gone =
		    (struct pot_image_gone){ (unsigned)report.blobs, (unsigned)report.layers, report.bytes };
	return rc;
}

struct users {
	const char *manifest;
	struct buf names;
	unsigned n;
};

static int
name_user(void *arg, const char *pot, const char *fs, const char *manifest, struct err *e)
{
	struct users *u = arg;

	(void)fs;
	(void)e;
	if (strcmp(manifest, u->manifest) != 0)
		return 0;
	if (u->n++ < 5)
		buf_fmt(&u->names, "%s%s", u->n > 1 ? ", " : "", pot);
	else if (u->n == 6)
		buf_str(&u->names, ", …");
	return 0;
}

/* Is this the only name of the image? Then its pots count. */
static int
other_name(void *arg, const struct reference *ref, const struct img_ref_record *rec, struct err *e)
{
	const void *const *a = arg;

	(void)e;
	return !ref_equal(ref, a[0]) && strcmp(rec->manifest, a[1]) == 0;
}

static int
refuse_used(struct pot_ctx *c, struct img_store *s, const struct reference *ref,
    const struct img_ref_record *rec, const char *name, struct err *e)
{
	const void *who[] = { ref, rec->manifest };
	struct users u = { rec->manifest, BUF_INIT(1024), 0 };
	int rc = img_ref_list(s, other_name, who, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = eng_image_users(c->eng, name_user, &u, e);
	if (rc == 0 && u.n > 0) {
		rc = err_set(e, E_BUSY, "image %s is used by %s", name, buf_cstr(&u.names));
		err_hint(e, "destroy them first; with -f only the name goes, and they stay");
	}
	buf_fini(&u.names);
	return rc;
}

/* As it is stored: a tag wins over a digest. */
static struct reference
without_digest(const struct reference *ref)
{
	struct reference r = *ref;

	if (r.tag[0] != '\0')
		r.digest[0] = '\0';
	return r;
}

int
pot_image_remove(struct pot_ctx *c, const char *name, bool force, struct pot_image_gone *gone, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	AUTO(img_store) struct img_store *fresh = NULL;
	struct reference ref, stored;
	struct img_ref_record rec;
	int rc = lib_store(c, &s, e);

	if (rc == 0)
		rc = lib_find(s, name, &ref, &rec, NULL, e);
	if (rc < 0)
		return rc;
	stored = without_digest(&ref);
	if (!force && (rc = refuse_used(c, s, &stored, &rec, name, e)) < 0)
		return rc;
	if ((rc = img_ref_remove(s, &ref, e)) < 0)
		return rc;
	/* Looking at it has pinned it. */
	img_store_close(take_ptr(s));
	if ((rc = lib_store(c, &fresh, e)) < 0)
		return rc;
	return prune(c, fresh, false, false, gone, e);
}

struct unused {
	struct strv names, used;
};

static int
note_manifest(void *arg, const char *pot, const char *fs, const char *manifest, struct err *e)
{
	struct unused *u = arg;

	(void)pot;
	(void)fs;
	strv_add(&u->used, manifest);
	return strv_check(&u->used, "the pots", e);
}

static int
note_unused(void *arg, const struct reference *ref, const struct img_ref_record *rec, struct err *e)
{
	struct unused *u = arg;
	char name[REF_TEXT];

	for (size_t i = 0; i < u->used.n; i++)
		if (strcmp(u->used.v[i], rec->manifest) == 0)
			return 0;
	ref_print(ref, name);
	strv_add(&u->names, name);
	return strv_check(&u->names, "the images", e);
}

static int
remove_unused(struct pot_ctx *c, bool dry_run, pot_name_fn *fn, void *arg, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	struct unused u = { STRV_INIT(1 << 20), STRV_INIT(1 << 20) };
	int rc = lib_store(c, &s, e);

	if (rc == 0)
		rc = eng_image_users(c->eng, note_manifest, &u, e);
	if (rc == 0)
		rc = img_ref_list(s, note_unused, &u, e);
	for (size_t i = 0; i < u.names.n && rc == 0; i++) {
		struct reference ref;

		rc = ref_parse(u.names.v[i], &ref, e);
		if (rc == 0 && !dry_run && (rc = img_ref_remove(s, &ref, e)) == -E_NOENT)
			rc = 0;
		if (rc == 0 && fn != NULL)
			rc = fn(arg, u.names.v[i]);
	}
	strv_fini(&u.names);
	strv_fini(&u.used);
	return rc;
}

int
pot_image_prune(struct pot_ctx *c, const struct pot_image_prune_args *a, pot_name_fn *fn, void *arg,
    struct pot_image_gone *gone, struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	int rc = a->all ? remove_unused(c, a->dry_run, fn, arg, e) : 0;

	if (rc == 0)
		rc = lib_store(c, &s, e);
	return rc < 0 ? rc : prune(c, s, true, a->dry_run, gone, e);
}
