/*
 * The media types that pot knows: one table says what a blob of a type is and
 * how it is compressed.  Beside it the names of the annotations that pot sets
 * and reads.  A type that is not in the table is no error: an artifact may
 * carry anything.
 */
#ifndef IMAGE_MEDIATYPE_H
#define IMAGE_MEDIATYPE_H

#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_EMPTY "application/vnd.oci.empty.v1+json"
#define MEDIA_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define MEDIA_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define MEDIA_DOCKER_LAYER_ZSTD "application/vnd.docker.image.rootfs.diff.tar.zstd"
/* A layer's second form: the storage's own stream of the difference to the parent (docs/design.md, images). */
#define MEDIA_ZFS_SEND "application/vnd.pot.zfs.send.v1"
#define MEDIA_ZFS_SEND_ZSTD "application/vnd.pot.zfs.send.v1+zstd"
#define MEDIA_ZFS_SEND_XZ "application/vnd.pot.zfs.send.v1+xz"
#define MEDIA_BTRFS_SEND "application/vnd.pot.btrfs.send.v1"
#define MEDIA_BTRFS_SEND_ZSTD "application/vnd.pot.btrfs.send.v1+zstd"
/* Artifact type of a manifest that carries such streams; of one that carries a signature, and its layer. */
#define MEDIA_STREAMS "application/vnd.pot.streams.v1+json"
#define MEDIA_SIGNATURE "application/vnd.pot.signature.v1+json"
#define MEDIA_SIGNIFY "application/vnd.pot.signature.v1.signify"
/* clang-format on */

enum media_role {
	MEDIA_OTHER,
	MEDIA_MANIFEST, /* an image manifest */
	MEDIA_INDEX,    /* an index, Docker's manifest list */
	MEDIA_CONFIG,
	MEDIA_LAYER,  /* a tar */
	MEDIA_STREAM, /* a native stream */
	MEDIA_SIGN,
};

enum media_comp { COMP_NONE, COMP_GZIP, COMP_ZSTD, COMP_XZ };

struct media_type {
	const char *name;
	enum media_role role;
	enum media_comp comp;
	bool foreign; /* nondistributable: a registry need not have the blob */
	bool docker;
};

/* The row, or NULL. Parameters ("; charset=utf-8") must be cut off before; case counts. */
const struct media_type *media_find(const char *name);
const struct media_type *media_find_n(const char *name, size_t n);
enum media_role media_role(const char *name); /* MEDIA_OTHER when not known */
/* "type/subtype" of RFC 6838, at most 255 bytes. */
bool media_is_valid(const char *name);

/* Annotations. */
#define ANN_REF_NAME "org.opencontainers.image.ref.name"
#define ANN_CREATED "org.opencontainers.image.created"
#define ANN_TITLE "org.opencontainers.image.title"
#define ANN_DESCRIPTION "org.opencontainers.image.description"
#define ANN_BASE_NAME "org.opencontainers.image.base.name"
#define ANN_BASE_DIGEST "org.opencontainers.image.base.digest"
/* On a stream's descriptor: the digest of the tar layer (its manifest's descriptor) that it stands for. */
#define ANN_STREAM_OF "io.pot.stream.of"
/*
 * On a stream's descriptor: ids of the snapshot it makes and of the one it needs, in lower-case hexadecimal digits: 16
 * of zfs's GUID, 32 of btrfs's UUID. FROM is not there where the stream is whole.
 */
#define ANN_STREAM_GUID "io.pot.stream.guid"
#define ANN_STREAM_FROM "io.pot.stream.from"
/* On the manifest: the storage that takes these streams, and the packer that makes the tars of what they make. */
#define ANN_STREAM_STORAGE "io.pot.stream.storage"
#define ANN_STREAM_PACKER "io.pot.stream.packer"
/*
 * On a zfs stream's descriptor that is a whole classic image (`zfs send -R` of
 * the pot's dataset with conf and m): what NAME_TAG.xz.meta says, without the
 * newline, "-" or "POT:TAG@SNAPSHOT".  The registry serves such a stream below
 * /classic/.  SKEIN and SIG are optional and only for MEDIA_ZFS_SEND_XZ, whose
 * bytes are served as they are: the hexadecimal Skein-1024 of stream and meta,
 * and the text of NAME_TAG.xz.skein.sig.
 */
#define ANN_CLASSIC_META "io.pot.classic.meta"
#define ANN_CLASSIC_SKEIN "io.pot.classic.skein"
#define ANN_CLASSIC_SIG "io.pot.classic.sig"

#endif
