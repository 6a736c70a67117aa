/*
 * Storage on ZFS: streams of `zfs send`, out and in.
 *
 * What is received is made as <zfs_root>/staging/KIND:NAME, where nothing is
 * mounted, and takes its name by one rename when it is whole; the link of
 * zfs_life.c says "receive" meanwhile. A stream may come from anybody, so its
 * first record is read here before zfs sees a byte of it: only a plain stream
 * of one file system passes. Properties travel in compound streams alone, and
 * those, volumes, raw (encrypted) and resumed ones are refused. A difference
 * must be one to the snapshot that the caller named, by its GUID, so that a
 * stream cannot choose what it becomes a clone of; afterwards that is looked
 * at once more, since an old zfs finds the origin by itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/text.h"
#include "storage/zfs.h"
#include "storage/zfs_record.h"

int
zfs_send(
    struct stor *s, struct stor_fs fs, const char *tag, const struct stor_point *from, int fd, struct err *e)
{
	char snap[ZFS_NAME_LEN], base[ZFS_NAME_LEN];
	int rc = zfs_recover(s, fs, e);

	if (rc < 0)
		return rc;
	zfs_snapshot_name(s, fs, tag, snap);
	if (from == NULL)
		return zfs_run_to(fd, e, "send", snap, NULL);
	zfs_snapshot_name(s, from->fs, from->tag, base);
	return zfs_run_to(fd, e, "send", "-i", base, snap, NULL);
}

static int
guid_of(const char *snap, uint64_t *guid, struct err *e)
{
	AUTO_FINI(buf) struct buf text = BUF_INIT(64);
	int rc = zfs_get_one(snap, "guid", &text, e);

	return rc < 0 ? rc : text_uint(buf_cstr(&text), 0, UINT64_MAX, guid, "zfs: guid", e);
}

static int
snapshot_guid(struct stor *s, struct stor_fs fs, const char *tag, uint64_t *guid, struct err *e)
{
	char snap[ZFS_NAME_LEN];

	zfs_snapshot_name(s, fs, tag, snap);
	return guid_of(snap, guid, e);
}

int
zfs_stream_id(struct stor *s, struct stor_fs fs, const char *tag, char id[static STOR_ID_LEN], struct err *e)
{
	uint64_t guid;
	int rc = snapshot_guid(s, fs, tag, &guid, e);

	if (rc == 0)
		snprintf(id, STOR_ID_LEN, "%016" PRIx64, guid);
	return rc;
}

/* Is this the beginning of a stream of one file system that is a difference to `from`, 0: whole? */
static int
check_begin(const unsigned char *record, uint64_t from, struct err *e)
{
	uint64_t version = zrec_get64(record, ZREC_VERSION), features = version >> 2;

	if (zrec_get64(record, ZREC_AT_MAGIC) == __builtin_bswap64(ZREC_MAGIC))
		return err_set(e, E_NOTSUP, "zfs: the stream is from a machine of the other byte order");
	if (zrec_get32(record, ZREC_TYPE) != ZREC_BEGIN || zrec_get64(record, ZREC_AT_MAGIC) != ZREC_MAGIC)
		return err_set(e, E_CORRUPT, "zfs: this is no stream of zfs send");
	if ((version & 3) != ZREC_SUBSTREAM)
		return err_set(e, E_NOTSUP, "zfs: the stream is a package of several or with properties");
	if (zrec_get32(record, ZREC_OBJSET) != ZREC_OBJSET_ZFS)
		return err_set(e, E_NOTSUP, "zfs: the stream is not of a file system");
	/* All that have something behind the first record are of these. */
	if ((features & (ZREC_FEATURE_RAW | ZREC_FEATURE_RESUMING)) != 0 ||
	    zrec_get32(record, ZREC_PAYLOAD) != 0)
		return err_set(e, E_NOTSUP, "zfs: the stream is raw, redacted or a resumed one");
	if (zrec_get64(record, ZREC_FROMGUID) != from)
		return err_set(e, E_CORRUPT, "zfs: the stream is the difference to another snapshot");
	return 0;
}

/*
 * Is what was received a clone of what it should be, or of nothing? zfs looks for the origin by its GUID, from the
 * neighbours on: an installation may have it several times (exported and imported again), and each is as good.
 */
static int
check_origin(struct stor *s, const char *staged, const char *base, uint64_t guid, struct err *e)
{
	AUTO_FINI(buf) struct buf origin = BUF_INIT(ZFS_NAME_LEN + 1);
	size_t len = strlen(s->zfs_root);
	const char *got;
	uint64_t found;
	int rc = zfs_get_one(staged, "origin", &origin, e);

	got = buf_cstr(&origin);
	if (rc < 0 || strcmp(got, base != NULL ? base : "-") == 0)
		return rc;
	if (base != NULL && strncmp(got, s->zfs_root, len) == 0 && got[len] == '/') {
		rc = guid_of(got, &found, e);
		if (rc < 0 || found == guid)
			return rc;
	}
	return err_set(e, E_CORRUPT, "zfs: the stream became a clone of %s", got);
}

/* What a stream does bring of settings: how names are compared. Only as bytes, or a pot's files would not be its. */
static int
check_names(const char *staged, struct err *e)
{
	AUTO_FINI(buf) struct buf how = BUF_INIT(64);
	int rc = zfs_get_one(staged, "casesensitivity,normalization", &how, e);

	if (rc == 0 && strcmp(buf_cstr(&how), "sensitive\nnone") != 0)
		rc = err_set(e, E_NOTSUP, "zfs: the stream's file system takes different names for the same");
	return rc;
}

/* The properties of a file system and a snapshot that were made here. */
static int
settle(const char *staged, const char *snap, const char *tag, struct err *e)
{
	char created[48], option[STOR_NAME_MAX + 16];
	int rc = zfs_run(NULL, e, "set", "canmount=noauto", staged, NULL);

	if (rc == 0)
		rc = zfs_run(NULL, e, "set", zfs_created_option(created), staged, NULL);
	if (rc == 0)
		rc = zfs_run(NULL, e, "set", created, snap, NULL);
	snprintf(option, sizeof(option), "pot:tag=%s", tag);
	if (rc == 0 && zfs_tag_is_long(tag))
		rc = zfs_run(NULL, e, "set", option, snap, NULL);
	return rc;
}

static int
receive_staged(struct stor *s, struct stor_fs dst, const char *tag, const char *base,
    const unsigned char *record, const struct stor_source *src, struct err *e)
{
	char staged[ZFS_NAME_LEN], ds[ZFS_NAME_LEN], snap[ZFS_NAME_LEN], to[ZFS_NAME_LEN];
	int rc;

	zfs_dataset(s, dst, ds);
	zfs_staging_name(s, dst, staged);
	zfs_snapshot_name(s, dst, tag, snap);
	rc = snprintf(to, sizeof(to), "%.*s%s", ZFS_NAME_LEN - 1, staged, strchr(snap, '@'));
	if (rc >= (int)sizeof(to))
		return err_set(e, E_INVAL, "zfs: the name '%s' is too long to be received", dst.name);
	rc = zfs_run_fed(record, ZREC_LEN, src, e, "receive", "-u", to, NULL);
	fault_point("zfs.receive.received");
	if (rc == 0)
		rc = check_origin(s, staged, base, zrec_get64(record, ZREC_FROMGUID), e);
	if (rc == 0)
		rc = check_names(staged, e);
	if (rc == 0)
		rc = settle(staged, to, tag, e);
	fault_point("zfs.receive.settled");
	if (rc == 0)
		rc = zfs_run_rename(staged, ds, e);
	fault_point("zfs.receive.renamed");
	return rc;
}

int
zfs_receive(struct stor *s, struct stor_fs dst, const char *tag, const struct stor_point *from,
    const struct stor_source *src, struct err *e)
{
	const struct zfs_priv *p = s->priv;
	unsigned char record[ZREC_LEN];
	char base[ZFS_NAME_LEN];
	uint64_t guid = 0;
	struct err second;
	int rc = zfs_recover(s, dst, e), end;

	if (rc == 0)
		rc = s->ops->exists(s, dst, e);
	if (rc == 1)
		return err_set(e, E_EXIST, "'%s' exists already", dst.name);
	if (rc == 0 && from != NULL)
		rc = snapshot_guid(s, from->fs, from->tag, &guid, e);
	if (rc == 0)
		rc = stor_source_fill(src, record, sizeof(record), e);
	if (rc == 0)
		rc = check_begin(record, guid, e);
	if (rc < 0)
		return rc;
	if (from != NULL)
		zfs_snapshot_name(s, from->fs, from->tag, base);
	rc = zfs_work_begin(s, dst, "receive", e);
	if (rc < 0)
		return rc;
	rc = dir_sync(p->staging, "storage/zfs/staging", e);
	if (rc == 0)
		rc = receive_staged(s, dst, tag, from != NULL ? base : NULL, record, src, e);
	/* A failed one goes now; when that fails too, the link stays and recovery tries again. */
	end = rc < 0 ? zfs_recover(s, dst, &second) : zfs_work_end(s, dst, e);
	return rc < 0 ? rc : end;
}
