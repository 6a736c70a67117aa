/* Manifests: what is read of good ones, and each way in which one can be none. */
#include <stdlib.h>

#include "../model/expect.h"
#include "image/manifest.h"
#include "image/mediatype.h"

#define D(c) "sha256:" D8(c) D8(c) D8(c) D8(c) D8(c) D8(c) D8(c) D8(c)
#define D8(c) #c #c #c #c #c #c #c #c
#define DESC(type, c) "{\"mediaType\":\"" type "\",\"digest\":\"" D(c) "\",\"size\":5}"
#define CONFIG "\"config\":" DESC(MEDIA_OCI_CONFIG, 1)

static struct img_manifest *
parse(const char *text, const char *expected)
{
	struct img_manifest *m = NULL;
	struct err e = ERR_INIT;

	if (img_manifest_parse(text, strlen(text), expected, &m, &e) < 0)
		fail_msg("%s", e.msg);
	return m;
}

static void
image(void **state)
{
	struct img_manifest *m = parse(
	    "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"," CONFIG
	    ",\"layers\":[" DESC(MEDIA_OCI_LAYER_ZSTD,
		2) ",{\"mediaType\":\"" MEDIA_OCI_LAYER
		   "\",\"digest\":\"" D(
		       3) "\",\"size\":9223372036854775807,\"urls\":[\"x\"],"
			  "\"annotations\":{\"b\":\"1\",\"a\":\"\"},\"data\":\"eA==\"}],\"subject\":" DESC(
			      MEDIA_OCI_INDEX, 4) ",\"annotations\":{\"k\":\"v\"},\"unknown\":[{}]}",
	    MEDIA_OCI_MANIFEST);

	assert_false(m->is_index);
	assert_string_equal(m->media_type, MEDIA_OCI_MANIFEST);
	assert_int_equal(m->n_layers, 2);
	assert_int_equal(m->n_manifests, 0);
	assert_int_equal(m->config.digest.bytes[0], 0x11);
	assert_int_equal(m->layers[0].size, 5);
	assert_string_equal(m->layers[0].media_type, MEDIA_OCI_LAYER_ZSTD);
	assert_true(m->layers[1].size == INT64_MAX && m->layers[1].has_urls && m->layers[1].has_data);
	assert_string_equal(img_annotation(&m->layers[1].annotations, "a"), "");
	assert_null(img_annotation(&m->layers[1].annotations, "c"));
	assert_int_equal(m->subject->digest.bytes[0], 0x44);
	assert_string_equal(img_annotation(&m->annotations, "k"), "v");
	assert_string_equal(img_manifest_artifact_type(m), MEDIA_OCI_CONFIG);
	img_manifest_free(m);
	/* What a Go program writes for nothing. */
	m = parse(
	    "{\"schemaVersion\":2,\"mediaType\":\"\"," CONFIG ",\"layers\":null,\"annotations\":null}", NULL);
	assert_string_equal(m->media_type, MEDIA_OCI_MANIFEST);
	img_manifest_free(m);
	m = parse("{\"schemaVersion\":2,\"artifactType\":\"a/b\"," CONFIG "}", MEDIA_DOCKER_MANIFEST);
	assert_string_equal(m->media_type, MEDIA_DOCKER_MANIFEST);
	assert_string_equal(img_manifest_artifact_type(m), "a/b");
	img_manifest_free(m);
}

static void
index_of_platforms(void **state)
{
	struct img_manifest *m =
	    parse("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MEDIA_OCI_MANIFEST
		  "\",\"digest\":\"" D(5) "\",\"size\":0,\"platform\":{\"os\":\"freebsd\",\"architecture\":"
					  "\"arm64\",\"variant\":\"v8\",\"os.version\":\"14.3\",\"os."
					  "features\":[\"x\",\"y\"]}}," DESC(MEDIA_DOCKER_MANIFEST, 6) "]}",
		NULL);
	const struct img_platform *p = m->manifests[0].platform;

	assert_true(m->is_index);
	assert_string_equal(m->media_type, MEDIA_OCI_INDEX);
	assert_int_equal(m->n_manifests, 2);
	assert_string_equal(p->os, "freebsd");
	assert_string_equal(p->arch, "arm64");
	assert_string_equal(p->variant, "v8");
	assert_string_equal(p->os_version, "14.3");
	assert_string_equal(p->os_features[1], "y");
	assert_null(p->os_features[2]);
	assert_null(m->manifests[1].platform);
	assert_null(img_manifest_artifact_type(m));
	img_manifest_free(m);
	m = parse("{\"schemaVersion\":2,\"manifests\":[]}", MEDIA_DOCKER_LIST);
	assert_true(m->is_index);
	img_manifest_free(m);
}

static void
refused(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "manifest:1:" },
		{ "[]", "not a JSON object" },
		{ "{}", "schemaVersion is not 2" },
		{ "{\"schemaVersion\":2}", "has no config" },
		{ "{\"schemaVersion\":1," CONFIG "}", "schemaVersion is not 2" },
		{ "{\"schemaVersion\":2.0," CONFIG "}", "schemaVersion is not 2" },
		{ "{\"schemaVersion\":2," CONFIG ",\"manifests\":[]}", "layers and manifests" },
		{ "{\"schemaVersion\":2,\"layers\":[],\"manifests\":[]}", "layers and manifests" },
		{ "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\"," CONFIG "}",
		    "does not have the form" },
		{ "{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_LAYER "\"," CONFIG "}",
		    "not a manifest's media type" },
		{ "{\"schemaVersion\":2,\"mediaType\":\"a\"," CONFIG "}", "not a media type" },
		{ "{\"schemaVersion\":2,\"mediaType\":7," CONFIG "}", "not a string" },
		{ "{\"schemaVersion\":2,\"config\":[]}", "config is not an object" },
		{ "{\"schemaVersion\":2,\"config\":{}}", "config has no mediaType" },
		{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\"}}", "config has no digest" },
		{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"" D(1) "\"}}",
		    "no valid size" },
		{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"" D(
		      1) "\",\"size\":-1}}",
		    "no valid size" },
		{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"" D(
		      1) "\",\"size\":1e3}}",
		    "no valid size" },
		{ "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"a/b\",\"digest\":\"../x\",\"size\":1}}",
		    "not a valid digest" },
		{ "{\"schemaVersion\":2," CONFIG ",\"layers\":[" DESC("a/b", 1) ",7]}",
		    "layers[1] is not an object" },
		{ "{\"schemaVersion\":2," CONFIG ",\"layers\":{}}", "layers is not an array" },
		{ "{\"schemaVersion\":2," CONFIG ",\"Layers\":[]}", "spelled unlike layers" },
		{ "{\"schemaVersion\":2,\"schemaVersion\":2," CONFIG "}", "duplicate" },
		{ "{\"schemaVersion\":2," CONFIG ",\"annotations\":{\"a\":1}}",
		    "an annotation is not a string" },
		{ "{\"schemaVersion\":2," CONFIG ",\"annotations\":[]}", "annotations is not an object" },
		{ "{\"schemaVersion\":2," CONFIG ",\"annotations\":{\"a\":\"\\u0000\"}}", "manifest:1:" },
		{ "{\"schemaVersion\":2," CONFIG ",\"subject\":{}}", "subject has no mediaType" },
		{ "{\"schemaVersion\":2," CONFIG "} {}", "manifest:1:" },
		{ "{\"schemaVersion\":NaN}", "manifest:1:" },
		{ "{\"schemaVersion\":99999999999999999999}", "manifest:1:" },
		{ "{\"schemaVersion\":2,\"x\":\"\xff\"}", "manifest:1:" },
	};
	struct img_manifest *m = NULL;
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		expect_err(
		    img_manifest_parse(bad[i].text, strlen(bad[i].text), NULL, &m, &e), E_INVAL, bad[i].why);
	expect_err(
	    img_manifest_parse("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"," CONFIG "}",
		strlen("{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST "\"," CONFIG "}"),
		MEDIA_OCI_INDEX, &m, &e),
	    E_INVAL, "its mediaType is " MEDIA_OCI_MANIFEST);
	assert_null(m);
}

/* n times open, a value, n times close. */
static char *
nested(size_t n)
{
	char *text = malloc(2 * n + 2);

	memset(text, '[', n);
	text[n] = '1';
	memset(text + n + 1, ']', n);
	text[2 * n + 1] = '\0';
	return text;
}

static void
bounds(void **state)
{
	char *text = nested(IMG_JSON_DEPTH), *large = malloc(IMG_MANIFEST_MAX + 2);
	struct img_manifest *m = NULL;
	struct json_t *json = NULL;
	struct err e = ERR_INIT;

	/* As deep as allowed it is refused for what it is, one deeper for its depth. */
	expect_err(img_manifest_parse(text, strlen(text), NULL, &m, &e), E_INVAL, "not a JSON object");
	free(text);
	text = nested(IMG_JSON_DEPTH + 1);
	expect_err(img_manifest_parse(text, strlen(text), NULL, &m, &e), E_INVAL, "nested deeper");
	free(text);
	memset(large, ',', IMG_JSON_VALUES);
	expect_err(img_manifest_parse(large, IMG_JSON_VALUES, NULL, &m, &e), E_INVAL, "more than");
	memset(large, ' ', IMG_MANIFEST_MAX + 1);
	expect_err(img_manifest_parse(large, IMG_MANIFEST_MAX, NULL, &m, &e), E_INVAL, "manifest:1:");
	expect_err(img_manifest_parse(large, IMG_MANIFEST_MAX + 1, NULL, &m, &e), E_LIMIT, "larger than");
	expect_err(img_json_parse("[1]", 3, 2, "thing", &json, &e), E_LIMIT, "thing: larger than 2 bytes");
	/* Braces in strings count for nothing, an escaped quote ends none. */
	text = strdup("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[,,,\"}");
	expect_err(img_manifest_parse(text, strlen(text), NULL, &m, &e), E_INVAL, "schemaVersion");
	free(text);
	free(large);
}

static void
media_types(void **state)
{
	assert_int_equal(media_role(MEDIA_OCI_LAYER_GZIP), MEDIA_LAYER);
	assert_int_equal(media_find(MEDIA_OCI_LAYER_ZSTD)->comp, COMP_ZSTD);
	assert_int_equal(media_role(MEDIA_ZFS_SEND_XZ), MEDIA_STREAM);
	assert_int_equal(media_role("application/x"), MEDIA_OTHER);
	assert_true(media_find("application/vnd.docker.image.rootfs.foreign.diff.tar")->foreign);
	assert_null(media_find(NULL));
	assert_true(media_is_valid("a/b+c") && media_is_valid(MEDIA_STREAMS));
	assert_false(media_is_valid("") || media_is_valid("a") || media_is_valid("/a") ||
	    media_is_valid("a/") || media_is_valid("a/b/c") || media_is_valid("a/b;c") ||
	    media_is_valid("a/ b") || media_is_valid("a/\"b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(image), cmocka_unit_test(index_of_platforms),
		cmocka_unit_test(refused), cmocka_unit_test(bounds), cmocka_unit_test(media_types) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
