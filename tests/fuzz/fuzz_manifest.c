/* Manifests from anybody, also of streams: whatever is accepted obeys its bounds, and is accepted again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"
#include "image/mediatype.h"
#include "image/streams.h"

/* Not assert(): it must hold in a release build, too. */
#define expect(c)                \
	do {                     \
		if (!(c))        \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_desc(const struct img_desc *d)
{
	char text[DIGEST_TEXT_LEN];
	struct digest again;

	expect(d->media_type != NULL && media_is_valid(d->media_type) && d->size <= INT64_MAX);
	expect(digest_parse(digest_print(&d->digest, text), &again, NULL) == 0 &&
	    digest_equal(&again, &d->digest));
	for (size_t i = 0; i < d->annotations.n; i++)
		expect(d->annotations.v[i].key != NULL && d->annotations.v[i].value != NULL);
}

static void
check_streams(const struct img_manifest *m)
{
	struct streams s;
	struct err e = ERR_INIT;

	if (streams_parse(m, &s, &e) < 0) {
		expect(e.code == E_INVAL);
		return;
	}
	expect(s.n <= m->n_layers && s.n <= STREAMS_MAX);
	for (size_t i = 0; i < s.n; i++)
		expect(s.v[i].stream.id[0] != '\0' && strlen(s.v[i].stream.id) < STOR_ID_LEN &&
		    strlen(s.v[i].stream.from) < STOR_ID_LEN);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct img_manifest *m = NULL, *again = NULL;
	struct err e = ERR_INIT;

	if (img_manifest_parse((const char *)data, size, NULL, &m, &e) < 0) {
		expect(e.code != E_OK && e.msg[0] != '\0');
		return 0;
	}
	expect(m->is_index == (media_role(m->media_type) == MEDIA_INDEX));
	expect(m->is_index ? m->n_layers == 0 : m->n_manifests == 0);
	if (!m->is_index)
		check_desc(&m->config);
	for (size_t i = 0; i < m->n_layers; i++)
		check_desc(&m->layers[i]);
	for (size_t i = 0; i < m->n_manifests; i++)
		check_desc(&m->manifests[i]);
	if (m->subject != NULL)
		check_desc(m->subject);
	check_streams(m);
	expect(img_manifest_parse((const char *)data, size, m->media_type, &again, &e) == 0);
	img_manifest_free(again);
	img_manifest_free(m);
	return 0;
}
