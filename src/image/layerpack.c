/* The difference of two trees becomes a layer: found, written as a tar, packed. */
#include "image/pack.h"

#include "base/fault.h"
#include "image/diff.h"
#include "image/image.h"
#include "image/mediatype.h"

/* Empty ones of these are pot's: mount points that a start makes where the root lacks them. */
static const char *const mount_points[] = { "dev", "etc/hostname", "etc/hosts", "etc/resolv.conf", "proc",
	"run", "sys", "tmp", NULL };

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

int
img_pack_difference(struct img_store *s, const struct img_difference *d, struct img_layer *layer,
    uint64_t *bytes, struct err *e)
{
	AUTO_FINI(changes) struct changes changes = { 0 };
	const struct diff_args args = { d->root, d->parent, d->parent < 0 || d->exact ? NULL : mount_points,
		d->cancel, d->exact };
	struct img_pack *pack = NULL;
	struct tarout tar;
	int rc = img_changes_find(&args, &changes, e);

	if (rc < 0 || img_changes_empty(&changes))
		return rc;
	if (changes.skipped > 0)
		event_info(d->events, "%llu sockets or devices left out", changes.skipped);
	if (bytes != NULL)
		*bytes = changes.bytes;
	if ((rc = img_pack_begin(s, d->expect, &pack, e)) < 0)
		return rc;
	struct telling t = { d->events, changes.bytes };
	const struct diff_write_args write = { d->root, d->exact, d->epoch, tell, &t, d->cancel };
	tarout_init(&tar, img_pack_write, pack);
	rc = img_changes_write(&changes, &write, &tar, e);
	fault_point("image.commit.packed");
	if (rc < 0) {
		img_pack_abort(pack);
		return rc;
	}
	layer->media_type = MEDIA_OCI_LAYER_ZSTD;
	rc = img_pack_end(&pack, &layer->diff, &layer->blob, &layer->size, e);
	return rc < 0 ? rc : 1;
}
