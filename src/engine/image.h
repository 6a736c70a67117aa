/*
 * Images as the engine sees them: the records that say what a name means and
 * what pots get of it (model/imgrecord.h), and file systems of the kind
 * STOR_IMAGE. How images come to be, and what is in them, is not known here.
 */
#ifndef ENGINE_IMAGE_H
#define ENGINE_IMAGE_H

#include "engine/epot.h"
#include "model/imgrecord.h"
#include "model/passwd.h"

/* An image that something is made from. While it is held no prune decides. */
struct image_source {
	struct img_ready_record ready;
	char name[REF_TEXT]; /* as its reference is printed */
	int lock;
};
#define IMAGE_SOURCE_INIT                   \
	{                                   \
		{ "", "", KV_INIT }, "", -1 \
	}

/* E_NOENT: no such image on this node; E_STATE: it is not unpacked. */
int image_source_get(struct eng *, const char *name, struct image_source *, struct err *) MUST_CHECK;
void image_source_fini(struct image_source *);
/* Into a new pot's root what the image names but does not have. */
int image_source_fill(struct epot *, const struct image_source *, struct err *) MUST_CHECK;
/* Into a new pot's pot.conf what the image says, with entry point and arguments of `a` where it has them. */
int image_source_conf(
    struct epot *, const struct image_source *, const struct pot_create_args *a, struct err *) MUST_CHECK;
/* The command as one line: entry point and arguments of the settings, or of `a` where it has them. */
int image_settings_command(
    const struct kv *settings, const struct pot_create_args *a, struct buf *, struct err *) MUST_CHECK;
/* The part of it that settings (keys IMG_SET_*) alone say. */
int image_settings_conf(
    struct epot *, const struct kv *settings, const struct pot_create_args *a, struct err *) MUST_CHECK;
DEFINE_AUTO_FINI(image_source, struct image_source)

/* "USER[:GROUP]" by the passwd and group of a root. */
int epot_find_user(int root_fd, const char *spec, struct passwd_user *, struct err *) MUST_CHECK;

#endif
