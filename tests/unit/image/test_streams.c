/* Artifacts of streams: what is written is read back, and what is not one is none. */
#include <stdlib.h>

#include "../model/expect.h"
#include "image/mediatype.h"
#include "image/streams.h"

static void
fill(struct streams *s)
{
	*s = (struct streams){ .n = 2, .storage = "zfs", .packer = "pot1+zstd10504" };
	for (size_t i = 0; i < s->n; i++) {
		s->v[i].stream.blob.bytes[0] = (uint8_t)(1 + i);
		s->v[i].stream.size = 100 + i;
		s->v[i].of.bytes[0] = (uint8_t)(7 + i);
	}
	strcpy(s->v[0].stream.id, "00000000000000aa");
	strcpy(s->v[1].stream.id, "00000000000000bb");
	strcpy(s->v[1].stream.from, "00000000000000aa");
}

static struct img_manifest *
parse(const char *text)
{
	struct img_manifest *m = NULL;
	struct err e = ERR_INIT;

	if (img_manifest_parse(text, strlen(text), MEDIA_OCI_MANIFEST, &m, &e) < 0)
		fail_msg("%s", e.msg);
	return m;
}

static struct img_manifest *
print(const struct streams *s, struct buf *text)
{
	const struct referrer_subject subject = { .size = 5, .media_type = MEDIA_OCI_MANIFEST };
	struct err e = ERR_INIT;

	buf_reset(text);
	if (streams_print(s, &subject, text, &e) < 0)
		fail_msg("%s", e.msg);
	return parse(buf_cstr(text));
}

static void
there_and_back(void **state)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(1 << 20);
	struct streams s, again;
	struct img_manifest *m;
	struct err e = ERR_INIT;

	(void)state;
	fill(&s);
	m = print(&s, &text);
	assert_string_equal(img_manifest_artifact_type(m), MEDIA_STREAMS);
	assert_int_equal(m->subject->size, 5);
	assert_int_equal(streams_parse(m, &again, &e), 0);
	assert_int_equal(again.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(digest_equal(&again.v[i].stream.blob, &s.v[i].stream.blob));
		assert_true(digest_equal(&again.v[i].of, &s.v[i].of));
		assert_int_equal(again.v[i].stream.size, 100 + i);
		assert_string_equal(again.v[i].stream.id, s.v[i].stream.id);
		assert_string_equal(again.v[i].stream.from, s.v[i].stream.from);
	}
	assert_string_equal(again.packer, s.packer);
	img_manifest_free(m);
}

/* How many of them are read of this text with `from` instead of `what`; -1: it is none of ours. */
static int
read_with(const char *what, const char *from)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(1 << 20), bent = BUF_INIT(1 << 20);
	struct streams s, again;
	struct img_manifest *m;
	const char *at;
	int r;

	fill(&s);
	img_manifest_free(print(&s, &text));
	at = strstr(buf_cstr(&text), what);
	assert_non_null(at);
	buf_add(&bent, text.data, (size_t)(at - text.data));
	buf_fmt(&bent, "%s%s", from, at + strlen(what));
	m = parse(buf_cstr(&bent));
	r = streams_parse(m, &again, NULL) < 0 ? -1 : (int)again.n;
	img_manifest_free(m);
	return r;
}

static void
what_is_none(void **state)
{
	(void)state;
	assert_int_equal(read_with("\"zfs\"", "\"zfs\""), 2);
	assert_int_equal(read_with("\"zfs\"", "\"ufs\""), -1);
	assert_int_equal(read_with("pot1+zstd10504", "a packer with a name that is much too long"), -1);
	assert_int_equal(read_with("\"zfs\"", "\"btrfs\""), 0); /* the streams are of zfs all the same */
	assert_int_equal(read_with("00000000000000bb", "BB"), 1);
	assert_int_equal(read_with("00000000000000bb", ""), 1);
	assert_int_equal(read_with("00000000000000bb", "000000000000000000000000000000000000000000"), 1);
	assert_int_equal(read_with("\"io.pot.stream.of\":\"sha256:07", "\"io.pot.stream.of\":\"sha256:0"), 0);
	assert_int_equal(read_with(MEDIA_ZFS_SEND_ZSTD, MEDIA_ZFS_SEND_XZ), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
