/*
 * What the node writes down about its images: small key=value files (base/kv.h)
 * below ROOT/images that those who make pots read without knowing JSON, OCI or
 * digests. Pure: parses, prints and names the files; opens none.
 *
 *   refs/[HOST/]NAME/:TAG or /@DIGEST   struct img_ref_record
 *   ready/ALG-HEX of the manifest       struct img_ready_record
 */
#ifndef MODEL_IMGRECORD_H
#define MODEL_IMGRECORD_H

#include <stdint.h>

#include "base/kv.h"
#include "model/reference.h"

#define IMG_DIR "images"
#define IMG_LOCK ".lock" /* shared: something is made from a layer, or pinned; exclusive: prune decides */
#define IMG_LAYERS "layers"
#define IMG_LAYER_LOCK ".lock-" /* layers/.lock-NAME: held while the file system NAME is made, or needed */
#define IMG_LAYER_TAG "layer"   /* the snapshot of an unpacked layer that others are cloned from */
#define IMG_FS_LEN 65           /* name of a layer's file system: 64 hexadecimal digits */

struct img_ref_record {
	char manifest[REF_DIGEST_MAX + 1]; /* the image of this platform: what pots are made from */
	char digest[REF_DIGEST_MAX + 1];   /* what the name names: the manifest, or an index that lists it */
	int64_t created_ns;                /* when the image was made, 0 not known */
	int64_t set_ns;                    /* when this name was given here */
};

int img_ref_record_parse(
    struct img_ref_record *, const char *text, size_t len, const char *what, struct err *) MUST_CHECK;
int img_ref_record_print(const struct img_ref_record *, struct buf *, struct err *) MUST_CHECK;
/* Path of its record below ROOT/images: "refs/example.org/a/b/:1.0". E_LIMIT: a component over 255 bytes. */
int img_ref_path(const struct reference *, struct buf *, struct err *) MUST_CHECK;

/* Settings of an image that pots get. Lists are words as they stand in the config. */
struct img_ready_record {
	char manifest[REF_DIGEST_MAX + 1];
	char fs[IMG_FS_LEN]; /* its uppermost layer */
	struct kv settings;  /* keys IMG_SET_*, repeated ones in order */
};
#define IMG_SET_ENV "env"               /* repeated NAME=value */
#define IMG_SET_ENTRYPOINT "entrypoint" /* repeated: its words */
#define IMG_SET_CMD "cmd"               /* repeated: its words */
#define IMG_SET_USER "user"
#define IMG_SET_WORKDIR "workdir"
#define IMG_SET_STOP_SIGNAL "stop_signal"
#define IMG_SET_EXPOSE "expose" /* repeated "80/tcp" */
#define IMG_SET_VOLUME "volume" /* repeated path */
#define IMG_SET_LABEL "label"   /* repeated NAME=value */
#define IMG_SET_MAKE "make"     /* the working directory, where the image does not have it */
#define IMG_SET_ATTR "attr"     /* repeated NAME=value: attributes that labels ask for */

/* Only in configs, for who builds on the image; pots and records do not have them. */
#define IMG_SET_ONBUILD "onbuild" /* repeated: instructions */
#define IMG_SET_SHELL "shell"     /* repeated: its words */
#define IMG_SET_HEALTH "health"   /* JSON, as in the config */
#define IMG_SET_AUTHOR "author"

/* Labels that are attributes: of a pot, and of a jail as other tools on FreeBSD write them. */
#define IMG_LABEL_ATTR "io.pot.attr."
#define IMG_LABEL_JAIL "org.freebsd.jail."
/* Labels that are limits of the pots made from the image: a Potfile's LIMIT. */
#define IMG_LABEL_LIMIT "io.pot.limit."

void img_ready_record_fini(struct img_ready_record *);
int img_ready_record_parse(
    struct img_ready_record *, const char *text, size_t len, const char *what, struct err *) MUST_CHECK;
int img_ready_record_print(const struct img_ready_record *, struct buf *, struct err *) MUST_CHECK;
/* "ready/sha256-HEX". */
int img_ready_path(const char *manifest, struct buf *, struct err *) MUST_CHECK;

DEFINE_AUTO_FINI(img_ready_record, struct img_ready_record)

#endif
