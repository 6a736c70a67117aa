/*
 * Manifests and indexes, OCI 1.1 and Docker schema 2, as values: parsed from
 * bytes that come from anybody, nothing looked up and nothing fetched.  The
 * bytes themselves, not what is made of them, are what a digest is over: they
 * are never written again from the parsed form.
 *
 * Refused with E_INVAL: more than IMG_MANIFEST_MAX bytes (E_LIMIT), nesting
 * deeper than IMG_JSON_DEPTH, more than IMG_JSON_VALUES values, duplicate
 * keys, keys that differ from a known one in case only, NUL in a string, both
 * layers and manifests, a mediaType that is not the one expected or not one of
 * the four, bad digests, sizes and media types. Unknown fields are skipped.
 */
#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/auto.h"
#include "base/err.h"
#include "image/digest.h"

#define IMG_MANIFEST_MAX (4u * 1024 * 1024)
#define IMG_JSON_DEPTH 32
#define IMG_JSON_VALUES 131072

struct img_annotation {
	char *key, *value;
};
struct img_annotations {
	struct img_annotation *v; /* in the order of the text */
	size_t n;
};
const char *img_annotation(const struct img_annotations *, const char *key); /* or NULL; borrowed */

/* Absent strings are NULL. */
struct img_platform {
	char *os, *arch, *variant, *os_version;
	char **os_features; /* NULL-terminated, or NULL */
};

struct img_desc {
	char *media_type;
	char *artifact_type; /* or NULL */
	struct digest digest;
	uint64_t size; /* at most INT64_MAX */
	struct img_annotations annotations;
	struct img_platform *platform; /* or NULL */
	bool has_data, has_urls;       /* such fields are there; they are not kept */
};

struct img_manifest {
	bool is_index;
	char *media_type;    /* one of the four of mediatype.h; what was left out is derived from the form */
	char *artifact_type; /* or NULL */
	struct img_desc config;  /* of a manifest; zeroed in an index */
	struct img_desc *layers; /* of a manifest, bottom first */
	size_t n_layers;
	struct img_desc *manifests; /* of an index */
	size_t n_manifests;
	struct img_desc *subject; /* or NULL */
	struct img_annotations annotations;
};

/*
 * Parses len bytes. expected: the media type that the Content-Type or the
 * descriptor promised, or NULL when nothing did; another one in the text is
 * E_INVAL. Any type but the four is E_INVAL.
 */
int img_manifest_parse(
    const char *text, size_t len, const char *expected, struct img_manifest **, struct err *) MUST_CHECK;
void img_manifest_free(struct img_manifest *); /* NULL is allowed */
/* What the referrers API gives as artifactType: the field, else the config's media type, else NULL. */
const char *img_manifest_artifact_type(const struct img_manifest *);

DEFINE_AUTO(img_manifest, struct img_manifest *, NULL, img_manifest_free)

struct json_t;
/*
 * One JSON text from outside with the limits above: any value, at most max
 * bytes, no duplicate keys, no NUL; `what` names it in messages. The caller
 * gives the value back with json_decref.
 */
int img_json_parse(
    const char *text, size_t len, size_t max, const char *what, struct json_t **, struct err *) MUST_CHECK;

#endif
