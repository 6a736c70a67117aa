/* Trees in the making: begun, mounted, kept as a layer or thrown away; and what others left of theirs. */
#include "builder/half.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/epot.h"
#include "image/image.h"
#include "image/pack.h"
#include "image/unpack.h"

#define HALF_PREFIX "build-"

static struct stor_fs
tree_fs(const struct bld_tree *t, char hex[static DIGEST_HEX_LEN])
{
	return (struct stor_fs){ STOR_IMAGE, digest_hex(&t->chain, hex) };
}

int
bld_half_begin(struct bld *b, const struct bld_tree *parent, struct bld_half *h, struct err *e)
{
	unsigned long long random;
	int rc;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	snprintf(h->name, sizeof(h->name), HALF_PREFIX "%016llx", random);
	if ((rc = layer_lock_try(b->store, h->name, &h->lock, e)) < 0)
		return rc;
	h->b = b;
	h->parent = *parent;
	fault_point("build.half.locked");
	return 0;
}

struct stor_fs
bld_half_fs(const struct bld_half *h)
{
	return (struct stor_fs){ STOR_IMAGE, h->name };
}

int
bld_half_clone(struct bld_half *h, struct err *e)
{
	int rc;

	if (h->parent.any)
		rc = bld_tree_clone(h->b, &h->parent, bld_half_fs(h), e);
	else
		rc = stor_create(h->b->eng->stor, bld_half_fs(h), e);
	fault_point("build.half.cloned");
	return rc;
}

int
bld_half_mount(struct bld_half *h, struct err *e)
{
	int fd = stor_mount(h->b->eng->stor, bld_half_fs(h), false, e);

	h->mounted = fd >= 0;
	return fd;
}

int
bld_half_unmount(struct bld_half *h, struct err *e)
{
	int rc = h->mounted ? stor_unmount(h->b->eng->stor, bld_half_fs(h), e) : 0;

	h->mounted = h->mounted && rc < 0;
	return rc;
}

/* 1: packed, 0: no difference. */
static int
pack(
    struct bld_half *h, const struct bld_tree *below, struct img_layer *layer, uint64_t *bytes, struct err *e)
{
	struct bld *b = h->b;
	struct stor_look own, under = STOR_LOOK_INIT;
	char hex[DIGEST_HEX_LEN];
	int rc = stor_look_begin(b->eng->stor, bld_half_fs(h), &own, e);

	if (rc < 0)
		return rc;
	if (below->any)
		rc = stor_look_begin(b->eng->stor, tree_fs(below, hex), &under, e);
	if (rc == 0) {
		const struct img_difference d = { own.root, under.root, b->epoch, b->eng->cancel,
			&b->eng->events };

		rc = img_pack_difference(b->store, &d, layer, bytes, e);
		if (below->any)
			stor_look_end(b->eng->stor, tree_fs(below, hex), &under);
	}
	stor_look_end(b->eng->stor, bld_half_fs(h), &own);
	return rc;
}

int
bld_half_keep(struct bld_half *h, const struct bld_tree *below, struct bld_record *r, struct err *e)
{
	struct bld *b = h->b;
	struct img_layer layer;
	int rc;

	if (below == NULL)
		below = &h->parent;
	if ((rc = pack(h, below, &layer, &r->bytes, e)) < 0)
		return rc;
	fault_point("build.packed");
	r->did.created_ns = b->epoch >= 0 ? b->epoch * 1000000000 : text_now_ns();
	r->did.layer = rc == 1;
	r->tree = *below;
	if (rc == 0)
		return 0;
	r->did.diff = layer.diff;
	r->did.blob = layer.blob;
	r->did.size = layer.size;
	r->tree.any = true;
	return img_layer_take(b->store, b->eng->stor, below->any ? &below->chain : NULL, &layer.diff, h->name,
	    b->eng->cancel, &r->tree.chain, e);
}

static int
remove_fs(struct bld *b, struct stor_fs fs, struct err *e)
{
	struct stor *s = b->eng->stor;
	int rc;

	if ((rc = stor_recover(s, fs, e)) < 0 || (rc = stor_unmount(s, fs, e)) < 0)
		return rc;
	return stor_destroy(s, fs, e);
}

void
bld_half_end(struct bld_half *h)
{
	struct err own = ERR_INIT;

	if (h->b == NULL)
		return;
	/* What cannot go now is the next build's: its lock file stays then. */
	if (remove_fs(h->b, bld_half_fs(h), &own) < 0) {
		event_warn(&h->b->eng->events, "%s", own.msg);
		fd_close(take_fd(h->lock.fd));
	}
	layer_unlock(&h->lock);
	h->b = NULL;
}

/* ---- what others left ------------------------------------------------------------------------ */

/* Its pot first, which is told from living ones by the lock that nobody holds. */
static int
recover_half(struct bld *b, const char *name, struct err *e)
{
	AUTO_FINI(layer_lock) struct layer_lock lock = LAYER_LOCK_INIT;
	AUTO_FINI(epot) struct epot p = EPOT_INIT;
	char path[96];
	int rc;

	snprintf(path, sizeof(path), IMG_LAYERS "/" IMG_LAYER_LOCK "%s", name);
	AUTO(fd) int fd = openat(img_store_fd(b->store), path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || lock_held(fd, NULL) != 0)
		return 0;
	rc = epot_get(&p, b->eng, name, EPOT_WRITE, e);
	if (rc < 0 && rc != -E_NOENT)
		return rc;
	rc = layer_lock_try(b->store, name, &lock, NULL);
	return rc < 0 ? 0 : remove_fs(b, (struct stor_fs){ STOR_IMAGE, name }, e);
}

static int
recover_tmp(struct bld *b, int tmp, const char *name, struct err *e)
{
	char lock[64];
	int rc;

	snprintf(lock, sizeof(lock), ".lock-%.40s", name);
	AUTO(fd) int fd = openat(tmp, lock, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || lock_fd(fd, true, 0, NULL) < 0)
		return 0;
	(void)b;
	if ((rc = tree_remove(tmp, name, e)) < 0)
		return rc;
	return unlinkat(tmp, lock, 0) != 0 && errno != ENOENT ? err_sys(e, "removing %s", lock) : 0;
}

int
bld_recover(struct bld *b, struct err *e)
{
	AUTO_FINI(strv)
	struct strv halves = STRV_INIT(65536), tmps = STRV_INIT(65536), keys = STRV_INIT(65536);
	AUTO(fd) int layers = dir_open(img_store_fd(b->store), IMG_LAYERS, e);
	AUTO(fd) int tmp = dir_open(b->dir, "tmp", e);
	int rc = layers < 0 ? layers : tmp < 0 ? tmp : 0;

	if (rc < 0 || (rc = bld_names(layers, IMG_LAYER_LOCK HALF_PREFIX, &halves, e)) < 0 ||
	    (rc = bld_names(tmp, ".lock-", &tmps, e)) < 0 ||
	    (rc = bld_names(b->cache, ".lock-", &keys, e)) < 0)
		return rc;
	for (size_t i = 0; i < halves.n && rc == 0; i++) {
		char name[64];

		snprintf(name, sizeof(name), HALF_PREFIX "%.40s", halves.v[i]);
		rc = recover_half(b, name, e);
	}
	for (size_t i = 0; i < tmps.n && rc == 0; i++)
		rc = recover_tmp(b, tmp, tmps.v[i], e);
	for (size_t i = 0; i < keys.n && rc == 0; i++) {
		char name[BLD_KEY_LEN + 8];

		snprintf(name, sizeof(name), ".lock-%.64s", keys.v[i]);
		rc = bld_cache_recover(b, name, e);
	}
	return rc;
}
