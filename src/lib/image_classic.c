/*
 * libpot: classic images become pots. Files are found or fetched and checked
 * by image/, which also makes the root of them; the engine makes a pot around
 * it, or leaves nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "image/classic.h"
#include "image/classic_fetch.h"
#include "lib/images.h"
#include "model/name.h"

struct import {
	struct pot_ctx *ctx;
	const struct stor_point *origin;
	int xz;
};

static int
make_root(void *arg, struct stor *stor, struct stor_fs fs, struct kv *settings, struct err *e)
{
	const struct import *i = arg;
	const struct classic_take take = { stor, fs, i->origin, i->ctx->eng->cancel };

	return classic_take(&take, i->xz, settings, e);
}

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

/* What a layered image stands on must be here as a pot, with that snapshot. */
static int
find_origin(struct pot_ctx *c, const struct classic_origin *o, char pot[static 64], struct err *e)
{
	const struct stor_fs fs = { STOR_POT, pot };
	char id[STOR_ID_LEN];
	int rc = pot_name(o->pot, o->tag, pot, e);

	if (rc == 0)
		rc = stor_stream_id(c->eng->stor, fs, o->snapshot, id, e);
	if (rc == -E_NOENT) {
		err_set(e, E_NOENT, "the image stands on %s:%s, whose pot %s with snapshot %s is not here",
		    o->pot, o->tag, pot, o->snapshot);
		return err_hint(e, "import that one first: pot import -p %s -t %s", o->pot, o->tag);
	}
	return rc;
}

static int
make_pot(struct pot_ctx *c, const struct pot_import_args *a, const char *stem, const char *pot,
    struct img_store *store, struct err *e)
{
	const struct classic_from from = { a->from, stem, a->key != NULL, a->insecure, &c->eng->events,
		c->eng->cancel };
	const struct pot_create_args create = { .name = pot, .level = -1 };
	AUTO_FINI(classic_files) struct classic_files files = CLASSIC_FILES_INIT;
	struct classic_origin origin;
	struct sign_public key;
	char below[64];
	const struct stor_point point = { { STOR_POT, below }, origin.snapshot };
	struct import i = { c, NULL, -1 };
	const struct eng_maker maker = { make_root, &i };
	int rc = a->key != NULL ? read_public(a->key, &key, e) : 0;

	if (rc == 0)
		rc = classic_files_open(&files, store, &from, e);
	if (rc < 0)
		return rc;
	AUTO(fd) int xz = classic_open(files.dir, stem, a->key != NULL ? &key : NULL, &origin, e);
	if (xz < 0)
		return xz;
	if (origin.pot[0] != '\0') {
		rc = find_origin(c, &origin, below, e);
		i.origin = &point;
	}
	i.xz = xz;
	return rc < 0 ? rc : eng_create_from(c->eng, &create, &maker, e);
}

int
pot_image_import(struct pot_ctx *c, const struct pot_import_args *a, char made[64], struct err *e)
{
	AUTO(img_store) struct img_store *store = NULL;
	char stem[CLASSIC_STEM_LEN];
	int rc = classic_stem(a->name, a->tag, stem, e);

	if (rc == 0 && a->pot == NULL)
		rc = pot_name(a->name, a->tag, made, e);
	else if (rc == 0 && (rc = name_check(a->pot, "pot", e)) == 0)
		snprintf(made, 64, "%s", a->pot);
	if (rc == 0)
		rc = lib_store(c, &store, e);
	if (rc == 0)
		rc = eng_need_storage(c->eng, e);
	if (rc < 0)
		return rc;
	if (strcmp(c->eng->stor->ops->name, "zfs") != 0) {
		err_set(e, E_NOTSUP, "classic images are streams of zfs; this node's storage is %s",
		    c->eng->stor->ops->name);
		return err_hint(e, "pot pull takes OCI images on every storage");
	}
	/* Told before anything is fetched; the making of the pot looks again. */
	rc = eng_exists(c->eng, made, e);
	if (rc == 1)
		return err_set(e, E_EXIST, "pot %s exists already", made);
	return rc < 0 ? rc : make_pot(c, a, stem, made, store, e);
}
