/*
 * libpot: classic images become pots. Files are found or fetched and checked
 * by image/, which also makes the root of them; the engine makes a pot around
 * it, or leaves nothing. What a layered one stands on is brought first, as a
 * pot of its own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fault.h"
#include "base/file.h"
#include "image/classic.h"
#include "image/classic_fetch.h"
#include "image/layers.h"
#include "lib/images.h"
#include "model/name.h"

#define LAYERS_MAX 16 /* images that stand on each other */

/* One image that is taken in; the one that stands on it, and for which it is, is above. */
struct import {
	struct pot_ctx *ctx;
	struct img_store *store;
	const struct pot_import_args *args;
	const struct import *above;
	char stem[CLASSIC_STEM_LEN];
	char pot[64]; /* that it becomes */
	struct classic_origin origin;
	int xz;
};

static int import_one(struct import *, struct err *);

/* The pot that NAME_TAG is here: dots, which the shell framework's jails cannot have, are '_'. */
static int
pot_name(const char *name, const char *tag, char out[static 64], struct err *e)
{
	int n = snprintf(out, 64, "%s_%s", name, tag);

	if (n >= 64) {
		err_set(e, E_INVAL, "the pot's name would be longer than 63 letters");
		return err_hint(e, "choose another one with --as");
	}
	for (char *p = out; *p != '\0'; p++)
		if (*p == '.')
			*p = '_';
	return name_check(out, "pot", e);
}

static int
read_public(const char *file, struct sign_public *key, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(SIGNIFY_FILE_MAX);
	AUTO(fd) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int rc = fd < 0 ? err_sys(e, "key %s", file) : fd_read_all(fd, &text, e);

	if (rc == 0)
		rc = signify_public_parse(buf_cstr(&text), text.len, key, e);
	return rc < 0 ? err_wrap(e, "key %s", file) : 0;
}

/* ---- what a layered image stands on ------------------------------------------------------- */

/* 1: it is here as a pot with that snapshot, 0: there is no such pot. */
static int
look_for_origin(const struct import *i, char pot[static 64], struct err *e)
{
	const struct classic_origin *o = &i->origin;
	const struct stor_fs fs = { STOR_POT, pot };
	struct eng *eng = i->ctx->eng;
	char id[STOR_ID_LEN];
	int rc = pot_name(o->pot, o->tag, pot, e);

	if (rc == 0)
		rc = eng_exists(eng, pot, e);
	if (rc != 1)
		return rc;
	rc = stor_stream_id(eng->stor, fs, o->snapshot, id, e);
	if (rc == -E_NOENT) {
		err_set(e, E_STATE, "%s stands on snapshot %s of %s:%s, and pot %s has no such snapshot",
		    i->stem, o->snapshot, o->pot, o->tag, pot);
		return err_hint(e, "pot rename %s takes it out of the way of the one that is needed", pot);
	}
	return rc < 0 ? rc : 1;
}

/* From the same place, with the same key. */
static int
import_origin(const struct import *i, struct err *e)
{
	const struct classic_origin *o = &i->origin;
	const struct pot_import_args args = { .name = o->pot,
		.tag = o->tag,
		.from = i->args->from,
		.key = i->args->key,
		.insecure = i->args->insecure,
		.stall_s = i->args->stall_s };
	struct import below = { .ctx = i->ctx, .store = i->store, .args = &args, .above = i };
	unsigned n = 0;
	int rc = classic_stem(o->pot, o->tag, below.stem, e);

	if (rc == 0)
		rc = pot_name(o->pot, o->tag, below.pot, e);
	for (const struct import *a = i; rc == 0 && a != NULL; a = a->above)
		if (++n == LAYERS_MAX || strcmp(a->stem, below.stem) == 0)
			rc = err_set(e, E_CORRUPT, "%s stands on itself, or on more than %d others", i->stem,
			    LAYERS_MAX - 1);
	if (rc == 0)
		rc = import_one(&below, e);
	/* Another one was quicker. */
	if (rc == -E_EXIST)
		return 0;
	return rc < 0 ? err_wrap(e, "%s stands on %s", i->stem, below.stem) : 0;
}

/* ---- one image ---------------------------------------------------------------------------- */

static int
make_root(void *arg, struct stor *stor, struct stor_fs fs, struct kv *settings, struct err *e)
{
	const struct import *i = arg;
	struct classic_origin own;
	char below[64];
	const struct stor_point point = { { STOR_POT, below }, i->origin.snapshot };
	const struct classic_take take = { stor, fs, i->origin.pot[0] != '\0' ? &point : NULL,
		i->ctx->eng->cancel };
	int rc = take.origin != NULL ? pot_name(i->origin.pot, i->origin.tag, below, e) : 0;

	if (rc == 0)
		rc = classic_take(&take, i->xz, settings, own.snapshot, e);
	/* What stands on it can be exported as what stands on this image. */
	snprintf(own.pot, sizeof(own.pot), "%s", i->args->name);
	snprintf(own.tag, sizeof(own.tag), "%s", i->args->tag);
	if (rc == 0)
		rc = classic_note(stor, fs, &own, e);
	fault_point("image.import.noted");
	return rc;
}

/* Finds or fetches the files, and checks them. They are at i->xz afterwards. */
static int
open_files(struct import *i, struct classic_files *files, struct err *e)
{
	const struct pot_import_args *a = i->args;
	const struct classic_from from = { a->from, i->stem, a->key != NULL, a->insecure, a->stall_s,
		&i->ctx->eng->events, i->ctx->eng->cancel };
	struct sign_public key;
	int rc = a->key != NULL ? read_public(a->key, &key, e) : 0;

	for (bool again = true; rc == 0; again = false) {
		rc = classic_files_open(files, i->store, &from, e);
		if (rc < 0)
			break;
		i->xz = classic_open(files->dir, i->stem, a->key != NULL ? &key : NULL, &i->origin, e);
		if (i->xz >= 0)
			return 0;
		rc = i->xz;
		/* What was wrong once is not kept; what an earlier fetch left may be of another image. */
		if (rc == -E_CORRUPT || rc == -E_PERM || rc == -E_NOENT) {
			bool resumed = files->resumed;

			classic_files_drop(files);
			if (resumed && again)
				rc = 0;
		}
	}
	return rc;
}

/* 1: what it stands on is not here. */
static int
try_import(struct import *i, struct err *e)
{
	const struct pot_create_args create = { .name = i->pot, .level = -1 };
	const struct eng_maker maker = { make_root, i };
	AUTO_FINI(classic_files) struct classic_files files = CLASSIC_FILES_INIT;
	AUTO_FINI(layer_lock) struct layer_lock lock = LAYER_LOCK_INIT;
	char fs[STOR_NAME_MAX + 1], below[64];
	bool missing = false;
	int rc;

	classic_take_fs(i->pot, fs);
	rc = layer_lock_name(i->store, fs, i->ctx->eng->cancel, &lock, e);
	if (rc < 0)
		return rc;
	/* Told before anything is fetched; the making of the pot looks again. */
	rc = eng_exists(i->ctx->eng, i->pot, e);
	if (rc == 1)
		return err_set(e, E_EXIST, "pot %s exists already", i->pot);
	if (rc == 0)
		rc = open_files(i, &files, e);
	if (rc < 0)
		return rc;
	if (i->origin.pot[0] != '\0') {
		rc = look_for_origin(i, below, e);
		missing = rc == 0;
	}
	if (rc >= 0 && !missing)
		rc = eng_create_from(i->ctx->eng, &create, &maker, e);
	if (rc == 0 && !missing)
		classic_files_drop(&files);
	fd_close(take_fd(i->xz));
	return missing ? 1 : rc;
}

/* Nothing is locked while what an image stands on is brought: others may want the two the other way round. */
static int
import_one(struct import *i, struct err *e)
{
	int rc = try_import(i, e);

	if (rc == 1 && (rc = import_origin(i, e)) == 0)
		rc = try_import(i, e);
	if (rc == 1)
		rc = err_set(e, E_BUSY, "what %s stands on was removed again", i->stem);
	return rc;
}

int
pot_image_import(struct pot_ctx *c, const struct pot_import_args *a, char made[64], struct err *e)
{
	AUTO(img_store) struct img_store *store = NULL;
	struct import i = { .ctx = c, .args = a };
	int rc = classic_stem(a->name, a->tag, i.stem, e);

	if (rc == 0 && a->pot == NULL)
		rc = pot_name(a->name, a->tag, i.pot, e);
	else if (rc == 0 && (rc = name_check(a->pot, "pot", e)) == 0)
		snprintf(i.pot, sizeof(i.pot), "%s", a->pot);
	if (rc == 0)
		rc = lib_store(c, &store, e);
	if (rc == 0)
		rc = eng_need_storage(c->eng, e);
	if (rc < 0)
		return rc;
	if (c->eng->stor->ops->pack == NULL) {
		err_set(e, E_NOTSUP, "classic images are streams of zfs; this node's storage is %s",
		    c->eng->stor->ops->name);
		return err_hint(e, "pot pull takes OCI images on every storage");
	}
	i.store = store;
	snprintf(made, 64, "%s", i.pot);
	return import_one(&i, e);
}
