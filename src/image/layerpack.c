/*
 * The difference of two trees becomes a layer: found, written as a tar,
 * packed. It can be found by a thread of its own while the caller packs what
 * is below.
 */
#include "image/pack.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/fault.h"
#include "image/diff.h"
#include "image/image.h"
#include "image/mediatype.h"

/* Empty ones of these are pot's: mount points that a start makes where the root lacks them. */
static const char *const mount_points[] = { "dev", "etc/hostname", "etc/hosts", "etc/resolv.conf", "proc",
	"run", "sys", "tmp", NULL };

/* As deep as paths can be, on systems that are mean with the stacks of threads. */
#define STACK_BYTES ((size_t)8 * 1024 * 1024)

struct img_found {
	struct img_difference what;
	struct changes changes;
	pthread_t thread;
	bool running;
	struct err err;
	int rc;
};

struct telling {
	const struct pot_events *events;
	uint64_t total;
};

static void
tell(void *arg, uint64_t done)
{
	const struct telling *t = arg;

	event_progress(t->events, "packing", done, t->total);
}

static int
pack(struct img_store *s, const struct img_difference *d, const struct changes *changes,
    struct img_layer *layer, struct err *e)
{
	struct telling t = { d->events, changes->bytes };
	const struct diff_write_args write = { d->root, d->exact, d->epoch, tell, &t, d->cancel };
	struct img_pack *pack = NULL;
	struct tarout tar;
	int rc = img_pack_begin(s, d->expect, &pack, e);

	if (rc < 0)
		return rc;
	tarout_init(&tar, img_pack_write, pack);
	rc = img_changes_write(changes, &write, &tar, e);
	fault_point("image.commit.packed");
	if (rc < 0) {
		img_pack_abort(pack);
		return rc;
	}
	layer->media_type = MEDIA_OCI_LAYER_ZSTD;
	return img_pack_end(&pack, &layer->diff, &layer->blob, &layer->size, e);
}

static void *
find(void *arg)
{
	struct img_found *f = arg;
	const struct img_difference *d = &f->what;
	const struct diff_args args = { d->root, d->parent, d->parent < 0 || d->exact ? NULL : mount_points,
		d->cancel, d->exact };

	f->rc = img_changes_find(&args, &f->changes, &f->err);
	return NULL;
}

/* Signals are for the caller's thread, which looks at what they say. */
static bool
find_beside(struct img_found *f)
{
	pthread_attr_t attr;
	sigset_t all, before;

	if (pthread_attr_init(&attr) != 0)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	f->running = pthread_attr_setstacksize(&attr, STACK_BYTES) == 0 &&
	    pthread_create(&f->thread, &attr, find, f) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return f->running;
}

int
img_difference_find(const struct img_difference *d, struct img_found **out, struct err *e)
{
	struct img_found *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return err_nomem(e);
	*f = (struct img_found){ .what = *d, .err = ERR_INIT };
	if (!find_beside(f))
		find(f);
	*out = f;
	return 0;
}

static void
wait_for(struct img_found *f)
{
	if (f->running)
		pthread_join(f->thread, NULL);
	f->running = false;
}

void
img_found_free(struct img_found *f)
{
	if (f == NULL)
		return;
	wait_for(f);
	changes_fini(&f->changes);
	free(f);
}

int
img_found_pack(
    struct img_store *s, struct img_found *f, struct img_layer *layer, uint64_t *bytes, struct err *e)
{
	int rc;

	wait_for(f);
	if (f->rc < 0) {
		*e = f->err;
		return f->rc;
	}
	if (img_changes_empty(&f->changes))
		return 0;
	if (f->changes.skipped > 0)
		event_info(f->what.events, "%llu sockets or devices left out", f->changes.skipped);
	if (bytes != NULL)
		*bytes = f->changes.bytes;
	rc = pack(s, &f->what, &f->changes, layer, e);
	return rc < 0 ? rc : 1;
}

int
img_pack_difference(struct img_store *s, const struct img_difference *d, struct img_layer *layer,
    uint64_t *bytes, struct err *e)
{
	struct img_found f = { .what = *d, .err = ERR_INIT };
	int rc;

	find(&f);
	rc = img_found_pack(s, &f, layer, bytes, e);
	changes_fini(&f.changes);
	return rc;
}
