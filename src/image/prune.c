/*
 * Mark and sweep. Under the store's exclusive lock the roots are gathered and
 * all that they need is marked; what is not is removed: names first (ready
 * records, layer records), so that nothing half there is ever seen, then blobs.
 * The file systems of layers without record go last, one by one and without
 * the lock: whoever wants such a layer again meanwhile makes it anew.
 */
#include "image/prune.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "image/layers.h"
#include "image/manifest.h"
#include "image/store_impl.h"
#include "image/upload_memory.h"

/* A set of digests: sorted once it is full. */
struct set {
	struct digest *v;
	size_t n, cap;
};

struct prune {
	struct img_store *s;
	struct stor *stor;
	const struct img_prune_args *args;
	struct img_prune_report *report;
	struct set blobs;    /* marked */
	struct set layers;   /* chain ids, marked */
	struct strv orphans; /* file systems without record */
	struct err *e;
};

/* ---- sets ---------------------------------------------------------------------------- */

static bool
set_has(const struct set *set, const struct digest *d)
{
	for (size_t i = 0; i < set->n; i++)
		if (digest_equal(&set->v[i], d))
			return true;
	return false;
}

/* 1: new, 0: known, or < 0. */
static int
set_add(struct set *set, const struct digest *d, struct err *e)
{
	if (set_has(set, d))
		return 0;
	if (set->n == set->cap) {
		size_t cap = set->cap == 0 ? 64 : set->cap * 2;
		struct digest *v = reallocarray(set->v, cap, sizeof(*v));

		if (v == NULL)
			return err_nomem(e);
		set->v = v;
		set->cap = cap;
	}
	set->v[set->n++] = *d;
	return 1;
}

/* ---- marking ---------------------------------------------------------------------------- */

static int mark_manifest(struct prune *p, const struct digest *d, struct err *e);

static int
mark_layer(struct prune *p, const char *hex, struct err *e)
{
	struct layer_record rec;
	struct digest chain;
	char next[DIGEST_HEX_LEN];
	int r;

	snprintf(next, sizeof(next), "%s", hex);
	do {
		if (digest_parse_hex(DIGEST_SHA256, next, &chain, NULL) < 0)
			return 0;
		if ((r = set_add(&p->layers, &chain, e)) != 1)
			return r;
		if (layer_record_read(p->s, next, &rec, NULL) < 0)
			return 0; /* being unpacked: its parent is pinned by whoever does */
		if (rec.has_parent)
			(void)digest_hex(&rec.parent, next);
	} while (rec.has_parent);
	return 0;
}

static int
mark_subject(void *arg, const struct digest *manifest, struct err *e)
{
	return mark_manifest(arg, manifest, e);
}

static int
mark_content(struct prune *p, const struct img_manifest *m, struct err *e)
{
	int r = 0;

	if (m->is_index) {
		for (size_t i = 0; i < m->n_manifests && r == 0; i++)
			r = mark_manifest(p, &m->manifests[i].digest, e);
		return r;
	}
	if ((r = set_add(&p->blobs, &m->config.digest, e)) < 0)
		return r;
	for (size_t i = 0; i < m->n_layers && r >= 0; i++)
		r = set_add(&p->blobs, &m->layers[i].digest, e);
	return r < 0 ? r : 0;
}

static int
mark_ready(struct prune *p, const struct digest *d, struct err *e)
{
	AUTO_FINI(img_ready_record) struct img_ready_record rec = { .settings = KV_INIT };
	AUTO_FINI(buf) struct buf b = BUF_INIT(16u * 1024 * 1024), path = BUF_INIT(256);
	char text[DIGEST_TEXT_LEN];

	if (img_ready_path(digest_print(d, text), &path, NULL) < 0 ||
	    file_read(p->s->dir, path.data, &b, NULL) < 0 ||
	    img_ready_record_parse(&rec, buf_cstr(&b), b.len, path.data, NULL) < 0)
		return 0;
	return mark_layer(p, rec.fs, e);
}

/* What is no manifest, or is not here, needs nothing. */
static int
mark_manifest(struct prune *p, const struct digest *d, struct err *e)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(IMG_MANIFEST_MAX);
	AUTO(img_manifest) struct img_manifest *m = NULL;
	char hex[DIGEST_HEX_LEN];
	int r = set_add(&p->blobs, d, e);

	if (r != 1)
		return r;
	if (file_read(p->s->blobs[d->alg], digest_hex(d, hex), &b, NULL) < 0 ||
	    img_manifest_parse(buf_cstr(&b), b.len, NULL, &m, NULL) < 0)
		return 0;
	if ((r = mark_content(p, m, e)) < 0 || (r = mark_ready(p, d, e)) < 0)
		return r;
	return img_subject_list(p->s, d, mark_subject, p, e);
}

static int
mark_text(struct prune *p, const char *text, struct err *e)
{
	struct digest d;

	return digest_parse(text, &d, NULL) < 0 ? 0 : mark_manifest(p, &d, e);
}

static int
mark_ref(void *arg, const struct reference *ref, const struct img_ref_record *rec, struct err *e)
{
	int r = mark_text(arg, rec->manifest, e);

	(void)ref;
	return r < 0 ? r : mark_text(arg, rec->digest, e);
}

static int
mark_pin(void *arg, const char *kind, const struct digest *d)
{
	struct prune *p = arg;
	char hex[DIGEST_HEX_LEN];

	if (strcmp(kind, PIN_BLOB) == 0)
		return mark_manifest(p, d, p->e);
	return mark_layer(p, digest_hex(d, hex), p->e);
}

static int
mark_used(void *arg, const char *fs, const char *manifest)
{
	struct prune *p = arg;
	int r = mark_layer(p, fs, p->e);

	return r < 0 ? r : mark_text(p, manifest, p->e);
}

/* Is one of its layers needed? Then it is, so that the next image of that base has the same one. */
static int
is_base_needed(struct prune *p, const struct digest *d)
{
	AUTO_FINI(buf) struct buf b = BUF_INIT(IMG_MANIFEST_MAX);
	AUTO(img_manifest) struct img_manifest *m = NULL;
	char hex[DIGEST_HEX_LEN];

	if (file_read(p->s->blobs[d->alg], digest_hex(d, hex), &b, NULL) < 0 ||
	    img_manifest_parse(buf_cstr(&b), b.len, NULL, &m, NULL) < 0)
		return 0;
	for (size_t i = 0; i < m->n_layers; i++)
		if (set_has(&p->blobs, &m->layers[i].digest))
			return 1;
	return 0;
}

static int
mark_base(struct prune *p, int bases, const char *name, const struct digest *d, struct err *e)
{
	(void)bases;
	(void)name;
	return is_base_needed(p, d) ? mark_manifest(p, d, e) : 0;
}

/* What is noted of bases that images were made of: see IMG_BASES in store.h. */
static int
each_base(struct prune *p, int (*fn)(struct prune *, int, const char *, const struct digest *, struct err *),
    struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	AUTO(fd) int bases = dir_open(p->s->dir, IMG_BASES, e);
	int r;

	if (bases < 0)
		return bases == -E_NOENT ? 0 : bases;
	r = store_names(bases, false, &names, e);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		AUTO_FINI(buf) struct buf b = BUF_INIT(4096);
		AUTO_FINI(kv) struct kv kv = KV_INIT;
		struct digest d = { DIGEST_SHA256, { 0 } };
		const char *text;

		if (file_read(bases, names.v[i], &b, NULL) == 0 &&
		    kv_parse(&kv, buf_cstr(&b), b.len, IMG_BASES, NULL) == 0 &&
		    (text = kv_get(&kv, "manifest")) != NULL && digest_parse(text, &d, NULL) == 0)
			r = fn(p, bases, names.v[i], &d, e);
	}
	return r;
}

static int
mark_all(struct prune *p, struct err *e)
{
	int r;

	p->e = e;
	if ((r = img_ref_list(p->s, mark_ref, p, e)) < 0 || (r = store_pins_each(p->s, mark_pin, p, e)) < 0)
		return r;
	if (p->args->used != NULL && (r = p->args->used(p->args->arg, mark_used, p, e)) < 0)
		return r;
	return each_base(p, mark_base, e);
}

/* ---- sweeping ----------------------------------------------------------------------------- */

static int
remove_file(struct prune *p, int dirfd, const char *name, struct err *e)
{
	if (!p->args->dry_run && unlinkat(dirfd, name, 0) != 0 && errno != ENOENT)
		return err_sys(e, "removing %s", name);
	return 0;
}

static int
sweep_ready(struct prune *p, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	int r = store_names(p->s->ready, true, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct digest d;

		if (!store_file_parse(names.v[i], &d) || !set_has(&p->blobs, &d))
			r = remove_file(p, p->s->ready, names.v[i], e);
	}
	fault_point("image.prune.ready");
	return r;
}

static int
sweep_base(struct prune *p, int bases, const char *name, const struct digest *d, struct err *e)
{
	return set_has(&p->blobs, d) ? 0 : remove_file(p, bases, name, e);
}

static int
sweep_layers(struct prune *p, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	int r = store_names(p->s->layers, false, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct digest d;

		if (digest_parse_hex(DIGEST_SHA256, names.v[i], &d, NULL) == 0 && set_has(&p->layers, &d))
			continue;
		r = remove_file(p, p->s->layers, names.v[i], e);
		p->report->layers++;
	}
	fault_point("image.prune.records");
	return r == 0 && !p->args->dry_run ? dir_sync(p->s->layers, "layers", e) : r;
}

static int
sweep_subjects(struct prune *p, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	int r = store_names(p->s->subjects, false, &names, e);

	for (size_t i = 0; r == 0 && i < names.n && !p->args->dry_run; i++) {
		struct digest d;

		if (!store_file_parse(names.v[i], &d) || !set_has(&p->blobs, &d))
			r = tree_remove(p->s->subjects, names.v[i], e);
	}
	return r;
}

static int
sweep_blobs(struct prune *p, enum digest_alg alg, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 22);
	int dir = p->s->blobs[alg], r = store_names(dir, true, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		struct digest d;
		struct stat st;

		if (digest_parse_hex(alg, names.v[i], &d, NULL) == 0 && set_has(&p->blobs, &d))
			continue;
		if (fstatat(dir, names.v[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			p->report->bytes += (uint64_t)st.st_size;
		p->report->blobs++;
		r = remove_file(p, dir, names.v[i], e);
		fault_point("image.prune.blob");
	}
	return r;
}

/* An unpacked archive, or files of a classic image: NAME.lock is locked by who is at it, and goes last. */
static int
sweep_load(struct prune *p, const char *name, struct err *e)
{
	static const char suffix[] = ".lock";
	size_t n = strlen(name), cut = n > sizeof(suffix) ? n - (sizeof(suffix) - 1) : 0;
	char dir[64];
	int r;

	if (strcmp(name + cut, suffix) != 0 || cut >= sizeof(dir) || p->args->dry_run)
		return 0;
	AUTO(fd) int fd = openat(p->s->partial, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || lock_fd(fd, true, 0, NULL) < 0)
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", (int)cut, name);
	r = tree_remove(p->s->partial, dir, e);
	return r < 0 ? r : remove_file(p, p->s->partial, name, e);
}

/* What nobody fills: with another process's lock on it, it stays. */
static int
sweep_partial(struct prune *p, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	int r = store_names(p->s->partial, true, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		bool is_new = strncmp(names.v[i], STORE_PARTIAL_NEW, strlen(STORE_PARTIAL_NEW)) == 0;

		if (!is_new && names.v[i][0] != '.' && !p->args->partial)
			continue;
		if (strncmp(names.v[i], ".load-", 6) == 0 ||
		    strncmp(names.v[i], STORE_CLASSIC, strlen(STORE_CLASSIC)) == 0) {
			r = sweep_load(p, names.v[i], e);
			continue;
		}
		AUTO(fd) int fd = openat(p->s->partial, names.v[i], O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		struct stat st;

		if (fd < 0 || lock_fd(fd, true, 0, NULL) < 0 || !file_is_named(p->s->partial, names.v[i], fd))
			continue;
		if (fstat(fd, &st) == 0)
			p->report->bytes += (uint64_t)st.st_size;
		r = remove_file(p, p->s->partial, names.v[i], e);
	}
	return r;
}

static int
note_orphan(void *arg, const struct stor_info *info)
{
	struct prune *p = arg;
	int r = layer_record_exists(p->s, info->name, p->e);

	if (r == 0)
		strv_add(&p->orphans, info->name);
	return r < 0 ? r : 0;
}

/* A file system without record, unless somebody is at it. */
static int
remove_orphan(struct prune *p, const char *name, struct err *e)
{
	const struct stor_fs fs = { STOR_IMAGE, name };
	struct layer_lock lock = LAYER_LOCK_INIT;
	int r = layer_lock_try(p->s, name, &lock, e);

	if (r < 0)
		return r == -E_BUSY ? 0 : r;
	fault_point("image.prune.layer");
	if ((r = layer_record_exists(p->s, name, e)) == 0 && (r = stor_recover(p->stor, fs, e)) == 0 &&
	    (r = stor_unmount(p->stor, fs, e)) == 0)
		r = stor_destroy(p->stor, fs, e);
	layer_unlock(&lock);
	return r < 0 ? r : 0;
}

/* A lock file whose holder was killed names what it was making, listed by the storage or not. */
static int
note_stale_locks(struct prune *p, struct err *e)
{
	AUTO_FINI(strv) struct strv names = STRV_INIT(1 << 20);
	int r = store_names(p->s->layers, true, &names, e);

	for (size_t i = 0; r == 0 && i < names.n; i++)
		if (strncmp(names.v[i], IMG_LAYER_LOCK, strlen(IMG_LAYER_LOCK)) == 0)
			strv_add(&p->orphans, names.v[i] + strlen(IMG_LAYER_LOCK));
	return r;
}

static int
sweep_orphans(struct prune *p, struct err *e)
{
	int r;

	if (p->args->dry_run || p->stor == NULL)
		return 0;
	p->e = e;
	if ((r = note_stale_locks(p, e)) < 0 ||
	    (r = stor_list(p->stor, STOR_IMAGE, false, note_orphan, p, e)) < 0 ||
	    (r = strv_check(&p->orphans, "layers", e)) < 0)
		return r;
	/* From the upper ones down would be nicer to some storages, but no order is promised by a list. */
	for (size_t i = 0; i < p->orphans.n && r == 0; i++)
		r = remove_orphan(p, p->orphans.v[i], e);
	return r;
}

/* Under the lock. */
static int
decide(struct prune *p, struct err *e)
{
	AUTO(fd) int lock = store_lock(p->s, true, e);
	int r = lock < 0 ? lock : mark_all(p, e);

	fault_point("image.prune.marked");
	if (r < 0 || (r = sweep_ready(p, e)) < 0 || (r = each_base(p, sweep_base, e)) < 0 ||
	    (r = sweep_layers(p, e)) < 0 || (r = sweep_subjects(p, e)) < 0 || (r = sweep_partial(p, e)) < 0 ||
	    (p->args->partial && !p->args->dry_run && (r = upload_memory_prune(p->s, e)) < 0))
		return r;
	for (int i = 0; i < DIGEST_ALGS && r == 0; i++)
		r = sweep_blobs(p, (enum digest_alg)i, e);
	return r;
}

int
img_prune(struct img_store *s, struct stor *stor, const struct img_prune_args *args,
    struct img_prune_report *report, struct err *e)
{
	struct prune p = {
		.s = s, .stor = stor, .args = args, .report = report, .orphans = STRV_INIT(1 << 20)
	};
	int r;

	memset(report, 0, sizeof(*report));
	r = decide(&p, e);
	if (r == 0)
		r = sweep_orphans(&p, e);
	free(p.blobs.v);
	free(p.layers.v);
	strv_fini(&p.orphans);
	return r;
}
