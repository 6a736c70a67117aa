/* Packages of zfs: taken apart into the streams that were put in, byte for byte; damaged ones are refused. */
#include <inttypes.h>

#include "../base/scratch.h"
#include "storage/storage.h"
#include "storage/zfs_record.h"

struct memory {
	const char *data;
	size_t len, at, step;
};

static ssize_t
from_memory(void *arg, void *to, size_t n, struct err *e)
{
	struct memory *m = arg;
	size_t left = m->len - m->at;

	(void)e;
	n = n < left ? n : left;
	n = n < m->step ? n : m->step;
	memcpy(to, m->data + m->at, n);
	m->at += n;
	return (ssize_t)n;
}

/* A record with some of its fields, then n bytes. */
struct field {
	size_t at, size;
	uint64_t value;
};

static void
record(struct buf *b, const struct field *f, size_t n, size_t payload, char fill)
{
	unsigned char r[ZREC_LEN] = { 0 };

	for (size_t i = 0; i < n; i++)
		memcpy(r + f[i].at, &f[i].value, f[i].size);
	buf_add(b, r, sizeof(r));
	for (size_t i = 0; i < payload; i++)
		buf_add(b, &fill, 1);
}
#define RECORD(b, payload, fill, ...)                              \
	do {                                                       \
		const struct field f_[] = { __VA_ARGS__ };         \
		record((b), f_, ARRAY_LEN(f_), (payload), (fill)); \
	} while (0)
#define TYPE(t)           \
	{                 \
		0, 4, (t) \
	}

static void
begin(struct buf *b, unsigned kind, uint64_t to, uint64_t from, const char *name, size_t payload)
{
	size_t start = b->len;

	RECORD(b, payload, 'P', TYPE(ZREC_BEGIN), { ZREC_PAYLOAD, 4, payload },
	    { ZREC_AT_MAGIC, 8, ZREC_MAGIC }, { ZREC_VERSION, 8, kind }, { ZREC_OBJSET, 4, 2 },
	    { ZREC_TOGUID, 8, to }, { ZREC_FROMGUID, 8, from });
	memcpy(b->data + start + ZREC_TONAME, name, strlen(name));
}

/* A stream with a record of each type. */
static void
stream(struct buf *b, uint64_t to, uint64_t from, const char *name)
{
	begin(b, ZREC_SUBSTREAM, to, from, name, 0);
	RECORD(b, 176, 'o', TYPE(ZREC_OBJECT), { 28, 4, 170 });
	RECORD(b, 0, ' ', TYPE(ZREC_FREEOBJECTS), { 8, 8, 1 });
	RECORD(b, 5000, 'w', TYPE(ZREC_WRITE), { 32, 8, 5000 });
	/* Compressed: less is behind it than it stands for. */
	RECORD(b, 700, 'c', TYPE(ZREC_WRITE), { 32, 8, 131072 }, { 50, 1, 15 }, { 96, 8, 700 });
	RECORD(b, 512, 's', TYPE(ZREC_SPILL), { 16, 8, 512 });
	RECORD(b, 64, 'e', TYPE(ZREC_WRITE_EMBEDDED), { 52, 4, 60 });
	RECORD(b, 0, ' ', TYPE(ZREC_FREE), { 8, 8, 1 });
	RECORD(b, 0, ' ', TYPE(ZREC_END), { 8, 8, 99 });
}

static void
package(struct buf *b)
{
	begin(b, ZREC_PACKAGE, 0, 0, "tank/pot/jails/web@1", 100);
	RECORD(b, 0, ' ', TYPE(ZREC_END));
	stream(b, 0x11, 0, "tank/pot/jails/web@1");
	stream(b, 0x22, 0x33, "tank/pot/jails/web/m@1");
	RECORD(b, 0, ' ', TYPE(ZREC_END));
}

static void
read_stream(struct stor_package *p, struct buf *into)
{
	struct stor_source src = stor_package_source(p);
	char chunk[777];
	ssize_t n;

	while ((n = src.read(src.arg, chunk, sizeof(chunk), NULL)) > 0)
		buf_add(into, chunk, (size_t)n);
	assert_int_equal(n, 0);
}

static void
taken_apart(void **state)
{
	static const size_t steps[] = { 1, 100, 100000 };
	struct buf all = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	struct stor_package_part part;

	(void)state;
	package(&all);
	stream(&want, 0x22, 0x33, "tank/pot/jails/web/m@1");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct memory m = { all.data, all.len, 0, steps[i] };
		struct stor_source src = { from_memory, &m };
		AUTO(stor_package) struct stor_package *p = NULL;

		assert_ok(stor_package_open(&p, &src, &err));
		assert_int_equal(stor_package_next(p, &part, &err), 1);
		assert_string_equal(part.snapshot, "tank/pot/jails/web@1");
		assert_string_equal(part.id, "0000000000000011");
		assert_string_equal(part.from, "");
		/* The first is passed over. */
		assert_int_equal(stor_package_next(p, &part, &err), 1);
		assert_string_equal(part.snapshot, "tank/pot/jails/web/m@1");
		assert_string_equal(part.from, "0000000000000033");
		buf_reset(&got);
		read_stream(p, &got);
		assert_int_equal(got.len, want.len);
		assert_memory_equal(got.data, want.data, want.len);
		assert_int_equal(stor_package_next(p, &part, &err), 0);
		assert_int_equal(stor_package_next(p, &part, &err), 0);
	}
	buf_fini(&all);
	buf_fini(&want);
	buf_fini(&got);
}

/* Reads the whole package: 0, or the first failure. */
static int
read_all(const char *data, size_t len, struct err *e)
{
	struct memory m = { data, len, 0, 4096 };
	struct stor_source src = { from_memory, &m };
	AUTO(stor_package) struct stor_package *p = NULL;
	struct stor_package_part part;
	int rc = stor_package_open(&p, &src, e);

	while (rc >= 0 && (rc = stor_package_next(p, &part, e)) == 1)
		continue;
	return rc;
}

static void
cut_off(void **state)
{
	struct buf all = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	(void)state;
	package(&all);
	assert_ok(read_all(all.data, all.len, &err));
	for (size_t n = 0; n < all.len; n += n % 7 + 1)
		assert_fails(read_all(all.data, n, &err), E_CORRUPT);
	buf_str(&all, "x");
	assert_fails(read_all(all.data, all.len, &err), E_CORRUPT);
	buf_fini(&all);
}

static void
refused(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;

	(void)state;
	stream(&b, 1, 0, "single@1");
	assert_fails(read_all(b.data, b.len, &err), E_CORRUPT);
	buf_reset(&b);
	/* A package in a package would bring properties after all. */
	begin(&b, ZREC_PACKAGE, 0, 0, "a@1", 8);
	RECORD(&b, 0, ' ', TYPE(ZREC_END));
	begin(&b, ZREC_PACKAGE, 0, 0, "a@1", 8);
	assert_fails(read_all(b.data, b.len, &err), E_NOTSUP);
	buf_reset(&b);
	/* A list and a block that would fill any memory or never end. */
	begin(&b, ZREC_PACKAGE, 0, 0, "a@1", 0);
	memset(b.data + ZREC_PAYLOAD, 0xff, 4);
	assert_fails(read_all(b.data, b.len, &err), E_CORRUPT);
	buf_reset(&b);
	begin(&b, ZREC_PACKAGE, 0, 0, "a@1", 0);
	RECORD(&b, 0, ' ', TYPE(ZREC_END));
	begin(&b, ZREC_SUBSTREAM, 1, 0, "a@1", 0);
	RECORD(&b, 0, ' ', TYPE(ZREC_WRITE), { 32, 8, UINT64_MAX });
	assert_fails(read_all(b.data, b.len, &err), E_CORRUPT);
	buf_reset(&b);
	begin(&b, ZREC_PACKAGE, 0, 0, "a@1", 0);
	RECORD(&b, 0, ' ', TYPE(ZREC_END));
	begin(&b, ZREC_SUBSTREAM, 1, 0, "a@1", 0);
	RECORD(&b, 0, ' ', TYPE(77));
	assert_fails(read_all(b.data, b.len, &err), E_NOTSUP);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken_apart),
		cmocka_unit_test(cut_off),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
