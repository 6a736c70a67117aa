/*
 * Images as files: written as an OCI archive (a tar of an OCI image layout),
 * read as such or as Docker's. What is read is unpacked by pot-unpack in its
 * sandbox and only then looked at; blobs that are right are moved into the
 * store, nothing is copied.
 */
#ifndef IMAGE_ARCHIVE_H
#define IMAGE_ARCHIVE_H

#include "base/event.h"
#include "image/store.h"

/* One name to be written. */
struct img_save {
	const struct reference *ref;
	const struct img_ref_record *rec;
};
struct img_archive_args {
	const struct pot_events *events;
	const volatile bool *cancel;
};
int img_archive_write(struct img_store *, int fd, const struct img_save *, size_t n,
    const struct img_archive_args *, struct err *) MUST_CHECK;

/*
 * Takes in what the archive at fd holds; calls fn for each image that is whole
 * and in the store then: manifest is the one for this platform, digest what
 * the archive names (the same, or an index), name what it calls it ("" when it
 * does not). Nothing is named here.
 */
typedef int img_archive_fn(
    void *arg, const struct digest *manifest, const struct digest *digest, const char *name, struct err *);
int img_archive_read(struct img_store *, int fd, uint64_t size, const struct img_archive_args *,
    img_archive_fn *, void *arg, struct err *) MUST_CHECK;

#endif
