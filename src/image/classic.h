/*
 * The files of a classic image, as the shell framework's export makes and its
 * import fetches them: NAME_TAG.xz, a package of `zfs send -R`; .xz.meta, one
 * line that is "-" or names what a layered one stands on; .xz.skein, Skein-1024
 * over both; .xz.skein.sig, a signify signature of the .skein file.
 */
#ifndef IMAGE_CLASSIC_H
#define IMAGE_CLASSIC_H

#include "base/buf.h"
#include "base/kv.h"
#include "image/signify.h"
#include "storage/storage.h"

#define CLASSIC_NAME_MAX 63
#define CLASSIC_TAG_MAX 127
#define CLASSIC_STEM_LEN (CLASSIC_NAME_MAX + 1 + CLASSIC_TAG_MAX + 1)

/* What a layered image stands on; pot[0] == 0: on nothing. */
struct classic_origin {
	char pot[CLASSIC_NAME_MAX + 1];
	char tag[CLASSIC_TAG_MAX + 1];
	char snapshot[CLASSIC_TAG_MAX + 1];
};

/* "NAME_TAG"; E_INVAL unless both are [A-Za-z0-9][A-Za-z0-9_.-]* and short enough. */
int classic_stem(
    const char *name, const char *tag, char out[static CLASSIC_STEM_LEN], struct err *) MUST_CHECK;
/* "-" or "POT:TAG@SNAPSHOT", with or without a newline; E_CORRUPT. */
int classic_meta_parse(const char *, size_t, struct classic_origin *, struct err *) MUST_CHECK;
int classic_meta_print(const struct classic_origin *, struct buf *, struct err *) MUST_CHECK;

/*
 * Checks the set STEM.xz… in dirfd: the sum, and with a key the signature.
 * Returns the .xz, opened, at its beginning: these are the bytes that were
 * checked as long as nobody else can write to the directory. E_CORRUPT: the
 * sum is wrong or a file is damaged; E_PERM: the signature is missing or not
 * of this key; E_NOENT: a file is missing.
 */
int classic_open(int dirfd, const char *stem, const struct sign_public *, struct classic_origin *,
    struct err *) MUST_CHECK;
/* Makes a set of this name, if there is one, none: what stands beside STEM.xz is not to be that of another. */
int classic_retract(int dirfd, const char *stem, struct err *) MUST_CHECK;
/*
 * Completes a set whose STEM.xz is there: writes .meta, .sig where there is a
 * key, and last of all .skein, without which the set is none.
 */
int classic_complete(int dirfd, const char *stem, const struct classic_origin *, const struct sign_secret *,
    struct err *) MUST_CHECK;

/*
 * Takes the image in whose .xz is open at its beginning: dst becomes what the
 * pot's root was, with the snapshot of the same tag; settings get what its
 * pot.conf says and an image may say (keys IMG_SET_*, model/imgrecord.h).
 * origin: the snapshot that a layered one stands on, else NULL. All or nothing.
 */
struct classic_take {
	struct stor *stor;
	struct stor_fs dst;
	const struct stor_point *origin;
	const volatile bool *cancel; /* may be NULL */
};
int classic_take(const struct classic_take *, int xz, struct kv *settings,
    char snapshot[static CLASSIC_TAG_MAX + 1], struct err *) MUST_CHECK;
/*
 * Leaves with the snapshot of a pot in which image it is, and finds what image a pot was cloned from: 1, or 0 when
 * there is none; then from says what it was cloned from instead (its tag "": nothing that is still there).
 */
int classic_note(struct stor *, struct stor_fs, const struct classic_origin *, struct err *) MUST_CHECK;
int classic_origin_get(struct stor *, struct stor_fs, struct classic_origin *, struct stor_origin *from,
    struct err *) MUST_CHECK;
/*
 * The other way round: writes STEM.xz into dirfd, the snapshot of a pot and its settings, and completes the set.
 * One of the same name stays whole until the new .xz is; then it is none, as long as the new one is not complete.
 */
struct classic_give {
	struct stor *stor;
	struct stor_fs fs;
	const char *snapshot;
	const char *hostname;
	const struct kv *settings;           /* IMG_SET_* */
	const struct classic_origin *origin; /* what it was cloned from, for a layered one; else NULL */
	unsigned level;                      /* of xz, 0 to 9 */
	const struct sign_secret *key;       /* or NULL */
	const volatile bool *cancel;         /* may be NULL */
};
int classic_give(const struct classic_give *, int dirfd, const char *stem, struct err *) MUST_CHECK;
/* What of making a set of this pot is beside it: a file system of STOR_IMAGE, for as long as it takes. */
void classic_give_fs(const char *pot, char out[static STOR_NAME_MAX + 1]);
/* The same of taking one in. */
void classic_take_fs(const char *pot, char out[static STOR_NAME_MAX + 1]);
/* The settings in the text of a classic pot.conf. */
int classic_settings(const char *, size_t, struct kv *, struct err *) MUST_CHECK;

#endif
