/*
 * Manifests and indexes from JSON.  jansson builds the tree; before it sees a
 * byte a scan bounds depth and number of values, as jansson itself is
 * recursive and spends some 200 bytes on each pair of braces.  The result owns
 * copies of all strings.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/text.h"
#include "image/manifest.h"
#include "image/mediatype.h"

static inline void
json_release(json_t *j)
{
	json_decref(j);
}
DEFINE_AUTO(json, json_t *, NULL, json_release)

/* Bounds nesting and values without building anything; broken JSON is jansson's to refuse. */
static int
scan_shape(const char *text, size_t len, const char *what, struct err *e)
{
	size_t depth = 0, values = 1;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			values++;
			if (++depth > IMG_JSON_DEPTH)
				return err_set(e, E_INVAL, "%s: nested deeper than %d", what, IMG_JSON_DEPTH);
		} else if (c == '}' || c == ']') {
			depth -= depth > 0;
		} else if (c == ',') {
			values++;
		}
		if (values > IMG_JSON_VALUES)
			return err_set(e, E_INVAL, "%s: more than %d values", what, IMG_JSON_VALUES);
	}
	return 0;
}

int
img_json_parse(const char *text, size_t len, size_t max, const char *what, struct json_t **out, struct err *e)
{
	json_error_t je;
	int rc;

	if (len > max)
		return err_set(e, E_LIMIT, "%s: larger than %zu bytes", what, max);
	rc = scan_shape(text, len, what, e);
	if (rc < 0)
		return rc;
	*out = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
	if (*out != NULL)
		return 0;
	if (json_error_code(&je) == json_error_out_of_memory)
		return err_nomem(e);
	/* jansson's text quotes the input: bytes of anybody's. */
	struct buf shown = BUF_INIT(1024);
	text_escape(je.text, strnlen(je.text, sizeof(je.text)), &shown);
	rc = err_set(e, E_INVAL, "%s:%d:%d: %s", what, je.line, je.column, buf_cstr(&shown));
	buf_fini(&shown);
	return rc;
}

const char *
img_annotation(const struct img_annotations *a, const char *key)
{
	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(a->v[i].key, key) == 0)
			return a->v[i].value;
	}
	return NULL;
}

static void
annotations_fini(struct img_annotations *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].key);
		free(a->v[i].value);
	}
	free(a->v);
}

static void
platform_free(struct img_platform *p)
{
	if (p == NULL)
		return;
	free(p->os);
	free(p->arch);
	free(p->variant);
	free(p->os_version);
	for (size_t i = 0; p->os_features != NULL && p->os_features[i] != NULL; i++)
		free(p->os_features[i]);
	free(p->os_features);
	free(p);
}

static void
desc_fini(struct img_desc *d)
{
	free(d->media_type);
	free(d->artifact_type);
	annotations_fini(&d->annotations);
	platform_free(d->platform);
}

static void
descs_free(struct img_desc *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		desc_fini(&v[i]);
	free(v);
}

void
img_manifest_free(struct img_manifest *m)
{
	if (m == NULL)
		return;
	free(m->media_type);
	free(m->artifact_type);
	desc_fini(&m->config);
	descs_free(m->layers, m->n_layers);
	descs_free(m->manifests, m->n_manifests);
	descs_free(m->subject, m->subject != NULL);
	annotations_fini(&m->annotations);
	free(m);
}

/* jansson refuses NUL in strings, so C strings hold all of them. */
static int
copy_string(const json_t *value, const char *key, char **out, struct err *e)
{
	if (!json_is_string(value))
		return err_set(e, E_INVAL, "manifest: %s is not a string", key);
	*out = buf_dup(json_string_value(value), json_string_length(value));
	return *out == NULL ? err_nomem(e) : 0;
}

/* An optional string: absent leaves *out alone. */
static int
get_string(const json_t *object, const char *key, char **out, struct err *e)
{
	const json_t *value = json_object_get(object, key);

	return value == NULL ? 0 : copy_string(value, key, out, e);
}

/* An optional media type; the empty string counts as absent, as Go programs write it. */
static int
get_media_type(const json_t *object, const char *key, char **out, struct err *e)
{
	int rc = get_string(object, key, out, e);

	if (rc < 0 || *out == NULL)
		return rc;
	if ((*out)[0] == '\0') {
		free(take_ptr(*out));
		return 0;
	}
	if (!media_is_valid(*out))
		return err_set(e, E_INVAL, "manifest: %s is not a media type", key);
	return 0;
}

static int
get_annotations(const json_t *object, struct img_annotations *a, struct err *e)
{
	json_t *map = json_object_get(object, "annotations");
	const char *key;
	json_t *value;

	if (map == NULL || json_is_null(map))
		return 0;
	if (!json_is_object(map))
		return err_set(e, E_INVAL, "manifest: annotations is not an object");
	if (json_object_size(map) == 0)
		return 0;
	a->v = calloc(json_object_size(map), sizeof(a->v[0]));
	if (a->v == NULL)
		return err_nomem(e);
	json_object_foreach(map, key, value)
	{
		struct img_annotation *slot = &a->v[a->n++];
		int rc = copy_string(value, "an annotation", &slot->value, e);

		if (rc < 0)
			return rc;
		slot->key = strdup(key);
		if (slot->key == NULL)
			return err_nomem(e);
	}
	return 0;
}

static int
get_features(const json_t *platform, char ***out, struct err *e)
{
	const json_t *list = json_object_get(platform, "os.features");
	size_t n = json_array_size(list);

	if (list == NULL || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return err_set(e, E_INVAL, "manifest: os.features is not an array");
	*out = calloc(n + 1, sizeof((*out)[0]));
	if (*out == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++) {
		int rc = copy_string(json_array_get(list, i), "os.features", &(*out)[i], e);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int
get_platform(const json_t *object, struct img_platform **out, struct err *e)
{
	const json_t *map = json_object_get(object, "platform");
	struct img_platform *p;
	int rc;

	if (map == NULL || json_is_null(map))
		return 0;
	if (!json_is_object(map))
		return err_set(e, E_INVAL, "manifest: platform is not an object");
	*out = p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_nomem(e);
	if ((rc = get_string(map, "os", &p->os, e)) < 0 ||
	    (rc = get_string(map, "architecture", &p->arch, e)) < 0 ||
	    (rc = get_string(map, "variant", &p->variant, e)) < 0 ||
	    (rc = get_string(map, "os.version", &p->os_version, e)) < 0)
		return rc;
	return get_features(map, &p->os_features, e);
}

/* A key that only a parser blind to case would take for a known one means two things to two readers. */
static int
check_case(const json_t *object, const char *const *known, size_t n, struct err *e)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		for (size_t i = 0; i < n; i++) {
			if (strcasecmp(key, known[i]) == 0 && strcmp(key, known[i]) != 0)
				return err_set(e, E_INVAL, "manifest: a key is spelled unlike %s", known[i]);
		}
	}
	return 0;
}

static int
get_desc(const json_t *object, const char *what, struct img_desc *d, struct err *e)
{
	static const char *const known[] = { "mediaType", "digest", "size", "annotations", "platform",
		"artifactType", "urls", "data" };
	const json_t *digest, *size;
	int rc;

	if (!json_is_object(object))
		return err_set(e, E_INVAL, "manifest: %s is not an object", what);
	if ((rc = check_case(object, known, ARRAY_LEN(known), e)) < 0 ||
	    (rc = get_media_type(object, "mediaType", &d->media_type, e)) < 0 ||
	    (rc = get_media_type(object, "artifactType", &d->artifact_type, e)) < 0)
		return rc;
	if (d->media_type == NULL)
		return err_set(e, E_INVAL, "manifest: %s has no mediaType", what);
	digest = json_object_get(object, "digest");
	if (!json_is_string(digest))
		return err_set(e, E_INVAL, "manifest: %s has no digest", what);
	rc = digest_parse_n(json_string_value(digest), json_string_length(digest), &d->digest, e);
	if (rc < 0)
		return err_wrap(e, "manifest: %s", what);
	size = json_object_get(object, "size");
	if (!json_is_integer(size) || json_integer_value(size) < 0)
		return err_set(e, E_INVAL, "manifest: %s has no valid size", what);
	d->size = (uint64_t)json_integer_value(size);
	d->has_data = json_object_get(object, "data") != NULL;
	d->has_urls = json_array_size(json_object_get(object, "urls")) > 0;
	rc = get_annotations(object, &d->annotations, e);
	return rc < 0 ? rc : get_platform(object, &d->platform, e);
}

/* *n counts what must be freed also when a later one is refused. */
static int
get_descs(const json_t *list, const char *what, struct img_desc **out, size_t *n, struct err *e)
{
	size_t count = json_array_size(list);

	*n = 0;
	if (list == NULL || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return err_set(e, E_INVAL, "manifest: %s is not an array", what);
	if (count == 0)
		return 0;
	*out = calloc(count, sizeof((*out)[0]));
	if (*out == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < count; i++) {
		char name[48];
		int rc;

		snprintf(name, sizeof(name), "%s[%zu]", what, i);
		*n = i + 1;
		rc = get_desc(json_array_get(list, i), name, &(*out)[i], e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool
has(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return value != NULL && !json_is_null(value);
}

/* Decides what the text is, from mediaType, what was promised, and its form; all three must agree. */
static int
get_form(const json_t *root, const char *expected, struct img_manifest *m, struct err *e)
{
	bool image = has(root, "layers") || has(root, "config"), index = has(root, "manifests");
	const json_t *version = json_object_get(root, "schemaVersion");
	enum media_role role;
	int rc;

	if (!json_is_integer(version) || json_integer_value(version) != 2)
		return err_set(e, E_INVAL, "manifest: its schemaVersion is not 2");
	if (image && index)
		return err_set(e, E_INVAL, "manifest: it has layers and manifests");
	if ((rc = get_media_type(root, "mediaType", &m->media_type, e)) < 0)
		return rc;
	if (m->media_type != NULL && expected != NULL && strcmp(m->media_type, expected) != 0)
		return err_set(e, E_INVAL, "manifest: its mediaType is %s, not %s", m->media_type, expected);
	if (m->media_type == NULL) {
		m->media_type = strdup(expected != NULL ? expected
			: index                         ? MEDIA_OCI_INDEX
							: MEDIA_OCI_MANIFEST);
		if (m->media_type == NULL)
			return err_nomem(e);
	}
	role = media_role(m->media_type);
	if (role != MEDIA_MANIFEST && role != MEDIA_INDEX)
		return err_set(e, E_INVAL, "manifest: %s is not a manifest's media type", m->media_type);
	m->is_index = role == MEDIA_INDEX;
	if (m->is_index ? image : index)
		return err_set(e, E_INVAL, "manifest: it does not have the form of %s", m->media_type);
	return 0;
}

static int
get_subject(const json_t *root, struct img_manifest *m, struct err *e)
{
	if (!has(root, "subject"))
		return 0;
	m->subject = calloc(1, sizeof(*m->subject));
	if (m->subject == NULL)
		return err_nomem(e);
	return get_desc(json_object_get(root, "subject"), "subject", m->subject, e);
}

static int
get_content(const json_t *root, struct img_manifest *m, struct err *e)
{
	int rc;

	if (m->is_index)
		return get_descs(
		    json_object_get(root, "manifests"), "manifests", &m->manifests, &m->n_manifests, e);
	if (!has(root, "config"))
		return err_set(e, E_INVAL, "manifest: it has no config");
	rc = get_desc(json_object_get(root, "config"), "config", &m->config, e);
	return rc < 0 ? rc
		      : get_descs(json_object_get(root, "layers"), "layers", &m->layers, &m->n_layers, e);
}

int
img_manifest_parse(
    const char *text, size_t len, const char *expected, struct img_manifest **out, struct err *e)
{
	static const char *const known[] = { "schemaVersion", "mediaType", "artifactType", "config", "layers",
		"manifests", "subject", "annotations" };
	AUTO(img_manifest) struct img_manifest *m = calloc(1, sizeof(*m));
	AUTO(json) json_t *root = NULL;
	int rc;

	if (m == NULL)
		return err_nomem(e);
	rc = img_json_parse(text, len, IMG_MANIFEST_MAX, "manifest", &root, e);
	if (rc < 0)
		return rc;
	if (!json_is_object(root))
		return err_set(e, E_INVAL, "manifest: it is not a JSON object");
	if ((rc = check_case(root, known, ARRAY_LEN(known), e)) < 0 ||
	    (rc = get_form(root, expected, m, e)) < 0 ||
	    (rc = get_media_type(root, "artifactType", &m->artifact_type, e)) < 0 ||
	    (rc = get_content(root, m, e)) < 0 || (rc = get_subject(root, m, e)) < 0 ||
	    (rc = get_annotations(root, &m->annotations, e)) < 0)
		return rc;
	*out = take_ptr(m);
	return 0;
}

const char *
img_manifest_artifact_type(const struct img_manifest *m)
{
	if (m->artifact_type != NULL)
		return m->artifact_type;
	return m->is_index ? NULL : m->config.media_type;
}
