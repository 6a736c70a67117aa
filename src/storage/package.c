/*
 * Packages of `zfs send -R` taken apart: what begins and ends each stream in
 * one is read here, so that every stream can be received by itself and the
 * package's list of properties is dropped. Sizes behind records are bounded;
 * what is in them only zfs looks at, and of the streams' own beginnings again
 * whoever receives them. Records are those of zfs_record.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/storage.h"
#include "storage/zfs_record.h"

#define LIST_MAX (64u << 20)    /* of the package's list of what is in it */
#define PAYLOAD_MAX (32u << 20) /* twice the largest block of zfs */

/* Where sizes are in records that have something behind them. */
#define OBJECT_BONUS 28
#define OBJECT_RAW_BONUS 36
#define WRITE_SIZE 32
#define WRITE_COMPRESSION 50
#define WRITE_COMPRESSED 96
#define SPILL_SIZE 16
#define SPILL_COMPRESSED 40
#define EMBEDDED_SIZE 52

struct stor_package {
	struct stor_source src;
	unsigned char record[ZREC_LEN];
	size_t given;     /* bytes of the record that were handed on */
	uint64_t payload; /* bytes behind it that were not yet */
	bool open;        /* a stream has begun and not ended */
	bool ended;
};

static int
read_record(struct stor_package *p, struct err *e)
{
	int rc = stor_source_fill(&p->src, p->record, sizeof(p->record), e);

	p->given = 0;
	p->payload = 0;
	return rc;
}

static uint32_t
type_of(const struct stor_package *p)
{
	return zrec_get32(p->record, ZREC_TYPE);
}

static int
check_magic(const struct stor_package *p, struct err *e)
{
	uint64_t magic = zrec_get64(p->record, ZREC_AT_MAGIC);

	if (magic == __builtin_bswap64(ZREC_MAGIC))
		return err_set(e, E_NOTSUP, "zfs package: it is from a machine of the other byte order");
	if (type_of(p) != ZREC_BEGIN || magic != ZREC_MAGIC)
		return err_set(e, E_CORRUPT, "zfs package: what should begin here does not");
	return 0;
}

/* Bytes behind a record inside a stream. */
static int
measure(struct stor_package *p, struct err *e)
{
	const unsigned char *r = p->record;
	uint64_t n = 0;

	switch (type_of(p)) {
	case ZREC_OBJECT:
		n = zrec_get32(r, OBJECT_RAW_BONUS);
		if (n == 0)
			n = ((uint64_t)zrec_get32(r, OBJECT_BONUS) + 7) & ~UINT64_C(7);
		break;
	case ZREC_WRITE:
		n = zrec_get64(r, r[WRITE_COMPRESSION] != 0 ? WRITE_COMPRESSED : WRITE_SIZE);
		break;
	case ZREC_SPILL:
		n = zrec_get64(r, SPILL_COMPRESSED);
		if (n == 0)
			n = zrec_get64(r, SPILL_SIZE);
		break;
	case ZREC_WRITE_EMBEDDED:
		n = ((uint64_t)zrec_get32(r, EMBEDDED_SIZE) + 7) & ~UINT64_C(7);
		break;
	case ZREC_FREEOBJECTS:
	case ZREC_FREE:
	case ZREC_WRITE_BYREF:
	case ZREC_END:
		break;
	default:
		return err_set(e, E_NOTSUP, "zfs package: a record of type %u, which is not known",
		    (unsigned)type_of(p));
	}
	if (n > PAYLOAD_MAX)
		return err_set(e, E_CORRUPT, "zfs package: a block of %" PRIu64 " bytes", n);
	p->payload = n;
	return 0;
}

static int
skip(struct stor_package *p, uint64_t n, struct err *e)
{
	char chunk[4096];

	while (n > 0) {
		size_t part = n < sizeof(chunk) ? (size_t)n : sizeof(chunk);
		int rc = stor_source_fill(&p->src, chunk, part, e);

		if (rc < 0)
			return rc;
		n -= part;
	}
	return 0;
}

/* The package's own beginning, its list, and the end of that. */
static int
read_list(struct stor_package *p, struct err *e)
{
	uint32_t n;
	int rc = read_record(p, e);

	if (rc == 0)
		rc = check_magic(p, e);
	if (rc == 0 && (zrec_get64(p->record, ZREC_VERSION) & 3) != ZREC_PACKAGE)
		rc = err_set(e, E_CORRUPT, "zfs package: it is a single stream");
	if (rc < 0)
		return rc;
	n = zrec_get32(p->record, ZREC_PAYLOAD);
	if (n > LIST_MAX)
		return err_set(e, E_CORRUPT, "zfs package: a list of %u bytes", (unsigned)n);
	rc = skip(p, n, e);
	if (rc == 0)
		rc = read_record(p, e);
	if (rc == 0 && type_of(p) != ZREC_END)
		rc = err_set(e, E_CORRUPT, "zfs package: its list does not end");
	return rc;
}

/* What has to be handed on next is in the record or behind it; 1 there is some, 0 the stream has ended. */
static int
advance(struct stor_package *p, struct err *e)
{
	int rc;

	if (p->given < ZREC_LEN || p->payload > 0)
		return 1;
	if (type_of(p) == ZREC_END) {
		p->open = false;
		return 0;
	}
	rc = read_record(p, e);
	if (rc == 0)
		rc = measure(p, e);
	return rc < 0 ? rc : 1;
}

static ssize_t
read_stream(void *arg, void *to, size_t n, struct err *e)
{
	struct stor_package *p = arg;
	ssize_t got;
	int rc = p->open ? advance(p, e) : 0;

	if (rc <= 0)
		return rc;
	if (p->given < ZREC_LEN) {
		n = n < ZREC_LEN - p->given ? n : ZREC_LEN - p->given;
		memcpy(to, p->record + p->given, n);
		p->given += n;
		return (ssize_t)n;
	}
	got = p->src.read(p->src.arg, to, n < p->payload ? n : (size_t)p->payload, e);
	if (got == 0)
		return err_set(e, E_CORRUPT, "zfs package: it ends too early");
	if (got > 0)
		p->payload -= (uint64_t)got;
	return got;
}

static int
finish_stream(struct stor_package *p, struct err *e)
{
	char chunk[4096];
	ssize_t n = 0;

	while (p->open && (n = read_stream(p, chunk, sizeof(chunk), e)) > 0)
		continue;
	return n < 0 ? (int)n : 0;
}

/* The mark at the very end; nothing follows it. */
static int
finish_package(struct stor_package *p, struct err *e)
{
	char more;
	ssize_t n = p->src.read(p->src.arg, &more, 1, e);

	if (n > 0)
		return err_set(e, E_CORRUPT, "zfs package: something follows its end");
	p->ended = true;
	return (int)n;
}

int
stor_package_open(struct stor_package **out, const struct stor_source *src, struct err *e)
{
	struct stor_package *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return err_nomem(e);
	p->src = *src;
	rc = read_list(p, e);
	if (rc < 0)
		stor_package_free(p);
	else
		*out = p;
	return rc;
}

int
stor_package_next(struct stor_package *p, struct stor_package_part *part, struct err *e)
{
	const unsigned char *r = p->record;
	int rc = finish_stream(p, e);

	if (rc < 0 || p->ended)
		return rc;
	rc = read_record(p, e);
	if (rc < 0)
		return rc;
	if (type_of(p) == ZREC_END)
		return finish_package(p, e);
	rc = check_magic(p, e);
	if (rc < 0)
		return rc;
	if ((zrec_get64(r, ZREC_VERSION) & 3) != ZREC_SUBSTREAM || zrec_get32(r, ZREC_PAYLOAD) != 0)
		return err_set(e, E_NOTSUP, "zfs package: a stream in it is raw, resumed or a package");
	*part = (struct stor_package_part){ 0 };
	memcpy(part->snapshot, r + ZREC_TONAME, ZREC_LEN - ZREC_TONAME);
	snprintf(part->id, sizeof(part->id), "%016" PRIx64, zrec_get64(r, ZREC_TOGUID));
	if (zrec_get64(r, ZREC_FROMGUID) != 0)
		snprintf(part->from, sizeof(part->from), "%016" PRIx64, zrec_get64(r, ZREC_FROMGUID));
	p->open = true;
	return 1;
}

struct stor_source
stor_package_source(struct stor_package *p)
{
	return (struct stor_source){ read_stream, p };
}

void
stor_package_free(struct stor_package *p)
{
	free(p);
}
