/*
 * Taking a classic image in: what its pot.conf may say, and the package handed
 * stream by stream to a storage, which here only writes down what it is given.
 */
#include <lzma.h>

#include "../base/scratch.h"
#include "image/classic.h"
#include "model/imgrecord.h"
#include "storage/zfs_record.h"

/* ---- a storage that notes ------------------------------------------------------------------ */

struct noted {
	struct buf calls;
	int dir; /* where conf/pot.conf is */
	int fail;
};

static struct noted *
noted_of(struct stor *s)
{
	return s->priv;
}

static int
note_receive(struct stor *s, struct stor_fs fs, const char *tag, const struct stor_point *from,
    const struct stor_source *src, struct err *e)
{
	struct noted *n = noted_of(s);
	char chunk[1000];
	size_t all = 0;
	ssize_t got;

	while ((got = src->read(src->arg, chunk, sizeof(chunk), e)) > 0)
		all += (size_t)got;
	if (got < 0)
		return (int)got;
	buf_fmt(&n->calls, "receive %d %s@%s from %s: %zu\n", (int)fs.kind, fs.name, tag,
	    from != NULL ? from->tag : "-", all);
	return n->fail != 0 && fs.kind == STOR_POT ? err_set(e, (enum err_code)n->fail, "as asked") : 0;
}

static int
note_destroy(struct stor *s, struct stor_fs fs, struct err *e)
{
	(void)e;
	buf_fmt(&noted_of(s)->calls, "destroy %d %s\n", (int)fs.kind, fs.name);
	return 0;
}

static int
note_mount(struct stor *s, struct stor_fs fs, bool ro, const struct stor_idmap *map, struct err *e)
{
	(void)fs;
	(void)map;
	assert_true(ro);
	return dir_open(noted_of(s)->dir, "pot", e);
}

static int
note_send(
    struct stor *s, struct stor_fs fs, const char *tag, const struct stor_point *from, int fd, struct err *e)
{
	(void)s, (void)fs, (void)tag, (void)from, (void)fd;
	return err_set(e, E_NOTSUP, "not in this test");
}

static const struct stor_ops noting = {
	.name = "noting",
	.receive = note_receive,
	.send = note_send,
	.destroy = note_destroy,
	.mount = note_mount,
};

/* ---- packages ---------------------------------------------------------------------------------- */

static void
record(struct buf *b, uint32_t type, unsigned kind, uint64_t from, const char *name)
{
	unsigned char r[ZREC_LEN] = { 0 };
	const uint64_t magic = ZREC_MAGIC, version = kind;

	memcpy(r + ZREC_TYPE, &type, 4);
	if (type == ZREC_BEGIN) {
		memcpy(r + ZREC_AT_MAGIC, &magic, 8);
		memcpy(r + ZREC_VERSION, &version, 8);
		memcpy(r + ZREC_FROMGUID, &from, 8);
		memcpy(r + ZREC_TONAME, name, strlen(name));
	}
	buf_add(b, r, sizeof(r));
}

static void
stream(struct buf *b, const char *name, uint64_t from)
{
	record(b, ZREC_BEGIN, ZREC_SUBSTREAM, from, name);
	record(b, ZREC_FREE, 0, 0, NULL);
	record(b, ZREC_END, 0, 0, NULL);
}

/* A package of streams of these names, as xz. Returns its fd. */
static int
package(struct scratch *dir, const char *const *names)
{
	struct buf b = BUF_INIT(1 << 20);
	uint8_t out[65536];
	size_t n = 0;
	int fd;

	record(&b, ZREC_BEGIN, ZREC_PACKAGE, 0, "tank/jails/web@7");
	record(&b, ZREC_END, 0, 0, NULL);
	for (; *names != NULL; names++)
		stream(&b, *names, 0);
	record(&b, ZREC_END, 0, 0, NULL);
	assert_int_equal(lzma_easy_buffer_encode(
			     0, LZMA_CHECK_CRC64, NULL, (const uint8_t *)b.data, b.len, out, &n, sizeof(out)),
	    LZMA_OK);
	fd = openat(dir->fd, "p.xz", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, out, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	buf_fini(&b);
	return fd;
}

/* Takes it in; what the storage was asked is in n->calls. */
static int
take_it(struct scratch *dir, struct noted *n, int fd, struct kv *settings, const struct stor_point *origin,
    struct err *e)
{
	struct stor s = { .ops = &noting, .caps = STOR_CAP_SEND, .priv = n };
	const struct classic_take t = { &s, { STOR_POT, "web" }, origin, NULL };
	char snapshot[CLASSIC_TAG_MAX + 1];
	int rc;

	n->dir = dir->fd;
	buf_init(&n->calls, 65536);
	(void)mkdirat(dir->fd, "pot", 0755);
	(void)mkdirat(dir->fd, "pot/conf", 0755);
	put(dir->fd, "pot/conf/pot.conf",
	    "pot.cmd=/bin/serve -v web\npot.env=\"A=b c\"\npot.env=\"D=e\"\npot.attr.persistent=NO\n"
	    "pot.attr.start-at-boot=YES\nhost.hostname=\"x\"\nip4=inherit\n");
	rc = classic_take(&t, fd, settings, snapshot, e);
	if (rc == 0)
		assert_string_equal(snapshot, "7");
	close(fd);
	return rc;
}

static void
taken(void **state)
{
	static const char *const names[] = { "tank/jails/web@7", "tank/jails/web/m@7", NULL };
	const struct stor_point origin = { { STOR_POT, "base" }, "3" };
	AUTO_FINI(kv) struct kv settings = KV_INIT;
	struct scratch *dir = *state;
	struct noted n = { .dir = -1 };
	struct err err = ERR_INIT;
	const char *value;
	size_t pos = 0;

	assert_ok(take_it(dir, &n, package(dir, names), &settings, &origin, &err));
	/* The pot's own file system is whole and goes again; the root is the difference. */
	assert_string_equal(buf_cstr(&n.calls),
	    "destroy 2 import-web\nreceive 2 import-web@import from -: 936\ndestroy 2 import-web\n"
	    "receive 1 web@7 from 3: 936\n");
	assert_string_equal(kv_next(&settings, IMG_SET_CMD, &pos), "/bin/serve");
	assert_string_equal(kv_next(&settings, IMG_SET_CMD, &pos), "-v");
	assert_string_equal(kv_next(&settings, IMG_SET_CMD, &pos), "web");
	pos = 0;
	assert_string_equal(kv_next(&settings, IMG_SET_ENV, &pos), "A=b c");
	assert_string_equal(kv_next(&settings, IMG_SET_ENV, &pos), "D=e");
	pos = 0;
	value = kv_next(&settings, IMG_SET_ATTR, &pos);
	assert_string_equal(value, "persistent=NO");
	assert_null(kv_next(&settings, IMG_SET_ATTR, &pos));
	buf_fini(&n.calls);
}

static void
not_taken(void **state)
{
	static const struct {
		const char *names[5];
		int code;
	} bad[] = {
		{ { NULL }, E_CORRUPT },
		{ { "tank/jails/web@7", NULL }, E_CORRUPT },
		{ { "tank/jails/web@7", "tank/jails/other/m@7", NULL }, E_NOTSUP },
		{ { "tank/jails/web@7", "tank/jails/web/n@7", NULL }, E_NOTSUP },
		{ { "tank/jails/web@7", "tank/jails/web@8", NULL }, E_NOTSUP },
		{ { "tank/jails/web@7", "tank/jails/web/m@7", "tank/jails/web/m@8", NULL }, E_NOTSUP },
		{ { "tank/jails/web@7", "tank/jails/web/m@../7", NULL }, E_INVAL },
		{ { "tank/jails/web", NULL }, E_CORRUPT },
	};
	struct scratch *dir = *state;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_FINI(kv) struct kv settings = KV_INIT;
		struct noted n = { .dir = -1 };

		assert_fails(
		    take_it(dir, &n, package(dir, bad[i].names), &settings, NULL, &err), bad[i].code);
		/* What was made goes. */
		if (strstr(buf_cstr(&n.calls), "receive 1 web") != NULL)
			assert_non_null(strstr(buf_cstr(&n.calls), "destroy 1 web"));
		buf_fini(&n.calls);
	}
}

static void
damaged(void **state)
{
	static const char *const names[] = { "tank/jails/web@7", "tank/jails/web/m@7", NULL };
	struct scratch *dir = *state;
	struct err err = ERR_INIT;
	struct stat st;
	int fd = package(dir, names);

	assert_sys(fstat(fd, &st));
	close(fd);
	for (off_t n = 0; n < st.st_size; n += 5) {
		AUTO_FINI(kv) struct kv settings = KV_INIT;
		struct noted noted = { .dir = -1 };

		fd = package(dir, names);
		assert_sys(ftruncate(fd, n));
		assert_fails(take_it(dir, &noted, fd, &settings, NULL, &err), E_CORRUPT);
		buf_fini(&noted.calls);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(taken, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(not_taken, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(damaged, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
