/*
 * libpot: a pot's snapshot as a file for elsewhere: an OCI archive, or on ZFS
 * the set that the shell framework's import reads. Which snapshot, and whether
 * its tag may be used, is decided here; the files are image/'s.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/kv.h"
#include "image/archive.h"
#include "image/classic.h"
#include "image/layers.h"
#include "lib/images.h"
#include "lib/remote.h"

#define LAST_MAX 4096
#define TEMPORARY "pot-export/"

struct export
{
	struct pot_ctx *ctx;
	const struct pot_export_args *args;
	char snapshot[128], tag[128];
	char stem[CLASSIC_STEM_LEN];
	int dir;
};

/* ---- which snapshot ------------------------------------------------------------------- */

static int
last_snapshot(struct export *x, size_t *n, struct err *e)
{
	struct pot_info *info = NULL;
	int rc = pot_info(x->ctx, x->args->pot, 0, &info, e);

	if (rc < 0)
		return rc;
	*n = info->nsnapshots;
	if (*n > 0)
		snprintf(x->snapshot, sizeof(x->snapshot), "%s", info->snapshots[*n - 1].tag);
	pot_info_free(info);
	return 0;
}

static int
choose_snapshot(struct export *x, struct err *e)
{
	const struct pot_export_args *a = x->args;
	size_t n = 0;
	int rc = last_snapshot(x, &n, e);

	if (rc < 0)
		return rc;
	if (n == 0 && a->automatic)
		return pot_snapshot(x->ctx, a->pot, NULL, x->snapshot, e);
	if (n == 0) {
		err_set(e, E_NOENT, "pot %s has no snapshot", a->pot);
		return err_hint(e, "pot snapshot %s takes one, or export with -A", a->pot);
	}
	if (n > 1 && a->automatic)
		return pot_purge_snapshots(x->ctx, a->pot, false, NULL, NULL, e);
	if (n > 1 && !a->several) {
		err_set(e, E_EXIST, "pot %s has %zu snapshots", a->pot, n);
		return err_hint(e, "-F exports the last one, -A removes the others before");
	}
	return 0;
}

/* ---- what was exported last ------------------------------------------------------------- */

static int
exports_dir(struct img_store *s, struct err *e)
{
	return dir_make(img_store_fd(s), "exports", 0755, e);
}

/* -c: tags are versions that only rise, and mean one snapshot each. */
static int
check_version(const struct export *x, int exports, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(LAST_MAX);
	AUTO_FINI(kv) struct kv kv = KV_INIT;
	const char *tag, *snapshot;
	int rc = file_read(exports, x->args->pot, &text, e);

	if (rc == -E_NOENT)
		return 0;
	if (rc == 0)
		rc = kv_parse(&kv, buf_cstr(&text), text.len, "the last export", e);
	if (rc < 0)
		return rc;
	tag = kv_get(&kv, "tag");
	snapshot = kv_get(&kv, "snapshot");
	if (tag == NULL || snapshot == NULL)
		return err_set(e, E_CORRUPT, "the record of the last export of %s is damaged", x->args->pot);
	if (strverscmp(x->tag, tag) < 0)
		return err_set(e, E_INVAL, "tag %s is lower than %s, exported before", x->tag, tag);
	if (strcmp(x->tag, tag) == 0 && strcmp(x->snapshot, snapshot) != 0)
		return err_set(e, E_INVAL, "tag %s was exported before, of snapshot %s", x->tag, snapshot);
	return 0;
}

static int
note_version(const struct export *x, int exports, struct err *e)
{
	char text[LAST_MAX];
	int n = snprintf(text, sizeof(text), "tag=%s\nsnapshot=%s\n", x->tag, x->snapshot);

	return file_write_atomic(exports, x->args->pot, 0644, text, (size_t)n, e);
}

/* ---- the two forms ----------------------------------------------------------------------- */

static int
write_archive(const struct export *x, struct img_store *s, const char *image, int fd, struct err *e)
{
	const struct img_archive_args args = { &x->ctx->eng->events, x->ctx->eng->cancel };
	AUTO(img_image) struct img_image *i = NULL;
	struct reference found, ref;
	struct img_ref_record rec;
	char name[256];
	int rc = lib_find(s, image, &found, &rec, &i, e);

	snprintf(name, sizeof(name), "%.63s:%.127s", x->args->pot, x->tag);
	for (char *p = name; *p != '\0' && *p != ':'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	if (rc == 0)
		rc = lib_ref(name, &ref, e);
	if (rc == 0)
		rc = img_image_check(s, i, e);
	const struct img_save save = { &ref, &rec };
	return rc < 0 ? rc : img_archive_write(s, fd, &save, 1, &args, e);
}

/* The image gets a name for as long as it is written: so everything that it needs is kept meanwhile. */
static int
export_oci(const struct export *x, struct img_store *s, char made[static POT_EXPORT_LEN], struct err *e)
{
	char image[128], temporary[CLASSIC_STEM_LEN + 16];
	const struct pot_commit_args commit = { .pot = x->args->pot, .snapshot = x->snapshot, .name = image };
	struct pot_image_gone gone;
	int rc, end;

	snprintf(image, sizeof(image), TEMPORARY "p%d:latest", (int)getpid());
	snprintf(temporary, sizeof(temporary), ".%s.tar.tmp", x->stem);
	snprintf(made, POT_EXPORT_LEN, "%s.tar", x->stem);
	if ((rc = pot_image_commit(x->ctx, &commit, NULL, e)) < 0)
		return rc;
	AUTO(fd)
	int fd = openat(x->dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	rc = fd < 0 ? err_sys(e, "%s", temporary) : write_archive(x, s, image, fd, e);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(e, "%s", temporary);
	fault_point("image.export.written");
	if (rc == 0 && renameat(x->dir, temporary, x->dir, made) < 0)
		rc = err_sys(e, "%s", made);
	if (rc < 0 && fd >= 0)
		unlinkat(x->dir, temporary, 0);
	end = pot_image_remove(x->ctx, image, true, &gone, rc == 0 ? e : NULL);
	return rc < 0 ? rc : end < 0 ? end : dir_sync(x->dir, "the directory", e);
}

/*
 * What a layered image stands on: the image that the snapshot was exported as, or imported from, of which the pot
 * is a clone. 0: the pot is a clone of nothing like that, and is exported whole.
 */
static int
find_origin(const struct export *x, struct classic_origin *o, struct err *e)
{
	const struct stor_fs fs = { STOR_POT, x->args->pot };
	struct stor_origin from;
	int rc = classic_origin_get(x->ctx->eng->stor, fs, o, &from, e);

	if (rc != 0 || from.kind != STOR_POT || from.tag[0] == '\0')
		return rc;
	err_set(e, E_STATE, "pot %s is a clone of snapshot %s of %s, which was not exported", x->args->pot,
	    from.tag, from.name);
	return err_hint(e,
	    "export that one first: pot export --format classic -F -p %s; or put all into one with --whole",
	    from.name);
}

struct giving {
	const struct export *x;
	const struct sign_secret *key;
};

static int
give(void *arg, const struct eng_tree *t, struct err *e)
{
	const struct giving *g = arg;
	const struct export *x = g->x;
	struct classic_origin origin, own;
	int rc = x->args->whole ? 0 : find_origin(x, &origin, e);
	const struct classic_give give = {
		.stor = x->ctx->eng->stor,
		.fs = { STOR_POT, x->args->pot },
		.snapshot = x->snapshot,
		.hostname = x->args->pot,
		.settings = t->settings,
		.origin = rc == 1 ? &origin : NULL,
		.level = x->args->level < 0 ? 6 : (unsigned)x->args->level,
		.key = g->key,
		.cancel = x->ctx->eng->cancel,
	};

	if (rc >= 0)
		rc = classic_give(&give, x->dir, x->stem, e);
	/* From now on its clones can be exported as standing on it. */
	snprintf(own.pot, sizeof(own.pot), "%s", x->args->pot);
	snprintf(own.tag, sizeof(own.tag), "%s", x->tag);
	snprintf(own.snapshot, sizeof(own.snapshot), "%s", x->snapshot);
	if (rc == 0)
		rc = classic_note(give.stor, give.fs, &own, e);
	fault_point("image.export.noted");
	return rc;
}

static int
export_classic(const struct export *x, struct img_store *s, char made[static POT_EXPORT_LEN], struct err *e)
{
	AUTO_FINI(layer_lock) struct layer_lock lock = LAYER_LOCK_INIT;
	struct sign_secret key;
	struct giving g = { x, x->args->key != NULL ? &key : NULL };
	char fs[STOR_NAME_MAX + 1];
	int rc = eng_need_storage(x->ctx->eng, e);

	if (rc == 0 && x->ctx->eng->stor->ops->pack == NULL) {
		err_set(e, E_NOTSUP, "classic images are streams of zfs; this node's storage is %s",
		    x->ctx->eng->stor->ops->name);
		rc = err_hint(e, "--format oci works on every storage");
	}
	if (rc == 0 && x->args->key != NULL)
		rc = lib_key(x->args->key, &key, e);
	if (rc < 0)
		return rc;
	snprintf(made, POT_EXPORT_LEN, "%s.xz", x->stem);
	classic_give_fs(x->args->pot, fs);
	rc = layer_lock_name(s, fs, x->ctx->eng->cancel, &lock, e);
	if (rc == 0)
		rc = eng_image_settings(x->ctx->eng, x->args->pot, give, &g, e);
	if (g.key != NULL)
		explicit_bzero(&key, sizeof(key));
	return rc;
}

int
pot_image_export(struct pot_ctx *c, const struct pot_export_args *a, char made[POT_EXPORT_LEN], struct err *e)
{
	AUTO(img_store) struct img_store *s = NULL;
	struct export x = { .ctx = c, .args = a, .dir = -1 };
	int rc = lib_store(c, &s, e);

	if (rc < 0 || (rc = choose_snapshot(&x, e)) < 0)
		return rc;
	snprintf(x.tag, sizeof(x.tag), "%s", a->tag != NULL ? a->tag : x.snapshot);
	if ((rc = classic_stem(a->pot, x.tag, x.stem, e)) < 0)
		return rc;
	AUTO(fd) int exports = exports_dir(s, e);
	if (exports < 0)
		return exports;
	if (a->versions && (rc = check_version(&x, exports, e)) < 0)
		return rc;
	AUTO(fd) int dir = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "directory %s", a->dir);
	x.dir = dir;
	rc = a->classic ? export_classic(&x, s, made, e) : export_oci(&x, s, made, e);
	return rc < 0 ? rc : note_version(&x, exports, e);
}
