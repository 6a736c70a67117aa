/*
 * The records of zfs streams (dmu_replay_record, sys/zfs_ioctl.h of OpenZFS),
 * by their bytes: of one length, in the byte order of who sent.
 */
#ifndef STORAGE_ZFS_RECORD_H
#define STORAGE_ZFS_RECORD_H

#include <stdint.h>
#include <string.h>

#define ZREC_LEN 312
#define ZREC_MAGIC UINT64_C(0x2F5bacbac)

enum zrec_type {
	ZREC_BEGIN,
	ZREC_OBJECT,
	ZREC_FREEOBJECTS,
	ZREC_WRITE,
	ZREC_FREE,
	ZREC_END,
	ZREC_WRITE_BYREF,
	ZREC_SPILL,
	ZREC_WRITE_EMBEDDED,
};

/* Where fields are. */
#define ZREC_TYPE 0
#define ZREC_PAYLOAD 4 /* bytes behind a BEGIN */
/* BEGIN */
#define ZREC_AT_MAGIC 8
#define ZREC_VERSION 16 /* the kind of header in the lowest two bits, features above */
#define ZREC_OBJSET 32
#define ZREC_TOGUID 40
#define ZREC_FROMGUID 48
#define ZREC_TONAME 56 /* to the end of the record */

#define ZREC_SUBSTREAM 1u
#define ZREC_PACKAGE 2u
#define ZREC_OBJSET_ZFS 2u
#define ZREC_FEATURE_RESUMING (UINT64_C(1) << 20)
#define ZREC_FEATURE_RAW (UINT64_C(1) << 24)

static inline uint32_t
zrec_get32(const unsigned char *record, size_t at)
{
	uint32_t n;

	memcpy(&n, record + at, sizeof(n));
	return n;
}

static inline uint64_t
zrec_get64(const unsigned char *record, size_t at)
{
	uint64_t n;

	memcpy(&n, record + at, sizeof(n));
	return n;
}

#endif
