/* Inside of image/: what pot-unpack --apart says about lower layers (unpack/notes.h), read. */
#ifndef IMAGE_UNPACK_NOTES_H
#define IMAGE_UNPACK_NOTES_H

#include "image/store.h"
#include "storage/storage.h"

#define UNPACK_NOTES_MAX (33u * 1024 * 1024)

struct unpack_notes {
	struct strv gone, opaque, implied;
	struct stor_changes changes; /* leads to them */
};
#define UNPACK_NOTES_INIT                                                                              \
	{                                                                                              \
		STRV_INIT(UNPACK_NOTES_MAX), STRV_INIT(UNPACK_NOTES_MAX), STRV_INIT(UNPACK_NOTES_MAX), \
		{                                                                                      \
			0                                                                              \
		}                                                                                      \
	}

/* A nameless file of the store for the child to write to. */
int unpack_notes_file(struct img_store *, struct err *) MUST_CHECK;
/* Reads it from its beginning; rest gets what stands behind the notes. E_CORRUPT, E_LIMIT. */
int unpack_notes_read(struct unpack_notes *, int fd, struct buf *rest, struct err *) MUST_CHECK;
void unpack_notes_fini(struct unpack_notes *);

#endif
