/* The table of media types. Nothing here looks at content. */
#include <string.h>

#include "base/auto.h"
#include "image/mediatype.h"

/* clang-format off */
static const struct media_type types[] = {
	{ MEDIA_OCI_MANIFEST,       MEDIA_MANIFEST, COMP_NONE, false, false },
	{ MEDIA_OCI_INDEX,          MEDIA_INDEX,    COMP_NONE, false, false },
	{ MEDIA_OCI_CONFIG,         MEDIA_CONFIG,   COMP_NONE, false, false },
	{ MEDIA_OCI_EMPTY,          MEDIA_OTHER,    COMP_NONE, false, false },
	{ MEDIA_OCI_LAYER,          MEDIA_LAYER,    COMP_NONE, false, false },
	{ MEDIA_OCI_LAYER_GZIP,     MEDIA_LAYER,    COMP_GZIP, false, false },
	{ MEDIA_OCI_LAYER_ZSTD,     MEDIA_LAYER,    COMP_ZSTD, false, false },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar",      MEDIA_LAYER, COMP_NONE, true, false },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", MEDIA_LAYER, COMP_GZIP, true, false },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", MEDIA_LAYER, COMP_ZSTD, true, false },
	{ MEDIA_DOCKER_MANIFEST,    MEDIA_MANIFEST, COMP_NONE, false, true },
	{ MEDIA_DOCKER_LIST,        MEDIA_INDEX,    COMP_NONE, false, true },
	{ MEDIA_DOCKER_CONFIG,      MEDIA_CONFIG,   COMP_NONE, false, true },
	{ MEDIA_DOCKER_LAYER,       MEDIA_LAYER,    COMP_NONE, false, true },
	{ MEDIA_DOCKER_LAYER_GZIP,  MEDIA_LAYER,    COMP_GZIP, false, true },
	{ MEDIA_DOCKER_LAYER_ZSTD,  MEDIA_LAYER,    COMP_ZSTD, false, true },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar",      MEDIA_LAYER, COMP_NONE, true, true },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", MEDIA_LAYER, COMP_GZIP, true, true },
	{ MEDIA_ZFS_SEND,           MEDIA_STREAM,   COMP_NONE, false, false },
	{ MEDIA_ZFS_SEND_ZSTD,      MEDIA_STREAM,   COMP_ZSTD, false, false },
	{ MEDIA_ZFS_SEND_XZ,        MEDIA_STREAM,   COMP_XZ,   false, false },
	{ MEDIA_BTRFS_SEND,         MEDIA_STREAM,   COMP_NONE, false, false },
	{ MEDIA_BTRFS_SEND_ZSTD,    MEDIA_STREAM,   COMP_ZSTD, false, false },
	{ MEDIA_SIGNIFY,            MEDIA_SIGN,     COMP_NONE, false, false },
};
/* clang-format on */

const struct media_type *
media_find_n(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strlen(types[i].name) == n && memcmp(types[i].name, name, n) == 0)
			return &types[i];
	}
	return NULL;
}

const struct media_type *
media_find(const char *name)
{
	return name == NULL ? NULL : media_find_n(name, strlen(name));
}

enum media_role
media_role(const char *name)
{
	const struct media_type *t = media_find(name);

	return t == NULL ? MEDIA_OTHER : t->role;
}

bool
media_is_valid(const char *name)
{
	size_t n = strnlen(name, 256), slashes = 0;

	if (n == 0 || n > 255 || name[0] == '/' || name[n - 1] == '/')
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '/')
			slashes++;
		else if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			     strchr("!#$&-^_.+", c) != NULL))
			return false;
	}
	return slashes == 1;
}
