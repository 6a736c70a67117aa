/*
 * Opening and closing a builder: the store, ROOT/build and a private
 * directory below it; trees as what can be looked at and cloned.
 */
#include "builder/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "builder/base.h"
#include "builder/crew.h"
#include "builder/half.h"
#include "image/image.h"
#include "image/unpack.h"

int
bld_check(const struct bld *b, struct err *e)
{
	return eng_cancelled(b->eng) ? err_set(e, E_INTR, "the build was interrupted") : 0;
}

static int
make_dirs(struct bld *b, struct err *e)
{
	AUTO(fd) int mounts = -1;

	if ((b->dir = dir_make(b->eng->root_fd, "build", 0700, e)) < 0)
		return b->dir;
	if ((b->cache = dir_make(b->dir, "cache", 0700, e)) < 0)
		return b->cache;
	mounts = dir_make(b->dir, "mounts", 0700, e);
	return mounts < 0 ? mounts : 0;
}

/* The lock first: a directory without one is a killed builder's. */
static int
make_tmp(struct bld *b, struct err *e)
{
	AUTO(fd) int tmp = dir_make(b->dir, "tmp", 0700, e);
	char lock[48];
	int rc;

	if (tmp < 0)
		return tmp;
	snprintf(b->tmp_name, sizeof(b->tmp_name), "%s", b->build);
	snprintf(lock, sizeof(lock), ".lock-%s", b->tmp_name);
	if ((rc = b->tmp_lock = lock_file(tmp, lock, true, 0, e)) < 0)
		return rc;
	fault_point("build.tmp");
	b->tmp = dir_make(tmp, b->tmp_name, 0700, e);
	return b->tmp < 0 ? b->tmp : 0;
}

static void
remove_tmp(struct bld *b)
{
	AUTO(fd) int tmp = dir_open(b->dir, "tmp", NULL);
	char lock[48];

	/* What cannot go now is the next builder's. */
	if (tmp < 0 || tree_remove(tmp, b->tmp_name, NULL) < 0)
		return;
	snprintf(lock, sizeof(lock), ".lock-%s", b->tmp_name);
	unlinkat(tmp, lock, 0);
}

static int
open_all(struct bld *b, struct err *e)
{
	unsigned long long random;
	int rc;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	snprintf(b->build, sizeof(b->build), "%016llx", random);
	b->begun_ns = text_now_ns();
	if ((rc = eng_need_node(b->eng, e)) < 0 || (rc = eng_need_storage(b->eng, e)) < 0 ||
	    (rc = img_store_open(&b->store, b->eng->root_fd, e)) < 0 || (rc = make_dirs(b, e)) < 0 ||
	    (rc = img_source_date(&b->epoch, e)) < 0 || (rc = make_tmp(b, e)) < 0)
		return rc;
	return bld_recover(b, e);
}

int
bld_open(struct bld **out, struct eng *g, struct err *e)
{
	struct bld *b = calloc(1, sizeof(*b));
	int rc;

	*out = NULL;
	if (b == NULL)
		return err_nomem(e);
	*b = (struct bld){ .eng = g, .dir = -1, .cache = -1, .tmp = -1, .tmp_lock = -1, .owner = getpid() };
	if ((rc = open_all(b, e)) < 0) {
		bld_close(b);
		return rc;
	}
	*out = b;
	return 0;
}

void
bld_close(struct bld *b)
{
	if (b == NULL)
		return;
	if (b->tmp_lock >= 0 && b->owner == getpid())
		remove_tmp(b);
	img_store_close(b->store);
	fd_close(b->tmp);
	fd_close(b->tmp_lock);
	fd_close(b->cache);
	fd_close(b->dir);
	free(b);
}

/* ---- trees --------------------------------------------------------------------------------- */

struct bld_look {
	struct stor *stor;
	char hex[DIGEST_HEX_LEN];
	bool any;
	struct stor_look look;
};

static struct stor_fs
look_fs(const struct bld_look *l)
{
	return (struct stor_fs){ STOR_IMAGE, l->hex };
}

int
bld_look_begin(struct bld *b, const struct bld_tree *t, struct bld_look **out, int *fd, struct err *e)
{
	struct bld_look *l = calloc(1, sizeof(*l));
	int rc;

	*fd = -1;
	*out = NULL;
	if (l == NULL)
		return err_nomem(e);
	*l = (struct bld_look){ .stor = b->eng->stor, .any = t->any, .look = STOR_LOOK_INIT };
	(void)digest_hex(&t->chain, l->hex);
	rc = t->any ? stor_look_begin(l->stor, look_fs(l), &l->look, e) : 0;
	if (rc < 0) {
		free(l);
		return rc;
	}
	*fd = l->look.root;
	*out = l;
	return 0;
}

void
bld_look_end(struct bld_look *l)
{
	if (l == NULL)
		return;
	if (l->any)
		stor_look_end(l->stor, look_fs(l), &l->look);
	free(l);
}

int
bld_tree_base(struct bld *b, const char *base, struct bld_tree *t, struct err *e)
{
	AUTO(img_image) struct img_image *image = NULL;
	int rc = bld_base_known(b->eng, b->store, base, &image, e);

	if (rc == 0 && (rc = crew_work(b, e)) == 0)
		rc = bld_base_image(b->eng, b->store, base, b->epoch, &image, e);
	if (rc < 0)
		return rc;
	t->any = true;
	return img_image_chain(image, &t->chain, e);
}

int
bld_tree_clone(struct bld *b, const struct bld_tree *t, struct stor_fs dst, struct err *e)
{
	char hex[DIGEST_HEX_LEN];

	if (!t->any)
		return stor_create(b->eng->stor, dst, e);
	return stor_clone(
	    b->eng->stor, (struct stor_fs){ STOR_IMAGE, digest_hex(&t->chain, hex) }, IMG_LAYER_TAG, dst, e);
}
