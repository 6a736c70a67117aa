/*
 * The config of an image (image-spec, config.md): what runs in it and what its
 * layers are. Read from anybody; written from the config of the image below
 * and a list of settings (keys IMG_SET_* of model/imgrecord.h), keeping what
 * pot does not know.
 */
#ifndef IMAGE_CONFIG_H
#define IMAGE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "image/digest.h"
#include "image/manifest.h"
#include "model/imgrecord.h"

#define IMG_CONFIG_MAX (8u * 1024 * 1024)
#define IMG_LAYERS_MAX 127 /* what the storages can stack */

struct json_t;

struct img_config {
	struct json_t *json; /* all of it */
	struct img_platform platform;
	int64_t created_ns;   /* 0: not told */
	struct digest *diffs; /* of the layers, lowest first */
	size_t ndiffs;
};

/* E_INVAL, E_LIMIT; E_NOTSUP: more layers than IMG_LAYERS_MAX. */
int img_config_parse(const char *text, size_t len, struct img_config **, struct err *) MUST_CHECK;
void img_config_free(struct img_config *);
/* Adds the IMG_SET_* keys. Values that could not stand in a record are refused (E_INVAL). */
int img_config_settings(const struct img_config *, struct kv *, struct err *) MUST_CHECK;

/* Adds those that only builders have: IMG_SET_ONBUILD and following. */
int img_config_builder_settings(const struct img_config *, struct kv *, struct err *) MUST_CHECK;

/* A step of the history. Strings may be NULL. */
struct img_history {
	int64_t created_ns;
	const char *created_by, *comment, *author;
	bool empty_layer;
};
/* In order; non-zero stops. Strings are borrowed for the call. */
typedef int img_history_fn(void *arg, const struct img_history *, struct err *);
int img_config_history(const struct img_config *, img_history_fn *, void *arg, struct err *) MUST_CHECK;

struct img_config_new {
	const struct img_config *below;      /* or NULL */
	const struct img_platform *platform; /* without below: must be given */
	const struct kv *settings;           /* replace those of below; NULL: they stay */
	bool builder;                        /* settings have those of IMG_SET_ONBUILD and following, too */
	const struct digest *diffs;          /* of the layers on top of below's */
	size_t ndiffs;
	const struct img_history *history; /* steps to be added */
	size_t nhistory;
	int64_t created_ns;
};
/* The text: keys sorted, no blanks, so that the same image has the same digest. */
int img_config_build(const struct img_config_new *, struct buf *, struct err *) MUST_CHECK;

/* ---- platforms ---- */

/* Ours: "linux", "amd64", variant and os.version where there are such. Static strings, and out. */
struct img_host {
	char os[16], arch[16], variant[8], os_version[64];
};
void img_host_platform(struct img_host *);
/* 0: cannot run here; the higher, the better it fits. p NULL: nothing is told, taken as ours. */
unsigned img_platform_fit(const struct img_platform *p);
/* The manifest of an index that fits best; E_NOTSUP naming what there is when none does. */
int img_index_pick(const struct img_manifest *, const struct img_desc **, struct err *) MUST_CHECK;

DEFINE_AUTO(img_config, struct img_config *, NULL, img_config_free)

#endif
