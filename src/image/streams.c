/* The manifest of an artifact of streams, as text and as a value. Nothing is looked up here. */
#include "image/streams.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "image/mediatype.h"

/* ---- out --------------------------------------------------------------------------------- */

static const char *
media_of(const char *storage)
{
	return strcmp(storage, "zfs") == 0 ? MEDIA_ZFS_SEND_ZSTD : MEDIA_BTRFS_SEND_ZSTD;
}

static json_t *
descriptor(const char *media_type, const struct digest *d, uint64_t size)
{
	char text[DIGEST_TEXT_LEN];

	return json_pack("{s:s, s:s, s:I}", "mediaType", media_type, "digest", digest_print(d, text), "size",
	    (json_int_t)size);
}

static json_t *
stream_descriptor(const struct streams *s, const struct streams_one *one)
{
	json_t *d = descriptor(media_of(s->storage), &one->stream.blob, one->stream.size), *notes;
	char of[DIGEST_TEXT_LEN];

	notes = json_pack("{s:s, s:s, s:s*}", ANN_STREAM_OF, digest_print(&one->of, of), ANN_STREAM_GUID,
	    one->stream.id, ANN_STREAM_FROM, one->stream.from[0] != '\0' ? one->stream.from : NULL);
	if (d == NULL || json_object_set_new(d, "annotations", notes) < 0) {
		json_decref(d);
		return NULL;
	}
	return d;
}

int
streams_print(const struct streams *s, const struct referrer_subject *subject, struct buf *out, struct err *e)
{
	AUTO_FREE char *text = NULL;
	json_t *layers = json_array(), *j;
	struct digest empty;
	int rc;

	for (size_t i = 0; i < s->n; i++)
		if (json_array_append_new(layers, stream_descriptor(s, &s->v[i])) < 0) {
			json_decref(layers);
			return err_nomem(e);
		}
	if ((rc = digest_of(DIGEST_SHA256, "{}", 2, &empty, e)) < 0) {
		json_decref(layers);
		return rc;
	}
	j = json_pack("{s:i, s:s, s:s, s:o, s:o, s:o, s:{s:s, s:s}}", "schemaVersion", 2, "mediaType",
	    MEDIA_OCI_MANIFEST, "artifactType", MEDIA_STREAMS, "config",
	    descriptor(MEDIA_OCI_EMPTY, &empty, 2), "layers", layers, "subject",
	    descriptor(subject->media_type, &subject->digest, subject->size), "annotations",
	    ANN_STREAM_STORAGE, s->storage, ANN_STREAM_PACKER, s->packer);
	if (j != NULL)
		text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(j);
	if (text == NULL)
		return err_nomem(e);
	buf_str(out, text);
	return buf_check(out, "the manifest of streams", e);
}

/* ---- in ---------------------------------------------------------------------------------- */

static bool
take_text(const struct img_annotations *notes, const char *key, char *out, size_t size)
{
	const char *text = img_annotation(notes, key);

	if (text == NULL || strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static bool
take_id(const struct img_annotations *notes, const char *key, char id[static STOR_ID_LEN])
{
	return take_text(notes, key, id, STOR_ID_LEN) && id[0] != '\0' &&
	    id[strspn(id, "0123456789abcdef")] == '\0';
}

static bool
take_one(const struct streams *s, const struct img_desc *d, struct streams_one *one)
{
	const char *of = img_annotation(&d->annotations, ANN_STREAM_OF);

	*one = (struct streams_one){ .stream = { .blob = d->digest, .size = d->size } };
	if (strcmp(d->media_type, media_of(s->storage)) != 0 || of == NULL ||
	    digest_parse(of, &one->of, NULL) < 0 ||
	    !take_id(&d->annotations, ANN_STREAM_GUID, one->stream.id))
		return false;
	return img_annotation(&d->annotations, ANN_STREAM_FROM) == NULL ||
	    take_id(&d->annotations, ANN_STREAM_FROM, one->stream.from);
}

int
streams_parse(const struct img_manifest *m, struct streams *s, struct err *e)
{
	memset(s, 0, sizeof(*s));
	if (!take_text(&m->annotations, ANN_STREAM_STORAGE, s->storage, sizeof(s->storage)) ||
	    (strcmp(s->storage, "zfs") != 0 && strcmp(s->storage, "btrfs") != 0) ||
	    !take_text(&m->annotations, ANN_STREAM_PACKER, s->packer, sizeof(s->packer)))
		return err_set(e, E_INVAL, "not an artifact of streams that is known here");
	while (s->n < m->n_layers && s->n < STREAMS_MAX && take_one(s, &m->layers[s->n], &s->v[s->n]))
		s->n++;
	return 0;
}
